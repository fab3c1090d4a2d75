/* editor.h - readline as the prompts of line.c and prompt.c use it.
 *
 * Bytes come from whoever reads the terminal, never from readline itself, and
 * only whole characters of the locale go in: on others readline can loop for
 * ever. Nothing that is typed or stands in ~/.inputrc leads out of the Emacs
 * mode, or makes a line of more than EDITOR_LINE_MAX bytes. readline keeps its
 * state in globals, so there is one editor. One thread.
 */
#ifndef BLKMON_UI_EDITOR_H
#define BLKMON_UI_EDITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <readline/readline.h>

#define EDITOR_LINE_MAX (64u << 10)
#define EDITOR_REFUSED \
	"Error: a line is text of at most 64K bytes; nothing was done"

/* Reads ~/.inputrc. What readline asks of the terminal is set before. */
void editor_init(rl_completion_func_t *complete);

/* Adds what was typed. What is no character is dropped; the beginning of one
 * waits for its end. */
void editor_add(const char *bytes, size_t len);
/* Behind the last bytes the input ends. */
void editor_end(void);
/* A character, or the end of the input, can be read. */
bool editor_has(void);
/* The next one is there already and is text: it need not be shown what the line
 * looks like before it. */
bool editor_goes_on(void);
/* Has readline take one. The line is then text of the locale and no longer
 * than it may be. */
void editor_read(void);
/* Called where a key reads on by itself (a paste does) and nothing is there:
 * true when there is more, or may be soon; false gives the key up. NULL: always
 * so. */
void editor_set_wait(bool (*wait)(void));

/* The line becomes this one, with the cursor at its end. */
void editor_set(const char *line);
/* Puts text in at the cursor; false if the line would be too long then, or
 * that is none. */
bool editor_insert(const char *text);
/* False for an entered line that may have been cut at EDITOR_LINE_MAX or is
 * no text: it must not be run. EDITOR_REFUSED says so. */
bool editor_takes(const char *line);
/* The command in a line that is no part of a longer one: without the ':' that
 * whoever comes from vi types in front of it. */
const char *editor_command(const char *line);
/* Is all of it characters of the locale? */
bool editor_is_text(const char *line);

#endif
