/* job_row.h - a job as a row of the pane of jobs. */
#ifndef BLKMON_UI_JOB_ROW_H
#define BLKMON_UI_JOB_ROW_H

#include "ui/pane/sheet.h"

/* What it is and how far, in one row. */
void job_row_draw(struct sheet *s, const struct view_job *job, unsigned y);
/* What that has no room for, in the row below. */
void job_row_draw_more(struct sheet *s, const struct view_job *job,
		       unsigned y);

/* How far it is, in @w columns from @x on. */
void job_row_draw_brief(struct sheet *s, const struct view_job *job,
			unsigned x, unsigned y, unsigned w);

#endif
