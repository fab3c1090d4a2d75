/* on_error.h - what becomes of a request that failed: the policies of jobs
 * (on-error) and drives (rerror, werror), and the state they leave behind.
 */
#ifndef BLKMON_ON_ERROR_H
#define BLKMON_ON_ERROR_H

#include <stdbool.h>

enum on_error {
	ON_ERROR_REPORT,	/* whoever asked gets the error */
	ON_ERROR_IGNORE,	/* as if it had not been */
	ON_ERROR_STOP,		/* stand still, then try again */
	ON_ERROR_ENOSPC,	/* stop if there is no space, else report */
	ON_ERROR_COUNT
};

/* "report" ...; the policies as options, the first three also as actions in
 * events. */
const char *on_error_name(enum on_error what);
/* 0, or -1 if no policy is called @name. */
int on_error_parse(const char *name, enum on_error *out);
/* What @policy makes of @errnum: REPORT, IGNORE or STOP. */
enum on_error on_error_action(enum on_error policy, int errnum);

/* Has the host no room? A quota that is used up is no other thing: whoever
 * waits for room can go on then. Either sign. */
bool on_error_is_nospace(int errnum);

/* The io-status of what stands still: "ok" (@errnum is 0), "nospace",
 * "failed". */
const char *io_status_name(int errnum);

#endif
