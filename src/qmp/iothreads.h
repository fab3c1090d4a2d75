/* iothreads.h - the names of threads that QEMU's lines make and give to
 * exports. Which threads work is this program's own affair; a name that nobody
 * made is an error all the same. Any thread.
 */
#ifndef BLKMON_QMP_IOTHREADS_H
#define BLKMON_QMP_IOTHREADS_H

#include <stdbool.h>

#include "engine/util/err.h"

struct iothreads;

struct iothreads *iothreads_new(void);
void iothreads_free(struct iothreads *threads);
bool iothreads_have(struct iothreads *threads, const char *id);
/* 0, or -1 and err: @id is no identifier, or is there already. */
int iothreads_add(struct iothreads *threads, const char *id, struct err *err);
/* 0, or -1 and err: there is none. */
int iothreads_del(struct iothreads *threads, const char *id, struct err *err);

#endif
