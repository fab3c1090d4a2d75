/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/options/images.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "engine/files.h"
#include "engine/util/mem.h"

struct images {
	struct engine *engine;
	const struct drive_options *drives;	/* one for each word */
	size_t count;
	bool lenient;
	size_t opened;
	struct err last;	/* why one could not be opened */
	const char **culprit;
};

static void tell_not(struct images *i, const char *path, bool read_only,
		     const struct err *why)
{
	event_notice(engine_events(i->engine), read_only ?
		     "'%s' is open read-only: %s" :
		     "'%s' is passed over: %s", path, why->text);
}

/* Somebody else may be reading it, or it is not ours to write. */
static void images_try(struct images *i, struct drive_options *o)
{
	struct err first = ERR_INIT, second = ERR_INIT;

	if (!engine_add_drive(i->engine, o, &first)) {
		i->opened++;
		return;
	}
	o->node.read_only = true;
	if (engine_add_drive(i->engine, o, &second)) {
		tell_not(i, o->node.path, false, &first);
		i->last = first;
		return;
	}
	i->opened++;
	tell_not(i, o->node.path, true, &first);
}

static int open_tip(struct images *i, const struct tip *tip, size_t tips,
		    struct err *err)
{
	struct drive_options o = i->drives[tip->word];

	o.node.path = tip->path;
	if (tip->from_folder || (i->lenient && tips > 1)) {
		images_try(i, &o);
		return 0;
	}
	*i->culprit = i->drives[tip->word].node.path;
	if (engine_add_drive(i->engine, &o, err))
		return -1;
	i->opened++;
	return 0;
}

static int check_any(const struct images *i, bool others, struct err *err)
{
	const char *first = i->count ? i->drives[0].node.path : NULL;

	if (i->opened || others || !i->count)
		return 0;
	if (i->last.class == ERR_NONE)
		return err_set(err, ERR_GENERIC, i->count == 1 ?
			       "There is no disk in '%s'" :
			       "There is no disk in '%s' and the others",
			       first);
	*err = i->last;
	err_prefix(err, "No disk could be opened: ");
	return -1;
}

static int open_tips(struct images *i, const char *const *known,
		     size_t known_count, struct err *err)
{
	const char **words = mem_alloc((i->count + 1) * sizeof(*words));
	struct tips tips;
	int rc;

	for (size_t n = 0; n < i->count; n++)
		words[n] = i->drives[n].node.path;
	rc = engine_find_tips(i->engine, words, i->count, known, known_count,
			      &tips, err);
	for (size_t n = 0; n < tips.count && !rc; n++)
		rc = open_tip(i, &tips.tip[n], tips.count, err);
	if (!rc)
		rc = check_any(i, known_count, err);
	tips_release(&tips);
	free(words);
	return rc;
}

static bool images_is_folder(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* One image, and no other disk, is what it is. */
static bool is_plain(const struct images *i, size_t others)
{
	return !i->count || (i->count == 1 && !others &&
			     !images_is_folder(i->drives[0].node.path));
}

int images_open(const struct options *o, struct engine *engine, bool lenient,
		const char **culprit, struct err *err)
{
	struct images i = {
		.engine = engine, .drives = o->drives + o->first_image,
		.count = o->drive_count - o->first_image, .lenient = lenient,
		.culprit = culprit,
	};
	const char **known = mem_alloc((o->first_image + 1) * sizeof(*known));
	size_t known_count = 0;
	int rc = 0;

	*culprit = NULL;
	for (size_t n = 0; n < o->drive_count && !rc; n++) {
		if (n == o->first_image && !is_plain(&i, known_count))
			break;
		*culprit = o->drives[n].node.path;
		rc = engine_add_drive(engine, &o->drives[n], err);
		if (*culprit && n < o->first_image)
			known[known_count++] = *culprit;
	}
	if (!rc && !is_plain(&i, known_count))
		rc = open_tips(&i, known, known_count, err);
	free(known);
	return rc;
}
