/* engine_undo_note.c - undos that outlive their process; see undo_impl.h.
 *
 * The note is a row of strings, each with its NUL. The device of an image is 0
 * there if it is that of base: a host may count its devices anew.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/undo_impl.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"

#define IMAGES_MAX 4096

/* --- writing --- */

static void note_string(FILE *out, const char *s)
{
	fputs(s ? s : "", out);
	putc('\0', out);
}

static void note_undo_image(FILE *out, const struct undo *u,
			    const struct undo_image *image)
{
	fprintf(out, "%ju %ju %jd %jd %ld", image->dev == u->keep.dev ? 0 :
		(uintmax_t)image->dev, (uintmax_t)image->ino,
		(intmax_t)image->size, (intmax_t)image->mtime.tv_sec,
		image->mtime.tv_nsec);
	putc('\0', out);
}

static void note_all(FILE *out, const struct undo *u)
{
	note_string(out, u->id);
	note_undo_image(out, u, &u->above);
	if (!u->has_overlay)
		return;
	note_undo_image(out, u, &u->overlay);
	note_string(out, u->overlay_path);
	note_string(out, u->overlay_format);
	note_string(out, u->top);
	note_string(out, u->top_format);
	note_string(out, u->words);
	note_string(out, u->words_format);
	for (size_t i = 0; i < u->count; i++)
		note_undo_image(out, u, &u->image[i]);
}

int undo_note(const struct undo *u, bool ended)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int rc;

	if (!out)
		return -ENOMEM;
	note_all(out, u);
	rc = ferror(out);
	rc = fclose(out) || rc ? -ENOMEM :
	     keep_note(&u->keep, ended, text, size);
	free(text);
	return rc;
}

/* --- reading --- */

struct note_reader {
	const char *at, *end;		/* a NUL stands there */
	bool bad;
};

static const char *next_string(struct note_reader *r)
{
	const char *s = r->at;

	if (s >= r->end) {
		r->bad = true;
		return "";
	}
	r->at = s + strlen(s) + 1;
	return s;
}

static struct undo_image next_image(struct note_reader *r,
				    const struct undo *u)
{
	uintmax_t dev = 0, ino = 0;
	intmax_t size = 0, sec = 0;
	long nsec = 0;

	if (sscanf(next_string(r), "%ju %ju %jd %jd %ld", &dev, &ino, &size,
		   &sec, &nsec) != 5)
		r->bad = true;
	return (struct undo_image){
		.dev = dev ? (dev_t)dev : u->keep.dev, .ino = (ino_t)ino,
		.size = (off_t)size, .mtime = { (time_t)sec, nsec },
	};
}

static void next_images(struct note_reader *r, struct undo *u)
{
	u->image = mem_try(IMAGES_MAX, sizeof(*u->image));
	if (!u->image)
		r->bad = true;
	while (!r->bad && r->at < r->end && u->count < IMAGES_MAX)
		u->image[u->count++] = next_image(r, u);
	if (r->at < r->end || !u->count)
		r->bad = true;
}

static void next_overlay(struct note_reader *r, struct undo *u)
{
	u->has_overlay = true;
	u->overlay = next_image(r, u);
	u->overlay_path = mem_dup(next_string(r));
	u->overlay_format = mem_dup(next_string(r));
	u->top = mem_dup(next_string(r));
	u->top_format = mem_dup(next_string(r));
	u->words = mem_dup(next_string(r));
	u->words_format = mem_dup(next_string(r));
	if (!*u->words_format) {
		free(u->words_format);
		u->words_format = NULL;
	}
	next_images(r, u);
}

static int undo_parse(struct undo *u, const struct keep_note *note)
{
	struct note_reader r = { note->text, note->text + note->size, false };
	const char *id = next_string(&r);

	if (!str_is_id(id))
		r.bad = true;
	u->id = mem_dup(id);
	u->above = next_image(&r, u);
	if (r.at < r.end)
		next_overlay(&r, u);
	return r.bad ? -1 : 0;
}

struct undo *undo_read(const char *path, enum keep_state *state,
		       struct err *err)
{
	struct undo *u = mem_alloc(sizeof(*u));
	struct keep_note note;
	int rc = keep_load(&u->keep, path, &note, err);

	if (rc) {
		undo_free(u);
		return NULL;
	}
	*state = note.state;
	u->ended = true;
	u->cut = note.state == KEEP_CUT;
	rc = undo_parse(u, &note);
	free(note.text);
	if (!rc)
		return u;
	err_set(err, ERR_GENERIC, "'%s' does not say which commit kept it",
		u->keep.clone);
	undo_free(u);
	return NULL;
}

/* --- those of other processes --- */

struct undo *undo_of_file(struct engine *e, const char *path)
{
	list_for_each(link, &e->undos) {
		struct undo *u = container_of(link, struct undo, link);

		if (!strcmp(u->keep.path, path))
			return u;
	}
	return NULL;
}

static bool undo_id_is_taken(struct engine *e, const char *id)
{
	list_for_each(link, &e->undos)
		if (!strcmp(container_of(link, struct undo, link)->id, id))
			return true;
	return false;
}

static void undo_choose_id(struct engine *e, struct undo *u)
{
	char *own = u->id;

	for (unsigned n = 2; undo_id_is_taken(e, u->id); n++) {
		if (u->id != own)
			free(u->id);
		u->id = mem_printf("%s-%u", own, n);
	}
	if (u->id != own)
		free(own);
}

/* Of the node's file. One that is known goes on being known, unless base was
 * closed meanwhile and is another node now. */
static void undo_adopt_node(struct engine *e, const struct node *node)
{
	enum keep_state state;
	struct err none = ERR_INIT;
	struct undo *u = undo_read(node->file->path, &state, &none), *old;

	if (!u)
		return;
	old = undo_of_file(e, u->keep.path);
	if ((old && (old->over || undo_base(e, old))) ||
	    u->keep.dev != node->file->dev || u->keep.ino != node->file->ino) {
		undo_free(u);
		return;
	}
	if (old) {
		list_del(&old->link);
		undo_free(old);
	}
	undo_choose_id(e, u);
	u->born = node->born;
	u->writable = node->writable_count - (state != KEEP_CHANGED);
	list_add_tail(&e->undos, &u->link);
}

void undo_adopt(struct engine *e)
{
	graph_pause(&e->graph);
	list_for_each(link, &e->graph.nodes) {
		const struct node *node = container_of(link, struct node, link);

		if (node->file && node->file->path)
			undo_adopt_node(e, node);
	}
	graph_resume(&e->graph);
}
