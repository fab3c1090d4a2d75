/* address.h - where another monitor listens, and the way there. */
#ifndef BLKMON_ATTACH_ADDRESS_H
#define BLKMON_ATTACH_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/util/err.h"

enum address_kind { ADDRESS_UNIX, ADDRESS_TCP, ADDRESS_SSH };

struct address {
	enum address_kind kind;
	char *text;		/* without name and options, as it was given */
	char *name;		/* as given; NULL: none was */
	char *host;		/* of tcp; of ssh with the user: never begins
				   with a hyphen; else NULL. Without the
				   brackets of an IPv6 address */
	char *path;		/* a socket's; of tcp the port */
	bool look;		/* nothing may be changed there */
	bool hold;		/* the connection is kept; else it is left when
				   nobody asks, for others to have it */
	bool force;		/* even if somebody manages it */
	bool any_host;		/* tcp may leave this machine */
};

/* "[NAME=]unix:PATH", "tcp:HOST:PORT", "ssh:[USER@]HOST:PATH", each with
 * ",look=on", ",hold=off" and ",force=on" behind it. Without @any_host tcp goes
 * to numbers and names of this machine alone: who speaks QMP may do all that a
 * virtual machine may. 0, or -1 and err; released either way. */
int address_parse(struct address *a, const char *text, bool any_host,
		  struct err *err);
void address_release(struct address *a);
/* The last part of the path, or host and port: a name when there is none. */
char *address_short(const struct address *a);

#define DIALLED_LINE 240

struct dialled {
	int fd;			/* both directions; non-blocking */
	bool reached;		/* its host; of ssh that is known later */
	pid_t peer;		/* of this host, who listens; 0: not known */
	pid_t child;		/* of ssh, or 0 */
	int complaints;		/* what the child says; non-blocking, or -1 */
	char line[DIALLED_LINE];	/* of it, not ended yet */
	size_t len;
	char last[DIALLED_LINE];	/* the last that ended */
};

/* Connects until clock_ns() reaches @deadline or @stop (an eventfd) is
 * readable. 0, or -1 and the reason alone, without a name in front. */
int address_dial(const struct address *a, uint64_t deadline, int stop,
		 struct dialled *out, struct err *err);
/* Takes in what the child has said: to be called when complaints can be read,
 * or the child waits until it can say more. */
void dialled_hear(struct dialled *d);
/* What it has said until now is no reason for anything. */
void dialled_forget(struct dialled *d);
/* Ends the child as well. Its last words, if it left any, become the reason.
 * @err may be NULL. */
void dialled_close(struct dialled *d, struct err *err);

#endif
