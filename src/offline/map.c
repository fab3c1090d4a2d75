/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * blkmon map, as qemu-img's: as JSON all that there is to tell, for people
 * where the data lie.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/tools.h"
#include "engine/util/str.h"
#include "src/offline/command.h"
#include "src/qmp/json/text.h"

const struct option_row map_rows[] = {
	{ "start-offset", OPT_OFFSET, "N", .help = "begin there (0)" },
	{ "max-length", OPT_LENGTH, "N", .help = "how much (all)" },
	{ "force-share", 'U',
	  .help = "look even while another program writes the image" },
	OFFLINE_OUTPUT_ROWS,
	{ 0 }
};

struct map_list {
	struct offline *o;
	bool began;
	bool unplaced;		/* data that lie nowhere as they are */
};

static const char *map_bool(bool value)
{
	return value ? "true" : "false";
}

/* One line each: the list of a fragmented disk does not fit memory. */
static void map_put_json(struct map_list *list, const struct map_piece *p)
{
	json_t *name;
	char *text;
	struct str safe = STR_INIT;

	printf("%s{ \"start\": %" PRIu64 ", \"length\": %" PRIu64
	       ", \"depth\": %u, \"present\": %s, \"zero\": %s, "
	       "\"data\": %s, \"compressed\": %s",
	       list->began ? ",\n" : "[", p->off, p->len, p->depth,
	       map_bool(p->present), map_bool(p->zero), map_bool(p->data),
	       map_bool(p->compressed));
	list->began = true;
	if (p->file) {
		str_add_safe(&safe, p->file);
		name = json_string(str_get(&safe));
		text = qmp_dump_text(name, JSON_ENCODE_ANY);
		printf(", \"offset\": %" PRIu64 ", \"filename\": %s",
		       p->host, text ? text : "null");
		free(text);
		json_decref(name);
		str_release(&safe);
	}
	putchar('}');
}

static void map_put_human(const struct map_piece *p)
{
	struct str safe = STR_INIT;

	str_add_safe(&safe, p->file);
	printf("%#-16" PRIx64 "%#-16" PRIx64 "%#-16" PRIx64 "%s\n", p->off,
	       p->len, p->host, str_get(&safe));
	str_release(&safe);
}

static bool map_each(void *arg, const struct map_piece *p)
{
	struct map_list *list = arg;

	if (list->o->json) {
		map_put_json(list, p);
	} else if (p->data && !p->file) {
		list->unplaced = true;
		return false;
	} else if (p->data && !p->zero) {
		map_put_human(p);
	}
	return !list->o->signals->interrupt.signal && !ferror(stdout);
}

/* qemu-img has an entry even where there is nothing. */
static void map_end_json(struct map_list *list)
{
	const struct map_piece none = { .off = list->o->offset };

	if (!list->began)
		map_put_json(list, &none);
	puts("]");
}

int map_run(struct offline *o)
{
	struct map_list list = { .o = o };
	struct err err = ERR_INIT;
	int rc;

	if (!o->json)
		printf("%-16s%-16s%-16s%s\n", "Offset", "Length", "Mapped to",
		       "File");
	rc = tool_map(&o->node, o->offset, o->length, map_each, &list, &err);
	if (!rc && o->json)
		map_end_json(&list);
	if (!rc && list.unplaced)
		rc = err_set(&err, ERR_GENERIC, "File contains external, "
			     "encrypted or compressed clusters.");
	return rc ? offline_fail(&err) : 0;
}
