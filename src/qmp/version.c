/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/qmp/version.h"

json_t *qmp_version(void)
{
	return json_pack("{s:{s:i, s:i, s:i}, s:s}", "qemu",
			 "major", PROTOCOL_MAJOR, "minor", PROTOCOL_MINOR,
			 "micro", PROTOCOL_MICRO,
			 "package", "blkmon " BLKMON_VERSION);
}
