/* tool_measure.c - how large a file a disk needs; see tools.h. */
#include <errno.h>

#include "engine/chain/place.h"
#include "engine/image/qcow2/qcow2.h"
#include "engine/tool/tool.h"
#include "engine/tool/tools.h"
#include "engine/util/bytes.h"

#define MEASURE_SECTOR 512u

/* Bytes of the clusters in which something is not zero. */
static int measure_used(struct places *p, uint64_t size, uint64_t cluster,
			uint64_t *used)
{
	struct place at;
	uint64_t off = 0, end;
	int rc = 0;

	for (*used = 0; off < size; off = end) {
		rc = places_at(p, off, size - off, &at);
		if (rc)
			break;
		end = off + at.len;
		if (at.zero)
			continue;
		end = align_up(end, cluster);
		*used += end - align_down(off, cluster);
	}
	return rc;
}

static int measure_image(const struct measure_options *o, struct node *top,
			 struct measure_result *out, uint64_t *used,
			 struct err *err)
{
	uint64_t cluster = 1ull << o->qcow2.cluster_bits;
	struct places places;
	int rc;

	places_init(&places, top);
	rc = measure_used(&places, top->size, cluster, used);
	if (rc)
		err_sys(err, rc, "Could not read the map of '%s'",
			places.culprit->file->path);
	places_release(&places);
	if (rc)
		return -1;
	rc = o->qcow2.version < 3 ? -ENOTSUP :
		qcow2_node_bitmap_bytes(top, cluster, &out->bitmaps);
	out->has_bitmaps = !rc;
	return rc && rc != -ENOTSUP ?
		err_sys(err, rc, "Could not read the bitmaps of '%s'",
			top->file->path) : 0;
}

/* @top NULL: a disk of o->size bytes of which nothing is known. */
static int measure_qcow2(const struct measure_options *o, struct node *top,
			 struct measure_result *out, struct err *err)
{
	const struct qcow2_shape shape = {
		.size = top ? top->size : align_up(o->size, MEASURE_SECTOR),
		.cluster_bits = o->qcow2.cluster_bits,
		.refcount_order = o->qcow2.refcount_order,
		.extended = o->qcow2.extended,
	};
	uint64_t all = align_up(shape.size, 1ull << shape.cluster_bits);
	uint64_t used = 0;

	out->full = qcow2_full_bytes(&shape);
	if (!out->full)
		return err_set(err, ERR_GENERIC, "The image size is too large "
			       "(try using a larger cluster size)");
	if (top && measure_image(o, top, out, &used, err))
		return -1;
	if (o->qcow2.preallocated || (top && o->qcow2.has_backing))
		used = all;
	out->required = out->full - all + used;
	return 0;
}

static int measure_node(const struct measure_options *o, struct node *top,
			struct measure_result *out, struct err *err)
{
	if (!o->raw)
		return measure_qcow2(o, top, out, err);
	out->required = out->full = top ? top->size :
		align_up(o->size, MEASURE_SECTOR);
	return 0;
}

int tool_measure(const struct measure_options *o,
		 struct measure_result *out, struct err *err)
{
	struct tool tool;
	int rc;

	*out = (struct measure_result){ 0 };
	if (!o->image)
		return measure_node(o, NULL, out, err);
	tool_init(&tool);
	rc = tool_open(&tool, o->image, err);
	if (!rc)
		rc = measure_node(o, tool.top, out, err);
	tool_close(&tool);
	return rc;
}
