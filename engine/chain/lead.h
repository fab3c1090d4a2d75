/* lead.h - where the words of a header may lead, for an image that is not
 * open: nobody has said yet under which name it will be, or from which folder.
 */
#ifndef BLKMON_LEAD_H
#define BLKMON_LEAD_H

#include <stdbool.h>

/* Calls @fn with each path that @name, in the header of the image @holder, may
 * stand for, until it returns true, which is returned. Words of protocols lead
 * nowhere; json:{...} to each file that it names. @link: @holder is a symbolic
 * link: names are meant from there, or from where it leads. */
bool lead_each(const char *holder, bool link, const char *name,
	       bool (*fn)(void *arg, const char *path), void *arg);

#endif
