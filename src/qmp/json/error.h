/* error.h - errors as QMP sends them (monitor.md, 2.6). */
#ifndef BLKMON_QMP_ERROR_H
#define BLKMON_QMP_ERROR_H

#include <jansson.h>
#include <stdbool.h>

#include "engine/util/err.h"

/* From now on the classes are those of QEMU 7.2, which knows fewer. Called
 * before the first request. */
void qmp_error_classes_72(void);

bool qmp_error_is_72(void);

/* {"class", "desc"}; the caller's. */
json_t *qmp_error(const struct err *err);

#endif
