/* powercut_chain.h - chains of images and a guest that works on them, for
 * power cuts and faults under jobs.
 */
#ifndef BLKMON_TESTS_POWERCUT_CHAIN_H
#define BLKMON_TESTS_POWERCUT_CHAIN_H

#include "engine/engine.h"
#include "engine/util/clock.h"
#include "tests/unit/powercut.h"

#define LAYERS 4
#define DRIVE "disk0"

struct plan {
	const char *name;
	unsigned bits, order;
	uint64_t size;		/* of the guest's disk */
	const char *options;	/* of qemu-img create for the layers */
	bool raw;		/* the base */
	uint64_t base_size;	/* 0: as the others */
};

struct world {
	struct powercut cut;
	const struct plan *plan;
	struct engine *engine;
	struct event_listener ear;
	char layer[LAYERS][16];
	uint8_t *buf;
	uint64_t size;
	bool may_fail;		/* the guest's requests */
	bool no_fua;		/* it flushes when it says so only */
	uint8_t *start;		/* what it sees at first (faults) */
};

static inline void must(int rc, const struct err *err)
{
	if (rc < 0)
		fail_msg("%s", err->text);
}

/* --- the chain --- */

static inline void make_raw(const char *path, uint64_t size)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(ftruncate(fileno(f), (off_t)size), 0);
	fclose(f);
}

static inline void make_layer(struct world *w, unsigned i)
{
	const struct plan *p = w->plan;
	const char *below = i ? w->layer[i - 1] : NULL;
	const char *format = i == 1 && p->raw ? "raw" : "qcow2";
	struct qcow2_create o = {
		.size = i ? p->size : p->base_size ? p->base_size : p->size,
		.cluster_bits = p->bits, .refcount_order = p->order,
		.backing_name = below, .backing_format = below ? format : NULL,
	};
	char cmd[512];

	unlink(w->layer[i]);
	if (!i && p->raw) {
		make_raw(w->layer[i], o.size);
	} else if (p->options) {
		snprintf(cmd, sizeof(cmd), "qemu-img create -q -f qcow2 "
			 "%s%s %s%s -o %s %s %llu", below ? "-b " : "",
			 below ? below : "", below ? "-F " : "",
			 below ? format : "", p->options, w->layer[i],
			 (unsigned long long)o.size);
		assert_int_equal(system(cmd), 0);
	} else {
		qcow2_file_new(w->layer[i], &o);
	}
}

static inline void open_engine(struct world *w, unsigned top, bool read_only)
{
	struct drive_options o = { .id = DRIVE, .force = true };
	struct err err = ERR_INIT;

	o.node.path = w->layer[top];
	o.node.format = strstr(w->layer[top], "raw") ? "raw" : "qcow2";
	o.node.read_only = read_only;
	w->engine = engine_new();
	must(engine_add_drive(w->engine, &o, &err), &err);
	assert_int_equal(event_listen(engine_events(w->engine), &w->ear), 0);
}

static inline void close_engine(struct world *w)
{
	event_unlisten(&w->ear);
	engine_free(w->engine);
	w->engine = NULL;
}

/* Not recorded: what the layer holds when it all begins. */
static inline void fill_layer(struct world *w, unsigned i)
{
	struct err err = ERR_INIT;
	uint64_t size = i || !w->plan->base_size ? w->size :
			w->plan->base_size;

	open_engine(w, i, false);
	for (int n = 0; n < 8; n++) {
		uint64_t off = align_down(cut_random(&w->cut, size), SECTOR);
		uint64_t len = SECTOR * (1 + cut_random(&w->cut, 60));

		len = min_u64(len, size - off);
		fill_stamps(w->buf, len);
		if (n == 7)
			must(engine_zero(w->engine, DRIVE, off, len, true,
					 &err), &err);
		else
			must(engine_write(w->engine, DRIVE, off, len, w->buf,
					  false, &err), &err);
	}
	close_engine(w);
}

static inline void world_make(struct world *w, const struct plan *p,
			      const char *what, unsigned budget)
{
	struct err err = ERR_INIT;

	memset(w, 0, sizeof(*w));
	w->plan = p;
	w->size = p->size;
	w->buf = malloc(w->size);
	cut_init(&w->cut, what, w->layer[LAYERS - 1], budget);
	for (unsigned i = 0; i < LAYERS; i++) {
		snprintf(w->layer[i], sizeof(w->layer[i]), "l%u%s", i,
			 !i && p->raw ? ".raw" : "");
		make_layer(w, i);
		fill_layer(w, i);
	}
	open_engine(w, LAYERS - 1, true);
	must(engine_read(w->engine, DRIVE, 0, w->size, w->buf, &err), &err);
	close_engine(w);
}

static inline void world_begin(struct world *w)
{
	const char *names[LAYERS + 1] = { NULL };
	uint8_t *guest = malloc(w->size);

	memcpy(guest, w->buf, w->size);
	history_disk(&w->cut.h, GUEST, guest, w->size);
	for (unsigned i = 0; i < LAYERS; i++)
		names[i] = w->layer[i];
	recorder_start(&w->cut.h, names);
	open_engine(w, LAYERS - 1, false);
}

/* Layers [first, last] are not needed any more. */
static inline void chain_wipe(struct world *w, unsigned first,
			      unsigned last)
{
	struct history *h = &w->cut.h;

	for (; first <= last; first++) {
		unsigned n = history_find(h, w->layer[first]);

		history_end(h, history_write(h, n, 0, SECTOR, NULL));
		history_end(h, history_flush(h, n));
	}
}

/* --- the guest --- */

/* Requests of the guest, told to the history: 0, or -1 where they may fail.
 * What failed never ends. */
static inline int guest_done(struct world *w, size_t op, int rc,
			     const struct err *err)
{
	if (!w->may_fail)
		must(rc, err);
	if (!rc)
		history_end(&w->cut.h, op);
	return rc;
}

static inline int guest_flush(struct world *w)
{
	struct err err = ERR_INIT;
	size_t op = history_flush(&w->cut.h, guest_disk(&w->cut));

	return guest_done(w, op, engine_flush(w->engine, DRIVE, &err), &err);
}

/* It was written with FUA: as if a flush had followed, which it is here. */
static inline void guest_is_durable(struct world *w)
{
	struct history *h = &w->cut.h;

	history_end(h, history_flush(h, guest_disk(&w->cut)));
}

static inline int guest_change(struct world *w)
{
	struct err err = ERR_INIT;
	uint64_t off = align_down(cut_random(&w->cut, w->size), SECTOR);
	uint64_t len = SECTOR * (1 + cut_random(&w->cut, 20));
	bool zero = cut_random(&w->cut, 4) == 0;
	bool fua = !zero && !w->no_fua && cut_random(&w->cut, 8) == 0;
	size_t op;
	int rc;

	len = min_u64(len, w->size - off);
	fill_stamps(w->buf, len);
	op = history_write(&w->cut.h, guest_disk(&w->cut), off, len,
			   zero ? NULL : w->buf);
	if (zero)
		rc = engine_zero(w->engine, DRIVE, off, len,
				 cut_random(&w->cut, 2), &err);
	else
		rc = engine_write(w->engine, DRIVE, off, len, w->buf, fua,
				  &err);
	rc = guest_done(w, op, rc, &err);
	if (!rc && fua)
		guest_is_durable(w);
	return rc;
}

static inline void guest_work(struct world *w, unsigned n)
{
	while (n--)
		if (cut_random(&w->cut, 6))
			guest_change(w);
		else
			guest_flush(w);
}

/* --- jobs --- */

/* Waits for an end or READY of the job; the guest makes up to @work changes
 * meanwhile. */
static inline struct event job_wait(struct world *w, unsigned work)
{
	struct event ev;
	uint64_t lost;

	for (;;) {
		uint64_t until = work ? 0 : clock_ns() + 60 * NS_PER_SEC;

		if (work) {
			guest_work(w, 1);
			work--;
		}
		if (!event_next(&w->ear, &ev, until, &lost)) {
			if (!until)
				continue;
			fail_msg("the job does not end");
		}
		if (ev.type == EVENT_JOB_COMPLETED ||
		    ev.type == EVENT_JOB_CANCELLED ||
		    ev.type == EVENT_JOB_READY)
			return ev;
	}
}

#endif
