/* console_kind.h - what kind of line a console prints. */
#ifndef BLKMON_CONSOLE_KIND_H
#define BLKMON_CONSOLE_KIND_H

enum console_kind {
	CONSOLE_OUT,		/* what a command prints */
	CONSOLE_NOTICE,		/* a line for the operator */
	CONSOLE_EVENT,		/* something happened, in words */
	CONSOLE_JSON_EVENT,	/* the same, when qmp_capabilities asked */
	CONSOLE_FAILURE,	/* a job failed */
	CONSOLE_HINT,		/* behind an error, for people */
};

#endif
