/* lead.c - see lead.h. */
#include "engine/chain/lead.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/chain.h"
#include "engine/chain/json_name.h"
#include "engine/chain/peek.h"
#include "engine/file/folder.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"

struct lead {
	const char *holder;
	bool (*fn)(void *arg, const char *path);
	void *arg;
};

static bool lead_from(const struct lead *l, const char *holder,
		      const char *name)
{
	char *path = chain_resolve(holder, name);
	bool done = *path && l->fn(l->arg, path);

	free(path);
	return done;
}

static bool lead_from_elsewhere(const struct lead *l, const char *name)
{
	char *real = realpath(l->holder, NULL);
	bool done = real && lead_from(l, real, name);

	if (!real)
		folder_lack(errno);
	free(real);
	return done;
}

/* --- json: --- */

/* QEMU takes a relative name in there from the working directory; who wrote it
 * may have meant the folder. */
static bool lead_by_file(const struct lead *l, const char *name)
{
	const char *local = chain_local_name(name);

	return lead_from(l, l->holder, local) ||
	       (*local && *local != '/' && l->fn(l->arg, local));
}

/* QEMU writes json:{...} where no plain name will do. */
static bool lead_by_json(const struct lead *l, const char *json)
{
	static const char key[] = "filename\"";
	char name[PEEK_NAME_MAX + 1];

	while ((json = strstr(json, key))) {
		json += strlen(key);
		json += strspn(json, " \t\r\n:");
		if (*json != '"')
			continue;
		json = json_name_string(json + 1, name);
		if (lead_by_file(l, name))
			return true;
	}
	return false;
}

/* What follows a word that is QEMU's for a local file; or NULL. */
static const char *lead_local(const char *name)
{
	static const char *const words[] = {
		"file:", "host_device:", "host_cdrom:",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (str_has_prefix(name, words[i]))
			return name + strlen(words[i]);
	return NULL;
}

/* Behind one of the words by which QEMU tests itself there are two names, and a
 * colon between them. */
static const char *lead_pair(const char *name)
{
	static const char *const words[] = { "blkdebug:", "blkverify:" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (str_has_prefix(name, words[i]))
			return name + strlen(words[i]);
	return NULL;
}

static bool lead_by_pair(const struct lead *l, bool link, const char *pair)
{
	const char *second = pair + strcspn(pair, ":");
	char *first = mem_printf("%.*s", (int)(second - pair), pair);
	bool done = lead_each(l->holder, link, first, l->fn, l->arg) ||
		    (*second && lead_each(l->holder, link, second + 1, l->fn,
					  l->arg));

	free(first);
	return done;
}

bool lead_each(const char *holder, bool link, const char *name,
	       bool (*fn)(void *arg, const char *path), void *arg)
{
	const struct lead l = { .holder = holder, .fn = fn, .arg = arg };
	const char *local = lead_local(name);

	if (str_has_prefix(name, "json:"))
		return lead_by_json(&l, name);
	if (local)
		return lead_by_file(&l, local) ||
		       (link && lead_from_elsewhere(&l, local));
	if (lead_pair(name))
		return lead_by_pair(&l, link, lead_pair(name));
	if (!*name || chain_is_remote(name))
		return false;
	return lead_from(&l, holder, name) ||
	       (link && *name != '/' && lead_from_elsewhere(&l, name));
}
