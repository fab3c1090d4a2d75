/* version.h - who answers: the program, and whose protocol it speaks. */
#ifndef BLKMON_QMP_VERSION_H
#define BLKMON_QMP_VERSION_H

#include <jansson.h>

#define BLKMON_VERSION "0.1.0"

/* The QEMU whose commands, members and texts are followed. */
#define PROTOCOL_MAJOR 7
#define PROTOCOL_MINOR 2
#define PROTOCOL_MICRO 22

/* What query-version returns and the greeting holds; the caller's. */
json_t *qmp_version(void);

#endif
