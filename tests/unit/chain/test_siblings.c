/* test_siblings.c - who reads from a layer and is not open: by what stands at
 * the beginning of files, whatever that is.
 */
#include "tests/unit/file_help.h"

#include <fcntl.h>
#include <unistd.h>

#include "engine/chain/chain.h"
#include "engine/chain/peek.h"
#include "engine/chain/siblings.h"
#include "engine/event/event.h"
#include "engine/image/qcow2/qcow2.h"
#include "engine/util/bytes.h"

static struct graph graph;
static struct event_ring events;

static void set_up(void)
{
	event_ring_init(&events);
	graph_init(&graph);
	graph.events = &events;
}

static void tear_down(void)
{
	graph_release(&graph);
	event_ring_release(&events);
	scratch_clear();
}

/* A file of @size bytes whose header says that its backing file's name, @name,
 * is @len bytes at @at. */
static void write_head(const char *path, uint64_t at, uint32_t len,
		       const char *name, size_t size)
{
	uint8_t *buf = calloc(1, size + 8192);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	put_be32(buf, QCOW2_MAGIC);
	put_be32(buf + QCOW2_AT_VERSION, 3);
	put_be64(buf + QCOW2_AT_BACKING, at);
	put_be32(buf + QCOW2_AT_BACKING_LEN, len);
	if (name)
		memcpy(buf + at, name, strlen(name));
	assert_int_equal(write(fd, buf, size), size);
	close(fd);
	free(buf);
}

static void overlay(const char *path, const char *name)
{
	write_head(path, 120, (uint32_t)strlen(name), name, 4096);
}

static void plain(const char *path)
{
	write_head(path, 0, 0, NULL, 4096);
}

/* -- a header -- */

static int peek(const char *path, struct peek *out)
{
	struct stat st;
	int fd = folder_peek_open(NULL, path, &st), rc;

	assert_true(fd >= 0);
	rc = peek_read(fd, out);
	folder_unpeek(fd);
	return rc;
}

static void assert_peeked(uint64_t at, uint32_t len, const char *said,
			  size_t size, const char *want)
{
	struct peek out;

	write_head("image", at, len, said, size);
	assert_int_equal(peek("image", &out), 0);
	assert_string_equal(out.backing, want);
	assert_string_equal(out.data, "");
}

static void names_in_headers(void **state)
{
	char most[PEEK_NAME_MAX + 2] = "";

	(void)state;
	memset(most, 'n', PEEK_NAME_MAX);
	assert_peeked(120, 4, "base", 4096, "base");
	assert_peeked(4090, 10, "0123456789", 5000, "0123456789");
	assert_peeked(5000, 4, "base", 6000, "base");
	assert_peeked(120, PEEK_NAME_MAX, most, 4096, most);
	/* Not what it says to be: */
	assert_peeked(0, 0, NULL, 4096, "");
	assert_peeked(120, 0, NULL, 4096, "");
	assert_peeked(0, 4, NULL, 4096, "");
	assert_peeked(120, PEEK_NAME_MAX + 1, most, 4096, "");
	assert_peeked(120, UINT32_MAX, NULL, 4096, "");
	assert_peeked(UINT64_MAX, 4, NULL, 4096, "");
	assert_peeked(UINT64_MAX - 2, 4, NULL, 4096, "");
	assert_peeked(INT64_MAX, 4, NULL, 4096, "");
	assert_peeked(4094, 4, "base", 4096, "");
	assert_peeked(120, 4, "base", 71, "");
	assert_peeked(120, 4, "base", 3, "");
	assert_peeked(120, 4, "b\0se", 4096, "b");
	scratch_clear();
}

static void what_is_opened_to_peek(void **state)
{
	struct folder *here = folder_open(".");
	struct stat st;

	(void)state;
	assert_int_equal(mkdir("folder", 0700), 0);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_true(folder_peek_open(NULL, "folder", &st) < 0);
	assert_true(folder_peek_open(NULL, "fifo", &st) < 0);
	assert_true(folder_peek_open(NULL, "/dev/zero", &st) < 0);
	assert_true(folder_peek_open(NULL, "none", &st) < 0);
	/* What was a file when the folder was read may be another now. */
	assert_true(folder_peek_open(here, "folder", &st) < 0);
	assert_true(folder_peek_open(here, "fifo", &st) < 0);
	assert_true(folder_peek_open(here, "/dev/zero", &st) < 0);
	assert_null(folder_open("fifo"));
	folder_close(here);
	scratch_clear();
}

/* An image whose data file's name is an extension of @len bytes at @at; before
 * it one of @skip bytes. */
static void write_external(const char *path, uint32_t at, uint32_t skip,
			   uint32_t len, const char *name)
{
	uint8_t buf[4096] = { 0 };
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	put_be32(buf, QCOW2_MAGIC);
	put_be32(buf + QCOW2_AT_VERSION, 3);
	put_be64(buf + QCOW2_AT_INCOMPATIBLE, QCOW2_INCOMPAT_DATA_FILE);
	put_be32(buf + QCOW2_AT_HEADER_LENGTH, at);
	if (at < 1024) {
		put_be32(buf + at, QCOW2_EXT_FEATURES);
		put_be32(buf + at + 4, skip);
	}
	if (at < 1024 && skip < 1024) {
		at += 8 + (skip + 7) / 8 * 8;
		put_be32(buf + at, QCOW2_EXT_DATA_FILE);
		put_be32(buf + at + 4, len);
		memcpy(buf + at + 8, name, strlen(name));
	}
	assert_int_equal(write(fd, buf, sizeof(buf)), sizeof(buf));
	close(fd);
}

static void assert_external(uint32_t at, uint32_t skip, uint32_t len,
			    const char *want)
{
	struct peek out;

	write_external("image", at, skip, len, "data");
	assert_int_equal(peek("image", &out), 0);
	assert_true(out.external);
	assert_string_equal(out.data, want);
	assert_string_equal(out.backing, "");
}

static void names_of_data_files(void **state)
{
	(void)state;
	assert_external(112, 48, 4, "data");
	assert_external(104, 0, 4, "data");
	assert_external(112, 3, 4, "data");
	assert_external(112, 1000, 3, "dat");
	/* Nothing, but no harm: */
	assert_external(112, 48, 0, "");
	assert_external(112, 48, PEEK_NAME_MAX + 1, "");
	assert_external(112, UINT32_MAX, 4, "");
	assert_external(112, UINT32_MAX - 7, 4, "");
	assert_external(112, 3984, 4, "");
	assert_external(112, 3977, 4, "");
	assert_external(4095, 0, 4, "");
	assert_external(UINT32_MAX, 0, 4, "");
	scratch_clear();
}

/* -- the cache -- */

static void assert_cached(struct peek_cache *cache, const struct stat *st,
			  const char *want)
{
	struct folder *folder = folder_open(".");
	struct folder_entry e = { .name = "image", .st = *st };
	struct peek out;

	peek_cached(cache, folder, &e, &out);
	assert_string_equal(out.backing, want);
	folder_close(folder);
}

/* A file that was changed long ago is read once; when its times, size or inode
 * are others it is read again. */
static void only_what_changed_is_read_again(void **state)
{
	struct peek_cache *cache = peek_cache_new();
	struct stat st, other;

	(void)state;
	overlay("image", "one");
	assert_int_equal(stat("image", &st), 0);
	assert_cached(cache, &st, "one");
	overlay("image", "two");
	assert_cached(cache, &st, "two");	/* just changed: not kept */
	st.st_ctim.tv_sec -= 10;
	assert_cached(cache, &st, "two");
	overlay("image", "three");
	assert_cached(cache, &st, "two");	/* kept */
	other = st;
	other.st_mtim.tv_nsec ^= 1;
	assert_cached(cache, &other, "three");
	other.st_size++;
	overlay("image", "four");
	assert_cached(cache, &other, "four");
	other.st_ino++;
	overlay("image", "five");
	assert_cached(cache, &other, "five");
	peek_cache_free(cache);
	scratch_clear();
}

static void a_full_cache_forgets(void **state)
{
	struct peek_cache *cache = peek_cache_new();
	struct stat st;

	(void)state;
	overlay("image", "one");
	assert_int_equal(stat("image", &st), 0);
	st.st_ctim.tv_sec -= 10;
	for (unsigned i = 0; i < PEEK_CACHE_MAX + 10; i++) {
		st.st_ino = i + 1;
		assert_cached(cache, &st, "one");
	}
	overlay("image", "two");
	assert_cached(cache, &st, "one");
	st.st_ino = 5;
	assert_cached(cache, &st, "two");
	peek_cache_free(cache);
	scratch_clear();
}

/* -- folders -- */

static int look(struct siblings *s, const char *path, struct err *err)
{
	*err = (struct err)ERR_INIT;
	siblings_note_path(s, path);
	siblings_look(s, &graph);
	return siblings_check_path(s, &graph, path, "to write to it", err);
}

static void assert_found(const char *path, const char *by)
{
	struct siblings s = SIBLINGS_INIT;
	struct err err;

	assert_int_equal(look(&s, path, &err), -1);
	assert_non_null(strstr(err.text, by));
	siblings_release(&s);
}

static void assert_none(const char *path)
{
	struct siblings s = SIBLINGS_INIT;
	struct err err;

	if (look(&s, path, &err))
		fail_msg("%s", err.text);
	assert_false(s.cut);
	siblings_release(&s);
}

static void in_the_folders_of_the_chain(void **state)
{
	(void)state;
	set_up();
	assert_int_equal(mkdir("a", 0700) | mkdir("b", 0700) |
			 mkdir("c", 0700), 0);
	plain("b/base");
	overlay("a/mid", "../b/base");
	assert_none("a/mid");
	overlay("c/far", "../a/mid");
	assert_none("a/mid");		/* no file of the chain is there */
	overlay("b/top", "../a/mid");
	assert_found("a/mid", "b/top'");
	assert_found("./a/../a/mid", "b/top'");
	tear_down();
}

/* Beside b there is nobody, and nobody looks in a. */
static void nobody_looks_up(void **state)
{
	(void)state;
	set_up();
	assert_int_equal(mkdir("a", 0700) | mkdir("b", 0700), 0);
	plain("b/base");
	overlay("a/mid", "../b/base");
	assert_none("b/base");
	overlay("b/mid", "base");
	assert_found("b/base", "'b/mid'");
	tear_down();
}

static void loops_are_others_to_refuse(void **state)
{
	(void)state;
	set_up();
	overlay("a", "b");
	overlay("b", "a");
	overlay("self", "self");
	assert_none("a");
	assert_none("self");
	tear_down();
}

static void words_are_no_names(void **state)
{
	static const char *const led[] = {
		"base", "./base", "file:base", "json:{\"filename\":\"base\"}",
		"json:{\"file.filename\" : \"b\\ase\"}",
	}, *const astray[] = {
		"", "base2", "nbd:base", "http://base", "json:", "json:{base}",
		"json:{\"filename\"", "json:{\"filename\":", "..", ".", "/",
		"json:{\"filename\":\"",
	};

	(void)state;
	set_up();
	plain("base");
	for (size_t i = 0; i < sizeof(led) / sizeof(*led); i++) {
		overlay("top", led[i]);
		assert_found("base", "'top'");
	}
	for (size_t i = 0; i < sizeof(astray) / sizeof(*astray); i++) {
		overlay("top", astray[i]);
		assert_none("base");
	}
	tear_down();
}

static void json_has_other_letters(void **state)
{
	static const char *const led[] = {
		"json:{\"filename\":\"b\\u00e4\"}",
		"json:{\"filename\":\"b\\u00C3\\\"}",	/* never closed */
		"json:{\"filename\":\"\\u20ac\"}",
		"json:{\"filename\":\"\\ud83d\\udcbe\"}",
		"json:{\"filename\":\"a\\tb\"}",
		"json:{\"filename\":\"\\u0061\\/..\\/base\"}",
	}, *const names[] = {
		"b\303\244", "b\303\203\"}", "\342\202\254",
		"\360\237\222\276", "a\tb", "base",
	};

	(void)state;
	set_up();
	assert_int_equal(mkdir("a", 0700), 0);
	for (size_t i = 0; i < sizeof(led) / sizeof(*led); i++) {
		plain(names[i]);
		overlay("top", led[i]);
		assert_found(names[i], "'top'");
	}
	tear_down();
}

/* Text that says it goes on, and does not. */
static void json_that_ends(void **state)
{
	static const char words[] =
		"json:{\"filename\":\"\\u00e4\\ud83d\\udcbe\\\\x\\u";

	(void)state;
	set_up();
	plain("base");
	for (uint32_t len = 1; len < sizeof(words); len++) {
		write_head("top", 120, len, words, 4096);
		assert_none("base");
	}
	tear_down();
}

/* What is between is in a folder where nobody looks, or is a loop there. */
static void over_images_elsewhere(void **state)
{
	(void)state;
	set_up();
	assert_int_equal(mkdir("away", 0700), 0);
	plain("base");
	overlay("away/one", "../base");
	overlay("away/two", "one");
	assert_none("base");
	overlay("top", "away/two");
	assert_found("base", "'away/one' (and of 2 more)");
	overlay("away/one", "two");
	assert_none("base");
	overlay("away/two", "nowhere");
	assert_none("base");
	unlink("away/two");
	assert_int_equal(mkfifo("away/two", 0600), 0);
	assert_none("base");
	tear_down();
}

/* The first layer on the way down is the one that counts. */
static void who_is_behind_a_layer(void **state)
{
	struct siblings s = SIBLINGS_INIT;
	struct err err = ERR_INIT;

	(void)state;
	set_up();
	plain("base");
	overlay("mid", "base");
	overlay("side", "mid");
	overlay("over", "side");
	siblings_note_path(&s, "mid");
	siblings_look(&s, &graph);
	assert_int_equal(siblings_check_path(&s, &graph, "base", "x", &err),
			 0);
	assert_int_equal(siblings_check_path(&s, &graph, "mid", "x", &err),
			 -1);
	assert_non_null(strstr(err.text, "'side' (and of 1 more)"));
	siblings_release(&s);
	assert_found("base", "'mid' (and of 2 more)");
	tear_down();
}

/* One image is one, whatever its names; each of them may lead somewhere. */
static void names_of_one_image(void **state)
{
	(void)state;
	set_up();
	assert_int_equal(mkdir("away", 0700), 0);
	plain("base");
	overlay("away/top", "../base");
	assert_int_equal(link("away/top", "hard"), 0);
	assert_none("base");		/* not from here, and not looked for */
	assert_int_equal(symlink("away/top", "soft"), 0);
	assert_found("base", "soft', which");
	overlay("over", "hard");
	assert_found("base", "soft' (and of 1 more)");
	unlink("soft");
	overlay("over", "away/top");
	assert_found("base", "top' (and of 1 more)");
	tear_down();
}

/* What stands there now is not what was looked for. */
static void changed_meanwhile(void **state)
{
	struct siblings s = SIBLINGS_INIT;
	struct err err = ERR_INIT;

	(void)state;
	set_up();
	plain("base");
	plain("new");
	siblings_note_path(&s, "base");
	siblings_look(&s, &graph);
	assert_int_equal(siblings_check_path(&s, &graph, "base", "x", &err),
			 0);
	assert_int_equal(rename("new", "base"), 0);
	assert_int_equal(siblings_check_path(&s, &graph, "base", "x", &err),
			 -1);
	assert_non_null(strstr(err.text, "try it again"));
	siblings_release(&s);
	tear_down();
}

static void data_files_are_layers(void **state)
{
	(void)state;
	set_up();
	plain("data");
	write_external("image", 112, 48, 4, "data");
	assert_found("data", "the data file of 'image'");
	assert_none("image");
	overlay("top", "image");
	assert_found("image", "the backing file of 'top'");
	tear_down();
}

/* -- where a look ends -- */

static void a_look_has_an_end(void **state)
{
	struct siblings s = SIBLINGS_INIT;
	struct event_listener listener;
	struct event ev;
	struct err err;
	uint64_t lost;

	(void)state;
	set_up();
	assert_int_equal(event_listen(&events, &listener), 0);
	plain("base");
	plain("another");
	plain("third");
	s.files_max = 3;
	assert_int_equal(look(&s, "base", &err), 0);
	assert_true(s.cut);
	assert_int_equal(s.files, 3);
	assert_true(event_next(&listener, &ev, 0, &lost));
	assert_non_null(strstr(ev.text, "'base'"));
	siblings_release(&s);
	event_unlisten(&listener);
	tear_down();
}

/* Nor does it go on through images that are elsewhere. */
static void a_look_elsewhere_has_an_end(void **state)
{
	struct siblings s = SIBLINGS_INIT;
	char name[32], below[32];
	struct err err;

	(void)state;
	set_up();
	assert_int_equal(mkdir("away", 0700), 0);
	plain("base");
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "away/%d", i);
		snprintf(below, sizeof(below), "%d", i + 1);
		overlay(name, below);
	}
	overlay("away/20", "../base");
	overlay("top", "away/0");
	s.files_max = 15;
	assert_int_equal(look(&s, "base", &err), 0);
	assert_true(s.cut);
	siblings_release(&s);
	assert_found("base", "'away/20' (and of 21 more)");
	tear_down();
}

/* More links than there was room for at first. */
static void many_of_them(void **state)
{
	char name[32];

	(void)state;
	set_up();
	assert_int_equal(mkdir("away", 0700), 0);
	plain("base");
	overlay("away/mid", "../base");
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "top%d", i);
		overlay(name, i % 2 ? "away/mid" : "elsewhere");
	}
	assert_found("base", "'away/mid' (and of 1500 more)");
	tear_down();
}

static void nothing_noted_is_nobody_found(void **state)
{
	struct siblings s = SIBLINGS_INIT;
	struct err err = ERR_INIT;

	(void)state;
	set_up();
	plain("base");
	overlay("top", "base");
	siblings_look(&s, &graph);
	assert_int_equal(siblings_check_path(&s, &graph, "base", "x", &err),
			 0);
	assert_int_equal(s.files, 0);
	siblings_release(&s);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_in_headers),
		cmocka_unit_test(names_of_data_files),
		cmocka_unit_test(what_is_opened_to_peek),
		cmocka_unit_test(only_what_changed_is_read_again),
		cmocka_unit_test(a_full_cache_forgets),
		cmocka_unit_test(in_the_folders_of_the_chain),
		cmocka_unit_test(nobody_looks_up),
		cmocka_unit_test(loops_are_others_to_refuse),
		cmocka_unit_test(words_are_no_names),
		cmocka_unit_test(json_has_other_letters),
		cmocka_unit_test(json_that_ends),
		cmocka_unit_test(over_images_elsewhere),
		cmocka_unit_test(who_is_behind_a_layer),
		cmocka_unit_test(names_of_one_image),
		cmocka_unit_test(changed_meanwhile),
		cmocka_unit_test(data_files_are_layers),
		cmocka_unit_test(a_look_has_an_end),
		cmocka_unit_test(a_look_elsewhere_has_an_end),
		cmocka_unit_test(many_of_them),
		cmocka_unit_test(nothing_noted_is_nobody_found),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
