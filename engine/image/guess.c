/* guess.c - see guess.h. */
#include "engine/image/guess.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "engine/util/bytes.h"

struct magic {
	const char *format;
	size_t off;
	const char *bytes;
	size_t len;
};

#define MAGIC(format, off, bytes) { format, off, bytes, sizeof(bytes) - 1 }

/* The first that fits. A qcow2 image has a version above 1. */
static const struct magic magics[] = {
	MAGIC("qcow", 0, "QFI\xfb\0\0\0\1"),
	MAGIC("qcow2", 0, "QFI\xfb"),
	MAGIC("qed", 0, "QED\0"),
	MAGIC("vmdk", 0, "KDMV"),
	MAGIC("vmdk", 0, "COWD"),
	MAGIC("vmdk", 0, "# Disk DescriptorFile"),
	MAGIC("vmdk", 0, "\xbe\xba\xfe\xca\0\0\0\0\1\0\0\0\2\0\0\0"),
	MAGIC("vdi", 64, "\x7f\x10\xda\xbe"),
	MAGIC("vpc", 0, "conectix"),
	MAGIC("vhdx", 0, "vhdxfile"),
	MAGIC("parallels", 0, "WithoutFreeSpace"),
	MAGIC("parallels", 0, "WithouFreSpacExt"),
	MAGIC("luks", 0, "LUKS\xba\xbe"),
	MAGIC("bochs", 0, "Bochs Virtual HD Image"),
	MAGIC("cloop", 0, "#!/bin/sh\n#V2.0 Format\nmodprobe cloop"),
};

static bool guess_fits(const struct magic *m, const char *head, size_t len)
{
	return m->off + m->len <= len && !memcmp(head + m->off, m->bytes,
						 m->len);
}

/* A VMDK in plain text: QEMU takes comments and empty lines in front of it,
 * and reads whatever files it names. */
static bool guess_is_descriptor(const char *head, size_t len)
{
	static const char word[] = "version=";
	const char *p = head, *end = head + len;

	while (p < end && (*p == '#' || *p == ' ' || *p == '\r' ||
			   *p == '\n')) {
		if (*p == '#')
			p = memchr(p, '\n', (size_t)(end - p));
		if (!p)
			return false;
		p++;
	}
	return (size_t)(end - p) >= sizeof(word) &&
		!memcmp(p, word, sizeof(word) - 1) &&
		p[sizeof(word) - 1] >= '0' && p[sizeof(word) - 1] <= '9';
}

const char *guess_format(const void *head, size_t len)
{
	for (size_t i = 0; i < sizeof(magics) / sizeof(*magics); i++)
		if (guess_fits(&magics[i], head, len))
			return magics[i].format;
	return guess_is_descriptor(head, len) ? "vmdk" : "raw";
}

#define VPC_TYPE 60		/* of the disk, in its footer */
#define VPC_FIXED 2

static bool guess_is_footer(const uint8_t *b)
{
	return !memcmp(b, "conectix", 8) && get_be32(b + VPC_TYPE) == VPC_FIXED;
}

/* The footers of the first Virtual PC had a byte less. */
const char *guess_by_end(const void *tail, size_t len)
{
	const uint8_t *b = tail;

	if (len < GUESS_BYTES)
		return "raw";
	if (guess_is_footer(b) || guess_is_footer(b + 1))
		return "vpc";
	if (!memcmp(b, "koly", 4))
		return "dmg";
	return "raw";
}
