/* wire_impl.h - what the thread of a wire and its callers share. */
#ifndef BLKMON_ATTACH_WIRE_IMPL_H
#define BLKMON_ATTACH_WIRE_IMPL_H

#include "engine/util/list.h"
#include "engine/util/thread.h"
#include "src/attach/wire.h"
#include "src/qmp/json/json_stream.h"

struct wire_call {
	struct list link;	/* into unsent or sent */
	uint64_t id, began;	/* clock_ns() */
	char *text;
	size_t len, sent;	/* bytes of it */
	json_t *reply;
	bool urgent;		/* somebody waits who is not only looking */
	bool over;		/* there is a reply, or never will be */
	bool abandoned;		/* nobody waits: the wire frees it */
	int fd;			/* eventfd of who waits; -1 the wire's thread */
};

static inline struct wire_call *wire_call_of(struct list *link)
{
	return container_of(link, struct wire_call, link);
}

struct wire {
	const struct address *address;
	const struct wire_ops *ops;
	void *arg;
	pthread_t thread;
	bool started;
	int wake;		/* eventfd: for the thread */

	/* the thread's own */
	struct dialled line;
	struct json_stream in;
	bool greeted;
	bool own_call;		/* a request of its own is under way */
	uint64_t pause_ns;	/* before it is tried again */

	struct lock lock;	/* guards what follows; leaf */
	struct cond changed;	/* the state */
	bool stop;
	bool open;		/* requests of others may be sent */
	uint64_t ids;
	uint64_t heard_ns;	/* clock_ns() of the last bytes that came */
	struct list unsent, sent;
	struct wire_status status;	/* waits_ns is made when asked for */
};

void wire_thread(void *wire);
bool wire_is_own_thread(const struct wire *w);
void wire_call_free(struct wire_call *call);
bool wire_call_over(struct wire *w, struct wire_call *call);
/* In the wire's thread: moves bytes until the call is over. */
void wire_pump_call(struct wire *w, struct wire_call *call, uint64_t deadline);

#endif
