/* tool_map.c - where the bytes of a disk lie; see tools.h. */
#include "engine/chain/place.h"
#include "engine/tool/tool.h"
#include "engine/tool/tools.h"
#include "engine/util/bytes.h"

static bool map_joins(const struct map_piece *a, const struct map_piece *b)
{
	return a->len && a->depth == b->depth && a->present == b->present &&
	       a->zero == b->zero && a->data == b->data &&
	       a->compressed == b->compressed && a->file == b->file &&
	       (!a->file || a->host + a->len == b->host);
}

static struct map_piece map_piece_of(const struct place *at)
{
	bool lies = at->file && !at->compressed;

	return (struct map_piece){
		.off = at->off, .len = at->len, .depth = at->depth,
		.present = at->present, .zero = at->zero, .data = at->data,
		.compressed = at->compressed,
		.file = lies ? at->file->path : NULL,
		.host = lies ? at->host : 0,
	};
}

static int map_walk(struct places *p, uint64_t off, uint64_t end,
		    bool (*each)(void *arg, const struct map_piece *piece),
		    void *arg)
{
	struct map_piece piece = { 0 }, next;
	struct place at;
	bool more = true;
	int rc = 0;

	for (; off < end && more && !rc; off += at.len) {
		rc = places_at(p, off, end - off, &at);
		if (rc)
			break;
		next = map_piece_of(&at);
		if (map_joins(&piece, &next)) {
			piece.len += next.len;
			continue;
		}
		more = !piece.len || each(arg, &piece);
		piece = next;
	}
	if (!rc && more && piece.len)
		each(arg, &piece);
	return rc;
}

int tool_map(const struct node_options *image, uint64_t off, uint64_t len,
	     bool (*each)(void *arg, const struct map_piece *piece),
	     void *arg, struct err *err)
{
	struct places places;
	struct tool tool;
	uint64_t end;
	int rc;

	tool_init(&tool);
	rc = tool_open(&tool, image, err);
	if (!rc) {
		end = tool.top->size;
		if (off < end && len < end - off)
			end = off + len;
		places_init(&places, tool.top);
		rc = map_walk(&places, off, end, each, arg);
		if (rc)
			err_sys(err, rc, "Could not read the map of '%s'",
				places.culprit->file->path);
		places_release(&places);
	}
	tool_close(&tool);
	return rc ? -1 : 0;
}
