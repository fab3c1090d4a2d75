/* What clients of the NBD server may ask for once they are connected, and what
 * they get when they ask for what they may not. */
#include <semaphore.h>

#include "tests/unit/nbd_client.h"

/* 0: the host works; else what all it is asked for ends with. */
static _Atomic int fail_with;
static _Atomic unsigned flushes;
static _Atomic uint64_t computing;	/* ns that a read takes, awake */
static _Atomic int hanging;		/* so many reads hang until let_go */
static sem_t let_go;

static int failing(const struct file *f, enum file_op op, uint64_t off,
		   uint64_t len, const void *buf)
{
	uint64_t until = computing ? clock_ns() + computing : 0;

	(void)f;
	flushes += op == FILE_OP_FLUSH;
	if (op == FILE_OP_READ && hanging > 0 && hanging-- > 0)
		while (sem_wait(&let_go))
			;
	while (op == FILE_OP_READ && until && clock_ns() < until)
		;
	(void)off;
	(void)len;
	(void)buf;
	return fail_with;
}

static int enter_both(void **state)
{
	int rc;

	sem_init(&let_go, 0, 0);
	hanging = 0;
	computing = 0;
	file_set_hook(failing);
	rc = enter_serving(state);
	if (!rc)
		export_it("ro", "disk0", false);
	return rc;
}

/* A test that failed may have left some hanging. */
static int leave_both(void **state)
{
	for (unsigned i = 0; i < NBD_THREADS; i++)
		sem_post(&let_go);
	return leave_with_server(state);
}

/* --- simple replies --- */

static void test_simple(void **state)
{
	int fd = dial_export("disk0", false);
	char *buf = mem_alloc(3 * MIB);

	(void)state;
	put_write(fd, 0, 4095, 8193, 0x41);
	assert_int_equal(simple_error(fd, 4095), 0);
	put_write(fd, NBD_CMD_FLAG_FUA, MIB, 3 * MIB, 0x42);
	assert_int_equal(simple_error(fd, MIB), 0);
	assert_int_equal(do_simple(fd, NBD_CMD_READ, 0, 4095, 8193), 0);
	must_get(fd, buf, 8193);
	assert_all(buf, 8193, 0x41);
	assert_int_equal(do_simple(fd, NBD_CMD_READ, 0, MIB, 3 * MIB), 0);
	must_get(fd, buf, 3 * MIB);
	assert_all(buf, 3 * MIB, 0x42);
	assert_int_equal(do_simple(fd, NBD_CMD_READ, 0, 0, 0), 0);
	assert_int_equal(do_simple(fd, NBD_CMD_READ, NBD_CMD_FLAG_DF, 0, 1),
			 NBD_EINVAL);
	assert_int_equal(do_simple(fd, NBD_CMD_READ, 0, 0, 32 * MIB + 1),
			 NBD_EINVAL);
	assert_int_equal(do_simple(fd, NBD_CMD_BLOCK_STATUS, 0, 0, 512),
			 NBD_EINVAL);
	hang_up(fd);
	free(buf);
}

/* --- structured replies --- */

static void test_chunks(void **state)
{
	int fd = dial_export("disk0", true);
	char *buf = mem_alloc(8 * MIB);

	(void)state;
	assert_int_equal(do_write(fd, 0, 100, 5000, 0x41), 0);
	assert_disk(fd, 100, 5000, 0x41);
	assert_disk(fd, 0, 100, 0);
	assert_int_equal(do_write(fd, 0, 2 * MIB - 7, 3 * MIB, 0x42), 0);
	assert_disk(fd, 2 * MIB - 7, 3 * MIB, 0x42);
	/* holes come as such, whole ones and in the midst of data */
	assert_int_equal(read_chunks(fd, 0, 8 * MIB - 512, 512, buf), 1);
	assert_true(read_chunks(fd, 0, 0, 8 * MIB, buf) >= 2);
	assert_all(buf + 5100, 2 * MIB - 7 - 5100, 0);
	assert_all(buf + 2 * MIB - 7, 3 * MIB, 0x42);
	assert_all(buf + 5 * MIB - 7, 3 * MIB + 7, 0);
	assert_int_equal(do_chunked(fd, NBD_CMD_READ, 0, 0, 0), 0);
	hang_up(fd);
	free(buf);
}

/* One chunk, whatever lies there; or none. */
static void test_unfragmented(void **state)
{
	int fd = dial_export("disk0", true);
	char *buf = mem_alloc(MIB);
	struct chunk k;

	(void)state;
	assert_int_equal(do_write(fd, 0, 512 << 10, 4096, 0x43), 0);
	put_request(fd, NBD_CMD_READ, NBD_CMD_FLAG_DF, 1, 0, MIB);
	get_chunk(fd, &k);
	assert_int_equal(k.flags, NBD_CHUNK_DONE);
	assert_int_equal(k.type, NBD_CHUNK_DATA);
	assert_int_equal(k.len, MIB + 8);
	must_get(fd, buf, MIB);
	assert_all(buf + (512 << 10), 4096, 0x43);
	assert_int_equal(do_chunked(fd, NBD_CMD_READ, NBD_CMD_FLAG_DF, 0,
				    MIB + 1), NBD_EOVERFLOW);
	hang_up(fd);
	free(buf);
}

static void test_flush_and_cache(void **state)
{
	int fd = dial_export("disk0", true);

	(void)state;
	assert_int_equal(do_chunked(fd, NBD_CMD_FLUSH, 0, 0, 0), 0);
	assert_int_equal(do_chunked(fd, NBD_CMD_FLUSH, NBD_CMD_FLAG_FUA, 0,
				    0), 0);
	assert_int_equal(do_chunked(fd, NBD_CMD_FLUSH, 0, 0, 512),
			 NBD_EINVAL);
	assert_int_equal(do_chunked(fd, NBD_CMD_CACHE, 0, 3, 5 * MIB), 0);
	assert_int_equal(do_chunked(fd, NBD_CMD_CACHE, 0, MIB, 8 * MIB),
			 NBD_EINVAL);
	hang_up(fd);
}

static void assert_flushed(uint32_t error)
{
	assert_int_equal(error, 0);
	assert_true(flushes > 0);
	flushes = 0;
}

/* Whatever changes the disk may ask to be durable; a flush covers what other
 * connections were told is done. */
static void test_durable(void **state)
{
	int fd = dial_export("disk0", true), other = dial_export("ro", true);
	const unsigned fua = NBD_CMD_FLAG_FUA;

	(void)state;
	flushes = 0;
	assert_flushed(do_write(fd, fua, 0, 65536, 1));
	assert_int_equal(do_write(fd, 0, 4096, 512, 2), 0);
	assert_int_equal(flushes, 0);
	assert_flushed(do_write(fd, fua, 1, 2 * MIB, 3));
	assert_flushed(do_chunked(fd, NBD_CMD_WRITE_ZEROES, fua, 0, 65536));
	assert_flushed(do_chunked(fd, NBD_CMD_TRIM, fua, MIB, MIB));
	assert_int_equal(do_write(fd, 0, MIB, 65536, 4), 0);
	assert_flushed(do_chunked(other, NBD_CMD_FLUSH, 0, 0, 0));
	assert_disk(other, MIB, 65536, 4);
	hang_up(fd);
	hang_up(other);
}

static void test_zeroes_and_trim(void **state)
{
	int fd = dial_export("disk0", true);

	(void)state;
	assert_int_equal(do_write(fd, 0, 0, 4 * MIB, 0x44), 0);
	assert_int_equal(do_chunked(fd, NBD_CMD_WRITE_ZEROES,
				    NBD_CMD_FLAG_FUA, 5, MIB), 0);
	assert_disk(fd, 5, MIB, 0);
	assert_disk(fd, MIB + 5, 1000, 0x44);
	assert_int_equal(do_chunked(fd, NBD_CMD_WRITE_ZEROES,
				    NBD_CMD_FLAG_NO_HOLE, MIB, MIB), 0);
	assert_disk(fd, MIB, MIB, 0);
	assert_int_equal(do_chunked(fd, NBD_CMD_TRIM, NBD_CMD_FLAG_FUA,
				    2 * MIB, MIB), 0);
	assert_disk(fd, 2 * MIB, MIB, 0);
	assert_disk(fd, 3 * MIB, MIB, 0x44);
	assert_int_equal(do_chunked(fd, NBD_CMD_TRIM, 0, 0, 0), 0);
	assert_int_equal(do_chunked(fd, NBD_CMD_WRITE_ZEROES, 0, 0, 0), 0);
	hang_up(fd);
}

/* Fast is what takes only a table; the rest is refused and changes nothing. */
static void test_fast_zeroes(void **state)
{
	unsigned fast = NBD_CMD_FLAG_FAST_ZERO;
	int fd = dial_export("disk0", true);

	(void)state;
	assert_int_equal(do_write(fd, 0, 0, MIB, 0x45), 0);
	assert_int_equal(do_chunked(fd, NBD_CMD_WRITE_ZEROES,
				    (uint16_t)fast, 1, 65536), NBD_ENOTSUP);
	assert_int_equal(do_chunked(fd, NBD_CMD_WRITE_ZEROES,
				    (uint16_t)fast, 0, 65535), NBD_ENOTSUP);
	assert_disk(fd, 0, MIB, 0x45);
	assert_int_equal(do_chunked(fd, NBD_CMD_WRITE_ZEROES,
				    (uint16_t)fast, 65536, 131072), 0);
	assert_disk(fd, 65536, 131072, 0);
	run("qemu-img create -q -f raw raw 1M");
	add("disk1", "raw", "raw", false);
	export_it("disk1", "disk1", true);
	hang_up(fd);
	fd = dial_export("disk1", true);
	assert_int_equal(do_chunked(fd, NBD_CMD_WRITE_ZEROES,
				    (uint16_t)fast, 0, 65536), NBD_ENOTSUP);
	hang_up(fd);
}

/* --- block status --- */

/* "LENGTH:STATUS ..." of both contexts, the second behind a bar. */
static void status(int fd, uint16_t flags, uint64_t off, uint32_t len,
		   char *out)
{
	struct chunk k;

	*out = 0;
	put_request(fd, NBD_CMD_BLOCK_STATUS, flags, 9, off, len);
	for (uint32_t i = 0; i < 2; i++) {
		get_chunk(fd, &k);
		assert_int_equal(k.type, NBD_CHUNK_STATUS);
		assert_int_equal(k.flags, i ? NBD_CHUNK_DONE : 0);
		assert_int_equal(get_be32(k.head), i);
		for (uint32_t at = 4; at < k.len; at += 8) {
			uint8_t b[8];

			must_get(fd, b, 8);
			sprintf(out + strlen(out), "%u:%u ",
				get_be32(b), get_be32(b + 4));
		}
		strcat(out, i ? "" : "| ");
	}
}

static void assert_status(int fd, uint16_t flags, uint64_t off, uint32_t len,
			  const char *answer)
{
	char out[1000];

	status(fd, flags, off, len, out);
	assert_string_equal(out, answer);
}

static void make_layers(int fd)
{
	struct snapshot_options o = { .device = "disk0", .file = "sn1" };

	assert_int_equal(do_write(fd, 0, 0, 65536, 1), 0);
	assert_int_equal(do_write(fd, 0, 131072, 65536, 1), 0);
	assert_int_equal(engine_snapshot(engine, &o, NULL, &err), 0);
	assert_int_equal(do_write(fd, 0, 65536, 65536, 2), 0);
	assert_int_equal(do_chunked(fd, NBD_CMD_WRITE_ZEROES, 0, 131072,
				    65536), 0);
}

static void test_status(void **state)
{
	int fd = dial_export("disk0", true);

	(void)state;
	make_layers(fd);
	assert_status(fd, 0, 0, 262144,
		      "131072:0 131072:3 | 65536:2 131072:1 65536:0 ");
	assert_status(fd, 0, 100, 65436, "65436:0 | 65436:2 ");
	assert_status(fd, NBD_CMD_FLAG_REQ_ONE, 0, 262144,
		      "65536:0 | 65536:2 ");
	assert_status(fd, NBD_CMD_FLAG_REQ_ONE, 196608, 8 * MIB - 196608,
		      "8192000:3 | 8192000:0 ");
	assert_status(fd, 0, 8 * MIB - 1, 1, "1:3 | 1:0 ");
	assert_int_equal(do_chunked(fd, NBD_CMD_BLOCK_STATUS, 0, 0, 0),
			 NBD_EINVAL);
	assert_int_equal(do_chunked(fd, NBD_CMD_BLOCK_STATUS, 0, 1, 8 * MIB),
			 NBD_EINVAL);
	hang_up(fd);
}

/* --- what may not be --- */

static void test_beyond(void **state)
{
	int fd = dial_export("disk0", true);

	(void)state;
	assert_int_equal(do_write(fd, 0, 8 * MIB, 1, 1), NBD_ENOSPC);
	assert_int_equal(do_write(fd, 0, 8 * MIB - 1, 3 * MIB, 1),
			 NBD_ENOSPC);
	assert_int_equal(do_chunked(fd, NBD_CMD_WRITE_ZEROES, 0, 1,
				    UINT32_MAX), NBD_ENOSPC);
	assert_int_equal(do_chunked(fd, NBD_CMD_READ, 0, UINT64_MAX - 1, 2),
			 NBD_EINVAL);
	assert_int_equal(do_chunked(fd, NBD_CMD_TRIM, 0, 8 * MIB, 1),
			 NBD_EINVAL);
	assert_disk(fd, 0, 8 * MIB, 0);
	/* a disk that grew is larger from then on */
	assert_int_equal(engine_resize(engine, "disk0", 64 * MIB,
				       false, &err), 0);
	assert_int_equal(do_write(fd, 0, 16 * MIB, 4096, 1), 0);
	assert_int_equal(do_chunked(fd, NBD_CMD_READ, 0, 0, 33 * MIB),
			 NBD_EOVERFLOW);
	hang_up(fd);
}

static void test_read_only(void **state)
{
	int fd = dial_export("ro", true);

	(void)state;
	assert_int_equal(do_write(fd, 0, 0, 2 * MIB, 1), NBD_EPERM);
	assert_int_equal(do_chunked(fd, NBD_CMD_TRIM, 0, 0, 1), NBD_EPERM);
	assert_int_equal(do_chunked(fd, NBD_CMD_WRITE_ZEROES, 0, 0, 1),
			 NBD_EPERM);
	assert_int_equal(do_chunked(fd, NBD_CMD_FLUSH, 0, 0, 0), 0);
	assert_disk(fd, 0, 2 * MIB, 0);
	hang_up(fd);
}

static void test_nonsense(void **state)
{
	int fd = dial_export("disk0", true);

	(void)state;
	assert_int_equal(do_chunked(fd, 8, 0, 0, 512), NBD_EINVAL);
	assert_int_equal(do_chunked(fd, 0xffff, 0, 0, 0), NBD_EINVAL);
	assert_int_equal(do_chunked(fd, NBD_CMD_READ, 0x80, 0, 512),
			 NBD_EINVAL);
	assert_int_equal(do_chunked(fd, NBD_CMD_TRIM, NBD_CMD_FLAG_NO_HOLE,
				    0, 512), NBD_EINVAL);
	assert_int_equal(do_write(fd, NBD_CMD_FLAG_DF, 0, 512, 1),
			 NBD_EINVAL);
	assert_int_equal(do_chunked(fd, NBD_CMD_FLUSH,
				    NBD_CMD_FLAG_REQ_ONE, 0, 0), NBD_EINVAL);
	assert_disk(fd, 0, 512, 0);
	hang_up(fd);
}

static void test_hang_ups(void **state)
{
	char junk[NBD_REQUEST_BYTES] = "no request";
	struct event_listener l;
	int fd;

	(void)state;
	event_listen(engine_events(engine), &l);
	fd = dial_export("disk0", true);
	must_put(fd, junk, sizeof(junk));
	assert_hung_up(fd);
	assert_noticed(&l, "no request begins with 0x6e6f2072");
	fd = dial_export("disk0", true);
	put_request(fd, NBD_CMD_WRITE, 0, 0, 0, 32 * MIB + 1);
	assert_hung_up(fd);
	assert_noticed(&l, "a write of 33554433 bytes is too long");
	fd = dial_export("disk0", true);
	put_request(fd, NBD_CMD_WRITE, 0, 0, 0, 5 * MIB);
	must_put(fd, junk, sizeof(junk));
	shutdown(fd, SHUT_WR);
	assert_hung_up(fd);
	assert_noticed(&l, "in the midst of a request");
	event_unlisten(&l);
	fd = dial_export("disk0", true);
	assert_disk(fd, 0, 8 * MIB, 0);
	hang_up(fd);
}

/* --- errors of the host --- */

static void assert_fails(int errnum, uint32_t error)
{
	int fd = dial_export("disk0", true);

	fail_with = -errnum;
	assert_int_equal(do_write(fd, 0, 0, 4096, 2), error);
	assert_int_equal(do_write(fd, 0, 0, 2 * MIB, 2), error);
	assert_int_equal(do_chunked(fd, NBD_CMD_READ, 0, 0, 4096), error);
	assert_int_equal(do_chunked(fd, NBD_CMD_READ, 0, 0, MIB), error);
	fail_with = 0;
	assert_disk(fd, 0, 4096, 1);
	hang_up(fd);
}

static void test_host_errors(void **state)
{
	int fd = dial_export("disk0", true);

	(void)state;
	assert_int_equal(do_write(fd, 0, 0, 4 * MIB, 1), 0);
	hang_up(fd);
	assert_fails(EIO, NBD_EIO);
	assert_fails(ENOSPC, NBD_ENOSPC);
	assert_fails(EDQUOT, NBD_ENOSPC);
	assert_fails(EFBIG, NBD_ENOSPC);
	assert_fails(ENODEV, NBD_EIO);
	assert_fails(EOPNOTSUPP, NBD_EIO);
	/* nothing can be said in the midst of a simple reply */
	fd = dial_export("disk0", false);
	fail_with = -EIO;
	put_request(fd, NBD_CMD_READ, 0, 1, 0, 2 * MIB);
	assert_int_equal(simple_error(fd, 1), 0);
	assert_hung_up(fd);
	fail_with = 0;
}

/* What clients got, what they were refused, and what failed, each by
 * itself. */
static void test_statistics(void **state)
{
	int fd = dial_export("disk0", true), ro = dial_export("ro", true);
	struct io_counts c;

	(void)state;
	assert_int_equal(engine_query_io(engine, "disk0", false, &c, &err), 0);
	assert_false(c.used);
	assert_int_equal(do_write(fd, 0, 0, 65536, 1), 0);
	assert_disk(ro, 0, 512, 1);
	assert_int_equal(do_chunked(fd, NBD_CMD_FLUSH, 0, 0, 0), 0);
	assert_int_equal(do_chunked(fd, NBD_CMD_TRIM, 0, MIB, MIB), 0);
	assert_int_equal(do_write(fd, 0, 8 * MIB, 1, 1), NBD_ENOSPC);
	assert_int_equal(do_write(ro, 0, 0, 1, 1), NBD_EPERM);
	assert_int_equal(do_chunked(ro, NBD_CMD_TRIM, 0, 0, 1), NBD_EPERM);
	assert_int_equal(do_chunked(fd, NBD_CMD_READ, 0, 8 * MIB, 1),
			 NBD_EINVAL);
	assert_int_equal(do_chunked(fd, NBD_CMD_FLUSH, 0, 0, 1), NBD_EINVAL);
	assert_int_equal(do_chunked(fd, 99, 0, 0, 1), NBD_EINVAL);
	fail_with = -EIO;
	assert_int_equal(do_write(fd, 0, 0, 512, 1), NBD_EIO);
	fail_with = 0;
	assert_int_equal(engine_query_io(engine, "disk0", false, &c, &err), 0);
	assert_true(c.used);
	assert_int_equal(c.wr_ops, 1);
	assert_int_equal(c.wr_bytes, 65536);
	assert_true(c.wr_ns > 0 && c.rd_ns > 0 && c.flush_ns > 0);
	assert_int_equal(c.wr_invalid, 2);
	assert_int_equal(c.wr_failed, 1);
	assert_int_equal(c.rd_ops, 1);
	assert_int_equal(c.rd_bytes, 512);
	assert_int_equal(c.rd_invalid, 1);
	assert_int_equal(c.flush_ops, 1);
	assert_int_equal(c.flush_invalid, 1);
	assert_int_equal(c.unmap_ops, 1);
	assert_int_equal(c.unmap_bytes, MIB);
	assert_int_equal(c.unmap_invalid, 1);
	assert_int_equal(c.rd_failed + c.flush_failed + c.unmap_failed, 0);
	hang_up(fd);
	hang_up(ro);
}

/* --- many at once --- */

#define IN_FLIGHT 64

/* Far more requests than are served at once, answered in any order. */
static void test_pipeline(void **state)
{
	bool seen[IN_FLIGHT] = { false };
	int fd = dial_export("disk0", true);
	struct chunk k;

	(void)state;
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		put_write(fd, 0, i * 65536ull + 1, 20000, (int)i + 1);
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		get_chunk(fd, &k);
		assert_int_equal(k.type, NBD_CHUNK_NONE);
		assert_false(seen[k.cookie / 65536]);
		seen[k.cookie / 65536] = true;
	}
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		assert_disk(fd, i * 65536ull + 1, 20000, (int)i + 1);
	hang_up(fd);
}

/* As many requests as are served at once are taken in though no answer is
 * read: reads that fill the socket, and then more than it holds to write. */
static void test_speaks_before_it_listens(void **state)
{
	const unsigned reads = NBD_THREADS - 1, len = 64 << 10;
	int fd = dial_export("disk0", false);
	char *buf = mem_alloc(len);

	(void)state;
	for (unsigned i = 0; i < reads; i++)
		put_request(fd, NBD_CMD_READ, 0, i, i * len, len);
	put_write(fd, 0, 4 * MIB, 4 * MIB, 9);
	for (unsigned i = 0; i < NBD_THREADS; i++) {
		uint8_t b[16];

		must_get(fd, b, sizeof(b));
		assert_int_equal(get_be32(b + 4), 0);
		if (get_be64(b + 8) < reads)
			must_get(fd, buf, len);
	}
	assert_int_equal(do_simple(fd, NBD_CMD_READ, 0, 8 * MIB - len, len),
			 0);
	must_get(fd, buf, len);
	assert_all(buf, len, 9);
	hang_up(fd);
	free(buf);
}

static void put_eight(int fd, int byte)
{
	for (unsigned i = 0; i < 8; i++)
		put_write(fd, 0, i * MIB, MIB, byte);
}

/* All are answered before the connection ends, and done. */
static void assert_eight(int fd, int byte)
{
	for (unsigned i = 0; i < 8; i++) {
		struct chunk k;

		get_chunk(fd, &k);
		assert_int_equal(k.type, NBD_CHUNK_NONE);
	}
	assert_hung_up(fd);
	fd = dial_export("disk0", true);
	assert_disk(fd, 0, 8 * MIB, byte);
	hang_up(fd);
}

static void put_reads(int fd, unsigned n)
{
	while (n--)
		put_request(fd, NBD_CMD_READ, 0, n, 0, 4096);
}

static void get_reads(int fd, unsigned n)
{
	struct chunk k;
	char data[4096];

	while (n--) {
		get_chunk(fd, &k);
		assert_int_equal(k.type, NBD_CHUNK_DATA);
		assert_int_equal(k.len, 8 + sizeof(data));
		must_get(fd, data, sizeof(data));
	}
}

/* While requests compute few are served at once; when all of those hang the
 * others are not left waiting. */
static void test_hanging(void **state)
{
	int fd = dial_export("disk0", true);

	(void)state;
	assert_int_equal(do_write(fd, 0, 0, 4096, 1), 0);
	computing = 50000;
	put_reads(fd, 64);
	get_reads(fd, 64);
	hanging = NBD_THREADS - 1;
	put_reads(fd, NBD_THREADS);
	get_reads(fd, 1);
	assert_true(hanging <= 0);
	for (unsigned i = 1; i < NBD_THREADS; i++)
		sem_post(&let_go);
	get_reads(fd, NBD_THREADS - 1);
	computing = 0;
	hang_up(fd);
}

/* Who has nothing more to say still gets its answers. */
static void test_half_closed(void **state)
{
	int fd = dial_export("disk0", true);

	(void)state;
	put_eight(fd, 8);
	shutdown(fd, SHUT_WR);
	assert_eight(fd, 8);
}

/* DISC does not overtake what was asked before. */
static void test_disconnect_drains(void **state)
{
	int fd = dial_export("disk0", true);

	(void)state;
	put_eight(fd, 7);
	put_request(fd, NBD_CMD_DISC, 0, 0, 0, 0);
	assert_eight(fd, 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_both, \
						       leave_both)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_simple),
		TEST(test_chunks),
		TEST(test_unfragmented),
		TEST(test_flush_and_cache),
		TEST(test_durable),
		TEST(test_zeroes_and_trim),
		TEST(test_fast_zeroes),
		TEST(test_status),
		TEST(test_beyond),
		TEST(test_read_only),
		TEST(test_nonsense),
		TEST(test_hang_ups),
		TEST(test_host_errors),
		TEST(test_statistics),
		TEST(test_pipeline),
		TEST(test_speaks_before_it_listens),
		TEST(test_hanging),
		TEST(test_half_closed),
		TEST(test_disconnect_drains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
