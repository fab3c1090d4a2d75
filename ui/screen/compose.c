/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/screen/compose.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "engine/util/size.h"
#include "ui/draw/text.h"
#include "ui/prompt/prompt.h"

#define MIB (1u << 20)
#define SLOWEST (64u << 10)

/* --- writing a line --- */

/* As the tree calls it, but short: there are two in a note. */
static void note_name(struct str *note, const struct sheet *s,
		      const char *name, struct name_cut cut)
{
	names_fit(note, name, cut, s->canvas.w / (s->canvas.w < 80 ? 5 : 4),
		  s->canvas.ascii);
}

static void note_image(struct str *note, const struct sheet *s,
		       const struct view_image *v)
{
	note_name(note, s, v->name, v->cut);
}

/* There is no such line: why. */
__attribute__((format(printf, 2, 3)))
static void draft_refuse(struct draft *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	str_clear(&d->line);
	str_clear(&d->note);
	str_addv(&d->note, fmt, ap);
	va_end(ap);
}

void draft_release(struct draft *d)
{
	str_release(&d->line);
	str_release(&d->note);
}

static const struct view_image *image_meant(const struct sheet *s,
					    struct draft *d)
{
	const struct view_image *v = chains_selected(s);

	if (!v && s->chains.on_fold)
		draft_refuse(d, "these are several images: %s opens the fold",
			     keys_name(ACTION_FOLD));
	else if (v && v->role != VIEW_OPEN)
		draft_refuse(d, "%s is not open here", v->name);
	else if (!v || v->top < 0)
		draft_refuse(d, "select an image that a drive uses");
	return v && v->top >= 0 ? v : NULL;
}

/* A job has the image: then no other may. */
static bool is_busy(const struct sheet *s, struct draft *d,
		    const struct view_image *v)
{
	const struct view_job *job = v ? chains_job(s, v) : NULL;

	if (job)
		draft_refuse(d, "job %s works on %s", job->id, v->name);
	return job;
}

/* The image that lies on the selected one towards the drive. */
static const struct view_image *active_of(const struct sheet *s,
					  const struct view_image *v)
{
	return &s->shape->images[v->top];
}

static const struct view_image *below(const struct sheet *s,
				      const struct view_image *v)
{
	return v->backing >= 0 ? &s->shape->images[v->backing] : NULL;
}

/* --- snapshot --- */

static void compose_snapshot(const struct sheet *s, struct draft *d)
{
	const struct view_image *v = image_meant(s, d), *top;
	char *safe;

	if (!v)
		return;
	top = active_of(s, v);
	if (is_busy(s, d, top))
		return;
	d->plans = true;
	str_add(&d->line, "snapshot_blkdev");
	str_add_word(&d->line, top->drive);
	str_add_word(&d->line, top->next);
	safe = text_safe(text_base_name(top->next));
	str_add(&d->note, "puts ");
	note_name(&d->note, s, safe, top->cut);
	str_add(&d->note, " on ");
	note_image(&d->note, s, top);
	str_add(&d->note, ", which becomes read-only");
	free(safe);
}

/* --- stream and commit --- */

static void stream(const struct sheet *s, struct draft *d)
{
	const struct view_image *v = image_meant(s, d), *top;

	if (!v)
		return;
	top = active_of(s, v);
	if (top->backing < 0) {
		draft_refuse(d, "%s stands alone: there is nothing to "
			       "stream", top->name);
		return;
	}
	if (is_busy(s, d, top))
		return;
	d->plans = true;
	str_add(&d->line, "block_stream");
	str_add_word(&d->line, top->drive);
	d->speed_at = d->line.len;
	d->speed_len = 2;
	d->speed_pad = "";
	str_add(&d->line, " 0");
	if (v == top) {
		str_add(&d->note, "pulls the whole chain up into ");
		note_image(&d->note, s, top);
		str_add(&d->note, ", which then stands alone");
	} else {
		str_add_word(&d->line, v->file);
		str_add(&d->note, "pulls what lies above ");
		note_image(&d->note, s, v);
		str_add(&d->note, " up into ");
		note_image(&d->note, s, top);
	}
}

static void compose_commit(const struct sheet *s, struct draft *d)
{
	const struct view_image *v = image_meant(s, d), *top, *base;

	if (!v)
		return;
	top = active_of(s, v);
	base = below(s, v);
	if (top->backing < 0) {
		draft_refuse(d, "%s stands alone: there is nothing to "
			       "commit to", top->name);
		return;
	}
	if (is_busy(s, d, v) || is_busy(s, d, base))
		return;
	str_add(&d->line, "block_commit");
	str_add_word(&d->line, top->drive);
	str_add_word(&d->line, base ? base->file : v->file);
	if (base && v != top)
		str_add_word(&d->line, v->file);
	d->plans = true;
	d->speed_at = d->line.len;
	d->speed_pad = base && v != top ? "" : " \"\"";
	str_add(&d->note, "pushes ");
	if (base)
		note_image(&d->note, s, v);
	else
		str_add(&d->note, "everything above");
	str_add(&d->note, " down into ");
	note_image(&d->note, s, base ? base : v);
}

char *compose_again(const struct sheet *s, const struct view_job *job)
{
	int top = shape_find(s->shape, job->top), drive;
	int base = shape_find(s->shape, job->base);
	bool stream = !strcmp(job->type, "stream");
	struct str line = STR_INIT;

	drive = top < 0 ? -1 : s->shape->images[top].top;
	if (drive < 0 || (base < 0 && !stream))
		return mem_dup(job->id);
	str_add(&line, stream ? "block_stream" : "block_commit");
	str_add_word(&line, s->shape->images[drive].drive);
	if (stream)
		str_add(&line, " 0");
	if (base >= 0)
		str_add_word(&line, s->shape->images[base].file);
	if (!stream && top != drive)
		str_add_word(&line, s->shape->images[top].file);
	return str_detach(&line);
}

/* --- jobs --- */

/* One that works on this image, or on its drive. */
static const struct view_job *job_of_image(const struct sheet *s,
					   const struct view_image *v)
{
	const struct view_job *job;
	const char *drive = v->top >= 0 ? s->shape->images[v->top].drive :
		NULL;

	for (size_t i = s->jobs.n; i--; ) {
		job = &s->jobs.list[i];
		if (job->end == JOB_LIVES && *v->node &&
		    (!strcmp(job->top, v->node) || !strcmp(job->base,
							   v->node)))
			return job;
	}
	return drive ? jobs_find(s, drive) : NULL;
}

static const struct view_job *find_meant(const struct sheet *s)
{
	const struct view_image *v = chains_selected(s);
	const struct view_job *job = NULL;
	enum pane pane = s->focus == PANE_PROMPT ? s->back : s->focus;

	if (pane == PANE_JOBS)
		job = jobs_selected(s);
	else if (pane == PANE_CHAINS && v)
		job = job_of_image(s, v);
	if (job && job->end == JOB_LIVES)
		return job;
	/* Where only one job runs, that one is meant. */
	for (size_t i = 0; i < s->jobs.n && jobs_living(s) == 1; i++)
		if (s->jobs.list[i].end == JOB_LIVES)
			return &s->jobs.list[i];
	return NULL;
}

static const struct view_job *job_meant(const struct sheet *s,
					struct draft *d)
{
	const struct view_job *job = find_meant(s);

	if (!job)
		draft_refuse(d, "no job runs here");
	return job;
}

static void compose_job_line(struct draft *d, const char *command,
			     const struct view_job *job, const char *words)
{

	str_add(&d->line, command);
	str_add_word(&d->line, job->id);
	str_add(&d->note, words);
}

static void compose_cancel(const struct sheet *s, struct draft *d)
{
	const struct view_job *job = job_meant(s, d);

	if (!job)
		return;
	d->plans = true;
	compose_job_line(
		d, job->paused ? "block_job_cancel -f" : "block_job_cancel",
		job,
		job->ready ? "ends the job; the drive stays where it is"
			   : "stops the job; the chain stays as it is");
}

static void pause_or_resume(const struct sheet *s, struct draft *d)
{
	const struct view_job *job = job_meant(s, d);

	if (job)
		compose_job_line(
			d, job->paused ? "block_job_resume" : "block_job_pause",
			job,
			job->paused ? "lets the job go on"
				    : "lets the job stand still");
}

static void compose_complete(const struct sheet *s, struct draft *d)
{
	const struct view_job *job = job_meant(s, d);

	if (!job)
		return;
	if (!strcmp(job->status, "pending")) {

		str_addf(&d->line, "block-job-finalize id=%s", job->id);
		str_add(&d->note, "lets the job take effect");
	} else if (!job->ready) {
		draft_refuse(d, "job %s is not READY: a %s ends by itself "
			       "or gets ready first", job->id, job->type);
	} else {
		d->plans = true;
		compose_job_line(d, "block_job_complete", job,
				 "the drive goes over to the base");
	}
}

static void add_speed(struct str *out, uint64_t speed)
{
	if (speed % MIB)
		str_addf(out, " %lluK", (unsigned long long)speed >> 10);
	else
		str_addf(out, " %llu%s", (unsigned long long)speed >> 20,
			 speed ? "M" : "");
}

static uint64_t slower(const struct view_job *job)
{
	uint64_t speed = job->speed ? job->speed : view_job_rate(job);

	speed /= 2;
	/* Of a rate, whole MiB are enough. */
	if (!job->speed && speed >= MIB)
		speed -= speed % MIB;
	speed -= speed % 1024;
	return speed < SLOWEST ? SLOWEST : speed;
}

/* The speed in the line that is being changed by keys, else the job's. */
static uint64_t speed_in_prompt(const struct view_job *job)
{
	const char *word = strrchr(prompt_line(), ' ');
	uint64_t speed;
	char *end;

	if (!prompt_is_written() ||
	    !str_has_prefix(prompt_line(), "block_job_set_speed") || !word)
		return job->speed;
	speed = strtoull(word + 1, &end, 10);
	return *end == 'K' ? speed << 10 : speed << 20;
}

static void compose_set_speed(const struct sheet *s, enum action action,
			      struct draft *d)
{
	const struct view_job *found = job_meant(s, d);
	struct view_job job;
	uint64_t speed = 0;
	char buf[16];

	if (!found)
		return;
	job = *found;
	job.speed = speed_in_prompt(found);
	if (action == ACTION_SLOWER)
		speed = slower(&job);
	else if (action == ACTION_FASTER && !job.speed) {
		draft_refuse(d, "job %s has no limit", job.id);
		return;
	} else if (action == ACTION_FASTER)
		speed = job.speed * 2;
	str_add(&d->line, "block_job_set_speed");
	str_add_word(&d->line, job.id);
	add_speed(&d->line, speed);
	if (speed)
		str_addf(&d->note, "at most %s bytes a second; + and - change "
			 "it", size_short(speed, buf, sizeof(buf)));
	else
		str_add(&d->note, "as fast as it can");
}

/* Jobs that the engine keeps until they are dismissed need a command. */
static void dismiss(const struct sheet *s, struct draft *d)
{
	const struct view_job *job = jobs_selected(s);

	if (job && job->listed && job->end != JOB_LIVES) {
		str_addf(&d->line, "block-job-dismiss id=%s", job->id);
		str_add(&d->note, "takes the job off the list");
	} else if (jobs_living(s) == s->jobs.n) {
		draft_refuse(d, "no job has ended");
	} else {
		str_add(&d->note, "takes all that have ended off the list");
	}
}

bool compose_draft(const struct sheet *s, enum action action, struct draft *d)
{
	switch (action) {
	case ACTION_SNAPSHOT:
		compose_snapshot(s, d);
		return true;
	case ACTION_STREAM:
		stream(s, d);
		return true;
	case ACTION_COMMIT:
		compose_commit(s, d);
		return true;
	case ACTION_CANCEL:
		compose_cancel(s, d);
		return true;
	case ACTION_PAUSE:
		pause_or_resume(s, d);
		return true;
	case ACTION_COMPLETE:
		compose_complete(s, d);
		return true;
	case ACTION_FASTER:
	case ACTION_SLOWER:
	case ACTION_UNLIMITED:
		compose_set_speed(s, action, d);
		return true;
	case ACTION_DISMISS:
		dismiss(s, d);
		return true;
	default:
		return compose_files(s, action, d) ||
			compose_all(s, action, d);
	}
}

bool compose_line(struct sheet *s, enum action action)
{
	struct draft d = DRAFT_INIT;
	bool is_line = compose_draft(s, action, &d);

	if (d.line.len) {
		prompt_set(str_get(&d.line), str_get(&d.note));
		sheet_focus(s, PANE_PROMPT);
	} else if (is_line && action == ACTION_DISMISS &&
		   jobs_living(s) < s->jobs.n) {
		client_dismiss(s->client);
	} else if (is_line) {
		sheet_message(s, "%s", str_get(&d.note));
	}
	draft_release(&d);
	return is_line;
}
