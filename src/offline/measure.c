/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * blkmon measure, as qemu-img's: the size of a file before it is made.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tools.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"
#include "engine/util/size.h"
#include "src/offline/command.h"

#define CLUSTER_MIN 512u
#define CLUSTER_MAX (2u << 20)
#define CLUSTER_EXTENDED_MIN 16384u

const struct option_row measure_rows[] = {
	{ NULL, 'O', "FORMAT", .words = "raw|qcow2",
	  .help = "of the file to be made (raw)" },
	{ NULL, 'o', "OPTIONS",
	  .help = "of that, as qemu-img create has them: cluster_size=4k,..." },
	{ "size", OPT_SIZE, "N", .help = "of an empty disk, without IMAGE" },
	{ "force-share", 'U',
	  .help = "look even while another program writes the image" },
	OFFLINE_OUTPUT_ROWS,
	{ 0 }
};

/* --- the options of the file to be made --- */

static unsigned log2_of(uint64_t power)
{
	unsigned bits = 0;

	while (power >> bits > 1)
		bits++;
	return bits;
}

static int measure_cluster(struct measure_options *m, const char *value,
			   struct err *err)
{
	const char *end = value;
	uint64_t size;

	if (size_parse(value, &size, &end) || *end || size < CLUSTER_MIN ||
	    size > CLUSTER_MAX || (size & (size - 1)))
		return err_set(err, ERR_GENERIC, "Cluster size must be a power "
			       "of two between %u and %uk", CLUSTER_MIN,
			       CLUSTER_MAX >> 10);
	m->qcow2.cluster_bits = log2_of(size);
	return 0;
}

static int measure_refcount(struct measure_options *m, const char *value,
			    struct err *err)
{
	const char *end = value;
	uint64_t bits;

	if (size_parse(value, &bits, &end) || *end || !bits || bits > 64 ||
	    (bits & (bits - 1)))
		return err_set(err, ERR_GENERIC, "Refcount width must be a "
			       "power of two and may not exceed 64 bits");
	m->qcow2.refcount_order = log2_of(bits);
	return 0;
}

static int measure_compat(struct measure_options *m, const char *value,
			  struct err *err)
{
	int n = option_word("0.10|1.1", value);

	m->qcow2.version = n ? 3 : 2;
	return n < 0 ? err_set(err, ERR_GENERIC, "Invalid compatibility level: "
			       "'%s'", value) : 0;
}

static int measure_extended(struct measure_options *m, const char *value,
			    struct err *err)
{
	int n = option_word("off|on", value);

	m->qcow2.extended = n == 1;
	return n < 0 ? err_set(err, ERR_GENERIC, "Parameter 'extended_l2' "
			       "expects 'on' or 'off'") : 0;
}

static int measure_prealloc(struct measure_options *m, const char *value,
			    struct err *err)
{
	int n = option_word("off|metadata|falloc|full", value);

	m->qcow2.preallocated = n >= 2;
	return n < 0 ? err_set(err, ERR_GENERIC, "Parameter 'preallocation' "
			       "does not accept value '%s'", value) : 0;
}

static int measure_backing(struct measure_options *m, const char *value,
			   struct err *err)
{
	(void)value;
	(void)err;
	m->qcow2.has_backing = true;
	return 0;
}

/* Those without a function change no size. */
static const struct measure_key {
	const char *name;
	bool raw;			/* also of raw files */
	int (*take)(struct measure_options *m, const char *value,
		    struct err *err);
} measure_keys[] = {
	{ .name = "cluster_size", .take = measure_cluster },
	{ .name = "refcount_bits", .take = measure_refcount },
	{ .name = "compat", .take = measure_compat },
	{ .name = "extended_l2", .take = measure_extended },
	{ .name = "preallocation", .raw = true, .take = measure_prealloc },
	{ .name = "backing_file", .take = measure_backing },
	{ .name = "backing_fmt" }, { .name = "compression_type" },
	{ .name = "data_file" }, { .name = "data_file_raw" },
	{ .name = "lazy_refcounts" }, { .name = "size", .raw = true },
	{ .name = "nocow", .raw = true },
	{ .name = "extent_size_hint", .raw = true },
};

static int measure_word(struct measure_options *m, const char *name,
			const char *value, struct err *err)
{
	for (size_t i = 0; i < sizeof(measure_keys) / sizeof(*measure_keys);
	     i++) {
		const struct measure_key *key = &measure_keys[i];

		if (!strcmp(key->name, name) && (key->raw || !m->raw))
			return key->take ? key->take(m, value, err) : 0;
	}
	return err_set(err, ERR_GENERIC, "Invalid parameter '%s'", name);
}

/* What fits one option but not the others. */
static int measure_check(const struct measure_options *m, struct err *err)
{
	if (m->qcow2.version < 3 && m->qcow2.refcount_order != 4)
		return err_set(err, ERR_GENERIC, "Different refcount widths "
			       "than 16 bits require compatibility level 1.1 "
			       "or above (use version=v3 or greater)");
	if (m->qcow2.extended &&
	    1u << m->qcow2.cluster_bits < CLUSTER_EXTENDED_MIN)
		return err_set(err, ERR_GENERIC, "Extended L2 entries are only "
			       "supported with cluster sizes of at least %u "
			       "bytes", CLUSTER_EXTENDED_MIN);
	return 0;
}

static int measure_words(struct measure_options *m, const char *words,
			 struct err *err)
{
	char *copy = mem_dup(words ? words : ""), *rest = copy, *word, *value;
	int rc = 0;

	while (!rc && (word = strsep(&rest, ","))) {
		value = strchr(word, '=');
		if (value)
			*value++ = '\0';
		if (*word)
			rc = measure_word(m, word, value ? value : "on", err);
	}
	free(copy);
	return rc ? rc : measure_check(m, err);
}

/* --- what it comes to --- */

static void measure_put_json(const struct measure_result *r)
{
	json_t *all = json_pack("{s:I, s:I}",
				"required", (json_int_t)r->required,
				"fully-allocated", (json_int_t)r->full);

	if (r->has_bitmaps)
		json_object_set_new(all, "bitmaps",
				    json_integer((json_int_t)r->bitmaps));
	offline_put_json(all);
	json_decref(all);
}

static void measure_put_text(const struct measure_result *r)
{
	printf("required size: %" PRIu64 "\nfully allocated size: %" PRIu64
	       "\n", r->required, r->full);
	if (r->has_bitmaps)
		printf("bitmaps size: %" PRIu64 "\n", r->bitmaps);
}

/* An image, or a size. */
static int measure_what(const struct offline *o, struct measure_options *m,
			struct err *err)
{
	bool sized = o->size != UINT64_MAX;
	const char *format = o->format ? o->format : "raw";
	int n = option_word("qcow2|raw", format);

	m->image = o->image[0] ? &o->node : NULL;
	m->size = o->size;
	m->raw = n == 1;
	if (!m->image && o->node.format)
		return err_set(err, ERR_GENERIC, "-f and the like "
			       "require a filename argument.");
	if (m->image && sized)
		return err_set(err, ERR_GENERIC, "--size N cannot be used "
			       "together with a filename.");
	if (!m->image && !sized)
		return err_set(err, ERR_GENERIC, "Either --size N or one "
			       "filename must be specified.");
	return n < 0 ? err_set(err, ERR_GENERIC, "Unknown file format '%s'",
			       format) : 0;
}

int measure_run(struct offline *o)
{
	struct measure_options m = {
		.qcow2 = { .cluster_bits = 16, .refcount_order = 4,
			   .version = 3 },
	};
	struct measure_result r;
	struct err err = ERR_INIT;

	if (measure_what(o, &m, &err) || measure_words(&m, o->words, &err) ||
	    tool_measure(&m, &r, &err))
		return offline_fail(&err);
	(o->json ? measure_put_json : measure_put_text)(&r);
	return 0;
}
