/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Command lines are read as QEMU, its storage daemon and blkmon write them:
 * -qmp unix:PATH, or -chardev socket,id=ID,path=PATH with a monitor on it.
 */
#include "src/attach/scan.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/util/mem.h"
#include "engine/util/str.h"
#include "src/attach/rival.h"

#define SCAN_LINE ((size_t)1 << 20)	/* of a command line at most */
#define SCAN_PATH 320

struct process {
	const char *pid;
	char *line;		/* words, each with its NUL */
	const char **words;
	size_t n;
	char *guest;		/* or NULL */
	void (*fn)(const struct scan_found *found, void *arg);
	void *arg;
};

/* --- words --- */

/* The value of @key in "a,key=value,...", where a comma in a value is doubled;
 * the caller's, or NULL. */
static char *scan_key(const char *options, const char *key)
{
	size_t len = strlen(key);
	struct str value = STR_INIT;

	while (*options) {
		bool found = !strncmp(options, key, len) &&
			options[len] == '=';

		if (found)
			options += len + 1;
		for (; *options && (*options != ',' || options[1] == ',');
		     options++) {
			options += *options == ',';
			if (found)
				str_add_char(&value, *options);
		}
		if (found)
			return str_detach(&value);
		options += *options == ',';
	}
	return NULL;
}

/* Up to the first comma that is not doubled; the caller's. */
static char *scan_first(const char *options)
{
	char *whole = mem_printf("first=%s", options);
	char *first = scan_key(whole, "first");

	free(whole);
	return first;
}

/* Is word @i the option @name? Then its value, else NULL; both "-name VALUE"
 * and "--name=VALUE" are. Borrowed. */
static const char *scan_option(const struct process *p, size_t i,
			       const char *name)
{
	const char *word = p->words[i];
	size_t len = strlen(name);

	if (*word != '-')
		return NULL;
	word += word[1] == '-' ? 2 : 1;
	if (strncmp(word, name, len))
		return NULL;
	if (word[len] == '=')
		return word + len + 1;
	return !word[len] && i + 1 < p->n ? p->words[i + 1] : NULL;
}

/* --- what is found --- */

/* A relative path is one from the process's folder. */
static char *scan_whole_path(const struct process *p, const char *path)
{
	char link[SCAN_PATH], folder[4096];
	ssize_t n;

	if (*path == '/')
		return mem_dup(path);
	snprintf(link, sizeof(link), "/proc/%.20s/cwd", p->pid);
	n = readlink(link, folder, sizeof(folder) - 1);
	if (n <= 0)
		return mem_dup(path);
	folder[n] = '\0';
	return mem_printf("%s/%s", folder, path);
}

static void scan_tell(const struct process *p, const char *path)
{
	char *whole = scan_whole_path(p, path), holder[128] = "";
	const char *slash = strrchr(p->words[0], '/');
	struct str name = STR_INIT;

	str_add_safe(&name, slash ? slash + 1 : p->words[0]);
	if (!rival_find(whole, -1, holder, sizeof(holder)))
		*holder = '\0';
	p->fn(&(struct scan_found) {
		.path = whole, .pid = atol(p->pid), .process = str_get(&name),
		.guest = p->guest ? p->guest : "",
		.permitted = !access(whole, R_OK | W_OK), .holder = holder,
	}, p->arg);
	str_release(&name);
	free(whole);
}

/* The path of chardev @id, the caller's; or NULL. */
static char *scan_chardev(const struct process *p, const char *id)
{
	for (size_t i = 0; i < p->n; i++) {
		const char *value = scan_option(p, i, "chardev");
		char *name = value ? scan_key(value, "id") : NULL;
		bool same = name && !strcmp(name, id);

		free(name);
		if (same)
			return scan_key(value, "path");
	}
	return NULL;
}

/* -mon of QEMU is HMP unless it says control; --monitor of the daemon is QMP
 * unless it says readline, and that of QEMU names no chardev. */
static void scan_mon(const struct process *p, const char *value, bool control)
{
	char *id = scan_key(value, "chardev"), *mode = scan_key(value, "mode");
	char *path;

	if (!id && strchr(value, ':') == NULL)
		id = scan_first(value);
	if (mode)
		control = !strcmp(mode, "control");
	path = id && control ? scan_chardev(p, id) : NULL;
	if (path)
		scan_tell(p, path);
	free(path);
	free(mode);
	free(id);
}

static void scan_word(struct process *p, size_t i)
{
	const char *value = scan_option(p, i, "qmp");
	char *first;

	if (!value)
		value = scan_option(p, i, "qmp-pretty");
	if (value && str_has_prefix(value, "unix:")) {
		first = scan_first(value + strlen("unix:"));
		scan_tell(p, first);
		free(first);
	}
	value = scan_option(p, i, "mon");
	if (value)
		scan_mon(p, value, false);
	value = scan_option(p, i, "monitor");
	if (value)
		scan_mon(p, value, true);
}

/* "-name web", "-name guest=web,debug-threads=on". */
static void scan_guest(struct process *p)
{
	for (size_t i = 0; i < p->n && !p->guest; i++) {
		const char *value = scan_option(p, i, "name");

		if (value)
			p->guest = scan_key(value, "guest");
		if (value && !p->guest)
			p->guest = scan_first(value);
	}
}

/* --- processes --- */

static size_t scan_read(const char *pid, char *line)
{
	char path[SCAN_PATH];
	size_t n = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%.20s/cmdline", pid);
	file = fopen(path, "re");
	if (file)
		n = fread(line, 1, SCAN_LINE - 1, file);
	if (file)
		fclose(file);
	line[n] = '\0';
	return n;
}

static void scan_process(struct process *p)
{
	size_t len = scan_read(p->pid, p->line);

	p->n = 0;
	for (size_t at = 0; at < len; at += strlen(p->line + at) + 1) {
		p->words = mem_grow(p->words, p->n + 1, sizeof(*p->words));
		p->words[p->n++] = p->line + at;
	}
	if (!p->n)
		return;
	scan_guest(p);
	for (size_t i = 1; i < p->n; i++)
		scan_word(p, i);
	free(p->guest);
	p->guest = NULL;
}

int scan_monitors(void (*fn)(const struct scan_found *found, void *arg),
		  void *arg)
{
	struct process p = { .fn = fn, .arg = arg };
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (!proc)
		return -errno;
	p.line = mem_alloc(SCAN_LINE);
	while ((entry = readdir(proc)))
		if (isdigit((unsigned char)*entry->d_name)) {
			p.pid = entry->d_name;
			scan_process(&p);
		}
	closedir(proc);
	free(p.words);
	free(p.line);
	return 0;
}
