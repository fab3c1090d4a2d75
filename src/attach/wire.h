/* wire.h - one QMP connection to another monitor, and the many who share it.
 *
 * A monitor serves one client at a time, so there is one wire for all who
 * speak to an end. A thread of its own does all that touches the socket: it
 * connects, negotiates, reads, writes, and when the other side is gone tries
 * again, each time a little later (0.25 s to 5 s). Whoever makes a request
 * waits for that thread, for no longer than he wants.
 *
 * An address without hold is visited: every 2 s, and when somebody has more
 * than a look to ask for; in between the monitor is left to others, and the
 * wire counts as live.
 *
 * The other side may be slow, stopped, broken or hostile: a value has at most
 * 64 MiB and 1024 levels, a reply is believed only by the id of its request,
 * and what is no QMP ends the connection. An end that left a request without
 * an answer is asked nothing more until it says something.
 */
#ifndef BLKMON_ATTACH_WIRE_H
#define BLKMON_ATTACH_WIRE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/util/err.h"
#include "engine/util/interrupt.h"
#include "src/attach/address.h"

enum wire_state {
	WIRE_CONNECTING,
	WIRE_HELD,		/* connected, and not greeted for 2 s */
	WIRE_LIVE,
	WIRE_GONE,		/* it is tried again */
};

/* All are called by the wire's thread, without a lock. They may make
 * requests. */
struct wire_ops {
	/* It is negotiated: -1 and err ends the connection. Requests of others
	 * fail until this returns. */
	int (*up)(void *arg, struct err *err);
	/* The state is another; @why is a reason, or "". */
	void (*changed)(void *arg, enum wire_state state, const char *why);
	/* Borrowed; it has the string member "event". Makes no requests. */
	void (*event)(void *arg, const json_t *event);
	/* Behind what came: may make requests that events asked for. */
	void (*tend)(void *arg);
};

struct wire;

/* @address is borrowed. NULL and err if there is no descriptor. */
struct wire *wire_new(const struct address *address,
		      const struct wire_ops *ops, void *arg, struct err *err);
/* Starts to connect. 0, or -1 and err. */
int wire_start(struct wire *w, struct err *err);
/* Hangs up; what waits is told so. Nobody makes requests any more. */
void wire_free(struct wire *w);

struct wire_terms {
	uint64_t limit_ns;	/* of the whole request */
	bool changes;		/* something, so that a lost answer matters */
	bool impatient;		/* a second (where it is visited, the next
				   visit), and none where others wait for
				   as long already; it can be asked again */
	const struct interrupt *interrupt;	/* borrowed, or NULL */
};

/* Sends @request (taken; its "id" is replaced) and waits for the reply, the
 * caller's: {"return"} or {"error"}, without "id". NULL and err where there is
 * none; if it @changes something and was sent at least in part, that says "no
 * answer; it may have been done" and errnum is EINPROGRESS. Any thread. */
json_t *wire_request(struct wire *w, json_t *request,
		     const struct wire_terms *terms, struct err *err);

struct wire_status {
	enum wire_state state;
	uint64_t since_us;	/* clock_wall_us() of it */
	uint64_t heard_us;	/* the same of the last thing that came; 0 */
	uint64_t waits_ns;	/* so long a request has waited, and nothing
				   came */
	bool stalled;		/* one got no answer in time, and nothing has
				   come since */
	char why[256];		/* the state is what it is; "" */
	pid_t peer;		/* of this host, who listens; 0: not known */
};

void wire_status(struct wire *w, struct wire_status *out);
/* Waits until it is live, or until clock_ns() reaches @deadline, @interrupt
 * (may be NULL) comes, or it is held by others or gone. 0, or -1 and err. */
int wire_wait_live(struct wire *w, uint64_t deadline,
		   const struct interrupt *interrupt, struct err *err);

#endif
