/* test_qcow2_check.c - what mending leaves behind when the power goes, and
 * large files counted piece by piece. What a check finds is compared with
 * qemu-img in tests/engine/test_check.py.
 */
#include "tests/unit/qcow2_fixture.h"

#include "engine/image/check.h"
#include "engine/image/qcow2/qcow2_image.h"

#define SHELL_MAKE \
	"qemu-img create -q -f qcow2 -o cluster_size=1024 \"$I\" 2M && " \
	"qemu-io -f qcow2 -c 'write -P 1 0 500k' -c 'write -P 2 1M 600k' " \
	"-c 'write -z 512k 4k' -c 'write -P 3 600k 4k' \"$I\" && " \
	"qemu-img snapshot -c one \"$I\" && " \
	"qemu-io -f qcow2 -c 'write -P 4 8k 8k' -c 'write -P 5 1600k 9k' " \
	"\"$I\""
#define CLUSTER 1024u
#define PER_BLOCK (CLUSTER / 2)	/* refcounts */
#define DISK (2u << 20)

struct world {
	struct image img;
	struct qcow2_header h;
};

static bool world_new(struct world *w)
{
	*w = (struct world){ 0 };
	image_new_empty(&w->img);
	if (image_shell(&w->img, SHELL_MAKE)) {
		image_free(&w->img);
		skip();
	}
	image_read(&w->img, &w->h);
	return true;
}

static void world_free(struct world *w)
{
	qcow2_header_release(&w->h);
	image_free(&w->img);
}

static uint64_t read_u64(struct file *file, uint64_t at)
{
	uint8_t raw[8];

	assert_int_equal(file_read(file, at, raw, sizeof(raw)), 0);
	return get_be64(raw);
}

/* Where the entry of a guest's cluster lies, 0 where there is no table. */
static uint64_t entry_at(struct file *file, uint64_t cluster)
{
	uint64_t l1 = read_u64(file, QCOW2_AT_L1);
	uint64_t table = read_u64(file, l1 + cluster / (CLUSTER / 8) * 8) &
		QCOW2_OFFSET_MASK;

	return table ? table + cluster % (CLUSTER / 8) * 8 : 0;
}

/* What the guest reads: no backing file, nothing compressed. */
static void read_disk(struct file *file, uint8_t *to)
{
	memset(to, 0, DISK);
	for (uint64_t k = 0; k < DISK / CLUSTER; k++) {
		uint64_t at = entry_at(file, k);
		uint64_t e = at ? read_u64(file, at) : 0;

		if (e & QCOW2_OFFSET_MASK && !(e & QCOW2_ZERO))
			assert_int_equal(file_read(file,
					 e & QCOW2_OFFSET_MASK,
					 to + k * CLUSTER, CLUSTER), 0);
	}
}

static struct check_report look(struct file *file, unsigned fix,
				uint32_t counters)
{
	struct check_options o = { .fix = fix, .counters = counters };
	struct err err = ERR_INIT;
	struct check_report r;

	if (driver_qcow2.check(file, &o, &r, &err))
		fail_msg("%s", err.text);
	return r;
}

/* --- damage --- */

static uint64_t refcount_at(struct world *w, uint64_t cluster)
{
	uint64_t per = PER_BLOCK;

	return read_u64(w->img.file, w->h.rt_offset + cluster / per * 8) +
		cluster % per * 2;
}

static void counts_too_high(struct world *w)
{
	for (uint64_t k = 30; k < 40; k++)
		image_patch(&w->img, refcount_at(w, k), 2, 3);
}

static void counts_too_low(struct world *w)
{
	for (uint64_t k = 0; k < 8; k++) {
		uint64_t e = read_u64(w->img.file, entry_at(w->img.file, k));

		image_patch(&w->img, refcount_at(w, (e & QCOW2_OFFSET_MASK) /
						 CLUSTER), 2, 1);
	}
}

static void counts_gone(struct world *w)
{
	counts_too_high(w);
	image_patch(&w->img, refcount_at(w, 60), 8, 0);
}

static void block_gone(struct world *w)
{
	image_patch(&w->img, w->h.rt_offset, 8, 0);
}

static void flags_wrong(struct world *w)
{
	for (uint64_t k = 0; k < 60; k++) {
		uint64_t at = entry_at(w->img.file, k);

		image_patch(&w->img, at, 8, read_u64(w->img.file, at) ^
			    QCOW2_COPIED);
	}
}

static void zeroes_odd(struct world *w)
{
	uint64_t at = entry_at(w->img.file, (512u << 10) / CLUSTER);

	image_patch(&w->img, at, 8, (20u * CLUSTER + 512) | QCOW2_ZERO);
	counts_too_high(w);
}

/* Its entry has extra data of 24 bytes. */
static void snapshot_short(struct world *w)
{
	uint8_t tail[64];

	assert_int_equal(file_read(w->img.file, w->h.snapshots_offset + 64,
				   tail, sizeof(tail)), 0);
	image_put(&w->img, w->h.snapshots_offset + 48, tail, sizeof(tail));
	image_patch(&w->img, w->h.snapshots_offset + 36, 4, 8);
}

static void entry_behind_end(struct world *w)
{
	uint64_t end = align_up(w->img.file->size, CLUSTER);

	image_patch(&w->img, entry_at(w->img.file, 100), 8,
		    (end + 3 * CLUSTER) | QCOW2_COPIED);
	block_gone(w);
}

static void dirty(struct world *w)
{
	counts_too_low(w);
	image_patch(&w->img, QCOW2_AT_INCOMPATIBLE, 8, QCOW2_INCOMPAT_DIRTY);
}

static const struct damage {
	const char *name;
	void (*make)(struct world *w);
} damages[] = {
	{ "counts too high", counts_too_high },
	{ "counts too low", counts_too_low },
	{ "counts gone", counts_gone },
	{ "block gone", block_gone },
	{ "flags wrong", flags_wrong },
	{ "zeroes odd", zeroes_odd },
	{ "snapshot short", snapshot_short },
	{ "entry behind the end", entry_behind_end },
	{ "dirty", dirty },
};

#define DAMAGES (sizeof(damages) / sizeof(*damages))

/* --- what was written while it was mended --- */

struct step {
	bool flush;
	uint64_t off, len;
	uint8_t *data;
};

static struct step steps[8192];
static size_t step_count;

static int record(const struct file *f, enum file_op op, uint64_t off,
		  uint64_t len, const void *buf)
{
	struct step *e = &steps[step_count];

	(void)f;
	if (op != FILE_OP_WRITE && op != FILE_OP_FLUSH)
		return 0;
	assert_true(++step_count < sizeof(steps) / sizeof(*steps));
	*e = (struct step){ .flush = op == FILE_OP_FLUSH, .off = off,
			     .len = len };
	if (!e->flush) {
		e->data = mem_alloc(len);
		memcpy(e->data, buf, len);
	}
	return 0;
}

static void forget(void)
{
	for (size_t i = 0; i < step_count; i++)
		free(steps[i].data);
	step_count = 0;
}

static uint64_t rnd = 1;

static unsigned chance(unsigned below)
{
	rnd = rnd * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(rnd >> 33) % below;
}

/* Some sectors of a write that no flush made durable. */
static void put_loose(struct image *img, const struct step *e)
{
	for (uint64_t at = 0; at < e->len; at += 512)
		if (chance(2))
			image_put(img, e->off + at, e->data + at,
				  min_u64(512, e->len - at));
}

/* The file as it may be when the power goes before step @n. */
static void cut_at(struct image *img, const uint8_t *before, uint64_t size,
		   size_t n)
{
	size_t durable = 0;

	assert_int_equal(file_truncate(img->file, 0), 0);
	image_put(img, 0, before, size);
	for (size_t i = 0; i < n; i++)
		if (steps[i].flush)
			durable = i;
	for (size_t i = 0; i < n; i++) {
		if (steps[i].flush)
			continue;
		if (i < durable)
			image_put(img, steps[i].off, steps[i].data,
				  steps[i].len);
		else
			put_loose(img, &steps[i]);
	}
}

static void judge_cut(struct world *w, const struct damage *d, size_t n,
		      const uint8_t *disk, uint8_t *now,
		      const struct check_report *was)
{
	struct check_report r = look(w->img.file, 0, 0);

	if (r.corruptions > was->corruptions || r.check_errors)
		fail_msg("%s, cut at %zu: %llu corruptions, were %llu",
			 d->name, n, (unsigned long long)r.corruptions,
			 (unsigned long long)was->corruptions);
	read_disk(w->img.file, now);
	if (memcmp(disk, now, DISK))
		fail_msg("%s, cut at %zu: the disk reads differently",
			 d->name, n);
	r = look(w->img.file, CHECK_FIX_ALL, 0);
	if (r.corruptions || r.leaks)
		fail_msg("%s, cut at %zu: a second time leaves %llu "
			 "corruptions, %llu leaks", d->name, n,
			 (unsigned long long)r.corruptions,
			 (unsigned long long)r.leaks);
}

static void cut_everywhere(const struct damage *d)
{
	struct world w;
	uint8_t *before, *disk = mem_alloc(DISK), *now = mem_alloc(DISK);
	struct check_report was;
	uint64_t size;

	if (!world_new(&w))
		return;
	d->make(&w);
	size = w.img.file->size;
	before = mem_alloc(size);
	assert_int_equal(file_read(w.img.file, 0, before, size), 0);
	read_disk(w.img.file, disk);
	was = look(w.img.file, 0, 0);
	assert_true(was.corruptions || was.leaks);
	file_set_hook(record);
	look(w.img.file, CHECK_FIX_ALL, 0);
	file_set_hook(NULL);
	assert_true(step_count > 1);
	for (size_t n = 0; n <= step_count; n++)
		for (int turn = 0; turn < 4; turn++) {
			cut_at(&w.img, before, size, n);
			judge_cut(&w, d, n, disk, now, &was);
		}
	forget();
	free(before);
	free(disk);
	free(now);
	world_free(&w);
}

static void power_cuts(void **state)
{
	(void)state;
	for (size_t i = 0; i < DAMAGES; i++)
		cut_everywhere(&damages[i]);
}

/* --- windows --- */

static void assert_same(const struct check_report *a,
			const struct check_report *b, const char *what)
{
	if (memcmp(a, b, sizeof(*a)))
		fail_msg("%s: %llu, %llu corruptions, %llu, %llu leaks, "
			 "%llu, %llu fixed", what,
			 (unsigned long long)a->corruptions,
			 (unsigned long long)b->corruptions,
			 (unsigned long long)a->leaks,
			 (unsigned long long)b->leaks,
			 (unsigned long long)a->corruptions_fixed,
			 (unsigned long long)b->corruptions_fixed);
}

static uint8_t *load(struct image *img, uint64_t *size)
{
	uint8_t *all;

	*size = img->file->size;
	all = mem_alloc(*size);
	assert_int_equal(file_read(img->file, 0, all, *size), 0);
	return all;
}

/* A file has more clusters than are counted at a time: all is the same. */
static void small_windows(void **state)
{
	(void)state;
	for (size_t i = 0; i < DAMAGES; i++) {
		struct check_report a, b;
		uint8_t *before, *mended, *again;
		uint64_t size, n, m;
		struct world w;

		if (!world_new(&w))
			return;
		damages[i].make(&w);
		before = load(&w.img, &size);
		assert_true(size / CLUSTER > 2 * PER_BLOCK);
		a = look(w.img.file, 0, 0);
		b = look(w.img.file, 0, PER_BLOCK);
		assert_same(&a, &b, damages[i].name);
		a = look(w.img.file, CHECK_FIX_ALL, 0);
		mended = load(&w.img, &n);
		assert_int_equal(file_truncate(w.img.file, 0), 0);
		image_put(&w.img, 0, before, size);
		b = look(w.img.file, CHECK_FIX_ALL, PER_BLOCK);
		again = load(&w.img, &m);
		assert_same(&a, &b, damages[i].name);
		assert_int_equal(n, m);
		assert_memory_equal(mended, again, n);
		free(before);
		free(mended);
		free(again);
		world_free(&w);
	}
}

/* A device is as long as it is: new refcounts find a place inside, and where
 * there is none nothing is changed. */
static void on_a_device(void **state)
{
	(void)state;
	for (int place = 0; place < 2; place++) {
		struct check_options o = { .fix = CHECK_FIX_ALL };
		struct err err = ERR_INIT;
		struct check_report r;
		uint8_t *disk = mem_alloc(DISK), *now = mem_alloc(DISK);
		uint64_t size;
		struct world w;

		if (!world_new(&w))
			return;
		size = align_up(w.img.file->size, CLUSTER) +
			(place ? 64 * CLUSTER : 0);
		assert_int_equal(file_truncate(w.img.file, size), 0);
		block_gone(&w);
		read_disk(w.img.file, disk);
		w.img.file->block_device = true;
		assert_int_equal(driver_qcow2.check(w.img.file, &o, &r, &err),
				 place ? 0 : -1);
		w.img.file->block_device = false;
		assert_int_equal(w.img.file->size, size);
		read_disk(w.img.file, now);
		assert_memory_equal(disk, now, DISK);
		r = look(w.img.file, 0, 0);
		assert_int_equal(!r.corruptions, place);
		free(disk);
		free(now);
		world_free(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(power_cuts),
		cmocka_unit_test(small_windows),
		cmocka_unit_test(on_a_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
