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
	struct str line = STR_INIT;

	str_add(&line, "blkmon rebase -b ");
	str_add_shell(&line, err->way.base);
	if (err->way.format)
		str_addf(&line, " -F %s", err->way.format);
	str_add_char(&line, ' ');
	str_add_shell(&line, err->way.file);
	err_say("the way out, after which it can be tried again: %s",
		str_get(&line));
	str_release(&line);
}

int offline_fail(const struct err *err)
{
	err_say("%s", err->text);
	if (err->tip[0])
		err_say("%s", err->tip);
	if (err->way.file[0])
		offline_tell_way(err);
	return 1;
}
