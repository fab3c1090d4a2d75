/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What keys do. Keys that change something write the line that does it into
 * the prompt, filled in from the selection, and say what it would do; Enter
 * runs it.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "ui/draw/text.h"
#include "ui/screen/screen_impl.h"

#define MIB (1u << 20)
#define SLOWEST (64u << 10)

/* --- writing a line --- */

/* A word as the prompt reads it: quoted where it must be. */
static void add_word(struct str *line, const char *word)
{
	bool quote = !*word || strpbrk(word, " \t\"\\\n\r");

	str_add(line, quote ? " \"" : " ");
	for (; *word; word++) {
		if (*word == '\n' || *word == '\r') {
			str_add(line, *word == '\n' ? "\\n" : "\\r");
			continue;
		}
		if (quote && (*word == '"' || *word == '\\'))
			str_add_char(line, '\\');
		str_add_char(line, *word);
	}
	if (quote)
		str_add_char(line, '"');
}

/* Takes both. */
static void write_line(struct screen *s, struct str *line, struct str *note)
{
	prompt_set(str_get(line), str_get(note));
	screen_focus(s, PANE_PROMPT);
	str_release(line);
	str_release(note);
}

static const struct view_image *image_meant(struct screen *s)
{
	const struct view_image *v = chains_selected(s);

	if (!v || v->top < 0) {
		screen_message(s, "select an image that a drive uses");
		return NULL;
	}
	return v;
}

/* The image that lies on the selected one towards the drive. */
static const struct view_image *active_of(const struct screen *s,
					  const struct view_image *v)
{
	return &s->shape->images[v->top];
}

static const struct view_image *below(const struct screen *s,
				      const struct view_image *v)
{
	return v->backing >= 0 ? &s->shape->images[v->backing] : NULL;
}

/* --- snapshot --- */

static bool is_taken(const struct screen *s, const char *file)
{
	for (size_t i = 0; i < s->shape->n; i++)
		if (!strcmp(s->shape->images[i].file, file))
			return true;
	return false;
}

/* "sn2" gives "sn3", "a-1.qcow2" gives "a-2.qcow2", "disk.img" gives
 * "disk-1.img"; beside the active layer. */
static char *next_file(const struct screen *s, const char *file)
{
	const char *name = text_base_name(file), *end = strrchr(name, '.');
	const char *digits;
	unsigned long number;
	char *next = NULL;

	if (!end || end == name)
		end = name + strlen(name);
	for (digits = end; digits > name &&
	     isdigit((unsigned char)digits[-1]); digits--)
		;
	if (end - digits > 9)
		digits = end;
	number = digits < end ? strtoul(digits, NULL, 10) : 0;
	do {
		free(next);
		next = mem_printf("%.*s%s%lu%s", (int)(digits - file), file,
				  digits < end ? "" : "-", ++number, end);
	} while (is_taken(s, next));
	return next;
}

static void snapshot(struct screen *s)
{
	const struct view_image *v = image_meant(s), *top;
	struct str line = STR_INIT, note = STR_INIT;
	char *file;

	if (!v)
		return;
	top = active_of(s, v);
	file = next_file(s, top->file);
	str_add(&line, "snapshot_blkdev");
	add_word(&line, top->drive);
	add_word(&line, file);
	str_addf(&note, "puts a new image on %s, which becomes read-only",
		 top->name);
	free(file);
	write_line(s, &line, &note);
}

/* --- stream and commit --- */

static void stream(struct screen *s)
{
	const struct view_image *v = image_meant(s), *top;
	struct str line = STR_INIT, note = STR_INIT;

	if (!v)
		return;
	top = active_of(s, v);
	if (top->backing < 0) {
		screen_message(s, "%s stands alone: there is nothing to "
			       "stream", top->name);
		return;
	}
	str_add(&line, "block_stream");
	add_word(&line, top->drive);
	str_add(&line, " 0");
	if (v == top) {
		str_addf(&note, "pulls the whole chain up into %s, which "
			 "then stands alone", top->name);
	} else {
		add_word(&line, v->file);
		str_addf(&note, "pulls what lies above %s up into %s",
			 v->name, top->name);
	}
	write_line(s, &line, &note);
}

static void commit(struct screen *s)
{
	const struct view_image *v = image_meant(s), *top, *base;
	struct str line = STR_INIT, note = STR_INIT;

	if (!v)
		return;
	top = active_of(s, v);
	base = below(s, v);
	if (top->backing < 0) {
		screen_message(s, "%s stands alone: there is nothing to "
			       "commit to", top->name);
		return;
	}
	str_add(&line, "block_commit");
	add_word(&line, top->drive);
	add_word(&line, base ? base->file : v->file);
	if (base && v != top)
		add_word(&line, v->file);
	if (base)
		str_addf(&note, "pushes %s down into %s", v->name,
			 base->name);
	else
		str_addf(&note, "pushes everything above down into %s",
			 v->name);
	write_line(s, &line, &note);
}

/* --- jobs --- */

static const struct view_job *job_meant(struct screen *s)
{
	const struct view_job *job = jobs_meant(s);

	if (!job)
		screen_message(s, "no job runs here");
	return job;
}

static void job_line(struct screen *s, const char *command,
		     const struct view_job *job, const char *words)
{
	struct str line = STR_INIT, note = STR_INIT;

	str_add(&line, command);
	add_word(&line, job->id);
	str_add(&note, words);
	write_line(s, &line, &note);
}

static void cancel(struct screen *s)
{
	const struct view_job *job = job_meant(s);

	if (!job)
		return;
	job_line(s, job->paused ? "block_job_cancel -f" : "block_job_cancel",
		 job, job->ready ? "ends the job; the drive stays where it is"
		 : "stops the job; the chain stays as it is");
}

static void pause_or_resume(struct screen *s)
{
	const struct view_job *job = job_meant(s);

	if (job)
		job_line(s, job->paused ? "block_job_resume" :
			 "block_job_pause", job, job->paused ?
			 "lets the job go on" : "lets the job stand still");
}

static void complete(struct screen *s)
{
	const struct view_job *job = job_meant(s);

	if (!job)
		return;
	if (!strcmp(job->status, "pending")) {
		struct str line = STR_INIT, note = STR_INIT;

		str_addf(&line, "block-job-finalize id=%s", job->id);
		str_add(&note, "lets the job take effect");
		write_line(s, &line, &note);
	} else if (!job->ready) {
		screen_message(s, "job %s is not READY: a %s ends by itself "
			       "or gets ready first", job->id, job->type);
	} else {
		job_line(s, "block_job_complete", job,
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

static void set_speed(struct screen *s, enum action action)
{
	const struct view_job *found = job_meant(s);
	struct str line = STR_INIT, note = STR_INIT;
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
		screen_message(s, "job %s has no limit", job.id);
		return;
	} else if (action == ACTION_FASTER)
		speed = job.speed * 2;
	str_add(&line, "block_job_set_speed");
	add_word(&line, job.id);
	add_speed(&line, speed);
	if (speed)
		str_addf(&note, "at most %s bytes a second; + and - change "
			 "it", text_size(speed, buf, sizeof(buf)));
	else
		str_add(&note, "as fast as it can");
	write_line(s, &line, &note);
}

/* Jobs that the engine keeps until they are dismissed need a command. */
static void dismiss(struct screen *s)
{
	const struct view_job *job = jobs_selected(s);
	struct str line = STR_INIT, note = STR_INIT;

	if (job && job->listed && job->end != JOB_LIVES) {
		str_addf(&line, "block-job-dismiss id=%s", job->id);
		str_add(&note, "takes the job off the list");
		write_line(s, &line, &note);
		return;
	}
	client_dismiss(s->client);
}

/* --- searching --- */

static void search_again(struct screen *s, int step)
{
	if (!s->search || !*s->search)
		screen_message(s, "/ searches");
	else if (s->search_pane == PANE_LOG)
		log_search(s, s->search, step, false);
	else
		chains_search(s, s->search, step, false);
}

static void start_search(struct screen *s)
{
	s->search_pane = s->focus == PANE_LOG ? PANE_LOG : PANE_CHAINS;
	prompt_search("/");
	screen_focus(s, PANE_PROMPT);
}

/* --- panes --- */

static void next_pane(struct screen *s, int step)
{
	int at = (int)s->focus + step;

	if (s->focus == PANE_PROMPT)
		at = (int)s->back;
	screen_focus(s, (enum pane)((at + PANE_COUNT) % PANE_COUNT));
}

static void show_details(struct screen *s)
{
	const struct view_image *v = chains_selected(s);
	const struct view_job *job = jobs_selected(s);
	int at;

	if (s->focus == PANE_JOBS) {
		at = job ? shape_find(s->shape, job->top) : -1;
		v = at < 0 ? NULL : &s->shape->images[at];
	}
	if (v)
		overlay_details(s, v);
}

static void interrupt(struct screen *s)
{
	if (*prompt_line() || prompt_is_searching()) {
		prompt_cancel();
	} else if (client_busy(s->client)) {
		client_interrupt(s->client);
	} else {
		screen_message(s, "nothing to interrupt; x cancels a job, q "
			       "leaves");
	}
}

static void quit(struct screen *s)
{
	if (client_busy(s->client))
		client_interrupt(s->client);
	screen_line(s, "quit");
}

/* What the pane itself has no use for. */
static void general(struct screen *s, enum action action)
{
	switch (action) {
	case ACTION_NEXT_PANE:
	case ACTION_RIGHT:
		next_pane(s, 1);
		break;
	case ACTION_PREVIOUS_PANE:
	case ACTION_LEFT:
		next_pane(s, -1);
		break;
	case ACTION_PROMPT:
		screen_focus(s, PANE_PROMPT);
		break;
	case ACTION_DETAILS:
		show_details(s);
		break;
	case ACTION_SEARCH:
		start_search(s);
		break;
	case ACTION_AGAIN:
	case ACTION_BACK:
		search_again(s, action == ACTION_AGAIN ? 1 : -1);
		break;
	case ACTION_FILTER:
	case ACTION_FOLLOW:
		log_act(s, action);
		break;
	case ACTION_ZOOM:
		s->zoom = !s->zoom;
		break;
	case ACTION_REDRAW:
		s->redraw = true;
		client_refresh(s->client);
		break;
	case ACTION_SUSPEND:
		s->suspend = true;
		break;
	case ACTION_INTERRUPT:
		interrupt(s);
		break;
	case ACTION_HELP:
		overlay_help(s);
		break;
	case ACTION_QUIT:
		quit(s);
		break;
	default:
		break;
	}
}

static bool change(struct screen *s, enum action action)
{
	switch (action) {
	case ACTION_SNAPSHOT:
		snapshot(s);
		return true;
	case ACTION_STREAM:
		stream(s);
		return true;
	case ACTION_COMMIT:
		commit(s);
		return true;
	case ACTION_CANCEL:
		cancel(s);
		return true;
	case ACTION_PAUSE:
		pause_or_resume(s);
		return true;
	case ACTION_COMPLETE:
		complete(s);
		return true;
	case ACTION_FASTER:
	case ACTION_SLOWER:
	case ACTION_UNLIMITED:
		set_speed(s, action);
		return true;
	case ACTION_DISMISS:
		dismiss(s);
		return true;
	default:
		return false;
	}
}

void action_run(struct screen *s, enum action action)
{
	bool done = false;

	if (action == ACTION_NONE || change(s, action))
		return;
	if (s->focus == PANE_CHAINS)
		done = chains_act(s, action);
	else if (s->focus == PANE_JOBS)
		done = jobs_act(s, action);
	else if (s->focus == PANE_LOG || action == ACTION_PAGE_UP ||
		 action == ACTION_PAGE_DOWN)
		done = log_act(s, action);
	if (!done)
		general(s, action);
}
