/* nbd_address.h - where an NBD server listens, as people write it. */
#ifndef BLKMON_QMP_NBD_ADDRESS_H
#define BLKMON_QMP_NBD_ADDRESS_H

#include <jansson.h>

#include "engine/util/err.h"

/* "unix:PATH", "HOST:PORT", "[IPV6]:PORT" or ":PORT" as the "addr" of
 * nbd-server-start; the caller's. NULL: "error parsing address 'x'". */
json_t *nbd_address(const char *text, struct err *err);

#endif
