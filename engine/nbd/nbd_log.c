/* nbd_log.c - lines for the operator about the NBD server and its clients. See
 * nbd_impl.h.
 */
#include <stdarg.h>

#include "engine/nbd/nbd_impl.h"
#include "engine/util/clock.h"
#include "engine/util/str.h"

#define NOTICES_PER_SECOND 10

/* *lost: how many lines were kept back before this one. */
static bool may_notice(struct nbd_server *s, unsigned *lost)
{
	uint64_t now = clock_ns();
	bool may;

	*lost = 0;
	lock_take(&s->lock);
	if (now - s->notice_ns >= NS_PER_SEC) {
		s->notice_ns = now;
		s->notices = 0;
	}
	may = s->notices < NOTICES_PER_SECOND;
	if (may) {
		s->notices++;
		*lost = s->notices_lost;
		s->notices_lost = 0;
	} else {
		s->notices_lost++;
	}
	lock_drop(&s->lock);
	return may;
}

void nbd_notice(struct nbd_server *s, const struct nbd_conn *c,
		const char *fmt, ...)
{
	struct str line = STR_INIT, safe = STR_INIT;
	unsigned lost;
	va_list ap;

	if (!may_notice(s, &lost))
		return;
	if (c)
		str_addf(&line, "NBD client %llu (%s): ",
			 (unsigned long long)c->peer.number, c->peer.name);
	else
		str_add(&line, "NBD server: ");
	va_start(ap, fmt);
	str_addv(&line, fmt, ap);
	va_end(ap);
	if (lost)
		str_addf(&line, " (%u lines were left out before)", lost);
	str_add_safe(&safe, str_get(&line));
	event_notice(engine_events(s->engine), "%s", str_get(&safe));
	str_release(&line);
	str_release(&safe);
}
