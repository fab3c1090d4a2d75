/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `qemu-io DEVICE "COMMAND"`: the commands of qemu-io that a guest's requests
 * need, with its words (recorded from qemu-io 7.2). aio_* are the same as
 * their plain forms: each is done when its line is.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "engine/util/size.h"
#include "src/console/console.h"
#include "src/console/fields.h"
#include "src/console/hmp/hmp.h"
#include "src/console/hint.h"
#include "src/console/image_text.h"

#define WORDS_MAX 32
/* What a write without -P writes. */
#define PATTERN_DEFAULT 0xcd
#define NS_PER_SECOND 1e9

struct request {
	struct console *c;
	const char *device;
	char *words[WORDS_MAX];		/* into one buffer */
	int n, at;			/* words; the next to look at */
	bool quiet, verbose, zero, unmap, fua;
	int64_t pattern, skip, check;	/* -1: not given */
	uint64_t offset, length;
};

struct io_command {
	const char *name;
	const char *alias;		/* NULL: none */
	const char *options;		/* letters; ':' after one with value */
	int min_args, max_args;		/* behind the options */
	const char *help;
	int (*run)(struct request *r, const struct io_command *cmd);
};

/* --- parsing --- */

static int qemu_io_split(struct request *r, char *text)
{
	char *save = NULL, *word = strtok_r(text, " \t", &save);

	for (; word; word = strtok_r(NULL, " \t", &save)) {
		if (r->n == WORDS_MAX) {
			console_printf(r->c, "too many words\n");
			return -1;
		}
		r->words[r->n++] = word;
	}
	return r->n ? 0 : -1;
}

static int parse_number(struct request *r, const char *word, uint64_t *out)
{
	const char *end = word;

	if (!size_parse(word, out, &end) && !*end)
		return 0;
	console_printf(r->c, "Parsing error: non-numeric argument, or "
		       "extraneous/unrecognized suffix -- %s\n", word);
	return -1;
}

static int parse_pattern(struct request *r, const char *word)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(word, &end, 0);
	if (errno || *end || end == word || value < 0 || value > 255) {
		console_printf(r->c, "%s is not a valid pattern byte\n",
			       word);
		return -1;
	}
	r->pattern = value;
	return 0;
}

/* @value is NULL for an option that has none. */
static int take_option(struct request *r, char option, const char *value)
{
	uint64_t number;

	switch (option) {
	case 'q':
		r->quiet = true;
		return 0;
	case 'v':
		r->verbose = true;
		return 0;
	case 'z':
		r->zero = true;
		return 0;
	case 'u':
		r->unmap = true;
		return 0;
	case 'f':
		r->fua = true;
		return 0;
	case 'P':
		return parse_pattern(r, value);
	default:
		if (parse_number(r, value, &number))
			return -1;
		*(option == 's' ? &r->skip : &r->check) = (int64_t)number;
		return 0;
	}
}

/* The options in one word, "-qP" "0x11"; the value may stick to its letter. */
static int take_options(struct request *r, const struct io_command *cmd)
{
	const char *s = r->words[r->at++] + 1;

	for (; *s; s++) {
		const char *known = strchr(cmd->options, *s), *value = NULL;

		if (!known || *s == ':') {
			console_printf(r->c, "%s: invalid option -- '%c'\n",
				       cmd->name, *s);
			return -1;
		}
		if (known[1] == ':')
			value = s[1] ? s + 1 : r->at < r->n ?
				r->words[r->at++] : NULL;
		if (known[1] == ':' && !value) {
			console_printf(r->c, "%s: option requires an argument "
				       "-- '%c'\n", cmd->name, *s);
			return -1;
		}
		if (take_option(r, *s, value))
			return -1;
		if (value)
			return 0;
	}
	return 0;
}

static int check_count(struct request *r, const struct io_command *cmd)
{
	int given = r->n - r->at;

	if (given >= cmd->min_args && given <= cmd->max_args)
		return 0;
	console_printf(r->c, "bad argument count %d to %s, expected at %s "
		       "%d arguments\n", given, cmd->name,
		       given < cmd->min_args ? "least" : "most",
		       given < cmd->min_args ? cmd->min_args : cmd->max_args);
	return -1;
}

/* Offset and one or more lengths, which lie one behind the other. */
static int take_range(struct request *r)
{
	uint64_t len;

	if (parse_number(r, r->words[r->at++], &r->offset))
		return -1;
	while (r->at < r->n) {
		if (parse_number(r, r->words[r->at++], &len))
			return -1;
		r->length += len;
	}
	return 0;
}

static int qemu_io_parse(struct request *r, const struct io_command *cmd)
{
	while (r->at < r->n && r->words[r->at][0] == '-')
		if (take_options(r, cmd))
			return -1;
	if (check_count(r, cmd))
		return -1;
	return cmd->min_args ? take_range(r) : 0;
}

/* --- requests --- */

/* Is there such a disk or node? *inserted: what is in it, the caller's, or
 * NULL. */
static bool find_disk(struct request *r, json_t **inserted)
{
	json_t *disks = console_call(r->c, "query-block", NULL);
	json_t *nodes = console_call(r->c, "query-named-block-nodes",
				     json_pack("{s:b}", "flat", 1));
	const json_t *found = NULL;
	json_t *entry;
	bool there = false;
	size_t i;

	json_array_foreach(json_object_get(nodes, "return"), i, entry)
		if (!strcmp(field_str(entry, "node-name"), r->device))
			found = entry;
	there = found;
	json_array_foreach(json_object_get(disks, "return"), i, entry) {
		if (strcmp(field_str(entry, "device"), r->device))
			continue;
		there = true;
		found = json_object_get(entry, "inserted");
	}
	*inserted = json_incref((json_t *)found);
	json_decref(disks);
	json_decref(nodes);
	return there;
}

/* What was not asked of the image is said as such, as in QEMU, which looks for
 * the disk and whether it may be written before a command begins. */
static void say_failed(struct request *r, bool writes, const char *name,
		       const char *error)
{
	json_t *inserted;

	if (!find_disk(r, &inserted)) {
		console_printf(r->c, "Error: %s\n", error);
		hint_devices(r->c);
	} else if (writes && field_bool(inserted, "ro")) {
		console_printf(r->c, "%s\n", error);
	} else {
		console_printf(r->c, "%s failed: %s\n", name, error);
	}
	json_decref(inserted);
}

/* The reply's value, or NULL after saying "NAME failed: cause". */
static json_t *request_io(struct request *r, const char *operation,
			  const char *name)
{
	json_t *args = json_pack("{s:s, s:s, s:I, s:I, s:b, s:b, s:b}",
				 "device", r->device, "operation", operation,
				 "offset", (json_int_t)r->offset,
				 "length", (json_int_t)r->length,
				 "unmap", (int)r->unmap, "fua", (int)r->fua,
				 "data", (int)r->verbose);
	json_t *reply, *value;
	const char *error;

	if (r->pattern >= 0)
		json_object_set_new(args, "pattern", json_integer(r->pattern));
	if (r->skip >= 0)
		json_object_set_new(args, "check-offset",
				    json_integer(r->skip));
	if (r->check >= 0)
		json_object_set_new(args, "check-length",
				    json_integer(r->check));
	reply = console_call(r->c, "x-blkmon-io", args);
	value = json_incref(json_object_get(reply, "return"));
	error = channel_error(reply);
	if (error)
		say_failed(r, strcmp(operation, "read") &&
			      strcmp(operation, "flush"), name, error);
	json_decref(reply);
	return value;
}

static void report(struct request *r, const char *verb, const json_t *value)
{
	double seconds = (double)field_u64(value, "elapsed-ns") /
		NS_PER_SECOND;
	struct str text = STR_INIT;

	if (seconds <= 0)
		seconds = 1 / NS_PER_SECOND;
	str_addf(&text, "%s %llu/%llu bytes at offset %llu\n", verb,
		 (unsigned long long)r->length, (unsigned long long)r->length,
		 (unsigned long long)r->offset);
	amount_text((double)r->length, &text);
	str_addf(&text, ", 1 ops; %05.2f sec (", seconds);
	amount_text((double)r->length / seconds, &text);
	str_addf(&text, "/sec and %.4f ops/sec)\n", 1 / seconds);
	console_printf(r->c, "%s", str_get(&text));
	str_release(&text);
}

static unsigned byte_at(const char *hex, size_t i)
{
	char pair[3] = { hex[2 * i], hex[2 * i + 1] };

	return (unsigned)strtoul(pair, NULL, 16);
}

static void dump_line(struct request *r, uint64_t off, const char *hex,
		      size_t n)
{
	struct str line = STR_INIT;

	str_addf(&line, "%08llx:  ", (unsigned long long)off);
	for (size_t i = 0; i < n; i++)
		str_addf(&line, "%02x ", byte_at(hex, i));
	str_add_char(&line, ' ');
	for (size_t i = 0; i < n; i++) {
		unsigned b = byte_at(hex, i);

		str_add_char(&line, isalnum((int)b) ? (char)b : '.');
	}
	console_printf(r->c, "%s\n", str_get(&line));
	str_release(&line);
}

static void qemu_io_dump(struct request *r, const json_t *pieces)
{
	uint64_t off = r->offset;
	json_t *piece;
	size_t i;

	json_array_foreach(pieces, i, piece) {
		const char *hex = json_string_value(piece);
		size_t n = json_string_length(piece) / 2;

		for (size_t at = 0; at < n; at += 16)
			dump_line(r, off + at, hex + 2 * at,
				  n - at < 16 ? n - at : 16);
		off += n;
	}
}

static int run_read(struct request *r, const struct io_command *cmd)
{
	int64_t from = r->skip < 0 ? 0 : r->skip;
	int64_t len = r->check < 0 ? (int64_t)r->length - from : r->check;
	json_t *value = request_io(r, "read", cmd->name);
	int rc = value && !field_bool(value, "mismatch") ? 0 : -1;

	if (!value)
		return -1;
	if (rc)
		console_printf(r->c, "Pattern verification failed at offset "
			       "%lld, %lld bytes\n",
			       (long long)r->offset + from, (long long)len);
	if (!r->quiet) {
		qemu_io_dump(r, json_object_get(value, "data"));
		report(r, "read", value);
	}
	json_decref(value);
	return rc;
}

static int run_write(struct request *r, const struct io_command *cmd)
{
	json_t *value;

	if (r->zero && r->pattern >= 0) {
		console_printf(r->c, "-z and -P cannot be specified at the "
			       "same time\n");
		return -1;
	}
	if (!r->zero && r->pattern < 0)
		r->pattern = PATTERN_DEFAULT;
	value = request_io(r, r->zero ? "write-zeroes" : "write", cmd->name);
	if (!value)
		return -1;
	if (!r->quiet)
		report(r, "wrote", value);
	json_decref(value);
	return 0;
}

static int run_discard(struct request *r, const struct io_command *cmd)
{
	json_t *value = request_io(r, "discard", cmd->name);

	if (!value)
		return -1;
	if (!r->quiet)
		report(r, "discard", value);
	json_decref(value);
	return 0;
}

static int run_flush(struct request *r, const struct io_command *cmd)
{
	json_t *value = request_io(r, "flush", cmd->name);
	int rc = value ? 0 : -1;

	json_decref(value);
	return rc;
}

static int run_length(struct request *r, const struct io_command *cmd)
{
	struct str text = STR_INIT;
	json_t *inserted;
	int rc = -1;

	(void)cmd;
	if (!find_disk(r, &inserted)) {
		console_printf(r->c, "Error: Cannot find device='' nor "
			       "node-name='%s'\n", r->device);
		hint_devices(r->c);
	} else if (!inserted) {
		console_printf(r->c, "getlength: No medium found\n");
	} else {
		amount_text((double)field_u64(json_object_get(inserted,
					      "image"), "virtual-size"),
			    &text);
		console_printf(r->c, "%s\n", str_get(&text));
		rc = 0;
	}
	json_decref(inserted);
	str_release(&text);
	return rc;
}

static int run_help(struct request *r, const struct io_command *cmd);

static const struct io_command commands[] = {
	{ "discard", NULL, "q", 2, 2,
	  "discard [-q] off len -- forgets what is there", run_discard },
	{ "flush", "aio_flush", "", 0, 0,
	  "flush -- makes durable what was written", run_flush },
	{ "help", NULL, "", 0, 1, "help -- lists the commands", run_help },
	{ "length", NULL, "", 0, 0, "length -- size of the disk",
	  run_length },
	{ "read", NULL, "qvP:s:l:", 2, 2,
	  "read [-qv] [-P pattern [-s off] [-l len]] off len -- reads, and "
	  "compares with a pattern byte", run_read },
	{ "readv", "aio_read", "qvP:", 2, WORDS_MAX,
	  "readv [-qv] [-P pattern] off len [len..] -- reads", run_read },
	{ "write", NULL, "qzufP:", 2, 2,
	  "write [-fquz] [-P pattern] off len -- writes a pattern byte, or "
	  "zeroes (-z; -u may unmap them); -f: durable at once", run_write },
	{ "writev", "aio_write", "qzufP:", 2, WORDS_MAX,
	  "writev [-fquz] [-P pattern] off len [len..] -- writes",
	  run_write },
};

#define COMMANDS (sizeof(commands) / sizeof(*commands))

static int run_help(struct request *r, const struct io_command *cmd)
{
	(void)cmd;
	for (size_t i = 0; i < COMMANDS; i++)
		console_printf(r->c, "%s\n", commands[i].help);
	return 0;
}

static const struct io_command *qemu_io_find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(commands[i].name, name) ||
		    (commands[i].alias && !strcmp(commands[i].alias, name)))
			return &commands[i];
	return NULL;
}

/* A request of a stopped guest waits for `cont`, and here nobody else could
 * type it. Where it would not wait, the request itself says what it does. */
static int check_running(struct console *c)
{
	json_t *reply = console_call(c, "query-status", NULL);
	const json_t *value = json_object_get(reply, "return");
	bool running = !value || field_bool(value, "running") ||
		json_is_false(json_object_get(value, "x-blkmon-waits"));

	json_decref(reply);
	if (running)
		return 0;
	console_printf(c, "Error: the guest is stopped; `cont` lets requests "
		       "through\n");
	return -1;
}

static int run_words(struct request *r)
{
	const struct io_command *cmd = qemu_io_find(r->words[r->at++]);

	if (!cmd) {
		console_printf(r->c, "command \"%s\" not found\n",
			       r->words[0]);
		return -1;
	}
	if (qemu_io_parse(r, cmd))
		return -1;
	if (cmd->min_args && check_running(r->c))
		return -1;
	return cmd->run(r, cmd);
}

int hmp_qemu_io(struct console *c, json_t *args)
{
	char *text = mem_dup(field_str(args, "command"));
	struct request r = {
		.c = c, .device = field_str(args, "device"),
		.pattern = -1, .skip = -1, .check = -1,
	};
	int rc = qemu_io_split(&r, text) ? -1 : run_words(&r);

	free(text);
	return rc;
}
