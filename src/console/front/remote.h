/* remote.h - the console on a connection: HMP for `--monitor mode=readline`
 * and for human beings with socat.
 *
 * As QEMU does it: a banner, a prompt, lines that end in CR LF, and nothing
 * that was not asked for (but QMP's events, behind qmp_capabilities).
 */
#ifndef BLKMON_CONSOLE_REMOTE_H
#define BLKMON_CONSOLE_REMOTE_H

#include "src/qmp/wire/conn.h"

extern const struct conn_protocol remote_protocol;

#endif
