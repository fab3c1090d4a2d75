/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/options/dump.h"

#include "src/console/hmp/hmp.h"
#include "src/offline/offline.h"
#include "src/options/drive_option.h"
#include "src/options/options.h"
#include "src/process/option.h"
#include "src/qmp/command.h"

static json_t *dump_hmp(const struct hmp_command *table)
{
	json_t *list = json_array();

	for (; table->name; table++)
		json_array_append_new(list, json_pack("{s:s, s:o, s:s}",
			"name", table->name,
			"aliases", option_words_json(table->aliases),
			"help", table->help));
	return list;
}

static void dump_qmp(const struct qmp_command *cmd, void *arg)
{
	json_array_append_new(arg, json_string(cmd->name));
}

void dump_json(FILE *out)
{
	json_t *qmp = json_array(), *all;

	qmp_each(dump_qmp, qmp);
	all = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}",
			"options", option_json(options_tables),
			"drive-keys", drive_option_keys(),
			"subcommands", offline_json(),
			"hmp", dump_hmp(hmp_commands),
			"info", dump_hmp(hmp_info_commands),
			"qmp", qmp);
	json_dumpf(all, out, JSON_INDENT(1));
	fputc('\n', out);
	json_decref(all);
}
