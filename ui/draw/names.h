/* names.h - names cut to fit so that they still differ.
 *
 * Images of a family share most of their name, and differ somewhere in its
 * middle or at its end. A name is looked at as words, each with the signs in
 * front of it: "web", "-01", ".qcow2". Words in which it parts from another
 * name of the screen are never left out as long as there is room for them;
 * "…" ("~" in ASCII) stands for what is.
 */
#ifndef BLKMON_UI_NAMES_H
#define BLKMON_UI_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/util/str.h"

/* What of a name tells it from others; { 0 } where there are none. */
struct name_cut {
	uint64_t words;		/* a bit each; the last is for all behind */
	bool same_end;		/* all end alike: ".qcow2" goes always */
};

/* Finds it out for @n names, each safe to show. */
void names_tell_apart(const char *const *names, struct name_cut *cuts,
		      size_t n);
/* How many columns @name takes uncut. */
unsigned names_columns(const char *name, struct name_cut cut);
/* Adds @name, cut to @columns. */
void names_fit(struct str *out, const char *name, struct name_cut cut,
	       unsigned columns, bool ascii);

/* Of two names in @room columns the first gets so many: each has half, or what
 * the other leaves. A number of images ("5 layers") tells nothing when it is
 * cut: it stays whole as long as the other has some. */
unsigned names_share(const char *from, struct name_cut from_cut,
		     const char *to, struct name_cut to_cut, unsigned room);

#endif
