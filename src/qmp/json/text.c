/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/qmp/json/text.h"

#include <string.h>

#include "engine/util/str.h"

json_t *qmp_text(const char *text)
{
	json_t *value = json_string(text);
	struct str safe = STR_INIT;

	if (value)
		return value;
	str_add_safe(&safe, text);
	value = json_string(str_get(&safe));
	str_release(&safe);
	return value;
}

struct dump {
	json_dump_callback_t add;
	void *arg;
};

static int dump_part(const char *text, size_t len, void *arg)
{
	static const char escaped[] = "\\u007f";
	const struct dump *d = arg;
	const char *end = text + len, *del;
	int rc = 0;

	while (!rc && (del = memchr(text, 0x7f, (size_t)(end - text)))) {
		rc = d->add(text, (size_t)(del - text), d->arg);
		if (!rc)
			rc = d->add(escaped, strlen(escaped), d->arg);
		text = del + 1;
	}
	return rc ? rc : d->add(text, (size_t)(end - text), d->arg);
}

int qmp_dump(const json_t *value, size_t flags, json_dump_callback_t add,
	     void *arg)
{
	struct dump d = { .add = add, .arg = arg };

	return json_dump_callback(value, dump_part, &d,
				  flags | JSON_ENSURE_ASCII);
}

static int dump_to_file(const char *text, size_t len, void *arg)
{
	return fwrite(text, 1, len, arg) == len ? 0 : -1;
}

int qmp_dump_line(const json_t *value, size_t flags, FILE *file)
{
	int rc = qmp_dump(value, flags, dump_to_file, file);

	return putc('\n', file) == EOF ? -1 : rc;
}

static int dump_to_str(const char *text, size_t len, void *arg)
{
	struct str *str = arg;

	str_add_mem(str, text, len);
	return str->lost ? -1 : 0;
}

char *qmp_dump_text(const json_t *value, size_t flags)
{
	struct str out = STR_INIT;

	if (!qmp_dump(value, flags, dump_to_str, &out) && !out.lost)
		return out.s;
	str_release(&out);
	return NULL;
}
