/* near.c - see near.h. Letters left out, put in, changed, or two that have
 * changed places count one each.
 */
#include "engine/util/near.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

void near_init(struct near *n, const char *word, size_t len)
{
	*n = (struct near){ .distance = UINT_MAX };
	if (len <= NEAR_MOST)
		memcpy(n->word, word, len);
}

static char near_letter(char c)
{
	return c == '_' ? '-' : (char)tolower((unsigned char)c);
}

static unsigned near_least(unsigned a, unsigned b, unsigned c)
{
	a = a < b ? a : b;
	return a < c ? a : c;
}

static unsigned near_distance(const char *a, const char *b)
{
	unsigned row[3][NEAR_MOST + 1], n = (unsigned)strlen(b), i = 0;
	unsigned *before = row[2], *last = row[0], *now = row[1], *spare;

	for (unsigned k = 0; k <= n; k++)
		last[k] = k;
	for (; a[i]; i++) {
		now[0] = i + 1;
		for (unsigned k = 1; k <= n; k++) {
			char x = near_letter(a[i]), y = near_letter(b[k - 1]);

			now[k] = near_least(last[k] + 1, now[k - 1] + 1,
					    last[k - 1] + (x != y));
			if (i && k > 1 && x == near_letter(b[k - 2]) &&
			    near_letter(a[i - 1]) == y &&
			    before[k - 2] + 1 < now[k])
				now[k] = before[k - 2] + 1;
		}
		spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[n];
}

void near_try(struct near *n, const char *candidate)
{
	unsigned distance;

	if (!*n->word || strlen(candidate) > NEAR_MOST)
		return;
	distance = near_distance(n->word, candidate);
	if (distance >= n->distance)
		return;
	n->distance = distance;
	strcpy(n->best, candidate);
}

const char *near_found(const struct near *n)
{
	size_t most = strlen(n->word) / 3;

	if (most < 1)
		most = 1;
	return n->distance <= most && n->distance < strlen(n->best) ?
		n->best : NULL;
}
