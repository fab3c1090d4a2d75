/* client.h - two threads between the screen and its channels.
 *
 * The runner owns the console: it runs the lines of the prompt one after the
 * other, and says what happens in words. The watcher has a channel of its own
 * and keeps the picture: it asks for the shape after something changed it, for
 * numbers a few times a second while a job moves, for maps of what is visible.
 * So a command that takes long freezes neither the screen nor the bars.
 *
 * The calls here are the screen thread's. None of them waits for more than a
 * leaf lock that is never held across a call of a channel.
 */
#ifndef BLKMON_UI_CLIENT_H
#define BLKMON_UI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/console/console.h"
#include "ui/draw/strip.h"
#include "ui/view/view.h"
#include "ui/view/view_use.h"

struct client;
struct map_sum;

/* A line for the log, from the runner. */
struct client_line {
	struct client_line *next;
	enum console_kind kind;
	bool error;		/* an answer that says that it failed */
	uint64_t wall_us;
	char text[];
};

/* @console's output and interrupt become the client's; both are borrowed.
 * @watch: the watcher's channel, borrowed. */
struct client *client_new(struct console *console, struct channel *watch);
/* Ends the threads; a line that runs is interrupted first. */
void client_free(struct client *c);

/* Readable when there is something new; client_seen() makes it unreadable. */
int client_fd(const struct client *c);
void client_seen(struct client *c);

/* Hands a line to the runner. */
void client_run(struct client *c, const char *line);
/* What Ctrl-C does to the line that runs. */
void client_interrupt(struct client *c);
bool client_busy(struct client *c);
/* The console has seen the end of the program. */
bool client_over(struct client *c);
/* The console waits for more lines of a JSON object. */
bool client_wants_more(struct client *c);
/* All that was asked for is done and in the picture. */
bool client_settled(struct client *c);
/* Look at everything again. */
void client_refresh(struct client *c);

/* Somebody looks at the screen: what lies around is asked for anew where
 * nobody tells of changes there any more. */
void client_look(struct client *c);

/* The lines since the last call, oldest first; the caller's, free() each. */
struct client_line *client_lines(struct client *c);
/* The newest shape, counted; NULL before the first. */
struct shape *client_shape(struct client *c);
void client_jobs(struct client *c, struct view_jobs *out);
void client_uses(struct client *c, struct view_uses *out);
/* The history of jobs, once it has been asked for and is there: the caller's.
 * JSON's null where it can't be had. NULL: not yet, or taken before. */
void client_ask_history(struct client *c);
json_t *client_history(struct client *c);
/* These places are seen; takes the array of their names. The others are
 * looked at seldom. */
void client_attend(struct client *c, json_t *places);
/* Where all that is; NULL: here. The caller's. */
json_t *client_places(struct client *c);
void client_dismiss(struct client *c);
/* What lines would do, asked beside what the runner does: of what is typed, of
 * what a key stands for. A new request takes the place of one that has no
 * answer yet, or whose answer was not taken. */
enum client_plan_of { CLIENT_LINE, CLIENT_KEY, CLIENT_PLANS };
struct client_plan {
	json_t *asked;		/* see console_ask() */
	json_t *forced;		/* the same of the other line, where the first
				 * is refused and there was one; or NULL */
	char *said;		/* of faults */
	bool more;		/* the lines do not end what they began */
};
/* @lines: with newlines between. @forced: NULL none. Of a key, all that can be
 * planned is. */
void client_plan(struct client *c, enum client_plan_of of, const char *lines,
		 const char *forced);
void client_plan_drop(struct client *c, enum client_plan_of of);
/* True once when the answer is there; its parts are the caller's. */
bool client_planned(struct client *c, enum client_plan_of of,
		    struct client_plan *out);
void client_plan_release(struct client_plan *plan);
/* These images are visible and have strips of @cells cells (at most
 * STRIP_CELLS); of the whole disk, or without what nobody has data in. */
void client_show(struct client *c, const char *const *nodes, size_t n,
		 unsigned cells, bool whole);
/* What is known of an image's map beside its cells. */
struct map_sum {
	uint64_t size, shown;	/* of the disk, and of that in the cells */
	uint64_t dead;		/* bytes */
	bool known;		/* else all 0 */
};
/* The map of an image: how many cells were put into @cells (NULL: none are
 * wanted; 0: not known). */
unsigned client_map(struct client *c, const char *node,
		    struct strip_cell *cells, struct map_sum *sum);

#endif
