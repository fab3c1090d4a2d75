/* stall.h - a host that stands still where a test says, and what is done
 * beside it: an engine with a guest on "disk0", and an image "slow".
 *
 * A hook stands in for the host: the next operation of a file waits until the
 * test lets it go on.
 */
#ifndef BLKMON_TESTS_STALL_H
#define BLKMON_TESTS_STALL_H

#include <fcntl.h>
#include <semaphore.h>
#include <time.h>

#include "tests/unit/engine_fixture.h"

#include "engine/disk.h"
#include "engine/util/thread.h"

#define SLOW "slow"
#define PATIENCE 60		/* seconds, before a test gives up */

/* --- a host that stands still --- */

static struct {
	struct lock lock;		/* of these: */
	const char *path;		/* NULL: it goes on */
	enum file_op op;
	sem_t reached, go_on;
} stall;

static inline bool stalls(const struct file *f, enum file_op op)
{
	bool hit;

	lock_take(&stall.lock);
	hit = stall.path && op == stall.op && !strcmp(f->path, stall.path);
	if (hit)
		stall.path = NULL;
	lock_drop(&stall.lock);
	return hit;
}

static inline int stall_hook(const struct file *f, enum file_op op,
			     uint64_t off, uint64_t len, const void *buf)
{
	(void)off;
	(void)len;
	(void)buf;
	if (!stalls(f, op))
		return 0;
	sem_post(&stall.reached);
	while (sem_wait(&stall.go_on) && errno == EINTR)
		;
	return 0;
}

static inline bool await(sem_t *sem)
{
	struct timespec until;
	int rc;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE;
	do
		rc = sem_timedwait(sem, &until);
	while (rc && errno == EINTR);
	return !rc;
}

/* The next such operation waits; NULL: none. */
static inline void stall_next(const char *path, enum file_op op)
{
	lock_take(&stall.lock);
	stall.path = path;
	stall.op = op;
	lock_drop(&stall.lock);
}

/* --- what is done meanwhile --- */

struct act {
	int (*fn)(struct err *why);
	struct err why;
	int rc;
	sem_t done;
	pthread_t thread;
};

static inline void act_main(void *arg)
{
	struct act *act = arg;

	act->rc = act->fn(&act->why);
	sem_post(&act->done);
}

static inline void act_begin(struct act *act, int (*fn)(struct err *why))
{
	*act = (struct act){ .fn = fn };
	sem_init(&act->done, 0, 0);
	assert_int_equal(thread_start(&act->thread, "act", act_main, act), 0);
}

static inline void act_end(struct act *act)
{
	thread_join(act->thread);
	sem_destroy(&act->done);
	if (act->rc)
		fail_msg("%s", act->why.text);
}

static struct disk *other;		/* disk0, as a guest of it has it */

/* All that a guest can ask for. */
static inline int guest_works(struct err *why)
{
	struct extent extent[4];
	char buf[4096], want[4096];
	size_t n;
	int rc;

	memset(want, 0x5a, sizeof(want));
	rc = disk_write(other, 8192, sizeof(want), want, false);
	if (!rc)
		rc = disk_zero(other, MIB, 65536, true, false);
	if (!rc)
		rc = disk_read(other, 8192, sizeof(buf), buf);
	if (!rc && memcmp(buf, want, sizeof(buf)))
		rc = -EBADMSG;
	if (!rc)
		rc = disk_extents(other, 0, MIB, extent, 4, &n);
	if (!rc)
		rc = disk_flush(other);
	if (!rc && disk_size(other) != 8 * MIB)
		rc = -EBADMSG;
	return rc ? err_sys(why, rc, "the guest") : 0;
}

/* Those who only look. */
static inline int look_around(struct err *why)
{
	struct node_info *nodes;
	struct drive_info *drives;
	size_t n;

	if (engine_query_nodes(engine, &nodes, &n))
		return err_sys(why, ENOMEM, "nodes");
	node_info_free(nodes, n);
	if (engine_query_drives(engine, &drives, &n))
		return err_sys(why, ENOMEM, "drives");
	free(drives);
	return 0;
}

/* @change waits for the host; @meanwhile does not wait for it. */
static inline void assert_beside(const char *path, enum file_op op,
				 int (*change)(struct err *why),
				 int (*meanwhile)(struct err *why))
{
	struct act slow, quick;
	bool reached, done = false;

	stall_next(path, op);
	act_begin(&slow, change);
	reached = await(&stall.reached);
	if (reached) {
		act_begin(&quick, meanwhile);
		done = await(&quick.done);
	}
	stall_next(NULL, op);
	sem_post(&stall.go_on);
	act_end(&slow);
	if (reached)
		act_end(&quick);
	assert_true(reached);
	assert_true(done);
}

/* --- the disks --- */

static inline int waiting_enter(void **state)
{
	struct disk_options o = { .device = "disk0", .writable = true };

	lock_init(&stall.lock);
	sem_init(&stall.reached, 0, 0);
	sem_init(&stall.go_on, 0, 0);
	if (enter(state))
		return -1;
	file_set_hook(stall_hook);
	other = disk_open(engine, &o, &err);
	run("qemu-img create -q -f qcow2 -o lazy_refcounts=on " SLOW " 8M");
	return other ? 0 : -1;
}

static inline int waiting_leave(void **state)
{
	int rc;

	disk_close(other);
	rc = leave(state);
	file_set_hook(NULL);
	sem_destroy(&stall.reached);
	sem_destroy(&stall.go_on);
	lock_release(&stall.lock);
	return rc;
}

static inline void make_dirty(const char *path)
{
	unsigned char bits = 1;
	int fd = open(path, O_WRONLY);

	assert_int_equal(pwrite(fd, &bits, 1, 79), 1);
	close(fd);
}

static inline int add_slow(struct err *why)
{
	struct drive_options o = {
		.id = "disk1", .node = { .path = SLOW, .format = "qcow2" },
	};

	return engine_add_drive(engine, &o, why);
}

static inline int write_slow(struct err *why)
{
	char buf[4096] = { 1 };

	return engine_write(engine, "disk1", 0, sizeof(buf), buf, false, why);
}

static inline int del_slow(struct err *why)
{
	return engine_drive_del(engine, "disk1", why);
}

static inline int internal_snapshot(struct err *why)
{
	return engine_snapshot_internal(engine, "disk1", "i1", why);
}

static inline int internal_delete(struct err *why)
{
	struct snapshot_info info;
	int rc = engine_snapshot_delete(engine, "disk1", NULL, "i1", &info,
					why);

	if (!rc)
		snapshot_info_release(&info);
	return rc;
}

static inline struct blockdev_options slow_options(void)
{
	return (struct blockdev_options){
		.driver = "qcow2", .node_name = "n1", .filename = SLOW,
		.file_name = "f1", .file_driver = "file",
	};
}

static inline int blockdev_add_slow(struct err *why)
{
	struct blockdev_options o = slow_options();

	return engine_blockdev_add(engine, &o, why);
}

static inline int blockdev_del_slow(struct err *why)
{
	return engine_blockdev_del(engine, "n1", why);
}

static inline void must_do(int (*fn)(struct err *why))
{
	if (fn(&err))
		fail_msg("%s", err.text);
}

#endif
