/* mark.c - see mark.h.
 *
 * The attribute is text: "1 KIND INODE SECONDS TIME PATH". The time (ns) is
 * that of the last write; of a file that is going to be written, that at which
 * the other one was made, 0 if the host does not know.
 */
#include "engine/file/mark.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>

#define MARK_NAME "user.blkmon"
#define MARK_MAX (PATH_MAX + 128)

static int64_t mark_mtime(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static int64_t mark_made(const char *path)
{
	struct statx st;

	if (statx(AT_FDCWD, path, 0, STATX_BTIME, &st) ||
	    !(st.stx_mask & STATX_BTIME))
		return 0;
	return st.stx_btime.tv_sec * 1000000000 + st.stx_btime.tv_nsec;
}

/* Is the other file the one of then, as far as that is known? */
static bool mark_is_of(const char *other, int64_t then)
{
	int64_t now = mark_made(other);

	return !now || !then || now == then;
}

void mark_set(const struct file *f, enum mark_kind kind, const char *other)
{
	char path[PATH_MAX], text[MARK_MAX];
	struct stat st;
	int n;

	if (fstat(f->fd, &st) < 0 || !realpath(other, path))
		return;
	n = snprintf(text, sizeof(text),
		     "1 %d %" PRIuMAX " %" PRId64 " %" PRId64 " %s", (int)kind,
		     (uintmax_t)st.st_ino, (int64_t)time(NULL),
		     kind == MARK_MERGED ? mark_mtime(&st) : mark_made(path),
		     path);
	(void)fsetxattr(f->fd, MARK_NAME, text, (size_t)n, 0);
}

void mark_clear(const struct file *f)
{
	(void)fremovexattr(f->fd, MARK_NAME);
}

void mark_get(const struct file *f, struct mark *m)
{
	char text[MARK_MAX + 1];
	ssize_t n = fgetxattr(f->fd, MARK_NAME, text, MARK_MAX);
	int64_t ns;
	uintmax_t ino;
	struct stat st;
	int kind, at = 0;

	*m = (struct mark){ .kind = MARK_NONE };
	if (n <= 0 || fstat(f->fd, &st) < 0)
		return;
	text[n] = '\0';
	if (sscanf(text, "1 %d %" SCNuMAX " %" SCNd64 " %" SCNd64 " %n", &kind,
		   &ino, &m->since, &ns, &at) < 4 || text[at] != '/' ||
	    strlen(text + at) >= sizeof(m->other) || ino != st.st_ino)
		return;
	if ((kind == MARK_COMMITTING && mark_is_of(text + at, ns)) ||
	    (kind == MARK_MERGED && ns == mark_mtime(&st)))
		m->kind = (enum mark_kind)kind;
	memcpy(m->other, text + at, strlen(text + at) + 1);
}
