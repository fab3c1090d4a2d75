/* near.h - which of the words that there are was meant by one that is none. */
#ifndef BLKMON_UTIL_NEAR_H
#define BLKMON_UTIL_NEAR_H

#include <stddef.h>

#define NEAR_MOST 40u	/* bytes of a word that is looked at */

struct near {
	char word[NEAR_MOST + 1], best[NEAR_MOST + 1];
	unsigned distance;	/* of best; UINT_MAX: there is none */
};

/* @len bytes of @word; too long, it is near to nothing. */
void near_init(struct near *n, const char *word, size_t len);
/* Hyphen and underscore are one. Of those as near as each other the first. */
void near_try(struct near *n, const char *candidate);
/* The nearest, if it differs in a third of the letters at most (in one, or two
 * changed places, of a short one); or NULL. */
const char *near_found(const struct near *n);

#endif
