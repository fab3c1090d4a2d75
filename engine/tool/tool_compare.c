/* tool_compare.c - whether two disks read the same; see tools.h. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/chain/chain.h"
#include "engine/job/pairs.h"
#include "engine/tool/tool.h"
#include "engine/tool/tools.h"
#include "engine/util/bytes.h"

#define COMPARE_SECTOR 512u

static bool sectors_differ(const struct pair *pair, uint64_t at, uint64_t len)
{
	const uint8_t *a = pair->data[0], *b = pair->data[1];

	if (a && b)
		return memcmp(a + at, b + at, len);
	return (a || b) && !bytes_are_zero((a ? a : b) + at, len);
}

/* The first sector that differs, or the end of the pair. */
static uint64_t compare_data(const struct pair *pair)
{
	uint64_t at = 0;

	if (pair->same || !sectors_differ(pair, 0, pair->len))
		return pair->len;
	while (!sectors_differ(pair, at, min_u64(COMPARE_SECTOR,
						 pair->len - at)))
		at += COMPARE_SECTOR;
	return at;
}

static bool status_differs(const struct place *a, const struct place *b)
{
	return a->present != b->present || a->data != b->data ||
	       a->zero != b->zero || a->compressed != b->compressed ||
	       !a->file != !b->file;
}

static int compare_found(struct compare_result *out, enum compare_found found,
			 uint64_t off)
{
	out->found = found;
	out->off = off;
	return 1;
}

/* 1: it is known now; 0: go on. */
static int compare_pair(const struct compare_options *o,
			const struct pair *pair, struct compare_result *out)
{
	uint64_t same;

	if (o->strict && status_differs(&pair->place[0], &pair->place[1]))
		return compare_found(out, COMPARE_STATUS, pair->off);
	if (pair->rc) {
		out->stage = COMPARE_READ;
		out->failed = pair->failed;
		return pair->rc;
	}
	same = compare_data(pair);
	return same < pair->len ? compare_found(out, COMPARE_CONTENT,
						pair->off + same) : 0;
}

static int compare_pairs(const struct compare_options *o, struct pairs *pairs,
			 uint64_t size, struct compare_result *out)
{
	struct pair pair = { 0 };
	int rc;

	do {
		rc = pairs_next(pairs, &pair, &out->failed);
		if (rc <= 0)
			break;
		rc = compare_pair(o, &pair, out);
		if (!rc && o->progress && !o->progress(pair.off + pair.len,
						       size, o->arg))
			rc = -ECANCELED;
	} while (!rc);
	if (rc < 0)
		out->off = out->stage == COMPARE_READ ? pair.off :
			pair.off + pair.len;
	return rc < 0 ? rc : 0;
}

/* The second image takes what data files the first has left. */
static int compare_open(struct jobs *jobs, const struct compare_options *o,
			struct tool *tool, struct compare_result *out,
			struct err *err)
{
	struct node_options image[2] = { o->image[0], o->image[1] };

	image[1].data_files = image[0].data_files;
	image[1].data_file_count = image[0].data_file_count;
	image[1].data_beside = &tool[0].graph;
	for (unsigned i = 0; i < 2; i++) {
		image[i].data_files_shared = true;
		tool[i].graph.events = jobs->events;
		out->failed = i;
		if (tool_open(&tool[i], &image[i], err))
			return -1;
		out->size[i] = tool[i].top->size;
	}
	return chain_check_data_files(&tool[0].graph, &tool[1].graph, image,
				      err);
}

static int compare_disks(struct jobs *jobs, const struct compare_options *o,
			 struct node *const *top, struct compare_result *out,
			 struct err *err)
{
	struct pairs_options po = {
		.pool = jobs->pool, .top = { top[0], top[1] },
		.size = max_u64(out->size[0], out->size[1]),
	};
	struct pairs *pairs;
	int rc = -ENOMEM;

	if (o->strict && out->size[0] != out->size[1])
		return compare_found(out, COMPARE_SIZES, 0), 0;
	pairs = pairs_new(&po);
	if (pairs)
		rc = compare_pairs(o, pairs, po.size, out);
	pairs_free(pairs);
	if (rc == -ECANCELED)
		return err_set(err, ERR_GENERIC, "Interrupted");
	return rc ? err_sys(err, rc, "Error while reading %s%" PRIu64 " of %s",
			    out->stage == COMPARE_READ ? "offset " :
			    "the map at offset ", out->off,
			    top[out->failed]->file->path) : 0;
}

int tool_compare(struct jobs *jobs, const struct compare_options *o,
		 struct compare_result *out, struct err *err)
{
	struct tool tool[2];
	int rc;

	*out = (struct compare_result){ .stage = COMPARE_OPEN };
	tool_init(&tool[0]);
	tool_init(&tool[1]);
	rc = compare_open(jobs, o, tool, out, err);
	if (!rc) {
		out->stage = COMPARE_MAP;
		rc = compare_disks(jobs, o, (struct node *[]){
				   tool[0].top, tool[1].top }, out, err);
	}
	tool_close(&tool[1]);
	tool_close(&tool[0]);
	return rc ? -1 : 0;
}
