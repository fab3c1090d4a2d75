/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * readline's callback interface keeps its state in globals, and so its one
 * user here may do the same.
 */
#include "ui/prompt/line.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/util/mem.h"
#include "src/console/line/complete.h"
#include "src/console/line/console_run.h"
#include "src/console/plan_ask.h"
#include "engine/util/restore.h"
#include "ui/prompt/editor.h"
#include "ui/prompt/history.h"

#define PROMPT "(blkmon) "
#define PROMPT_MORE "> "
#define LONG_LINE 512		/* bytes; half of what readline begins with */
/* Ends the bracketed paste that readline begins, and the line. */
#define PUT_RIGHT "\033[?2004l\r\n"

static struct {
	struct console *console;
	bool typing;		/* the prompt stands and keys are read */
	bool done;
	bool yes;		/* nothing is asked about */
	char *entered;		/* a line that was finished; NULL none */
	struct str whole;	/* lines that are looked at before they run */
	bool end_of_input;
	struct completion completion;
	int drawn;		/* bytes of the line that were shown last */
} line;

/* --- output --- */

static void write_text(void *arg, enum console_kind kind, const char *text)
{
	(void)arg;
	if (line.typing)
		rl_clear_visible_line();
	if (kind == CONSOLE_FAILURE)
		fputs("** ", stdout);
	else if (kind == CONSOLE_EVENT)
		fputs("-- ", stdout);
	fputs(text, stdout);
	fflush(stdout);
	if (line.typing) {
		rl_on_new_line();
		rl_redisplay();
	}
}

/* --- completion --- */

static char *line_next_match(const char *text, int state)
{
	static size_t next;

	(void)text;
	if (!state)
		next = 0;
	if (next >= line.completion.n)
		return NULL;
	return strdup(line.completion.words[next++]);
}

/* Behind an option's name, which readline takes for a part of the file's. */
static void line_offer_files(const char *text)
{
	struct completion *out = &line.completion;
	const char *part = text + out->files_at;
	struct stat st;
	char *name;

	for (int i = 0; (name = rl_filename_completion_function(part, i));
	     i++) {
		out->words = mem_grow(out->words, out->n + 1,
				      sizeof(*out->words));
		out->words[out->n++] = mem_printf(
			"%.*s%s%s", (int)out->files_at, text, name,
			!stat(name, &st) && S_ISDIR(st.st_mode) ? "/" : "");
		free(name);
	}
	rl_completion_append_character = '\0';
}

static char **line_complete(const char *text, int start, int end)
{
	char **matches;

	(void)end;
	complete_line(line.console, rl_line_buffer, (size_t)start, text,
		      &line.completion);
	rl_attempted_completion_over = !line.completion.files ||
		line.completion.files_at;
	if (line.completion.files && line.completion.files_at)
		line_offer_files(text);
	matches = rl_completion_matches(text, line_next_match);
	completion_release(&line.completion);
	return matches;
}

/* --- leaving --- */

/* Those that end with this program. */
static size_t running_jobs(void)
{
	const struct watch *w = &line.console->watch;
	size_t n = 0;

	for (size_t i = 0; i < w->n; i++)
		n += !watch_is_over(&w->jobs[i]) && !w->jobs[i].far;
	return n;
}

static void take_answer(char *text)
{
	rl_callback_handler_remove();
	line.typing = false;
	line.end_of_input = !text;
	if (text && !editor_takes(text)) {
		puts(EDITOR_REFUSED);
		*text = '\0';
	}
	line.entered = text ? text : strdup("");
}

static bool read_line(const char *prompt);

/* The end of input while jobs run is asked about, and a second one is a yes:
 * there may be nobody any more. */
static bool may_quit(void)
{
	size_t n = running_jobs();
	char *prompt;
	bool yes;

	if (!n)
		return true;
	prompt = mem_printf("%zu job%s still run%s and would be cancelled. "
			    "Quit? [y/N] ", n, n > 1 ? "s" : "",
			    n > 1 ? "" : "s");
	yes = read_line(prompt) && (line.end_of_input ||
		*line.entered == 'y' || *line.entered == 'Y');
	free(line.entered);
	line.entered = NULL;
	free(prompt);
	return yes;
}

/* --- keys, events, signals --- */

/* Ctrl-C drops what is being typed, or has ended a wait or a commit; other jobs
 * and the program go on. */
static void line_take_interrupt(void)
{
	struct interrupt *interrupt = line.console->interrupt;
	eventfd_t count;

	eventfd_read(interrupt->fd, &count);
	if (interrupt->signal != SIGINT) {
		line.done = true;
		return;
	}
	interrupt->signal = 0;
	if (!line.typing)
		return;
	rl_callback_sigcleanup();
	editor_set("");
	fputs("^C\n", stdout);
	rl_on_new_line();
	rl_redisplay();
}

static void line_read_keys(void)
{
	char bytes[4096];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));

	if (n > 0)
		editor_add(bytes, (size_t)n);
	else if (n == 0 || (errno != EINTR && errno != EAGAIN))
		editor_end();
}

static void poll_once(void)
{
	struct console *c = line.console;
	struct pollfd fds[] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = channel_event_fd(c->channel), .events = POLLIN },
		{ .fd = c->interrupt->fd, .events = POLLIN },
	};

	if (poll(fds, 3, -1) < 0)
		return;
	if (fds[2].revents)
		line_take_interrupt();
	if (fds[1].revents)
		console_events(c, 0);
	if (fds[0].revents && !line.done)
		line_read_keys();
	line.done |= c->quit;
}

/* In the middle of a key; a signal is taken behind it. */
static bool wait_for_keys(void)
{
	struct pollfd fds[] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = line.console->interrupt->fd, .events = POLLIN },
	};

	if (poll(fds, 2, -1) < 0)
		return true;
	if (fds[1].revents)
		return false;
	line_read_keys();
	return true;
}

/* True with a line in line.entered; false when it is over. */
static bool read_line(const char *prompt)
{
	/* Left over from a Ctrl-D, it would add an empty line to each. */
	rl_eof_found = 0;
	restore_guard(PUT_RIGHT, sizeof(PUT_RIGHT) - 1);
	rl_callback_handler_install(prompt, take_answer);
	line.typing = true;
	while (!line.entered && !line.done) {
		if (editor_has())
			editor_read();
		else
			poll_once();
	}
	if (line.typing) {
		rl_callback_handler_remove();
		putchar('\n');
	}
	line.typing = false;
	restore_unguard();
	return line.entered != NULL;
}

/* --- lines --- */

static void line_do(const char *text)
{
	struct console *c = line.console;

	console_run(c, text);
	/* A Ctrl-C that ended what ran has done its work. */
	if (console_interrupted(c))
		line_take_interrupt();
	line.done |= c->quit;
}

/* y is yes, n and an empty line are no; any other line is none, but something
 * that was typed or pasted before it was seen that there is a question. */
static bool line_confirm(const struct plan_question *q)
{
	char *prompt = mem_printf("%s [y/N] ", q->text);
	bool yes = false, answered = false;

	if (*q->what)
		puts(q->what);
	while (!answered && read_line(prompt)) {
		yes = !strcasecmp(line.entered, "y") ||
			!strcasecmp(line.entered, "yes");
		answered = yes || !*line.entered ||
			!strcasecmp(line.entered, "n") ||
			!strcasecmp(line.entered, "no");
		free(line.entered);
		line.entered = NULL;
		if (!answered)
			puts("y does it; n or Enter leave it.");
	}
	free(prompt);
	return yes;
}

static json_t *line_look(struct str *said, bool *more)
{
	return console_ask_lines(line.console->channel, str_get(&line.whole),
				 false, said, more);
}

/* It is asked about what is true now: what was agreed to has to be the same.
 * Takes @asked. */
static bool line_is_wanted(json_t *asked)
{
	const struct plan_names names = { .jobs = running_jobs() };
	struct plan_question q;
	struct str ignored = STR_INIT;
	bool same = false, more, yes = true;
	json_t *again;

	while (yes && !same && plan_question_make(asked, &names, &q)) {
		yes = line_confirm(&q);
		plan_question_release(&q);
		if (!yes)
			break;
		again = line_look(&ignored, &more);
		same = plan_is_same(asked, again);
		json_decref(asked);
		asked = again;
		if (!same)
			puts("This has changed since it was asked.");
	}
	json_decref(asked);
	str_release(&ignored);
	return yes;
}

static void run_whole(void)
{
	char *lines = str_detach(&line.whole), *rest = lines, *text;

	while ((text = strsep(&rest, "\n")) && !line.done)
		line_do(text);
	free(lines);
}

/* What is refused says so in the words of the command, and nothing is run: it
 * might be taken a moment later, and would not have been asked about. */
static void line_ask(void)
{
	struct str said = STR_INIT;
	bool more;
	json_t *asked = line_look(&said, &more);

	if (more) {
		json_decref(asked);
	} else if (plan_all_refused(asked)) {
		fputs(str_get(&said), stdout);
		str_clear(&line.whole);
		json_decref(asked);
	} else if (line_is_wanted(asked)) {
		run_whole();
	} else {
		str_clear(&line.whole);
	}
	str_release(&said);
}

static bool line_wants_more(void)
{
	return line.whole.len || console_is_pending(line.console);
}

static void line_run_line(const char *text)
{
	if (line.end_of_input) {
		line.done = may_quit();
		return;
	}
	if (!line_wants_more())
		text = editor_command(text);
	history_remember(text);
	if (line.yes || console_is_pending(line.console) ||
	    (!line.whole.len && !console_may_ask(text))) {
		line_do(text);
		return;
	}
	if (line.whole.len)
		str_add_char(&line.whole, '\n');
	str_add(&line.whole, text);
	line_ask();
}

/* Of a long line, what comes faster than it can be shown is shown now and then,
 * and where it pauses: to draw all of it behind each of its characters would
 * take minutes. Readline has to see it grow: of one that has become longer by
 * more than its buffers it compares what lies behind them. */
static void line_redisplay(void)
{
	int more = rl_end - line.drawn;

	if (rl_end >= LONG_LINE && more >= 0 && more < LONG_LINE &&
	    editor_goes_on())
		return;
	rl_redisplay();
	line.drawn = rl_end;
}

void line_init(struct console *console, bool yes)
{
	line.console = console;
	line.yes = yes;
	restore_keep();
	console->write = write_text;
	/* ~/.inputrc may say otherwise. */
	rl_variable_bind("show-all-if-ambiguous", "on");
	editor_set_wait(wait_for_keys);
	rl_redisplay_function = line_redisplay;
	editor_init(line_complete);
}

void line_run(void)
{
	char *text;

	history_load();
	console_print(line.console, CONSOLE_NOTICE,
		      "blkmon - type 'help' for the commands");
	while (!line.done && read_line(line_wants_more() ? PROMPT_MORE :
				       PROMPT)) {
		text = line.entered;
		line.entered = NULL;
		line_run_line(text);
		free(text);
	}
	str_release(&line.whole);
	history_save();
}
