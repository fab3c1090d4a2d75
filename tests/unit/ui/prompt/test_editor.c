/* test_editor.c - readline as it is tamed, under bytes of any kind. */
#include "tests/unit/slow.h"
#include "tests/unit/ui/ui.h"

#include <sys/stat.h>
#include <unistd.h>

#include <readline/history.h>

#include "engine/util/mem.h"
#include "ui/prompt/editor.h"

#define CHUNK 64
#define CHUNKS 10000

/* readline 8.2 forgets lines of its own when bytes are thrown at it. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libreadline";
}

static struct {
	char dir[32];
	unsigned lines, full;
	uint64_t seed;
} world;

static uint64_t any(void)
{
	world.seed ^= world.seed << 13;
	world.seed ^= world.seed >> 7;
	world.seed ^= world.seed << 17;
	return world.seed;
}

static void draw_nothing(void)
{
}

static void show_nothing(char **matches, int n, int longest)
{
	(void)matches;
	(void)n;
	(void)longest;
}

/* Names as a folder may hold them: not always text. */
static char *next_name(const char *text, int state)
{
	static const char *const names[] = { "a\xff\xfe", "a\xc3", "aé" };
	static size_t next;

	(void)text;
	if (!state)
		next = 0;
	return next < 3 ? strdup(names[next++]) : NULL;
}

static char **complete(const char *text, int start, int end)
{
	(void)start;
	(void)end;
	rl_attempted_completion_over = 1;
	return rl_completion_matches(text, next_name);
}

static void accept(char *line)
{
	if (!line)
		return;
	world.lines++;
	world.full += !editor_takes(line);
	if (editor_takes(line))
		add_history(line);
	free(line);
}

/* An inputrc that does what one can do in it. */
static int begin(void **state)
{
	static const char inputrc[] =
		"set editing-mode vi\n"
		"set keymap emacs\n"
		"set convert-meta on\n"
		"\"\\C-x\\C-a\\C-b\": vi-movement-mode\n"
		"\"\\C-xv\": vi-editing-mode\n"
		"\"\\ev\": vi-search\n"
		"\"\\C-t\": forward-byte\n";
	FILE *null, *file;
	char *path;

	snprintf(world.dir, sizeof(world.dir), "/tmp/blkmon-XXXXXX");
	if (utf8(state) || !mkdtemp(world.dir))
		return -1;
	null = fopen("/dev/null", "r+e");
	if (!null)
		return -1;
	path = mem_printf("%s/inputrc", world.dir);
	file = fopen(path, "we");
	fputs(inputrc, file);
	fclose(file);
	setenv("INPUTRC", path, 1);
	rl_instream = rl_outstream = null;
	rl_catch_sigwinch = 0;
	rl_change_environment = 0;
	rl_prep_term_function = NULL;
	rl_deprep_term_function = NULL;
	rl_redisplay_function = draw_nothing;
	rl_completion_display_matches_hook = show_nothing;
	editor_init(complete);
	unlink(path);
	free(path);
	rmdir(world.dir);
	rl_callback_handler_install("", accept);
	return 0;
}

static int end(void **state)
{
	(void)state;
	rl_callback_handler_remove();
	fclose(rl_instream);
	return 0;
}

static void feed(const char *bytes, size_t len)
{
	editor_add(bytes, len);
	while (editor_has()) {
		editor_read();
		assert_int_equal(rl_editing_mode, 1);
		assert_in_range(rl_end, 0, EDITOR_LINE_MAX);
	}
}

static void type(const char *text)
{
	feed(text, strlen(text));
}

/* Whatever is begun is given up; the line is empty. */
static void begin_anew(void)
{
	type("\007\007\007");
	editor_set("");
}

/* Counted, not timed: a loop without end is the only way to fail for long,
 * and an alarm ends it. */
static void test_any_bytes(void **state)
{
	char bytes[CHUNK];

	(void)state;
	alarm(300);
	for (world.seed = 1; world.seed < CHUNKS / how_slow(); ) {
		uint64_t round = world.seed;

		world.seed = round * 0x9e3779b97f4a7c15;
		for (size_t i = 0; i < CHUNK; i++) {
			bytes[i] = (char)any();
			/* Keys, and broken characters, more than letters. */
			if (any() % 4 == 0)
				bytes[i] = "\033\030\x0a\x15\xc3\xff\t1"
					[any() % 8];
		}
		feed(bytes, CHUNK);
		if (any() % 4 == 0)	/* the screen writes a line */
			editor_set("block_stream disk0");
		assert_true(editor_is_text(rl_line_buffer));
		world.seed = round + 1;
	}
	alarm(0);
	begin_anew();
	world.lines = 0;
	type("help\r");
	assert_int_equal(world.lines, 1);
}

/* Each of these led into the vi mode, where Esc is a key of its own. */
static void test_no_way_to_vi(void **state)
{
	static const char *const ways[] = {
		"\033\n", "\033\r", "\005", "\030\022", "\030\001\002",
		"\030v", "\033v",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		begin_anew();
		type("one two");
		type(ways[i]);
		assert_int_equal(rl_editing_mode, 1);
		assert_ptr_equal(rl_get_keymap(), emacs_standard_keymap);
	}
	begin_anew();
}

static void test_only_characters(void **state)
{
	(void)state;
	begin_anew();
	type("a\xff" "b\xc3");
	assert_string_equal(rl_line_buffer, "ab");
	type("\xa9\x80" "c\xe2\x82");
	assert_string_equal(rl_line_buffer, "abéc");
	type("d");
	assert_string_equal(rl_line_buffer, "abécd");
	/* Quoted. */
	type("\021\xfe" "e\026\xff" "é");
	assert_string_equal(rl_line_buffer, "abécdeé");
	/* By moving over halves of characters. */
	type("\024\024\001\024\024\024\004\004");
	assert_true(editor_is_text(rl_line_buffer));
	/* From names that are put in. */
	editor_set("a");
	type("\033*");
	assert_true(editor_is_text(rl_line_buffer));
	begin_anew();
}

static void test_a_line_is_bounded(void **state)
{
	(void)state;
	begin_anew();
	world.lines = world.full = 0;
	editor_set("é");
	for (int i = 0; i < 16; i++)	/* kill it, yank it twice */
		type("\025\031\031");
	/* No key is done a thousand times at once. */
	assert_in_range(rl_end, EDITOR_LINE_MAX - 8, EDITOR_LINE_MAX);
	assert_true(editor_is_text(rl_line_buffer));
	assert_false(editor_takes(rl_line_buffer));
	assert_false(editor_insert("more"));
	type("more\r");
	assert_int_equal(world.lines, 1);
	assert_int_equal(world.full, 1);
	assert_true(editor_insert("some"));
	type("\r");
	assert_int_equal(world.lines, 2);
	assert_int_equal(world.full, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_way_to_vi),
		cmocka_unit_test(test_only_characters),
		cmocka_unit_test(test_a_line_is_bounded),
		cmocka_unit_test(test_any_bytes),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
