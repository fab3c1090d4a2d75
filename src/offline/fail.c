/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is wrong, and the way out of it.
 */
#include <stdio.h>

#include "engine/util/str.h"
#include "src/offline/command.h"

/* A command for a shell. */
static void offline_tell_way(const struct err *err)
{
	struct str line = STR_INIT, text = STR_INIT;

	str_add(&line, "blkmon rebase -b ");
	str_add_shell(&line, err->way.base);
	if (err->way.format)
		str_addf(&line, " -F %s", err->way.format);
	str_add_char(&line, ' ');
	str_add_shell(&line, err->way.file);
	err_add_text(&text, str_get(&line));
	fprintf(stderr, "blkmon: the way out, after which it can be tried "
		"again: %s\n", str_get(&text));
	str_release(&line);
	str_release(&text);
}

int offline_fail(const struct err *err)
{
	struct str text = STR_INIT;

	err_add_text(&text, err->text);
	fprintf(stderr, "blkmon: %s\n", str_get(&text));
	str_release(&text);
	if (err->tip[0])
		fprintf(stderr, "blkmon: %s\n", err->tip);
	if (err->way.file[0])
		offline_tell_way(err);
	return 1;
}
