/* hmp.h - the table of HMP commands.
 *
 * One row gives a command's names, arguments, help and action; the lexer,
 * `help`, completion and the manual chapter are made from it.
 *
 * Arguments are written "force:-f,device:B,speed:o?": name, type, and a '?'
 * where it may be missing, or a '+' where there may be more of them up to the
 * end of the line (an array). Types: B a device, J a job, I an image of the
 * device's chain, F a file, C a command, s a word, o a size (a plain number
 * counts MiB), -x a flag, S the rest of the line.
 */
#ifndef BLKMON_CONSOLE_HMP_H
#define BLKMON_CONSOLE_HMP_H

#include <jansson.h>
#include <stdbool.h>

#include "engine/util/str.h"

struct console;

struct hmp_command {
	const char *name;
	const char *aliases;	/* further names, with '|' between; or NULL */
	const char *params;	/* as help shows the arguments */
	const char *args;
	const char *help;
	/* The QMP command that takes the arguments as they are; */
	const char *qmp;
	/* or what is done with them. 0, or -1 when it failed. */
	int (*run)(struct console *c, json_t *args);
	bool plans;		/* all that it asks for can be planned */
};

/* Both end with a row without a name. */
extern const struct hmp_command hmp_commands[];
extern const struct hmp_command hmp_info_commands[];

/* The row that the first @len bytes of @word name (with old spellings, where
 * hyphen and underscore are one), or NULL. */
const struct hmp_command *hmp_find(const struct hmp_command *table,
				   const char *word, size_t len);
/* Says that @table has no such word, and which was meant. @prefix stands before
 * it ("info "), or is "": then QMP's are thought of, too. -1. */
int hmp_unknown(struct console *c, const struct hmp_command *table,
		const char *prefix, const char *word, size_t len);
/* "stop|s": all names of a row. */
void hmp_names(const struct hmp_command *cmd, struct str *out);

/* The arguments in @text as an object. NULL after adding to @error what is
 * said of it: one or two lines, each with its newline, and to @hint which word
 * is wrong, where they do not tell. @typed is the command word that the
 * operator used. */
json_t *hmp_parse(const struct hmp_command *cmd, const char *typed,
		  bool info, const char *text, struct str *error,
		  struct str *hint);

/* One argument of a row; false at the end. */
struct hmp_arg {
	const char *name;
	size_t name_len;
	char type;		/* '-' for a flag */
	char flag;
	bool optional;
	bool many;
};
bool hmp_next_arg(const char **args, struct hmp_arg *arg);

/* --- actions, by file --- */

int hmp_help(struct console *c, json_t *args);		/* hmp_help.c */
int hmp_info_help(struct console *c, json_t *args);
int hmp_info_block(struct console *c, json_t *args);	/* hmp_info.c */
int hmp_info_block_jobs(struct console *c, json_t *args);
int hmp_info_blockstats(struct console *c, json_t *args);
int hmp_info_snapshots(struct console *c, json_t *args);
int hmp_info_status(struct console *c, json_t *args);
int hmp_info_version(struct console *c, json_t *args);
int hmp_info_history(struct console *c, json_t *args);
int hmp_info_history_jobs(struct console *c, json_t *args);
int hmp_info_folder(struct console *c, json_t *args);	/* hmp_files.c */
int hmp_delete(struct console *c, json_t *args);
int hmp_rebase(struct console *c, json_t *args);
int hmp_undo(struct console *c, json_t *args);
int hmp_info_undo(struct console *c, json_t *args);
int hmp_snapshot_blkdev(struct console *c, json_t *args); /* hmp_jobs.c */
int hmp_block_stream(struct console *c, json_t *args);
int hmp_block_commit(struct console *c, json_t *args);
int hmp_redhat_commit(struct console *c, json_t *args);
int hmp_block_job_pause(struct console *c, json_t *args);
int hmp_block_job_resume(struct console *c, json_t *args);
int hmp_block_resize(struct console *c, json_t *args);
int hmp_commit(struct console *c, json_t *args);
int hmp_drive_add(struct console *c, json_t *args); /* hmp_drives.c */
int hmp_drive_del(struct console *c, json_t *args);
int hmp_nbd_server_start(struct console *c, json_t *args); /* hmp_nbd.c */
int hmp_nbd_server_remove(struct console *c, json_t *args);
int hmp_info_nbd(struct console *c, json_t *args);
int hmp_places(struct console *c, json_t *args);	/* hmp_places.c */
int hmp_use(struct console *c, json_t *args);
/* What was listed is of all places, and all of them answer: 0; or -1 after
 * saying which do not. Entries of those have the member "x-blkmon-lost". */
int hmp_places_check(struct console *c);
int hmp_wait(struct console *c, json_t *args);		/* wait.c */
int hmp_qemu_io(struct console *c, json_t *args);	/* qemu_io.c */

/* The command chapter of the manual as man(7) source, caller frees. */
char *hmp_manual(void);

#endif
