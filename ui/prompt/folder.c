/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/prompt/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/util/mem.h"
#include "engine/util/str.h"
#include "engine/util/thread.h"

struct folder {
	_Atomic unsigned refs;
	_Atomic bool read;	/* then the names don't change any more */
	char *part;
	int fd;
	char **names;
	size_t n;
};

void folder_put(struct folder *f)
{
	if (!f || --f->refs)
		return;
	for (size_t i = 0; i < f->n; i++)
		free(f->names[i]);
	free(f->names);
	free(f->part);
	close(f->fd);
	free(f);
}

static bool is_folder(DIR *dir, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK)
		return entry->d_type == DT_DIR;
	return !fstatat(dirfd(dir), entry->d_name, &st, 0) &&
		S_ISDIR(st.st_mode);
}

static void read_names(struct folder *f, DIR *dir, int before)
{
	const char *begin = f->part + before, *name;
	const struct dirent *entry;

	while (f->n < FOLDER_NAMES && (entry = readdir(dir))) {
		name = entry->d_name;
		if (!str_has_prefix(name, begin) || !strcmp(name, ".") ||
		    !strcmp(name, "..") || (*name == '.' && *begin != '.'))
			continue;
		f->names[f->n++] = mem_printf("%.*s%s%s", before, f->part,
			name, is_folder(dir, entry) ? "/" : "");
	}
}

static void folder_run(void *arg)
{
	struct folder *f = arg;
	const char *slash = strrchr(f->part, '/');
	int before = slash ? (int)(slash + 1 - f->part) : 0;
	char *path = slash ? mem_printf("%.*s", before, f->part) :
		mem_dup(".");
	DIR *dir = opendir(path);

	if (dir) {
		read_names(f, dir, before);
		closedir(dir);
	}
	free(path);
	f->read = true;
	eventfd_write(f->fd, 1);
	folder_put(f);
}

struct folder *folder_read(const char *part, int fd)
{
	struct folder *f = mem_alloc(sizeof(*f));
	pthread_t thread;

	f->refs = 2;
	f->part = mem_dup(part);
	f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	f->names = mem_alloc(FOLDER_NAMES * sizeof(*f->names));
	if (thread_start(&thread, "folder", folder_run, f)) {
		f->refs = 1;
		folder_put(f);
		return NULL;
	}
	pthread_detach(thread);
	return f;
}

const char *folder_part(const struct folder *f)
{
	return f->part;
}

bool folder_is_read(struct folder *f)
{
	return f->read;
}

size_t folder_names(const struct folder *f, char *const **names)
{
	*names = f->names;
	return f->n;
}
