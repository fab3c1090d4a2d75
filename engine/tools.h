/* tools.h - the tools (engine/tool/tools.h) beside the disks that are open.
 * Part of the facade.
 */
#ifndef BLKMON_ENGINE_TOOLS_H
#define BLKMON_ENGINE_TOOLS_H

#include "engine/engine.h"
#include "engine/tool/tools.h"

/* As tool_compare(). */
int engine_compare(struct engine *e, const struct compare_options *o,
		   struct compare_result *out, struct err *err);
/* As tool_rebase(). */
int engine_rebase(struct engine *e, const struct rebase_options *o,
		  struct err *err);
/* As tool_rebase_start() and tool_rebase_plan(); refused where the image is
 * open here. */
int engine_rebase_start(struct engine *e, const struct rebase_job_options *o,
			struct err *err);
int engine_plan_rebase(struct engine *e, const struct rebase_job_options *o,
		       struct forecast *f, struct err *err);

#endif
