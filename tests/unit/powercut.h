/* powercut.h - cuts the power at every event of a recorded history, in many
 * ways each, and judges what is left:
 *   - every qcow2 image is free of contradictions (qcow2_judge.h), on a sample
 *     also to qemu-img,
 *   - the chain opens, as the headers say, and shows in each sector what was
 *     durable, or what a request wrote to it later,
 *   - on a sample: the image can be opened for writing, written, and is still
 *     free of contradictions.
 * Disk `guest` of the history is what the guest knows to have done.
 *
 * BLKMON_SEED=N other random numbers; BLKMON_CRASH=N N times as many states
 * (0: few).
 */
#ifndef BLKMON_TESTS_POWERCUT_H
#define BLKMON_TESTS_POWERCUT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/chain/graph.h"
#include "engine/image/node.h"
#include "engine/image/qcow2/qcow2.h"
#include "engine/chain/node_io.h"
#include "engine/chain/node_open.h"
#include "engine/util/bytes.h"
#include "tests/unit/qcow2_file.h"
#include "tests/unit/qcow2_judge.h"
#include "tests/unit/recorder.h"
#include "tests/unit/scratch.h"
#include "tests/unit/slow.h"

#define GUEST "guest"

struct powercut {
	struct history h;
	const char *what;	/* the scenario, for messages */
	const char *active;	/* file that the guest's disk is in */
	size_t active_from;	/* from this event on it is ... */
	const char *active_then;	/* ... this one; or NULL */
	const char *data;	/* the active file's external one; or NULL */
	bool lagging;		/* flags lag behind: see qcow2_judge_cut() */
	uint64_t rnd;		/* state of the random numbers */
	unsigned budget;	/* states to judge at most, about */
	unsigned states;	/* judged */
	unsigned forks;		/* times that qemu-img was asked */
	uint8_t *shown[DISKS];	/* what lies in the judge's files */
	uint64_t shown_size[DISKS];
	uint8_t *state[DISKS];	/* what is being judged */
	uint64_t state_size[DISKS];
	bool gone[DISKS];	/* it has no name */
	char why[3072];
};

static uint64_t cut_seed = 1;
static unsigned cut_factor = 1;
static unsigned cut_total;	/* states in all scenarios */

static inline uint64_t cut_random(struct powercut *c, uint64_t below)
{
	c->rnd = c->rnd * 6364136223846793005ull + 1442695040888963407ull;
	return (c->rnd >> 33) % below;
}

/* Setup of the group. */
static inline int cut_enter(void **state)
{
	const char *seed = getenv("BLKMON_SEED");
	const char *factor = getenv("BLKMON_CRASH");

	if (seed)
		cut_seed = strtoull(seed, NULL, 0);
	if (factor)
		cut_factor = (unsigned)strtoul(factor, NULL, 0);
	return scratch_enter_memory(state);
}

/* Teardown of the group. */
static inline int cut_leave(void **state)
{
	fprintf(stderr, "# %u states judged\n", cut_total);
	return scratch_leave(state);
}

static inline bool have_qemu_img(void)
{
	static int have = -1;

	if (have < 0)
		have = !system("command -v qemu-img >/dev/null 2>&1");
	return have;
}

static inline void cut_init(struct powercut *c, const char *what,
			    const char *active, unsigned budget)
{
	memset(c, 0, sizeof(*c));
	c->what = what;
	c->active = active;
	/* every scenario has numbers of its own */
	c->rnd = cut_seed;
	for (; *what; what++)
		c->rnd = c->rnd * 31 + (unsigned char)*what;
	c->budget = budget * cut_factor / SLOW_BUILD;
	history_init(&c->h);
	if (system("rm -rf cut && mkdir cut"))
		abort();
}

/* --- what the guest does --- */

static uint64_t stamp;

/* No two sectors ever written are alike. */
static inline void fill_stamps(uint8_t *buf, uint64_t len)
{
	for (uint64_t i = 0; i < len; i += 8) {
		uint64_t v = 0x0101010101010101 * (stamp & 0xff);

		if (!(i % SECTOR))
			v = ++stamp << 16 | 0xf00d;
		memcpy(buf + i, &v, (size_t)min_u64(8, len - i));
	}
}

static inline unsigned guest_disk(struct powercut *c)
{
	return history_find(&c->h, GUEST);
}

/* What the guest's disk shows now is durable. */
static inline void guest_start(struct powercut *c, struct node *top)
{
	uint64_t size = top->size;
	uint8_t *data = malloc(size + 1);

	if (node_read(top, 0, size, data))
		abort();
	history_disk(&c->h, GUEST, data, size);
}

/* --- states --- */

enum cut_how {
	CUT_ALL,		/* of what is loose, everything is there */
	CUT_NONE,
	CUT_WITHOUT,		/* one operation is not there */
	CUT_ONLY,		/* only one is */
	CUT_FROM,		/* those from one on are, none before */
	CUT_SOME,		/* each with some chance */
	CUT_TORN,		/* the same for each sector */
	CUT_HOWS
};

struct cut {
	enum cut_how how;
	size_t op;		/* WITHOUT, ONLY, FROM */
	unsigned chance;	/* SOME, TORN: in 8ths */
};

static inline bool cut_has(struct powercut *c, const struct cut *cut, size_t op)
{
	switch (cut->how) {
	case CUT_NONE:
		return false;
	case CUT_WITHOUT:
		return op != cut->op;
	case CUT_ONLY:
		return op == cut->op;
	case CUT_FROM:
		return op >= cut->op;
	case CUT_SOME:
		return cut_random(c, 8) < cut->chance;
	default:
		return true;
	}
}

static inline void build_torn(struct powercut *c, const struct cut *cut,
			      const struct op *op, unsigned n)
{
	const struct disk *d = &c->h.disk[n];
	uint64_t last = 0;

	if (op->kind == OP_RESIZE) {
		if (cut_random(c, 8) < cut->chance)
			op_put_size(d, op, c->state[n], &c->state_size[n]);
		return;
	}
	for (uint64_t i = 0; i < op->count; i++)
		if (cut_random(c, 8) < cut->chance) {
			op_put_sector(op, i, c->state[n]);
			last = min_u64((op->first + i + 1) * SECTOR, op->size);
		}
	c->state_size[n] = max_u64(c->state_size[n], last);
}

static inline void build_disk(struct powercut *c, const struct cut *cut,
			      unsigned n)
{
	const struct disk *d = &c->h.disk[n];

	c->gone[n] = !history_has_name(&c->h, d) &&
		     (cut->how == CUT_NONE ||
		      (cut->how != CUT_ALL && cut_random(c, 2)));
	memcpy(c->state[n], d->img, d->room);
	c->state_size[n] = d->img_size;
	for (size_t i = 0; i < d->looses; i++) {
		const struct op *op = &c->h.op[d->loose[i]];

		if (cut->how == CUT_TORN)
			build_torn(c, cut, op, n);
		else if (cut_has(c, cut, d->loose[i]))
			op_put(d, op, c->state[n], &c->state_size[n]);
	}
	memset(c->state[n] + c->state_size[n], 0,
	       d->room - c->state_size[n]);
}

/* Makes file cut/NAME be the state, writing what differs. */
static inline void show_disk(struct powercut *c, unsigned n)
{
	const struct disk *d = &c->h.disk[n];
	const uint64_t step = 4096;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "cut/%s", d->name);
	if (c->gone[n]) {
		unlink(path);
		memset(c->shown[n], 0, d->room);
		c->shown_size[n] = 0;
		return;
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		abort();
	if (c->shown_size[n] != c->state_size[n] &&
	    ftruncate(fd, (off_t)c->state_size[n]))
		abort();
	if (c->state_size[n] < c->shown_size[n])
		memset(c->shown[n] + c->state_size[n], 0,
		       d->room - c->state_size[n]);
	for (uint64_t at = 0; at < c->state_size[n]; at += step) {
		size_t len = (size_t)min_u64(step, c->state_size[n] - at);

		if (!memcmp(c->shown[n] + at, c->state[n] + at, len))
			continue;
		if (pwrite(fd, c->state[n] + at, len, (off_t)at) !=
		    (ssize_t)len)
			abort();
		memcpy(c->shown[n] + at, c->state[n] + at, len);
	}
	c->shown_size[n] = c->state_size[n];
	close(fd);
}

/* --- judging --- */

static inline const char *active_at(const struct powercut *c)
{
	return c->active_then && c->h.at >= c->active_from ? c->active_then
							    : c->active;
}

static inline int open_layer(struct graph *g, const char *name,
			     const char *format, const char *data,
			     bool writable, struct node **out,
			     struct err *err)
{
	char path[1100], file[64];
	struct node_options o = {
		.path = path, .format = format, .read_only = !writable,
		.no_backing = true, .data_file = data ? file : NULL,
	};

	snprintf(path, sizeof(path), "cut/%s", name);
	snprintf(file, sizeof(file), "cut/%s", data ? data : "");
	if (node_open(out, &o, err))
		return -1;
	return graph_add(g, *out, err);
}

/* The chain as the headers say. NULL and c->why if it does not open. */
static inline struct node *open_chain(struct powercut *c, struct graph *g,
				      bool writable)
{
	const char *name = active_at(c), *format;
	struct node *top = NULL, *above = NULL, *node;
	struct err err = ERR_INIT;

	format = strstr(name, "raw") ? "raw" : "qcow2";
	while (name) {
		if (open_layer(g, name, format, above ? NULL : c->data,
			       writable && !above, &node, &err)) {
			snprintf(c->why, sizeof(c->why), "%s does not open: %s",
				 name, err.text);
			if (top)
				graph_put(top);
			return NULL;
		}
		if (above) {
			graph_link(above, node);
			graph_put(node);
		} else {
			top = node;
		}
		above = node;
		name = node->backing_name;
		format = node->backing_format;
	}
	return top;
}

static inline bool judge_content(struct powercut *c, struct node *top)
{
	const struct disk *d = &c->h.disk[guest_disk(c)];
	uint64_t size = top->size, i;
	uint8_t *buf = malloc(size + SECTOR);

	*c->why = 0;
	if (!history_could_have_size(&c->h, d, size))
		snprintf(c->why, sizeof(c->why), "size is %llu",
			 (unsigned long long)size);
	else if (node_read(top, 0, size, buf))
		snprintf(c->why, sizeof(c->why), "it can't be read");
	for (i = 0; !*c->why && i < size / SECTOR; i++)
		if (!history_could_hold(&c->h, d, i, buf + i * SECTOR))
			snprintf(c->why, sizeof(c->why), "wrong content at "
				 "%llx: %02x (durable: %02x)",
				 (unsigned long long)i * SECTOR,
				 buf[i * SECTOR], d->img[i * SECTOR]);
	free(buf);
	return !*c->why;
}

static inline bool judge_images(struct powercut *c)
{
	char why[256];

	for (unsigned n = 0; n < c->h.disks; n++)
		if (n != guest_disk(c) && !c->gone[n] &&
		    !qcow2_judge_cut(c->state[n], c->state_size[n],
				     c->lagging, why, sizeof(why))) {
			snprintf(c->why, sizeof(c->why), "%s: %s",
				 c->h.disk[n].name, why);
			return false;
		}
	return true;
}

/* 3: clusters are leaked, no error. */
static inline bool judge_by_qemu(struct powercut *c)
{
	char cmd[256];
	int rc;

	c->forks++;
	for (unsigned n = 0; n < c->h.disks; n++) {
		if (n == guest_disk(c) || c->gone[n] ||
		    c->state_size[n] < 512 ||
		    get_be32(c->state[n]) != 0x514649fb ||
		    (c->state[n][7] > 2 && c->state[n][79] & 1))
			continue;
		snprintf(cmd, sizeof(cmd),
			 "qemu-img check -q \"json:{'driver':'qcow2',"
			 "'backing':null,'file':{'driver':'file','filename':"
			 "'cut/%s'}}\" >/dev/null 2>&1", c->h.disk[n].name);
		rc = system(cmd);
		if (rc && rc != 3 << 8) {
			snprintf(c->why, sizeof(c->why), "qemu-img check of "
				 "%s: status %d", c->h.disk[n].name, rc >> 8);
			return false;
		}
	}
	return true;
}

static inline bool judge_chain(struct powercut *c)
{
	struct graph g;
	struct node *top;
	bool ok;

	graph_init(&g);
	top = open_chain(c, &g, false);
	ok = top && judge_content(c, top);
	if (top)
		graph_put(top);
	graph_release(&g);
	return ok;
}

/* The file was written: the next state writes what is different from this. */
static inline void reload(struct powercut *c, unsigned n)
{
	char path[64];
	uint64_t size;
	uint8_t *img;

	snprintf(path, sizeof(path), "cut/%s", c->h.disk[n].name);
	img = recorder_load(path, &size);
	free(c->shown[n]);
	c->shown[n] = calloc(1, max_u64(size, c->h.disk[n].room));
	memcpy(c->shown[n], img, size);
	c->shown_size[n] = size;
	free(img);
}

static inline bool judge_active_file(struct powercut *c)
{
	unsigned n = history_find(&c->h, active_at(c));
	char why[256];

	reload(c, n);
	if (c->data)
		reload(c, history_find(&c->h, c->data));
	if (qcow2_judge_cut(c->shown[n], c->shown_size[n], c->lagging, why,
			    sizeof(why)))
		return true;
	snprintf(c->why, sizeof(c->why), "after more writes: %s", why);
	return false;
}

/* Life goes on: a few writes into what the cut left. */
static inline bool judge_life(struct powercut *c)
{
	struct graph g;
	struct node *top;
	uint8_t buf[3 * SECTOR], back[sizeof(buf)];
	bool ok = true;

	memset(buf, 0xa5, sizeof(buf));
	graph_init(&g);
	top = open_chain(c, &g, true);
	for (int i = 0; i < 8 && top && ok; i++) {
		uint64_t off = cut_random(c, top->size - sizeof(buf));

		ok = !node_write(top, off, sizeof(buf), buf) &&
		     !node_read(top, off, sizeof(buf), back) &&
		     !memcmp(buf, back, sizeof(buf));
	}
	if (top && (!ok || node_flush(top)))
		snprintf(c->why, sizeof(c->why), "no more writes");
	ok = ok && top && !*c->why;
	if (top)
		graph_put(top);
	graph_release(&g);
	return judge_active_file(c) && ok;
}

static inline void judge(struct powercut *c, const struct cut *cut)
{
	static const char *const words[] = {
		"all", "none", "without", "only", "from", "some", "torn",
	};
	bool ok;

	*c->why = 0;
	for (unsigned n = 0; n < c->h.disks; n++)
		if (n != guest_disk(c))
			build_disk(c, cut, n);
	ok = judge_images(c);
	for (unsigned n = 0; n < c->h.disks; n++)
		if (n != guest_disk(c))
			show_disk(c, n);
	ok = ok && judge_chain(c);
	if (ok && cut_random(c, 100) == 0 && !c->lagging && have_qemu_img())
		ok = judge_by_qemu(c);
	if (ok && cut_random(c, 16) == 0)
		ok = judge_life(c);
	c->states++;
	cut_total++;
	if (!ok)
		history_print(&c->h);
	if (!ok)
		fail_msg("%s, BLKMON_SEED=%llu: cut before event %zu of %zu, "
			 "%s %zu: %s", c->what, (unsigned long long)cut_seed,
			 c->h.at, c->h.events, words[cut->how], cut->op,
			 c->why);
}

/* One of the loose operations on files, or SIZE_MAX. */
static inline size_t any_loose(struct powercut *c)
{
	size_t count = 0, n;

	for (unsigned i = 0; i < c->h.disks; i++)
		if (i != guest_disk(c))
			count += c->h.disk[i].looses;
	if (!count)
		return SIZE_MAX;
	n = cut_random(c, count);
	for (unsigned i = 0; i < c->h.disks; i++) {
		if (i == guest_disk(c))
			continue;
		if (n < c->h.disk[i].looses)
			return c->h.disk[i].loose[n];
		n -= c->h.disk[i].looses;
	}
	return SIZE_MAX;
}

static inline void judge_some(struct powercut *c, unsigned n)
{
	while (n--) {
		struct cut cut = {
			.how = (enum cut_how)(CUT_WITHOUT +
				cut_random(c, CUT_HOWS - CUT_WITHOUT)),
			.op = any_loose(c),
			.chance = 1 + (unsigned)cut_random(c, 7),
		};

		if (cut.op == SIZE_MAX)
			return;
		judge(c, &cut);
	}
}

/* How many cuts lie before an end of a flush, and how many behind the begin
 * of something else. */
static inline void count_cuts(const struct history *h, unsigned guest,
			      size_t *flushes, size_t *writes)
{
	*flushes = *writes = 0;
	for (size_t i = 0; i < h->events; i++) {
		const struct op *op = &h->op[h->event[i].op];

		*flushes += op->kind == OP_FLUSH && h->event[i].end;
		*writes += op->kind != OP_FLUSH && !h->event[i].end &&
			   op->disk != guest;
	}
}

static inline void judge_all(struct powercut *c)
{
	const struct cut all = { .how = CUT_ALL }, none = { .how = CUT_NONE };
	size_t flushes, writes, left;
	unsigned many;

	count_cuts(&c->h, guest_disk(c), &flushes, &writes);
	left = 2 * flushes + writes;
	left = c->budget > left ? c->budget - left : 0;
	many = (unsigned)(left / 2 / (flushes + 1)) +
	       (cut_factor / SLOW_BUILD ? 3 : 0);
	history_rewind(&c->h);
	while (c->h.at < c->h.events) {
		struct op *op = &c->h.op[c->h.event[c->h.at].op];

		if (op->kind == OP_FLUSH && c->h.event[c->h.at].end) {
			judge(c, &none);
			judge_some(c, many);
			history_step(&c->h);
			judge(c, &none);
			continue;
		}
		history_step(&c->h);
		if (op->kind == OP_FLUSH || op->end == c->h.at ||
		    op->disk == guest_disk(c))
			continue;
		if (cut_random(c, 2 * writes + 1) < c->budget)
			judge(c, &all);
		judge_some(c, (unsigned)((left / 2 + cut_random(c, writes)) /
					 (writes + 1)));
	}
	judge(c, &all);
	judge(c, &none);
}

/* Judges the history; the hook is gone, the images are closed. */
static inline void cut_judge(struct powercut *c)
{
	unsigned n;

	for (n = 0; n < c->h.disks; n++) {
		c->shown[n] = calloc(1, c->h.disk[n].room);
		c->state[n] = calloc(1, c->h.disk[n].room);
	}
	judge_all(c);
	for (n = 0; n < c->h.disks; n++) {
		char path[64];

		snprintf(path, sizeof(path), "cut/%s", c->h.disk[n].name);
		unlink(path);
		free(c->shown[n]);
		free(c->state[n]);
	}
	history_release(&c->h);
	rmdir("cut");
}

#endif
