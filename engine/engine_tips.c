/* engine_tips.c - which images of a list, or of a folder, are disks of their
 * own; see files.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/forest.h"
#include "engine/engine_impl.h"
#include "engine/file/folder.h"
#include "engine/file/keep.h"
#include "engine/file/mark.h"
#include "engine/files.h"
#include "engine/util/mem.h"

void tips_release(struct tips *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->tip[i].path);
	free(t->tip);
	*t = (struct tips){ .tip = NULL };
}

struct word {
	const char *path;
	char *folder;		/* "DIR/"; NULL: it is none */
	size_t at;		/* in the forest; FOREST_NONE */
};

struct tip_search {
	struct engine *engine;
	struct word *word;
	size_t count, known;	/* the words, and those behind them that will
				   be open as well */
	struct forest forest;
	bool *needed;		/* of each image: it lies below another */
	bool *taken;
	struct tips *out;
};

/* --- what is there --- */

static bool tips_is_folder(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static void take_words(struct tip_search *t, const char *const *words,
		       size_t n, bool known)
{
	for (size_t i = 0; i < n; i++) {
		struct word *w = &t->word[t->count + t->known];
		size_t len = strlen(words[i]);

		w->path = words[i];
		if (!known && tips_is_folder(words[i]))
			w->folder = mem_printf("%s%s", words[i], len &&
					       words[i][len - 1] == '/' ?
					       "" : "/");
		t->count += !known;
		t->known += known;
	}
}

/* A folder with its files; of single files, which may lie in folders that are
 * full, themselves and what is below them. */
static int tips_look(struct tip_search *t, struct err *err)
{
	size_t n = t->count + t->known;
	const char **paths = mem_try(n + 1, sizeof(*paths));

	if (!paths)
		return err_sys(err, ENOMEM, "Could not look for images");
	for (size_t i = 0; i < n; i++)
		paths[i] = t->word[i].folder ? t->word[i].folder :
					       t->word[i].path;
	t->forest.raw_names = true;
	forest_look(&t->forest, &t->engine->graph, paths, n);
	free(paths);
	t->needed = mem_try(t->forest.count + 1, sizeof(*t->needed));
	t->taken = mem_try(t->forest.count + 1, sizeof(*t->taken));
	return t->needed && t->taken ? 0 :
		err_sys(err, ENOMEM, "Could not look for images");
}

static size_t image_at(const struct tip_search *t, const char *path)
{
	struct sibling_id id;
	struct stat st;

	if (stat(path, &st))
		return FOREST_NONE;
	id = sibling_id_at(&st);
	return forest_find(&t->forest, &id);
}

/* --- who lies on whom --- */

/* What is marked once was followed before. */
static void need_below(struct tip_search *t, size_t at)
{
	while (at != FOREST_NONE) {
		const struct forest_image *i = &t->forest.image[at];

		if (i->data.to != FOREST_NONE && i->data.to != at)
			t->needed[i->data.to] = true;
		if (i->backing.to == at)
			break;
		at = i->backing.to;
		if (at == FOREST_NONE || t->needed[at])
			break;
		t->needed[at] = true;
	}
}

static bool in_folder(const struct word *w, const struct forest_image *image)
{
	size_t len = strlen(w->folder);

	return !image->outside && !strncmp(image->path, w->folder, len) &&
	       !strchr(image->path + len, '/');
}

/* All that may be opened counts, and all of a folder. */
static void tips_need(struct tip_search *t)
{
	for (size_t i = 0; i < t->count + t->known; i++) {
		struct word *w = &t->word[i];

		w->at = w->folder ? FOREST_NONE : image_at(t, w->path);
		need_below(t, w->at);
		for (size_t n = 0; w->folder && n < t->forest.count; n++)
			if (in_folder(w, &t->forest.image[n]))
				need_below(t, n);
	}
	for (size_t i = t->count; i < t->count + t->known; i++)
		if (t->word[i].at != FOREST_NONE)
			t->taken[t->word[i].at] = true;
}

/* --- which are taken --- */

static int tips_add(struct tip_search *t, const char *path, size_t word,
		    bool from_folder, struct err *err)
{
	struct tips *out = t->out;
	struct tip *more = mem_try_more(out->tip, &out->cap, out->count + 1,
					sizeof(*more));

	if (!more)
		return err_sys(err, ENOMEM, "Could not list the images");
	out->tip = more;
	out->tip[out->count++] = (struct tip){
		.path = mem_dup(path), .word = word,
		.from_folder = from_folder,
	};
	return 0;
}

static bool was_merged(const struct forest_image *image)
{
	struct stat st;
	int fd = folder_peek_open(NULL, image->path, &st);
	const struct file file = { .path = image->path, .fd = fd };
	struct mark mark = { .kind = MARK_NONE };

	if (fd < 0)
		return false;
	mark_get(&file, &mark);
	folder_unpeek(fd);
	return mark.kind == MARK_MERGED;
}

static bool opens_here(const struct forest_image *image)
{
	return image->format && (!strcmp(image->format, "qcow2") ||
				 !strcmp(image->format, "raw"));
}

/* What is kept for an undo is no disk. */
static bool is_kept_for_undo(const struct forest_image *image)
{
	size_t len = strlen(image->path), n = strlen(KEEP_SUFFIX);

	return len > n && !strcmp(image->path + len - n, KEEP_SUFFIX);
}

static bool is_tip(const struct tip_search *t, size_t at)
{
	const struct forest_image *image = &t->forest.image[at];

	return !image->again && !t->needed[at] && !t->taken[at] &&
	       opens_here(image) && !is_kept_for_undo(image) &&
	       !was_merged(image);
}

static int take_folder(struct tip_search *t, size_t word, struct err *err)
{
	const struct word *w = &t->word[word];
	size_t n = 0, more = 0;

	for (size_t i = 0; i < t->forest.count; i++) {
		if (!in_folder(w, &t->forest.image[i]) || !is_tip(t, i))
			continue;
		if (n == TIPS_MAX) {
			more++;
			continue;
		}
		t->taken[i] = true;
		n++;
		if (tips_add(t, t->forest.image[i].path, word, true, err))
			return -1;
	}
	if (more)
		event_notice(&t->engine->events, "The folder '%s' has %zu more "
			     "disks than the %d that are opened", w->path,
			     more, TIPS_MAX);
	return 0;
}

/* Why a file of a list is passed over, in words; NULL: it is not. */
static const char *not_an_image(const struct tip_search *t,
				const struct word *w)
{
	const struct forest_image *image;
	struct stat st;

	if (stat(w->path, &st))
		return NULL;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return "it is not a regular file";
	if (w->at == FOREST_NONE || S_ISBLK(st.st_mode))
		return NULL;
	image = &t->forest.image[w->at];
	if (!image->format || strcmp(image->format, "raw"))
		return NULL;
	return st.st_size && st.st_size % 512 == 0 ? NULL :
		"it does not begin as an image does, and has no size of a "
		"disk";
}

static int take_file(struct tip_search *t, size_t word, struct err *err)
{
	const struct word *w = &t->word[word];
	const char *why = t->count > 1 ? not_an_image(t, w) : NULL;

	if (why) {
		event_notice(&t->engine->events, "'%s' is passed over: %s",
			     w->path, why);
		return 0;
	}
	if (w->at != FOREST_NONE) {
		if (t->needed[w->at] || t->taken[w->at])
			return 0;
		t->taken[w->at] = true;
	}
	return tips_add(t, w->path, word, false, err);
}

/* --- all together --- */

static int tips_find(struct tip_search *t, struct err *err)
{
	int rc = tips_look(t, err);

	if (!rc && t->forest.closed && tips_is_folder(t->forest.closed))
		event_notice(&t->engine->events, "The folder '%s' can't be "
			     "read", t->forest.closed);
	if (!rc && t->forest.cut)
		event_notice(&t->engine->events, "Not all files could be "
			     "looked at (%llu were): there may be more disks",
			     (unsigned long long)t->forest.files);
	if (!rc)
		tips_need(t);
	for (size_t i = 0; i < t->count && !rc; i++)
		rc = t->word[i].folder ? take_folder(t, i, err) :
					 take_file(t, i, err);
	return rc;
}

int engine_find_tips(struct engine *e, const char *const *words, size_t n,
		     const char *const *known, size_t known_count,
		     struct tips *out, struct err *err)
{
	struct tip_search t = { .engine = e, .forest = FOREST_INIT,
				.out = out };
	int rc;

	*out = (struct tips){ .tip = NULL };
	t.word = mem_try(n + known_count + 1, sizeof(*t.word));
	if (!t.word)
		return err_sys(err, ENOMEM, "Could not look for images");
	take_words(&t, words, n, false);
	take_words(&t, known, known_count, true);
	rc = tips_find(&t, err);
	for (size_t i = 0; i < n; i++)
		free(t.word[i].folder);
	free(t.word);
	free(t.needed);
	free(t.taken);
	forest_release(&t.forest);
	return rc;
}
