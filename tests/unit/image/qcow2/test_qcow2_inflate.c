/* test_qcow2_inflate.c - compressed clusters: good, short, long, damaged, with
 * rests of others behind, and on many threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>
#include <zstd.h>

#include "engine/image/qcow2/qcow2.h"
#include "engine/util/mem.h"
#include "engine/util/thread.h"

#define CLUSTER 65536u
#define ROOM (2 * CLUSTER)
#define ZLIB 0
#define ZSTD 1

static uint8_t data[2 * CLUSTER], packed[ROOM], out[CLUSTER + 1];

/* Text that shrinks to about a third. */
static int fill(void **state)
{
	unsigned seed = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++) {
		seed = seed * 1103515245 + 12345;
		data[i] = (uint8_t)("abcdefgh"[seed >> 16 & 7]);
	}
	return 0;
}

/* @len bytes of data as raw deflate; @window is 12 for what QEMU writes. */
static size_t deflate_raw(size_t len, int window)
{
	z_stream z = { 0 };
	size_t made;

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -window, 9,
				      Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = data;
	z.avail_in = (uInt)len;
	z.next_out = packed;
	z.avail_out = ROOM;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	made = z.total_out;
	deflateEnd(&z);
	return made;
}

static size_t zstd(size_t len)
{
	size_t made = ZSTD_compress(packed, ROOM, data, len, 3);

	assert_false(ZSTD_isError(made));
	return made;
}

static size_t pack(uint8_t type, size_t len)
{
	return type == ZSTD ? zstd(len) : deflate_raw(len, 12);
}

static int unpack(uint8_t type, size_t src_len)
{
	memset(out, 0x5a, sizeof(out));
	return qcow2_inflate(type, out, CLUSTER, packed, src_len);
}

static void assert_good(int rc)
{
	assert_int_equal(rc, 0);
	assert_memory_equal(out, data, CLUSTER);
	assert_int_equal(out[CLUSTER], 0x5a);
}

static void whole_clusters(void **state)
{
	(void)state;
	for (uint8_t type = ZLIB; type <= ZSTD; type++)
		assert_good(unpack(type, pack(type, CLUSTER)));
}

/* The last sector holds what comes behind: zeroes, or another cluster. */
static void rest_of_the_sector_is_ignored(void **state)
{
	(void)state;
	for (uint8_t type = ZLIB; type <= ZSTD; type++) {
		size_t len = pack(type, CLUSTER);

		memset(packed + len, 0, 511);
		assert_good(unpack(type, len + 511));
		memset(packed + len, 0xff, 511);
		assert_good(unpack(type, len + 511));
		memcpy(packed + len, packed, 511);
		assert_good(unpack(type, len + 511));
	}
}

static void short_output_fails(void **state)
{
	(void)state;
	for (uint8_t type = ZLIB; type <= ZSTD; type++) {
		assert_int_equal(unpack(type, pack(type, CLUSTER - 1)), -EIO);
		assert_int_equal(unpack(type, pack(type, 0)), -EIO);
	}
}

static void cut_input_fails(void **state)
{
	(void)state;
	for (uint8_t type = ZLIB; type <= ZSTD; type++) {
		size_t len = pack(type, CLUSTER);

		for (size_t cut = 0; cut < len - 8; cut += len / 37)
			assert_int_equal(unpack(type, cut), -EIO);
	}
}

/* The spec stops deflate when the cluster is full; a zstd frame is whole. */
static void long_output(void **state)
{
	(void)state;
	assert_good(unpack(ZLIB, pack(ZLIB, CLUSTER + 1)));
	assert_good(unpack(ZLIB, pack(ZLIB, 2 * CLUSTER)));
	assert_int_equal(unpack(ZSTD, pack(ZSTD, CLUSTER + 1)), -EIO);
	assert_int_equal(out[CLUSTER], 0x5a);
	assert_int_equal(unpack(ZSTD, pack(ZSTD, 2 * CLUSTER)), -EIO);
	assert_int_equal(out[CLUSTER], 0x5a);
}

static void a_bomb_stays_in_its_cluster(void **state)
{
	uint8_t *zeroes = mem_alloc(64u << 20);
	size_t room = ZSTD_compressBound(64u << 20), len;
	uint8_t *bomb = mem_alloc(room);

	(void)state;
	len = ZSTD_compress(bomb, room, zeroes, 64u << 20, 19);
	out[CLUSTER] = 0x5a;
	assert_int_equal(qcow2_inflate(ZSTD, out, CLUSTER, bomb, len), -EIO);
	assert_int_equal(out[CLUSTER], 0x5a);
	free(zeroes);
	free(bomb);
}

/* Whatever the bytes are, they are refused or stay inside. */
static void damaged_input_is_harmless(void **state)
{
	unsigned seed = 99;

	(void)state;
	for (uint8_t type = ZLIB; type <= ZSTD; type++) {
		size_t len = pack(type, CLUSTER);

		for (int i = 0; i < 400; i++) {
			size_t at = (seed = seed * 1103515245 + 12345) % len;
			uint8_t old = packed[at];
			int rc;

			packed[at] ^= (uint8_t)(1 + (seed >> 24) % 255);
			rc = unpack(type, len);
			assert_true(rc == 0 || rc == -EIO);
			assert_int_equal(out[CLUSTER], 0x5a);
			packed[at] = old;
		}
		/* The state kept by the thread is fit for the next one. */
		assert_good(unpack(type, len));
	}
}

static void noise_is_refused(void **state)
{
	(void)state;
	for (uint8_t type = ZLIB; type <= ZSTD; type++) {
		memset(packed, 0xff, ROOM);
		assert_int_equal(unpack(type, ROOM), -EIO);
		memset(packed, 0x07, ROOM);
		assert_int_equal(unpack(type, ROOM), -EIO);
		assert_int_equal(unpack(type, 0), -EIO);
	}
	memset(packed, 0, ROOM);
	assert_int_equal(unpack(ZSTD, ROOM), -EIO);
}

/* What other writers make: several frames, skippable ones in front. */
static void zstd_frames_add_up(void **state)
{
	static const uint8_t skip[] = { 0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0,
					1, 2, 3 };
	size_t len = sizeof(skip);

	(void)state;
	memcpy(packed, skip, len);
	len += ZSTD_compress(packed + len, ROOM - len, data, 1000, 1);
	len += ZSTD_compress(packed + len, ROOM - len, data + 1000,
			     CLUSTER - 1000, 1);
	assert_good(unpack(ZSTD, len));
	assert_int_equal(unpack(ZSTD, sizeof(skip)), -EIO);
}

static void every_size_of_cluster(void **state)
{
	(void)state;
	for (uint8_t type = ZLIB; type <= ZSTD; type++) {
		for (size_t size = 512; size <= CLUSTER; size *= 2) {
			size_t len = pack(type, size);

			memset(out, 0x5a, sizeof(out));
			assert_int_equal(qcow2_inflate(type, out, size, packed,
						       len), 0);
			assert_memory_equal(out, data, size);
			assert_int_equal(out[size], 0x5a);
		}
	}
}

/* --- threads --- */

struct worker {
	pthread_t thread;
	const uint8_t *src[2];
	size_t len[2];
	bool good;
};

static void work(void *arg)
{
	struct worker *w = arg;
	uint8_t *buf = mem_alloc(CLUSTER);

	w->good = true;
	for (int i = 0; i < 100 && w->good; i++) {
		uint8_t type = i & 1;

		w->good = !qcow2_inflate(type, buf, CLUSTER, w->src[type],
					 w->len[type]) &&
			  !memcmp(buf, data, CLUSTER);
	}
	free(buf);
}

static void threads_do_not_meet(void **state)
{
	struct worker w[4];
	uint8_t *src[2];
	size_t len[2];

	(void)state;
	for (uint8_t type = ZLIB; type <= ZSTD; type++) {
		len[type] = pack(type, CLUSTER);
		src[type] = mem_alloc(len[type]);
		memcpy(src[type], packed, len[type]);
	}
	for (int i = 0; i < 4; i++) {
		w[i] = (struct worker){ .src = { src[0], src[1] },
					.len = { len[0], len[1] } };
		assert_int_equal(thread_start(&w[i].thread, "inflate", work,
					      &w[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		thread_join(w[i].thread);
		assert_true(w[i].good);
	}
	free(src[0]);
	free(src[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_clusters),
		cmocka_unit_test(rest_of_the_sector_is_ignored),
		cmocka_unit_test(short_output_fails),
		cmocka_unit_test(cut_input_fails),
		cmocka_unit_test(long_output),
		cmocka_unit_test(a_bomb_stays_in_its_cluster),
		cmocka_unit_test(damaged_input_is_harmless),
		cmocka_unit_test(noise_is_refused),
		cmocka_unit_test(zstd_frames_add_up),
		cmocka_unit_test(every_size_of_cluster),
		cmocka_unit_test(threads_do_not_meet),
	};

	return cmocka_run_group_tests(tests, fill, NULL);
}
