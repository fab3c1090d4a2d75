/* nbd_client.h - a client for the tests of the NBD server: says what it is
 * told, also what no client should, and takes answers apart. The engine and
 * its drive "disk0" are those of engine_fixture.h; the server listens at
 * "sock".
 */
#ifndef BLKMON_TESTS_NBD_CLIENT_H
#define BLKMON_TESTS_NBD_CLIENT_H

#include "tests/unit/engine_fixture.h"

#include <sched.h>

#include "engine/nbd/nbd.h"
#include "engine/nbd/nbd_impl.h"
#include "engine/util/bytes.h"
#include "engine/util/clock.h"
#include "tests/unit/dial.h"

#define FLAGS_BOTH (NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES)

/* --- the server --- */

static struct nbd_server *server;

static inline int enter_with_server(void **state)
{
	if (enter(state))
		return -1;
	server = nbd_server_new(engine);
	return 0;
}

static inline int leave_with_server(void **state)
{
	nbd_server_free(server);
	return leave(state);
}

static inline void serve_at(const char *path, unsigned most)
{
	struct nbd_options o = { .path = path, .max_connections = most };

	if (nbd_server_start(server, &o, &err))
		fail_msg("%s", err.text);
}

static inline void export_it(const char *id, const char *device,
			     bool writable)
{
	struct export_options o = { .id = id, .name = id,
				    .device = device, .writable = writable };

	if (nbd_export_add(server, &o, &err))
		fail_msg("%s", err.text);
}

static inline int enter_serving(void **state)
{
	if (enter_with_server(state))
		return -1;
	serve_at("sock", 0);
	export_it("disk0", "disk0", true);
	return 0;
}

/* Waits until the log has a line with @text. */
static inline void assert_noticed(struct event_listener *l, const char *text)
{
	uint64_t deadline = clock_ns() + 60 * NS_PER_SEC, lost;
	struct event ev;

	while (event_next(l, &ev, deadline, &lost))
		if (ev.type == EVENT_NOTICE && strstr(ev.text, text))
			return;
	fail_msg("no line says '%s'", text);
}

/* Until the server has begun to serve that many requests of its only client,
 * also those that wait at the gate. */
static inline void await_requests(uint64_t n)
{
	uint64_t begun = 0;

	while (begun < n) {
		struct nbd_info info;

		nbd_query_server(server, &info);
		begun = info.clients ? info.client->counts.requests : 0;
		free(info.client);
		sched_yield();
	}
}

/* --- bytes --- */

/* False if the server hung up. */
static inline bool put(int fd, const void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = send(fd, (const char *)buf + done, len - done,
				 MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static inline bool get(int fd, void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = recv(fd, (char *)buf + done, len - done, 0);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static inline void must_put(int fd, const void *buf, size_t len)
{
	assert_true(put(fd, buf, len));
}

static inline void must_get(int fd, void *buf, size_t len)
{
	if (!get(fd, buf, len))
		fail_msg("the server hung up");
}

static inline void assert_hung_up(int fd)
{
	char c;

	assert_true(recv(fd, &c, 1, 0) <= 0);
	close(fd);
}

/* --- the handshake --- */

static inline int dial_hello(const char *path, uint32_t flags)
{
	uint8_t hello[18], b[4];
	int fd = dial(path);

	must_get(fd, hello, sizeof(hello));
	assert_true(get_be64(hello) == NBD_MAGIC);
	assert_true(get_be64(hello + 8) == NBD_OPTS_MAGIC);
	assert_int_equal(get_be16(hello + 16), FLAGS_BOTH);
	put_be32(b, flags);
	must_put(fd, b, sizeof(b));
	return fd;
}

static inline void put_option(int fd, uint32_t option, const void *data,
			      uint32_t len)
{
	uint8_t head[16];

	put_be64(head, NBD_OPTS_MAGIC);
	put_be32(head + 8, option);
	put_be32(head + 12, len);
	must_put(fd, head, sizeof(head));
	must_put(fd, data, len);
}

struct answer {
	uint32_t type, len;
	uint8_t data[8192];
};

static inline void get_answer(int fd, uint32_t option, struct answer *a)
{
	uint8_t head[20];

	must_get(fd, head, sizeof(head));
	assert_true(get_be64(head) == NBD_OPT_REPLY_MAGIC);
	assert_int_equal(get_be32(head + 8), option);
	a->type = get_be32(head + 12);
	a->len = get_be32(head + 16);
	assert_true(a->len < sizeof(a->data));
	must_get(fd, a->data, a->len);
	a->data[a->len] = 0;
}

/* The type of the last answer to an option. */
static inline uint32_t last_answer(int fd, uint32_t option)
{
	struct answer a;

	do
		get_answer(fd, option, &a);
	while (a.type == NBD_REP_INFO || a.type == NBD_REP_SERVER ||
	       a.type == NBD_REP_META_CONTEXT);
	return a.type;
}

static inline uint32_t ask(int fd, uint32_t option, const void *data,
			   uint32_t len)
{
	put_option(fd, option, data, len);
	return last_answer(fd, option);
}

/* The data of INFO and GO without information asked for. */
static inline uint32_t name_data(uint8_t *b, const char *name)
{
	uint32_t len = (uint32_t)strlen(name);

	put_be32(b, len);
	memcpy(b + 4, name, len);
	put_be16(b + 4 + len, 0);
	return len + 6;
}

static inline uint32_t ask_name(int fd, uint32_t option, const char *name)
{
	uint8_t b[5000] = { 0 };

	return ask(fd, option, b, name_data(b, name));
}

/* The data of the options about contexts; queries end with NULL. */
static inline uint32_t context_data(uint8_t *b, const char *name,
				    const char *const *query)
{
	uint32_t at = name_data(b, name) - 2, n = 0;
	uint8_t *count = b + at;

	for (at += 4; query[n]; n++) {
		put_be32(b + at, (uint32_t)strlen(query[n]));
		memcpy(b + at + 4, query[n], strlen(query[n]));
		at += 4 + (uint32_t)strlen(query[n]);
	}
	put_be32(count, n);
	return at;
}

static const char *const both_contexts[] = {
	"base:allocation", "qemu:allocation-depth", NULL,
};

/* Connected to an export, with what most clients want. */
static inline int dial_export(const char *name, bool structured)
{
	int fd = dial_hello("sock", FLAGS_BOTH);
	uint8_t b[256] = { 0 };

	if (structured) {
		assert_int_equal(ask(fd, NBD_OPT_STRUCTURED_REPLY, NULL, 0),
				 NBD_REP_ACK);
		assert_int_equal(ask(fd, NBD_OPT_SET_META_CONTEXT, b,
				     context_data(b, name, both_contexts)),
				 NBD_REP_ACK);
	}
	assert_int_equal(ask_name(fd, NBD_OPT_GO, name), NBD_REP_ACK);
	return fd;
}

/* --- requests --- */

static inline void put_request(int fd, uint16_t type, uint16_t flags,
			       uint64_t cookie, uint64_t off, uint32_t len)
{
	uint8_t b[NBD_REQUEST_BYTES];

	put_be32(b, NBD_REQUEST_MAGIC);
	put_be16(b + 4, flags);
	put_be16(b + 6, type);
	put_be64(b + 8, cookie);
	put_be64(b + 16, off);
	put_be32(b + 24, len);
	must_put(fd, b, sizeof(b));
}

static inline void put_write(int fd, uint16_t flags, uint64_t off,
			     uint32_t len, int byte)
{
	char *buf = mem_alloc(len + 1);

	memset(buf, byte, len);
	put_request(fd, NBD_CMD_WRITE, flags, off, off, len);
	must_put(fd, buf, len);
	free(buf);
}

/* The error of a simple reply. */
static inline uint32_t simple_error(int fd, uint64_t cookie)
{
	uint8_t b[16];

	must_get(fd, b, sizeof(b));
	assert_int_equal(get_be32(b), NBD_SIMPLE_MAGIC);
	assert_true(get_be64(b + 8) == cookie);
	return get_be32(b + 4);
}

struct chunk {
	uint16_t flags, type;
	uint64_t cookie;
	uint32_t len;
	uint8_t head[20];
};

/* Of the payload only the first bytes, as the type has them; the data of a
 * read are left on the wire. */
static inline void get_chunk(int fd, struct chunk *k)
{
	size_t n;

	must_get(fd, k->head, 20);
	assert_int_equal(get_be32(k->head), NBD_CHUNK_MAGIC);
	k->flags = get_be16(k->head + 4);
	k->type = get_be16(k->head + 6);
	k->cookie = get_be64(k->head + 8);
	k->len = get_be32(k->head + 16);
	n = k->type == NBD_CHUNK_DATA ? 8 : k->type == NBD_CHUNK_HOLE ? 12 :
	    k->type == NBD_CHUNK_STATUS ? 4 : k->type == NBD_CHUNK_ERROR ?
	    6 : 0;
	must_get(fd, k->head, n);
}

/* The error of a structured reply without data. */
static inline uint32_t chunk_error(int fd, uint64_t cookie)
{
	char text[256];
	struct chunk k;
	uint32_t error;

	get_chunk(fd, &k);
	assert_true(k.cookie == cookie);
	assert_int_equal(k.flags, NBD_CHUNK_DONE);
	if (k.type == NBD_CHUNK_NONE) {
		assert_int_equal(k.len, 0);
		return 0;
	}
	assert_int_equal(k.type, NBD_CHUNK_ERROR);
	error = get_be32(k.head);
	assert_int_equal(k.len, 6 + get_be16(k.head + 4));
	must_get(fd, text, get_be16(k.head + 4));
	assert_int_not_equal(error, 0);
	return error;
}

/* A request without data, both ways; its error. */
static inline uint32_t do_chunked(int fd, uint16_t type, uint16_t flags,
				  uint64_t off, uint32_t len)
{
	put_request(fd, type, flags, off + 1, off, len);
	return chunk_error(fd, off + 1);
}

static inline uint32_t do_simple(int fd, uint16_t type, uint16_t flags,
				 uint64_t off, uint32_t len)
{
	put_request(fd, type, flags, off + 1, off, len);
	return simple_error(fd, off + 1);
}

static inline uint32_t do_write(int fd, uint16_t flags, uint64_t off,
				uint32_t len, int byte)
{
	put_write(fd, flags, off, len, byte);
	return chunk_error(fd, off);
}

/* Puts one chunk of a read into @buf. True if it was the last. */
static inline bool get_data(int fd, uint64_t off, uint32_t len, char *buf,
			    uint32_t *got, unsigned *holes)
{
	struct chunk k;
	uint64_t at;
	uint32_t n;

	get_chunk(fd, &k);
	assert_true(k.type == NBD_CHUNK_DATA || k.type == NBD_CHUNK_HOLE);
	at = get_be64(k.head);
	n = k.type == NBD_CHUNK_DATA ? k.len - 8 : get_be32(k.head + 8);
	assert_true(n && at >= off && at - off + n <= len);
	if (k.type == NBD_CHUNK_DATA) {
		must_get(fd, buf + (at - off), n);
	} else {
		memset(buf + (at - off), 0, n);
		++*holes;
	}
	*got += n;
	return k.flags & NBD_CHUNK_DONE;
}

/* Reads, structured; how many chunks were holes. */
static inline unsigned read_chunks(int fd, uint16_t flags, uint64_t off,
				   uint32_t len, char *buf)
{
	unsigned holes = 0;
	uint32_t got = 0;

	put_request(fd, NBD_CMD_READ, flags, off, off, len);
	while (!get_data(fd, off, len, buf, &got, &holes))
		;
	assert_int_equal(got, len);
	return holes;
}

static inline void assert_all(const char *buf, size_t len, int byte)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)buf[i] != byte)
			fail_msg("byte %zu is %d, not %d", i, buf[i], byte);
}

static inline void assert_disk(int fd, uint64_t off, uint32_t len, int byte)
{
	char *buf = mem_alloc(len);

	memset(buf, byte + 1, len);
	read_chunks(fd, 0, off, len, buf);
	assert_all(buf, len, byte);
	free(buf);
}

static inline void hang_up(int fd)
{
	put_request(fd, NBD_CMD_DISC, 0, 0, 0, 0);
	assert_hung_up(fd);
}

#endif
