/* interrupt.h - a request to stop what one is doing. */
#ifndef BLKMON_UTIL_INTERRUPT_H
#define BLKMON_UTIL_INTERRUPT_H

/* Set by signals. */
struct interrupt {
	int fd;			/* readable once a signal came; -1 none */
	_Atomic int signal;	/* which one; 0 none */
};

#endif
