/* job_end.h - what a job has done, as its last event tells it.
 *
 * Filled in by the job's thread; from the event on it is constant, and whoever
 * holds a reference may read it from any thread.
 */
#ifndef BLKMON_JOB_END_H
#define BLKMON_JOB_END_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct job_file {
	char *path;		/* full */
	uint64_t bytes;		/* that it takes on its disk; 0 not asked */
};

struct job_files {
	struct job_file *list;
	size_t n, cap;
	size_t lost;		/* for which there was no memory */
};

struct job_end {
	_Atomic unsigned refs;
	uint64_t began_us;		/* wall clock */
	uint64_t elapsed_ns;		/* from the start to the end */
	uint64_t work_ns;		/* of these it did not stand still */
	uint64_t moved;			/* bytes of work done */
	uint64_t freed;			/* bytes on disk that it gave back */
	bool pivoted;			/* the drive went over to base */
	struct job_files from;		/* what it took from, highest first */
	char *to;			/* full path of what it wrote */
	struct job_files unused;	/* that no drive uses any more */
};

/* With one reference. */
struct job_end *job_end_new(void);
/* Both take NULL; get returns @end. */
struct job_end *job_end_get(struct job_end *end);
void job_end_put(struct job_end *end);

/* Adds the file at @path (made full with the working folder). */
void job_files_add(struct job_files *files, const char *path, uint64_t bytes);
/* The bytes on disk of all. */
uint64_t job_files_bytes(const struct job_files *files);
/* Bytes of work a second while it did not stand still; 0: not known. */
uint64_t job_end_rate(const struct job_end *end);

/* The full path of @path, or NULL: no memory. The caller's. */
char *job_file_path(const char *path);

#endif
