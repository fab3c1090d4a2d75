/* qcow2_check_base.c - what a check says, and how it reads. See qcow2_check.h.
 */
#include "engine/image/qcow2/qcow2_check.h"

#include <errno.h>
#include <stdarg.h>

#include "engine/util/str.h"

static void say_line(struct check *c, const char *fmt, va_list ap)
{
	struct str line = STR_INIT;

	if (!c->o->say || c->silent || c->quiet || c->again ||
	    c->lines > CHECK_LINES_MAX)
		return;
	if (c->lines++ == CHECK_LINES_MAX)
		str_add(&line, "There is more; it is counted, but not shown.");
	else
		str_addv(&line, fmt, ap);
	c->o->say(c->o->arg, str_get(&line));
	str_release(&line);
}

void check_say(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_line(c, fmt, ap);
	va_end(ap);
}

void check_corrupt(struct check *c, const char *fmt, ...)
{
	va_list ap;

	if (c->again || c->quiet)
		return;
	c->r.corruptions++;
	va_start(ap, fmt);
	say_line(c, fmt, ap);
	va_end(ap);
}

int check_fail(struct check *c, int rc, const char *fmt, ...)
{
	struct str text = STR_INIT;
	va_list ap;

	c->r.check_errors++;
	va_start(ap, fmt);
	str_addv(&text, fmt, ap);
	va_end(ap);
	err_sys(c->err, rc, "%s", str_get(&text));
	str_release(&text);
	return -1;
}

int check_read(struct check *c, uint64_t off, void *buf, uint64_t len)
{
	int rc;

	if (c->o->stop && !c->mending && c->o->stop(c->o->arg))
		return check_fail(c, -ECANCELED, "The check was given up");
	if (len > c->budget)
		return check_fail(c, -EFBIG, "'%s' has tables that are named "
				  "too often to be checked", c->file->path);
	c->budget -= len;
	rc = off > INT64_MAX - len ? -EIO :
	     file_read(c->file, off, buf, len);
	return rc ? check_fail(c, rc, "Could not read the tables of '%s'",
			       c->file->path) : 0;
}
