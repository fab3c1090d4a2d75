/* command.h - the QMP command table and the way through it.
 *
 * One row per command: name, arguments, handler. The rows stand by subject in
 * qmp_query.c, qmp_jobs.c, ... and are joined in command.c. Handlers may be
 * called from any thread; a context belongs to one thread at a time.
 */
#ifndef BLKMON_QMP_COMMAND_H
#define BLKMON_QMP_COMMAND_H

#include <jansson.h>
#include <stdbool.h>

#include "engine/engine.h"
#include "engine/util/interrupt.h"
#include "src/qmp/json/args.h"
#include "src/qmp/machine.h"

/* Where a request comes from. */
struct qmp_context {
	struct machine *machine;	/* borrowed, and its engine */
	struct engine *engine;
	json_t *notices;		/* array of strings for the operator,
					   oldest first; owned */
	/* Borrowed, or NULL: the one who asked does not want to wait for a
	 * command any more. */
	const struct interrupt *interrupt;
	/* of the channel (channel.h), or NULL */
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *progress_arg;
};

struct qmp_command {
	const char *name;
	const char *args;		/* see args.h */
	/* Arguments are checked and not NULL. The "return" value, the
	 * caller's; or NULL and *err. */
	json_t *(*run)(struct qmp_context *ctx, json_t *args,
		       struct err *err);
	bool any_hyphen;		/* old spellings: - and _ are one */
};

extern const struct qmp_command qmp_query_commands[];
extern const struct qmp_command qmp_stats_commands[];
extern const struct qmp_command qmp_job_commands[];
extern const struct qmp_command qmp_plan_commands[];
extern const struct qmp_command qmp_image_commands[];
extern const struct qmp_command qmp_io_commands[];
extern const struct qmp_command qmp_run_commands[];
extern const struct qmp_command qmp_screen_commands[];
extern const struct qmp_command qmp_schema_commands[];
extern const struct qmp_command qmp_human_commands[];
extern const struct qmp_command qmp_backing_commands[];
extern const struct qmp_command qmp_blockdev_commands[];
extern const struct qmp_command qmp_transaction_commands[];
extern const struct qmp_command qmp_export_commands[];
extern const struct qmp_command qmp_client_commands[];
extern const struct qmp_command qmp_history_commands[];
extern const struct qmp_command qmp_file_commands[];
extern const struct qmp_command qmp_object_commands[];

void qmp_context_init(struct qmp_context *ctx, struct machine *machine);
void qmp_context_release(struct qmp_context *ctx);
/* A line for the operator at this connection. */
void qmp_notice(struct qmp_context *ctx, const char *text);

/* By canonical name or an old spelling; NULL if there is none. */
const struct qmp_command *qmp_find(const char *name);
/* Calls @fn for every row. */
void qmp_each(void (*fn)(const struct qmp_command *cmd, void *arg),
	      void *arg);

/* The same but for hyphens, which old spellings have as underscores. */
bool qmp_same_name(const char *a, const char *b);
/* Is there a plan of requests with this name (old spellings, too)? It is asked
 * about those that take something away even where nobody said "force": a commit
 * changes its base, what was cancelled begins at its beginning, and what is
 * deleted is gone. */
enum qmp_plans {
	QMP_PLAN_NONE, QMP_PLAN_THERE, QMP_PLAN_ASKED,
} qmp_plans(const char *name);

/* The value of x-blkmon-tree-map with these arguments (checked here) of images
 * that others have open, tree_map_files(); NULL and err. */
json_t *qmp_map_files(const struct tree_file *files, size_t n,
		      const json_t *args, struct err *err);
/* The line of HMP that does the same as a command with these arguments, the
 * caller's; or null where HMP has no words for all of it. */
json_t *plan_line(const char *name, const json_t *args);

/* Is @request an object with the members of a request? 0, or -1 and QEMU's
 * words. */
int qmp_check(const json_t *request, struct err *err);
/* The row of a request, and its arguments, checked, the caller's ({} where
 * there are none); NULL and QEMU's words. */
const struct qmp_command *qmp_resolve(const json_t *request, json_t **args,
				      struct err *err);
/* {"return": value}, or {"error"} where @value (taken) is NULL; with "id"
 * where @request (taken) has one. */
json_t *qmp_reply(json_t *request, json_t *value, const struct err *err);
/* Checks a request as the wire does and runs it. Takes @request. The reply is
 * the caller's: {"return"} or {"error"}, with "id" where there was one. */
json_t *qmp_execute(struct qmp_context *ctx, json_t *request);

/* What runs one HMP line for human-monitor-command: its output with "\n", the
 * caller's, or NULL if there is no memory for it. It belongs to the floor
 * above, which sets it before the first request; until then the command is
 * refused. */
extern char *(*qmp_human_line)(struct machine *machine, const char *line);

/* {} for 0; for anything else NULL, the error being set. */
json_t *qmp_done(int rc);

#endif
