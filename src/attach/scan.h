/* scan.h - which monitors there are on this host. */
#ifndef BLKMON_ATTACH_SCAN_H
#define BLKMON_ATTACH_SCAN_H

#include <stdbool.h>

struct scan_found {
	const char *path;	/* of the socket, as an address has it */
	long pid;		/* whose monitor it is */
	const char *process;	/* its command, safe to show */
	const char *guest;	/* as its command line calls it; "" not */
	bool permitted;		/* we may connect */
	const char *holder;	/* "NAME (pid N)": is connected; "" nobody
				   that we may see */
};

/* Calls @fn for each Unix socket with QMP that the command line of a running
 * process names, as far as /proc shows it to us. Nothing is connected to. 0,
 * or -errno where there is no /proc. */
int scan_monitors(void (*fn)(const struct scan_found *found, void *arg),
		  void *arg);

#endif
