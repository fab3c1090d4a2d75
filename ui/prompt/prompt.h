/* prompt.h - readline inside the screen.
 *
 * Bytes of whole keys go in, the line is drawn by us. readline keeps its state
 * in globals, so there is one. One thread.
 */
#ifndef BLKMON_UI_PROMPT_H
#define BLKMON_UI_PROMPT_H

#include <stdbool.h>
#include <stddef.h>

#include "src/qmp/channel.h"
#include "ui/draw/canvas.h"

/* What the prompt tells whoever shows it; it may be called from there. */
struct prompt_ops {
	/* A line was entered; @written: by prompt_set(), and not edited. */
	void (*line)(void *arg, const char *line, bool written);
	/* What is typed behind prompt_search(), after each key. */
	void (*search)(void *arg, const char *text);
	void (*search_over)(void *arg);
	void (*say)(void *arg, const char *text);	/* for the log */
	void (*message)(void *arg, const char *text);	/* until a key */
};

struct prompt_host {		/* all borrowed */
	const struct prompt_ops *ops;
	void *arg;
	struct canvas *canvas;
	struct channel *picture;	/* names for completion, at once */
	int news_fd;		/* an eventfd: prompt_news() has work */
	bool plain;		/* no history, no inputrc */
};

void prompt_init(const struct prompt_host *host);
void prompt_release(void);
void prompt_feed(const char *bytes, size_t len);
bool prompt_is_waiting(void);		/* for names of files */
/* They may be there; they are wanted if keys go to the prompt (@focus). */
void prompt_news(bool focus);
void prompt_paste(const char *text, size_t len);
/* Replaces the line; @note says what it would do. */
void prompt_set(const char *line, const char *note);
const char *prompt_line(void);
/* What of @line is run: editor_command(). */
const char *prompt_command(const char *line);
const char *prompt_note(void);		/* "" none */
bool prompt_is_written(void);		/* by prompt_set(), and not edited */
bool prompt_is_searching(void);		/* for text in a pane */
bool prompt_takes_escape(void);		/* readline has a use for Esc */
void prompt_search(const char *label);
void prompt_cancel(void);		/* drops line or search */
/* Into row @y; @more: a JSON object waits for the rest of it. */
void prompt_draw(unsigned y, bool focus, bool more);

#endif
