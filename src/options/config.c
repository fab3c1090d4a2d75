/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * inih tells of each value but not of its line, and of the first bad line only;
 * so lines are counted where it reads them. One that is neither empty nor a
 * section and of which no value comes is bad.
 */
#include "src/options/config.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/util/bug.h"
#include "engine/util/mem.h"
#include "engine/util/near.h"
#include "src/process/option.h"
#include "ui/keys/keys.h"
#include "ui/pane/sheet.h"

#define CONFIG_MOST 65536	/* bytes of the file */
#define BYTE_ORDER_MARK "\357\273\277"

enum { NAME_THEME, NAME_COLUMNS, NAME_MAP, NAME_BELL, NAME_CONFIRM,
       NAME_COUNT };

static const struct {
	const char *name, *words;
} config_names[NAME_COUNT] = {
	[NAME_THEME] = { "theme", THEME_WORDS },
	[NAME_COLUMNS] = { "columns", CHAIN_COLUMNS },
	[NAME_MAP] = { "map", "held|whole" },
	[NAME_BELL] = { "bell", "off|on" },
	[NAME_CONFIRM] = { "confirm", "off|on" },
};

struct config {
	struct screen_options *o;
	bool theme_said;
	struct str *told;
	char *path;
	FILE *file;
	char *line;
	size_t room;		/* of line */
	unsigned at;		/* number of the line; 0: of none */
	bool awaited;		/* it has a name and a value */
};

__attribute__((format(printf, 2, 3)))
static void config_tell(struct config *c, const char *fmt, ...)
{
	struct str text = STR_INIT;
	va_list ap;

	str_add(&text, c->path);
	if (c->at)
		str_addf(&text, ":%u", c->at);
	str_add(&text, ": ");
	va_start(ap, fmt);
	str_addv(&text, fmt, ap);
	va_end(ap);
	str_add_safe(c->told, str_get(&text));
	str_add_char(c->told, '\n');
	str_release(&text);
}

/* --- values --- */

static void config_unknown(struct config *c, const char *what,
			   const char *word, const struct near *near)
{
	const char *found = near_found(near);

	if (found)
		config_tell(c, "there is no %s '%s'; did you mean '%s'?", what,
			    word, found);
	else
		config_tell(c, "there is no %s '%s'", what, word);
}

/* The words that @value consists of; the caller frees them with the list. */
static char **config_words(const char *value, char **copy, size_t *n)
{
	char **list = NULL, *rest, *word;

	*copy = rest = mem_dup(value);
	*n = 0;
	while ((word = strsep(&rest, " \t,"))) {
		if (!*word)
			continue;
		list = mem_grow(list, *n + 1, sizeof(*list));
		list[(*n)++] = word;
	}
	return list;
}

static void take_columns(struct config *c, const char *value)
{
	unsigned with = 0;
	char *copy, **words;
	size_t n, known = 0;

	words = config_words(value, &copy, &n);
	for (size_t i = 0; i < n; i++) {
		int column = option_word(CHAIN_COLUMNS, words[i]);

		if (column >= 0 && ++known)
			with |= 1u << column;
		else
			config_tell(c, "columns: '%s' is none of %s", words[i],
				    CHAIN_COLUMNS);
	}
	if (known == n)
		c->o->without = ~with;
	free(words);
	free(copy);
}

static void take_word(struct config *c, int name, int word)
{
	switch (name) {
	case NAME_THEME:
		if (!c->theme_said)
			c->o->theme = (enum theme_name)word;
		break;
	case NAME_MAP:
		c->o->whole = word;
		break;
	case NAME_BELL:
		c->o->bell &= word;
		break;
	default:
		c->o->yes |= !word;
	}
}

static void config_take(struct config *c, const char *name, const char *value)
{
	struct near near;
	int word;

	near_init(&near, name, strlen(name));
	for (int i = 0; i < NAME_COUNT; i++) {
		near_try(&near, config_names[i].name);
		if (strcmp(config_names[i].name, name))
			continue;
		word = option_word(config_names[i].words, value);
		if (i == NAME_COLUMNS)
			take_columns(c, value);
		else if (word < 0)
			config_tell(c, "%s: '%s' is none of %s", name, value,
				    config_names[i].words);
		else
			take_word(c, i, word);
		return;
	}
	config_unknown(c, "setting", name, &near);
}

/* --- keys --- */

/* 0: it is no letter. */
static int config_letter(const char *word)
{
	if (!strcmp(word, "Space"))
		return ' ';
	return word[0] > ' ' && word[0] <= '~' && !word[1] ? word[0] : 0;
}

static void tell_no_action(struct config *c, const char *name)
{
	const char *word;
	struct near near;

	near_init(&near, name, strlen(name));
	for (unsigned i = 0; (word = keys_word(i)); i++)
		near_try(&near, word);
	config_unknown(c, "action", name, &near);
}

static void take_key(struct config *c, const char *name, const char *value)
{
	char *copy, **words;
	size_t n, known = 0;
	int codes[KEYS_LETTERS];

	words = config_words(value, &copy, &n);
	for (size_t i = 0; i < n && i < KEYS_LETTERS; i++) {
		codes[i] = config_letter(words[i]);
		known += codes[i] != 0;
	}
	if (!n || known != n)
		config_tell(c, "%s: '%s' is not one letter, or two, or Space",
			    name, value);
	else if (!keys_bind(name, codes, n))
		tell_no_action(c, name);
	free(words);
	free(copy);
}

/* Another's key now, and none in its place. */
static void tell_lost(struct config *c)
{
	const char *word;

	c->at = 0;
	for (unsigned i = 0; (word = keys_word(i)); i++)
		if (!keys_word_has_key(word))
			config_tell(c, "'%s' has no key any more", word);
}

/* --- the file --- */

static int config_value(void *arg, const char *section, const char *name,
			const char *value)
{
	struct config *c = arg;

	c->awaited = false;
	if (!*section)
		config_take(c, name, value);
	else if (!strcmp(section, "keys"))
		take_key(c, name, value);
	else
		config_tell(c, "there is no section '%s'", section);
	return 1;
}

/* The line that was read is over. */
static void config_line_ends(struct config *c)
{
	if (c->awaited)
		config_tell(c, "neither [SECTION] nor NAME = VALUE");
	c->awaited = false;
}

/* For inih: the next line, at most @room bytes with its end. Lines that begin
 * with blanks do not go on with the one before. */
static char *config_line(char *to, int room, void *arg)
{
	struct config *c = arg;
	const char *text;
	size_t len;

	config_line_ends(c);
	if (getline(&c->line, &c->room, c->file) < 0)
		return NULL;
	text = c->line;
	if (!c->at++ && str_has_prefix(text, BYTE_ORDER_MARK))
		text += strlen(BYTE_ORDER_MARK);
	text += strspn(text, " \t");
	len = strcspn(text, "\r\n");
	if (len + 2 > (size_t)room) {
		config_tell(c, "too long a line");
		len = 0;
	}
	c->awaited = len && !strchr("#;", *text) &&
		!(*text == '[' && memchr(text, ']', len));
	snprintf(to, (size_t)room, "%.*s\n", (int)len, text);
	return to;
}

/* 0; or -errno, and -EFBIG for what is no configuration. */
static int config_open(struct config *c)
{
	int fd = open(c->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) ||
	    st.st_size > CONFIG_MOST) {
		close(fd);
		return -EFBIG;
	}
	c->file = fdopen(fd, "r");
	BUG_ON(!c->file);
	return 0;
}

static char *config_path(void)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (config && *config == '/')
		return mem_printf("%s/blkmon/config", config);
	if (home && *home == '/')
		return mem_printf("%s/.config/blkmon/config", home);
	return NULL;
}

static void config_read_file(struct config *c)
{
	if (ini_parse_stream(config_line, c, config_value, c) == -2)
		config_tell(c, "%s", strerror(ENOMEM));
	config_line_ends(c);
	if (ferror(c->file))
		config_tell(c, "could not be read to its end");
	tell_lost(c);
	fclose(c->file);
	free(c->line);
}

void config_read(struct screen_options *o, bool theme_said, struct str *told)
{
	struct config c = { .o = o, .theme_said = theme_said, .told = told,
			    .path = config_path() };
	int rc = c.path ? config_open(&c) : -ENOENT;

	if (!rc)
		config_read_file(&c);
	else if (rc == -EFBIG)
		config_tell(&c, "no regular file of at most %d bytes",
			    CONFIG_MOST);
	else if (rc != -ENOENT && rc != -ENOTDIR)
		config_tell(&c, "%s", strerror(-rc));
	free(c.path);
}
