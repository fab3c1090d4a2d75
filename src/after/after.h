/* after.h - what is done when a job is over, or wants something.
 *
 * A thread listens to the engine: each job that ends gets its line in the
 * history (job_history.h), and the operator's programs run (hook.h). Neither
 * holds up a job or a guest, and where one fails, that is told in a notice.
 */
#ifndef BLKMON_AFTER_H
#define BLKMON_AFTER_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/engine.h"

struct after_options {
	bool no_history;
	const char *const *hooks;	/* paths of programs; borrowed */
	size_t hook_count;
};

struct after;

/* @e and what @o points to are borrowed until after_stop(). NULL and err. */
struct after *after_start(struct engine *e, const struct after_options *o,
			  struct err *err);
/* No more jobs will end. Does what is still to be done; programs that run get
 * AFTER_GRACE_NS from here on, then they are killed. Takes NULL. */
void after_stop(struct after *a);

#define AFTER_GRACE_NS (5 * NS_PER_SEC)

#endif
