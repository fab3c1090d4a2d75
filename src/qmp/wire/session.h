/* session.h - one conversation in QMP: greeting, negotiation, requests in,
 * replies and events out (monitor.md, 2.1).
 *
 * No event before qmp_capabilities and no command but this one; events that
 * come while a request is served are told before its reply. Out-of-band
 * commands are not offered. One thread at a time.
 */
#ifndef BLKMON_QMP_SESSION_H
#define BLKMON_QMP_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "src/qmp/channel.h"
#include "src/qmp/json/json_stream.h"
#include "src/qmp/wire/conn.h"

struct session {
	struct channel *channel;	/* owned */
	/* Some text of an object, the last with its line end; NULL: there was
	 * no memory for it, and nothing makes sense without it. */
	void (*write)(void *arg, const char *text, size_t len);
	void *arg;
	struct json_stream in;
	bool pretty;		/* objects are indented */
	bool negotiated;
	bool over;		/* the program ends: requests are left alone */
};

/* Takes @channel. Greets. */
struct session *session_new(struct channel *channel, bool pretty,
			    void (*write)(void *arg, const char *text,
					  size_t len), void *arg);
void session_free(struct session *s);
/* Bytes of the other side; whole requests are answered. */
void session_input(struct session *s, const char *data, size_t len);
/* Tells the events that wait. */
void session_events(struct session *s);

/* The same for a server. */
extern const struct conn_protocol session_protocol;

#endif
