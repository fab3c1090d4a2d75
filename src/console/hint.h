/* hint.h - behind an error: what there is instead. For people: lines of kind
 * CONSOLE_HINT, so that what programs read of an error is QEMU's words alone.
 */
#ifndef BLKMON_CONSOLE_HINT_H
#define BLKMON_CONSOLE_HINT_H

#include "engine/util/near.h"
#include "src/console/console.h"

/* "the devices are: disk0, web", "the jobs are: ...". */
void hint_devices(struct console *c);
void hint_jobs(struct console *c);
/* What there is of its kind (devices, jobs, nodes, exports), if @reply is an
 * error of something that is not there; its tip, and the way out of one that
 * has one;
 * of an unknown QMP command @name, what may have been meant. */
void hint_reply(struct console *c, const json_t *reply, const char *name);
/* @reply in QEMU's words, without the tip; the caller's. */
json_t *hint_without(const json_t *reply);
/* Adds all QMP commands to those that may have been meant. */
void hint_try_qmp(struct console *c, struct near *near);
/* "did you mean 'info block'?"; nothing, if nothing is near. */
void hint_near(struct console *c, const char *prefix,
	       const struct near *near);

#endif
