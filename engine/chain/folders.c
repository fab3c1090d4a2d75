/* folders.c - see folders.h. */
#include "engine/chain/folders.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/chain/chain.h"
#include "engine/util/mem.h"

void folders_release(struct folders *f)
{
	free(f->path);
	free(f->seen);
	*f = (struct folders)FOLDERS_INIT;
}

static bool was_seen(const struct folders *f, const struct stat *st)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->seen[i].st_dev == st->st_dev &&
		    f->seen[i].st_ino == st->st_ino)
			return true;
	return false;
}

static bool see_first(struct folders *f, const struct stat *st)
{
	struct stat *more;

	if (was_seen(f, st))
		return false;
	more = mem_try_more(f->seen, &f->cap, f->count + 1, sizeof(*more));
	if (!more) {
		f->lost = true;
		folder_lack(ENOMEM);
		return false;
	}
	f->seen = more;
	f->seen[f->count++] = *st;
	return true;
}

/* "": the working directory. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return mem_printf("%.*s", slash ? (int)(slash + 1 - path) : 0, path);
}

struct folder *folders_enter(struct folders *f, const char *path)
{
	char *name = folder_of(path);
	bool moved = !f->path || strcmp(name, f->path) != 0;
	struct folder *folder;

	free(moved ? f->path : name);
	f->path = moved ? name : f->path;
	errno = 0;
	if (!moved)
		return NULL;
	folder = folder_open(*f->path ? f->path : ".");
	if (!folder || see_first(f, folder_identify(folder)))
		return folder;
	folder_close(folder);
	errno = 0;
	return NULL;
}

bool folders_have(const struct folders *f, const char *path)
{
	char *name = folder_of(path);
	struct stat st;
	bool have = !stat(*name ? name : ".", &st) && was_seen(f, &st);

	free(name);
	return have;
}

char *folders_behind_link(char *path)
{
	char to[PATH_MAX], *folder = folder_of(path), *next = NULL;
	ssize_t n = readlink(path, to, sizeof(to) - 1);
	struct stat st;

	if (n > 0 && !stat(path, &st)) {
		to[n] = '\0';
		next = mem_printf("%s%s", *to == '/' ? "" : folder, to);
		free(path);
		path = next;
		next = chain_whole_path(path);
	}
	free(folder);
	free(path);
	return next;
}
