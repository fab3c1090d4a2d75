/* complete.h - what the word under the cursor could become. */
#ifndef BLKMON_CONSOLE_COMPLETE_H
#define BLKMON_CONSOLE_COMPLETE_H

#include <stdbool.h>
#include <stddef.h>

#include "src/console/console.h"

struct completion {
	char **words;
	size_t n;
	bool files;		/* any file name may stand here, */
	size_t files_at;	/* behind so many bytes of the word */
};

/* Candidates for the word that starts at @start of @line and, so far, is
 * @part. Asks the channel for devices, jobs and images. */
void complete_line(struct console *c, const char *line, size_t start,
		   const char *part, struct completion *out);
void completion_release(struct completion *comp);

#endif
