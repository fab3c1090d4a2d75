/* dump.h - the program's tables, for the scripts that write of them. */
#ifndef BLKMON_DUMP_H
#define BLKMON_DUMP_H

#include <stdio.h>

/* Options, subcommands, HMP and QMP commands as one JSON object, from which
 * scripts/completions.py makes what shells complete. */
void dump_json(FILE *out);

#endif
