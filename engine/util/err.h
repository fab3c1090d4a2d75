/* err.h - one error of the control path: a class and one sentence.
 *
 * The data path returns 0 or -errno and needs no struct err. The control path
 * returns 0 or -1 and fills the struct err that its caller keeps on the stack.
 * The sentence names the thing, where it matters the offset, and the cause.
 */
#ifndef BLKMON_UTIL_ERR_H
#define BLKMON_UTIL_ERR_H

#include <stdarg.h>

struct str;

/* What is shown after a line break below the first line of an error. */
#define ERR_HINT "Is another process using the image ["

/* The classes of the QMP wire (QEMU's words); the engine knows no JSON, the
 * names are mapped in src/qmp. */
enum err_class {
	ERR_NONE,
	ERR_GENERIC,
	ERR_COMMAND_NOT_FOUND,
	ERR_DEVICE_NOT_ACTIVE,
	ERR_DEVICE_NOT_FOUND,
	ERR_DEVICE_IN_USE,
	ERR_NOT_SUPPORTED,
	ERR_INVALID_PARAMETER,
};

#define ERR_TEXT_MAX 2048
#define ERR_PATH_MAX 1024
#define ERR_TIP_MAX 1024

struct err {
	enum err_class class;
	int errnum;		/* positive errno behind it, 0 if none */
	char text[ERR_TEXT_MAX]; /* one sentence, no full stop; of a lock two
				    lines */
	struct {		/* the way out, where one is known: */
		char file[ERR_PATH_MAX]; /* this image, which nobody has open,
					    is rebased; "": none is known ... */
		char base[ERR_PATH_MAX]; /* ... to lie on that; "": on none */
		const char *format;	/* constant; of base */
	} way;
	char tip[ERR_TIP_MAX];	/* one more sentence, for people, where the
				   first is QEMU's; "": none */
};

/* A fresh error: `struct err err = ERR_INIT;` */
#define ERR_INIT { .class = ERR_NONE }

/* Sets class and sentence, replacing what was there. Always returns -1, so
 * that `return err_set(err, ...);` is the way out. Too long text is cut. */
int err_set(struct err *err, enum err_class class, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ERR_GENERIC, the sentence, ": " and the text of errno @errnum (either sign
 * is accepted; its positive value is kept in errnum). Always returns -1. */
int err_sys(struct err *err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Sets the tip, printable, behind a sentence that is already set. Too long a
 * one is left out. Always returns -1. */
int err_tip(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Puts text in front of a sentence that is already set. */
void err_prefix(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* @text for a terminal: whatever names are in it, only the break in front of a
 * hint stays one. */
void err_add_text(struct str *out, const char *text);
/* "blkmon: TEXT" and a line's end to stderr, made fit in the same way. */
void err_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
