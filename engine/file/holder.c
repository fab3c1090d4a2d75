/* holder.c - see holder.h and proc(5). */
#include "engine/file/holder.h"

#include <ctype.h>
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/util/process.h"

#define PATH_BYTES 320

/* "lock:	1: OFDLCK ADVISORY READ -1 fe:01:131 100 103", the end a number
 * or EOF. */
static bool line_has(const char *line, off_t at)
{
	unsigned long long start, end;
	char last[24];

	if (sscanf(line, "lock: %*s %*s %*s %*s %*s %*s %llu %23s", &start,
		   last) != 2)
		return false;
	end = *last == 'E' ? UINT64_MAX : strtoull(last, NULL, 10);
	return start <= (unsigned long long)at &&
	       (unsigned long long)at <= end;
}

static bool info_has(const char *path, off_t at)
{
	FILE *info = fopen(path, "re");
	char line[256];
	bool found = false;

	while (info && !found && fgets(line, sizeof(line), info))
		found = line_has(line, at);
	if (info)
		fclose(info);
	return found;
}

static bool holds_by(const char *pid, const char *number,
		     const struct stat *file, off_t at)
{
	char path[PATH_BYTES];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%.20s/fd/%.20s", pid, number);
	if (stat(path, &st) || st.st_dev != file->st_dev ||
	    st.st_ino != file->st_ino)
		return false;
	snprintf(path, sizeof(path), "/proc/%.20s/fdinfo/%.20s", pid, number);
	return info_has(path, at);
}

static bool holds(const char *pid, int except, const struct stat *file,
		  off_t at)
{
	bool ours = atoi(pid) == getpid(), found = false;
	char path[PATH_BYTES];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir)))
		if (isdigit((unsigned char)*entry->d_name) &&
		    !(ours && atoi(entry->d_name) == except))
			found = holds_by(pid, entry->d_name, file, at);
	if (dir)
		closedir(dir);
	return found;
}

bool holder_find(int fd, off_t at, struct holder *out)
{
	struct dirent *entry;
	bool found = false;
	struct stat file;
	DIR *proc;

	if (fstat(fd, &file))
		return false;
	proc = opendir("/proc");
	while (proc && !found && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)*entry->d_name) ||
		    !holds(entry->d_name, fd, &file, at))
			continue;
		out->pid = atoi(entry->d_name);
		process_name(out->pid, out->name, sizeof(out->name));
		if (!*out->name)
			strcpy(out->name, "a process");
		found = true;
	}
	if (proc)
		closedir(proc);
	return found;
}
