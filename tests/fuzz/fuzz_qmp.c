/* fuzz_qmp.c - bytes on a QMP connection. The first byte says how long the
 * pieces are in which the rest comes. */
#include <stddef.h>
#include <stdint.h>

#include "engine/util/bug.h"
#include "src/qmp/wire/session.h"
#include "tests/fuzz/null_channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void swallow(void *arg, const char *text, size_t len)
{
	size_t *lines = arg;

	BUG_ON(len < 2 || memcmp(text + len - 2, "\r\n", 2));
	++*lines;
}

/* After whatever came, 0xFF and a request get their answer. */
static void check_recovery(struct session *s, size_t *lines)
{
	static const char sync[] = "\xff{'execute':'query-name'}";
	size_t before = *lines;

	session_input(s, sync, sizeof(sync) - 1);
	BUG_ON(*lines != before + 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct channel null = { .ops = &null_ops };
	size_t lines = 0, step = len ? data[0] : 0;
	struct session *s = session_new(&null, len & 1, swallow, &lines);

	for (size_t at = 1; at < len;) {
		size_t n = step && step < len - at ? step : len - at;

		session_input(s, (const char *)data + at, n);
		at += n;
	}
	check_recovery(s, &lines);
	session_free(s);
	return 0;
}
