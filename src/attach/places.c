/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "src/attach/places_impl.h"
#include "src/qmp/json/text.h"

#define CONNECT_NS (10 * NS_PER_SEC)

struct places *places_new(struct machine *machine,
			  const struct places_rules *rules)
{
	struct places *p = mem_alloc(sizeof(*p));

	p->machine = machine;
	p->rules = *rules;
	lock_init(&p->lock);
	list_init(&p->hubs);
	return p;
}

static void place_free(struct place *place)
{
	far_free(place->far);
	free(place->name);
	free(place);
}

void places_put(struct places *p, struct place *place)
{
	bool last;

	lock_take(&p->lock);
	last = !--place->refs;
	lock_drop(&p->lock);
	if (last)
		place_free(place);
}

void places_free(struct places *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		places_put(p, p->list[i]);
	free(p->list);
	lock_release(&p->lock);
	free(p);
}

/* Lock held. Every channel looks at the list again. */
static void places_tell(struct places *p)
{
	p->generation++;
	list_for_each(link, &p->hubs)
		eventfd_write(container_of(link, struct hub, link)->news, 1);
}

/* --- names --- */

/* Lock held. */
static bool places_has(const struct places *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (!strcmp(p->list[i]->name, name))
			return true;
	return !strcmp(name, PLACES_HERE);
}

/* A name without a slash, which would end it; the caller's. */
static char *places_plain_name(const char *text)
{
	char *name = mem_dup(*text ? text : "place");

	for (char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("-_.", *c))
			*c = '-';
	return name;
}

/* Lock held. The guest's own name, or the socket's; with a number if another
 * has it. */
static char *places_new_name(const struct places *p, const struct far *far,
			     const char *guest)
{
	char *text = *guest ? mem_dup(guest) :
		address_short(far_address(far));
	char *plain = places_plain_name(text), *name = mem_dup(plain);

	for (unsigned i = 2; places_has(p, name); i++) {
		free(name);
		name = mem_printf("%s-%u", plain, i);
	}
	free(plain);
	free(text);
	return name;
}

/* --- to and from the list --- */

int places_check(const char *text, const struct places_rules *rules,
		 struct err *err)
{
	struct address address;
	int rc = address_parse(&address, text, rules->any_host, err);

	address_release(&address);
	return rc;
}

/* The engine here counts from the moment on that something else comes beside
 * its images. */
static bool places_has_images(struct places *p)
{
	struct channel *channel = channel_local_new(p->machine);
	json_t *reply = channel ? channel_call(channel, "query-block", NULL) :
		NULL;
	bool any = json_array_size(json_object_get(reply, "return")) > 0;

	json_decref(reply);
	channel_free(channel);
	return any;
}

static void places_add(struct places *p, struct far *far)
{
	const char *given = far_address(far)->name;
	struct place *place = mem_alloc(sizeof(*place));
	bool here = places_has_images(p);
	struct far_status status;

	far_status(far, &status);
	place->far = far;
	place->refs = 1;
	lock_take(&p->lock);
	place->name = given ? mem_dup(given) :
		places_new_name(p, far, status.guest);
	p->list = mem_grow(p->list, p->n + 1, sizeof(*p->list));
	p->list[p->n++] = place;
	p->here = here;
	places_tell(p);
	lock_drop(&p->lock);
}

/* Takes what is in @address. */
static int places_attach(struct places *p, struct address *address, bool keep,
			 const struct interrupt *interrupt, struct err *err)
{
	struct far *far = far_new(address, err);
	int rc;

	if (!far)
		return -1;
	rc = far_wait(far, clock_ns() + CONNECT_NS, interrupt, err);
	if (rc && !keep)
		far_free(far);
	else
		places_add(p, far);
	return rc;
}

int places_connect(struct places *p, const char *text, bool keep,
		   const struct interrupt *interrupt, struct err *err)
{
	struct address address;
	char *what;
	bool taken;
	int rc;

	if (address_parse(&address, text, p->rules.any_host, err)) {
		address_release(&address);
		return -1;
	}
	address.look |= p->rules.look;
	address.force |= p->rules.force;
	what = address.name ? mem_printf("%s: %s", address.name, address.text)
			    : mem_dup(address.text);
	lock_take(&p->lock);
	taken = address.name && places_has(p, address.name);
	lock_drop(&p->lock);
	rc = taken ? err_set(err, ERR_GENERIC, "a place has that name") :
		places_attach(p, &address, keep, interrupt, err);
	if (rc)
		err_prefix(err, "%s: ", what);
	address_release(&address);
	free(what);
	return rc;
}

int places_disconnect(struct places *p, const char *name, struct err *err)
{
	struct place *found = NULL;

	lock_take(&p->lock);
	for (size_t i = 0; !found && i < p->n; i++)
		if (!strcmp(p->list[i]->name, name)) {
			found = p->list[i];
			memmove(p->list + i, p->list + i + 1,
				(--p->n - i) * sizeof(*p->list));
			places_tell(p);
		}
	lock_drop(&p->lock);
	if (!found)
		return err_set(err, ERR_DEVICE_NOT_FOUND, "there is no place "
			       "'%s'", name);
	places_put(p, found);
	return 0;
}

/* --- what they are --- */

static const char *places_state(const struct far_status *s)
{
	switch (s->wire.state) {
	case WIRE_CONNECTING:
		return "connecting";
	case WIRE_HELD:
		return "held";
	case WIRE_GONE:
		return "gone";
	default:
		return s->wire.stalled || s->wire.waits_ns > NS_PER_SEC ?
			"slow" : "live";
	}
}

static json_t *places_entry(const struct place *place)
{
	struct far_status s;

	far_status(place->far, &s);
	return json_pack("{s:s, s:o, s:s, s:o, s:I, s:I, s:o, s:o, s:b, "
		"s:b}", "name", place->name, "address",
		qmp_text(far_address(place->far)->text),
		"state", places_state(&s), "why", qmp_text(s.wire.why),
		"since-us", (json_int_t)s.wire.since_us,
		"heard-us", (json_int_t)s.wire.heard_us,
		"guest", qmp_text(s.guest), "run", qmp_text(s.run),
		"look", (int)s.look, "managed", (int)s.managed);
}

json_t *places_describe(struct places *p)
{
	json_t *list = json_array();

	lock_take(&p->lock);
	if (!p->n || p->here)
		json_array_append_new(list, json_pack(
			"{s:s, s:s, s:s, s:b}", "name", PLACES_HERE,
			"address", "", "state", "live", "here", 1));
	for (size_t i = 0; i < p->n; i++)
		json_array_append_new(list, places_entry(p->list[i]));
	lock_drop(&p->lock);
	return list;
}
