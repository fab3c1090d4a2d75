/* mirror.c - see mirror.h. */
#include "engine/job/mirror.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/chain/node_io.h"
#include "engine/job/copy.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define REPEAT_BYTES (1u << 20)

static struct mirror *mirror_of(struct tap *tap)
{
	return container_of(tap, struct mirror, tap);
}

/* `failed` after `lost`: whoever sees the one finds the other. */
static void mirror_fell_behind(struct mirror *m, uint64_t off, int rc)
{
	uint64_t lost = atomic_load(&m->lost);

	while (off < lost &&
	       !atomic_compare_exchange_weak(&m->lost, &lost, off))
		;
	atomic_store(&m->failed, rc);
}

/* @rc is how the change of the target ended. */
static void mirror_judge(struct mirror *m, const struct change *c, int rc)
{
	if (rc)
		mirror_fell_behind(m, align_down(c->off, COPY_PIECE), rc);
}

static bool is_behind(const struct mirror *m, const struct change *c)
{
	return c->off < atomic_load(&m->cursor);
}

static int repeat_change(struct mirror *m, const struct change *c)
{
	return c->data ? node_write(m->target, c->off, c->len, c->data) :
			 node_zero(m->target, c->off, c->len,
				   c->unmap ? ZERO_UNMAP : 0);
}

/* The target gets what the drive shows now, for the job will not look there
 * again. Range held. */
static int repeat_outcome(struct mirror *m, const struct change *c)
{
	uint64_t end = c->off + c->len, n;
	char *buf = buf_new(min_u64(c->len, REPEAT_BYTES));
	int rc = buf ? 0 : -ENOMEM;

	for (uint64_t off = c->off; off < end && !rc; off += n) {
		n = min_u64(end - off, REPEAT_BYTES);
		rc = node_read_held(m->node, off, n, buf);
		if (!rc)
			rc = node_write(m->target, off, n, buf);
	}
	free(buf);
	return rc;
}

static void mirror_done(struct tap *tap, const struct change *c)
{
	struct mirror *m = mirror_of(tap);

	if (is_behind(m, c))
		mirror_judge(m, c, repeat_change(m, c));
}

static void mirror_failed(struct tap *tap, const struct change *c)
{
	struct mirror *m = mirror_of(tap);

	if (is_behind(m, c))
		mirror_judge(m, c, repeat_outcome(m, c));
}

/* Of a failure the job is told, not the guest. */
static void mirror_flush(struct tap *tap)
{
	struct mirror *m = mirror_of(tap);
	int rc = atomic_load(&m->durable) ? node_flush(m->target) : 0;

	if (rc)
		mirror_fell_behind(m, MIRROR_WHOLE, rc);
}

void mirror_open(struct mirror *m, struct drive *drive, struct node *target)
{
	*m = (struct mirror){
		.tap = { .done = mirror_done, .failed = mirror_failed,
			 .flush = mirror_flush },
		.drive = drive, .node = drive->root.node, .target = target,
		.lost = MIRROR_WHOLE,
	};
	graph_hold_gate(drive->graph, &drive->gate);
	drive->tap = &m->tap;
}

void mirror_close(struct mirror *m)
{
	if (m->drive->tap != &m->tap)
		return;
	graph_hold_gate(m->drive->graph, &m->drive->gate);
	m->drive->tap = NULL;
}
