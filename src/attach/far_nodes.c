/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The list of nodes, and when not to ask for it.
 *
 * A stream that has ended and is kept until somebody dismisses it leaves a
 * filter with nothing below it. QEMU 7.2 and its storage daemon that are asked
 * for their nodes then follow that pointer: the process is gone, and the guest
 * with it. All else may be asked, and a commit leaves no such node. So the
 * nodes are not asked for while there is a stream of that kind, ended or not:
 * it could end in between.
 */
#include <string.h>

#include "src/attach/far_impl.h"
#include "src/qmp/json/args.h"

static bool far_nodes_is_trap(const json_t *job)
{
	const char *type = args_str(job, "type");

	return type && !strcmp(type, "stream") &&
		json_is_false(json_object_get(job, "auto-dismiss"));
}

int far_nodes_check(const struct far_call *call, struct err *err)
{
	json_t *jobs, *job;
	size_t i;
	int rc;

	if (far_speaks_dialect(call->far))
		return 0;
	jobs = far_ask(call, "query-block-jobs", NULL, err);
	rc = jobs ? 0 : -1;
	json_array_foreach(jobs, i, job) {
		const char *id = args_str(job, "device");

		if (!rc && far_nodes_is_trap(job))
			rc = err_set(err, ERR_GENERIC, "while stream '%s' "
				     "stands there without auto-dismiss, to "
				     "ask for the nodes can end the machine",
				     id ? id : "");
	}
	json_decref(jobs);
	return rc;
}

json_t *far_nodes(const struct far_call *call, bool flat, struct err *err)
{
	json_t *args = flat ? json_pack("{s:b}", "flat", 1) : NULL;
	json_t *list, *node;
	size_t i;

	if (far_nodes_check(call, err)) {
		json_decref(args);
		return NULL;
	}
	list = far_ask(call, "query-named-block-nodes", args, err);
	json_array_foreach(list, i, node)
		far_files_plain(node);
	return list;
}
