/* job_end.c - see job_end.h. */
#include "engine/event/job_end.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"

struct job_end *job_end_new(void)
{
	struct job_end *end = mem_alloc(sizeof(*end));

	atomic_init(&end->refs, 1);
	return end;
}

static void job_files_release(struct job_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		free(files->list[i].path);
	free(files->list);
}

struct job_end *job_end_get(struct job_end *end)
{
	if (end)
		atomic_fetch_add(&end->refs, 1);
	return end;
}

void job_end_put(struct job_end *end)
{
	if (!end || atomic_fetch_sub(&end->refs, 1) != 1)
		return;
	job_files_release(&end->from);
	job_files_release(&end->unused);
	free(end->to);
	free(end);
}

char *job_file_path(const char *path)
{
	char folder[PATH_MAX];
	size_t len = strlen(path), at;
	char *full;

	if (*path == '/' || !getcwd(folder, sizeof(folder)))
		return mem_try_dup(path, len);
	at = strlen(folder);
	full = mem_try(1, at + len + 2);
	if (full)
		snprintf(full, at + len + 2, "%s%s%s", folder,
			 folder[at - 1] == '/' ? "" : "/", path);
	return full;
}

void job_files_add(struct job_files *files, const char *path, uint64_t bytes)
{
	struct job_file *list = mem_try_more(files->list, &files->cap,
					     files->n + 1, sizeof(*list));
	char *full = list ? job_file_path(path) : NULL;

	if (list)
		files->list = list;
	if (!full) {
		files->lost++;
		return;
	}
	files->list[files->n++] = (struct job_file){ .path = full,
						     .bytes = bytes };
}

uint64_t job_files_bytes(const struct job_files *files)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < files->n; i++)
		bytes += files->list[i].bytes;
	return bytes;
}

uint64_t job_end_rate(const struct job_end *end)
{
	if (!end->work_ns)
		return 0;
	return (uint64_t)((double)end->moved * (double)NS_PER_SEC /
			  (double)end->work_ns);
}
