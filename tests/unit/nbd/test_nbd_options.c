/* The handshake of the NBD server: what it offers, what it refuses, and when
 * it hangs up. */
#include "tests/unit/nbd_client.h"

static struct event_listener log_lines;

static int enter_logged(void **state)
{
	int rc = enter_serving(state);

	return rc ? rc : event_listen(engine_events(engine), &log_lines);
}

static int leave_logged(void **state)
{
	event_unlisten(&log_lines);
	return leave_with_server(state);
}

/* Is the server there still, and well? */
static void assert_serves(void)
{
	int fd = dial_export("disk0", true);

	assert_disk(fd, 0, 4096, 0);
	hang_up(fd);
}

static void test_export_name(void **state)
{
	uint8_t b[134], zero[124] = { 0 };

	(void)state;
	for (unsigned flags = 0; flags <= FLAGS_BOTH; flags++) {
		size_t len = flags & NBD_NO_ZEROES ? 10 : sizeof(b);
		int fd = dial_hello("sock", flags);

		put_option(fd, NBD_OPT_EXPORT_NAME, "disk0", 5);
		must_get(fd, b, len);
		assert_true(get_be64(b) == 8 * MIB);
		assert_int_equal(get_be16(b + 8), 0xd6d);
		if (len > 10)
			assert_memory_equal(b + 10, zero, sizeof(zero));
		assert_int_equal(do_simple(fd, NBD_CMD_FLUSH, 0, 0, 0), 0);
		hang_up(fd);
	}
}

static void test_unknown_name(void **state)
{
	int fd = dial_hello("sock", FLAGS_BOTH);

	(void)state;
	put_option(fd, NBD_OPT_EXPORT_NAME, "disk1", 5);
	assert_hung_up(fd);
	assert_noticed(&log_lines, "'disk1', which is not there");
	fd = dial_hello("sock", FLAGS_BOTH);
	assert_int_equal(ask_name(fd, NBD_OPT_GO, "di"), NBD_REP_ERR_UNKNOWN);
	assert_int_equal(ask_name(fd, NBD_OPT_INFO, "\x1b[31m"),
			 NBD_REP_ERR_UNKNOWN);
	assert_noticed(&log_lines, "'\\x1b[31m', which is not there");
	assert_int_equal(ask_name(fd, NBD_OPT_GO, "disk0"), NBD_REP_ACK);
	hang_up(fd);
}

/* The empty name is the only export, as long as there is just one. */
static void test_default_name(void **state)
{
	int fd = dial_export("", true);

	(void)state;
	hang_up(fd);
	export_it("x", "disk0", false);
	fd = dial_hello("sock", FLAGS_BOTH);
	assert_int_equal(ask_name(fd, NBD_OPT_GO, ""), NBD_REP_ERR_UNKNOWN);
	close(fd);
}

static uint32_t get_info(int fd, uint16_t kind, struct answer *a)
{
	get_answer(fd, NBD_OPT_INFO, a);
	assert_int_equal(a->type, NBD_REP_INFO);
	assert_int_equal(get_be16(a->data), kind);
	return a->len;
}

static void test_info(void **state)
{
	struct export_options o = { .id = "e0", .device = "disk0",
				    .name = "n", .description = "a disk" };
	static const uint8_t asked[] = {
		0, 0, 0, 1, 'n', 0, 6, 0, 3, 0, 1, 0, 2, 0x77, 0x77,
		0, 1, 0, 2,
	};
	int fd = dial_hello("sock", FLAGS_BOTH);
	struct answer a;

	(void)state;
	assert_int_equal(nbd_export_add(server, &o, &err), 0);
	put_option(fd, NBD_OPT_INFO, asked, sizeof(asked));
	assert_int_equal(get_info(fd, NBD_INFO_EXPORT, &a), 12);
	assert_true(get_be64(a.data + 2) == 8 * MIB);
	assert_int_equal(get_be16(a.data + 10), 0x50f);
	assert_int_equal(get_info(fd, NBD_INFO_BLOCK_SIZE, &a), 14);
	assert_int_equal(get_be32(a.data + 2), 1);
	assert_int_equal(get_be32(a.data + 6), 65536);
	assert_int_equal(get_be32(a.data + 10), 32 * MIB);
	get_info(fd, NBD_INFO_NAME, &a);
	assert_string_equal((char *)a.data + 2, "n");
	get_info(fd, NBD_INFO_DESCRIPTION, &a);
	assert_string_equal((char *)a.data + 2, "a disk");
	get_answer(fd, NBD_OPT_INFO, &a);
	assert_int_equal(a.type, NBD_REP_ACK);
	close(fd);
}

static void test_list(void **state)
{
	int fd = dial_hello("sock", FLAGS_BOTH);
	struct answer a;

	(void)state;
	export_it("x", "disk0", false);
	put_option(fd, NBD_OPT_LIST, NULL, 0);
	get_answer(fd, NBD_OPT_LIST, &a);
	assert_int_equal(a.type, NBD_REP_SERVER);
	assert_int_equal(get_be32(a.data), 5);
	assert_string_equal((char *)a.data + 4, "disk0");
	get_answer(fd, NBD_OPT_LIST, &a);
	assert_string_equal((char *)a.data + 4, "x");
	get_answer(fd, NBD_OPT_LIST, &a);
	assert_int_equal(a.type, NBD_REP_ACK);
	assert_int_equal(ask(fd, NBD_OPT_LIST, "x", 1), NBD_REP_ERR_INVALID);
	assert_int_equal(ask(fd, NBD_OPT_ABORT, "xyz", 3), NBD_REP_ACK);
	assert_hung_up(fd);
}

static void test_unknown_options(void **state)
{
	static const uint32_t unknown[] = { 0, 4, 5, 11, 4711, UINT32_MAX };
	int fd = dial_hello("sock", FLAGS_BOTH);
	char data[300] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++)
		assert_int_equal(ask(fd, unknown[i], data, (uint32_t)i * 50),
				 NBD_REP_ERR_UNSUP);
	assert_int_equal(ask_name(fd, NBD_OPT_GO, "disk0"), NBD_REP_ACK);
	hang_up(fd);
}

static void assert_invalid(int fd, uint32_t option, const void *data,
			   uint32_t len)
{
	assert_int_equal(ask(fd, option, data, len), NBD_REP_ERR_INVALID);
}

static void test_lengths(void **state)
{
	int fd = dial_hello("sock", FLAGS_BOTH);
	char *long_name = mem_alloc(5000);
	uint8_t b[6000] = { 0 };

	(void)state;
	memset(long_name, 'x', 4999);
	assert_invalid(fd, NBD_OPT_STRUCTURED_REPLY, "x", 1);
	assert_invalid(fd, NBD_OPT_GO, "", 0);
	assert_invalid(fd, NBD_OPT_GO, "\0\0\0\0\0\1", 6);
	assert_invalid(fd, NBD_OPT_GO, "\0\0\0\5disk0", 9);
	assert_invalid(fd, NBD_OPT_GO, "\0\0\0\5disk0\0\0x", 12);
	assert_invalid(fd, NBD_OPT_GO, "\xff\xff\xff\xff\0\0", 6);
	assert_invalid(fd, NBD_OPT_GO, b, name_data(b, long_name));
	assert_int_equal(ask(fd, NBD_OPT_GO, "\0\0\0\6disk0\0\0\0", 12),
			 NBD_REP_ERR_UNKNOWN);
	long_name[4096] = 0;
	assert_int_equal(ask_name(fd, NBD_OPT_GO, long_name),
			 NBD_REP_ERR_UNKNOWN);
	free(long_name);
	assert_int_equal(ask_name(fd, NBD_OPT_GO, "disk0"), NBD_REP_ACK);
	hang_up(fd);
}

static void test_too_big(void **state)
{
	uint32_t len = 3 * MIB;
	int fd = dial_hello("sock", FLAGS_BOTH);
	char *data = mem_alloc(len);

	(void)state;
	assert_int_equal(ask(fd, NBD_OPT_GO, data, len), NBD_REP_ERR_TOO_BIG);
	assert_noticed(&log_lines, "option 7 has 3145728 bytes");
	assert_int_equal(ask_name(fd, NBD_OPT_GO, "disk0"), NBD_REP_ACK);
	free(data);
	hang_up(fd);
}

/* The old way to name an export has no way to say no. */
static void test_too_big_name(void **state)
{
	static const uint32_t len[] = { 4097, 65536, 65537, 1u << 31 };
	char *name = mem_alloc(65537);
	uint8_t head[16];

	(void)state;
	memset(name, 'n', 65537);
	for (size_t i = 0; i < sizeof(len) / sizeof(*len); i++) {
		int fd = dial_hello("sock", FLAGS_BOTH);

		put_be64(head, NBD_OPTS_MAGIC);
		put_be32(head + 8, NBD_OPT_EXPORT_NAME);
		put_be32(head + 12, len[i]);
		must_put(fd, head, sizeof(head));
		put(fd, name, min_u64(len[i], 65537));
		assert_hung_up(fd);
	}
	assert_noticed(&log_lines, "option 1 has 2147483648 bytes");
	free(name);
	assert_serves();
}

/* Without TLS: said so, and the client may go on in the clear. */
static void test_no_tls(void **state)
{
	int fd = dial_hello("sock", FLAGS_BOTH);

	(void)state;
	assert_int_equal(ask(fd, 5, NULL, 0), NBD_REP_ERR_UNSUP);
	assert_int_equal(ask_name(fd, NBD_OPT_GO, "disk0"), NBD_REP_ACK);
	hang_up(fd);
}

/* Options are over once the handshake is. */
static void test_option_afterwards(void **state)
{
	int fd = dial_export("disk0", true);
	char data[12] = "";

	(void)state;
	put_option(fd, NBD_OPT_LIST, data, sizeof(data));
	assert_hung_up(fd);
	assert_noticed(&log_lines, "no request begins with 0x49484156");
	assert_serves();
}

static void test_strangers(void **state)
{
	int fd = dial_hello("sock", 4);

	(void)state;
	assert_hung_up(fd);
	assert_noticed(&log_lines, "has unknown flags 0x4");
	fd = dial_hello("sock", FLAGS_BOTH);
	must_put(fd, "GET / HTTP/1.1\r\n\r\n", 18);
	assert_hung_up(fd);
	assert_noticed(&log_lines, "no option begins like this");
	fd = dial_hello("sock", FLAGS_BOTH);
	must_put(fd, "IHAVEOPT\0\0\0\7\0\0\1\0xx", 18);
	shutdown(fd, SHUT_WR);
	assert_hung_up(fd);
	assert_noticed(&log_lines, "in the midst of the handshake");
	close(dial("sock"));
	assert_serves();
}

/* --- contexts --- */

static uint32_t ask_contexts(int fd, uint32_t option, const char *name,
			     const char *const *query, char *out)
{
	uint8_t b[1000] = { 0 };
	struct answer a;

	*out = 0;
	put_option(fd, option, b, context_data(b, name, query));
	for (;;) {
		get_answer(fd, option, &a);
		if (a.type != NBD_REP_META_CONTEXT)
			return a.type;
		sprintf(out + strlen(out), "%u=%s ", get_be32(a.data),
			(char *)a.data + 4);
	}
}

static void assert_contexts(int fd, uint32_t option, const char *query,
			    const char *answer)
{
	const char *const list[] = { query, NULL };
	char out[256];

	assert_int_equal(ask_contexts(fd, option, "disk0", list, out),
			 NBD_REP_ACK);
	assert_string_equal(out, answer);
}

#define LIST_BASE "0=base:allocation "
#define LIST_DEPTH "0=qemu:allocation-depth "
#define BASE "0=base:allocation "
#define DEPTH "1=qemu:allocation-depth "

static void test_contexts(void **state)
{
	int fd = dial_hello("sock", FLAGS_BOTH);
	char out[256];

	(void)state;
	assert_int_equal(ask_contexts(fd, NBD_OPT_SET_META_CONTEXT, "disk0",
				      both_contexts, out),
			 NBD_REP_ERR_INVALID);
	assert_int_equal(ask(fd, NBD_OPT_STRUCTURED_REPLY, NULL, 0),
			 NBD_REP_ACK);
	assert_contexts(fd, NBD_OPT_LIST_META_CONTEXT, NULL,
			LIST_BASE LIST_DEPTH);
	assert_contexts(fd, NBD_OPT_LIST_META_CONTEXT, "base:", LIST_BASE);
	assert_contexts(fd, NBD_OPT_LIST_META_CONTEXT, "qemu:", LIST_DEPTH);
	assert_contexts(fd, NBD_OPT_LIST_META_CONTEXT, "qemu:all", "");
	assert_contexts(fd, NBD_OPT_LIST_META_CONTEXT, "x-y:", "");
	assert_contexts(fd, NBD_OPT_LIST_META_CONTEXT, "", "");
	assert_contexts(fd, NBD_OPT_SET_META_CONTEXT, NULL, "");
	assert_contexts(fd, NBD_OPT_SET_META_CONTEXT, "base:", "");
	assert_contexts(fd, NBD_OPT_SET_META_CONTEXT, "base:allocation2", "");
	assert_contexts(fd, NBD_OPT_SET_META_CONTEXT,
			"qemu:allocation-depth", DEPTH);
	assert_int_equal(ask_contexts(fd, NBD_OPT_SET_META_CONTEXT, "disk0",
				      both_contexts, out), NBD_REP_ACK);
	assert_string_equal(out, BASE DEPTH);
	assert_int_equal(ask_contexts(fd, NBD_OPT_SET_META_CONTEXT, "disk1",
				      both_contexts, out),
			 NBD_REP_ERR_UNKNOWN);
	assert_int_equal(ask_name(fd, NBD_OPT_GO, "disk0"), NBD_REP_ACK);
	assert_int_equal(do_chunked(fd, NBD_CMD_BLOCK_STATUS, 0, 0, 512),
			 NBD_EINVAL);
	hang_up(fd);
}

/* What was selected for one export is none of another's. */
static void test_contexts_of_another(void **state)
{
	int fd = dial_hello("sock", FLAGS_BOTH);
	char out[256];

	(void)state;
	export_it("x", "disk0", false);
	ask(fd, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
	assert_int_equal(ask_contexts(fd, NBD_OPT_SET_META_CONTEXT, "x",
				      both_contexts, out), NBD_REP_ACK);
	assert_int_equal(ask_name(fd, NBD_OPT_GO, "disk0"), NBD_REP_ACK);
	assert_int_equal(do_chunked(fd, NBD_CMD_BLOCK_STATUS, 0, 0, 512),
			 NBD_EINVAL);
	hang_up(fd);
}

static void test_context_lengths(void **state)
{
	static const char *const wrong[] = {
		"", "\0\0\0\5disk0", "\0\0\0\5disk0\0\0\0\1",
		"\0\0\0\5disk0\0\0\0\1\0\0\0\2x",
		"\0\0\0\5disk0\0\0\0\0x",
		"\0\0\0\5disk0\xff\xff\xff\xff\0\0\0\1x",
		"\0\0\0\5disk0\0\0\0\1\xff\xff\xff\xffx",
	};
	static const uint32_t len[] = { 0, 9, 13, 18, 14, 18, 18 };
	int fd = dial_hello("sock", FLAGS_BOTH);

	(void)state;
	ask(fd, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
	for (size_t i = 0; i < sizeof(len) / sizeof(*len); i++)
		assert_invalid(fd, NBD_OPT_SET_META_CONTEXT, wrong[i],
			       len[i]);
	close(fd);
	assert_serves();
}

/* --- time --- */

static void test_deadline(void **state)
{
	int silent, slow, list;
	uint8_t hello[18];

	(void)state;
	server->handshake_ns = NS_PER_SEC / 5;
	silent = dial("sock");
	must_get(silent, hello, sizeof(hello));
	/* Their time may be over before they have said what they have to. */
	slow = dial("sock");
	must_get(slow, hello, sizeof(hello));
	put(slow, "\0\0\0\3IHAVEOPT\0\0", 14);
	list = dial("sock");
	put(list, "\0\0\0\3", 4);
	while (put(list, "IHAVEOPT\0\0\0\3\0\0\0\0", 16))
		;
	close(list);
	assert_hung_up(silent);
	assert_hung_up(slow);
	for (unsigned i = 0; i < 3; i++)
		assert_noticed(&log_lines, "did not finish the handshake");
	server->handshake_ns = 60 * NS_PER_SEC;
	assert_serves();
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, enter_logged, leave_logged)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_export_name),
		TEST(test_unknown_name),
		TEST(test_default_name),
		TEST(test_info),
		TEST(test_list),
		TEST(test_unknown_options),
		TEST(test_lengths),
		TEST(test_too_big),
		TEST(test_too_big_name),
		TEST(test_no_tls),
		TEST(test_option_afterwards),
		TEST(test_strangers),
		TEST(test_contexts),
		TEST(test_contexts_of_another),
		TEST(test_context_lengths),
		TEST(test_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
