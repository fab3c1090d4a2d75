/* test_input.c - bytes to keys, and the table of keys. */
#include "tests/unit/ui/ui.h"

#include "ui/keys/input.h"
#include "ui/keys/keys.h"

static struct input in;

static void add(const char *bytes)
{
	input_add(&in, bytes, strlen(bytes));
}

static void assert_key(int code, bool flush)
{
	struct key key;

	assert_true(input_next(&in, &key, flush));
	assert_int_equal(key.code, code);
}

static void assert_none(void)
{
	struct key key;

	assert_false(input_next(&in, &key, false));
}

static int clean(void **state)
{
	(void)state;
	input_release(&in);
	memset(&in, 0, sizeof(in));
	return 0;
}

static void plain_keys(void **state)
{
	(void)state;
	add("a\t\r\003é磁");
	assert_key('a', false);
	assert_key(KEY_TAB, false);
	assert_key(KEY_RETURN, false);
	assert_key(KEY_CTRL_C, false);
	assert_key(0xe9, false);
	assert_key(0x78c1, false);
	assert_none();
}

/* What a terminal answers late is one unknown key. */
static void answers(void **state)
{
	(void)state;
	add("\033]11;rgb:ff");
	assert_none();
	add("ff/ffff/ffff\033\\a\033]11;x\ab\033]c");
	assert_key(KEY_UNKNOWN, false);
	assert_key('a', false);
	assert_key(KEY_UNKNOWN, false);
	assert_key('b', false);
	assert_key(KEY_UNKNOWN, false);
	assert_key('c', false);
	assert_none();
}

/* A character that comes in pieces is not cut. */
static void pieces(void **state)
{
	(void)state;
	add("\xc3");
	assert_none();
	assert_true(input_pending(&in));
	add("\xa9");
	assert_key(0xe9, false);
	add("\033");
	assert_none();
	add("[");
	assert_none();
	add("A");
	assert_key(KEY_UP, false);
	assert_false(input_pending(&in));
}

static void escapes(void **state)
{
	struct key key;

	(void)state;
	add("\033[Z\033OA\033[6~\033OP\033[1;5Cx");
	assert_key(KEY_BACKTAB, false);
	assert_key(KEY_UP, false);
	assert_key(KEY_PGDN, false);
	assert_key(KEY_F1, false);
	/* Not known, but whole: readline gets it as it is. */
	assert_true(input_next(&in, &key, false));
	assert_int_equal(key.code, KEY_UNKNOWN);
	assert_int_equal(key.len, 6);
	assert_key('x', false);
	/* A lone ESC is a key only when nothing follows in time. */
	add("\033");
	assert_none();
	assert_key(KEY_ESC, true);
	add("\033f");
	assert_true(input_next(&in, &key, false));
	assert_int_equal(key.len, 2);
}

static void broken_bytes(void **state)
{
	(void)state;
	add("\xff\x80z\xc3z");
	assert_key(KEY_UNKNOWN, false);
	assert_key(KEY_UNKNOWN, false);
	assert_key('z', false);
	assert_key(KEY_UNKNOWN, false);
	assert_key('z', false);
}

/* A long way to write C-d or 'q', and what lies behind Unicode, where named
 * keys are, press no key. */
static void no_character(void **state)
{
	(void)state;
	add("\xe0\x80\x84\xf0\x80\x81\xb1\xf4\x90\x80\x8b\xed\xa0\x80z");
	for (int i = 0; i < 4; i++)
		assert_key(KEY_UNKNOWN, false);
	assert_key('z', false);
	assert_none();
}

static void mouse(void **state)
{
	struct key key;

	(void)state;
	add("\033[<0;10;5M\033[<0;10;5m\033[<64;1;1M\033[<65;1;1M\033[<0;0;0M");
	assert_true(input_next(&in, &key, false));
	assert_int_equal(key.code, KEY_MOUSE);
	assert_int_equal(key.mouse, MOUSE_PRESS);
	assert_int_equal(key.x, 9);
	assert_int_equal(key.y, 4);
	assert_true(input_next(&in, &key, false));
	assert_int_equal(key.mouse, MOUSE_OTHER);
	assert_true(input_next(&in, &key, false));
	assert_int_equal(key.mouse, MOUSE_WHEEL_UP);
	assert_true(input_next(&in, &key, false));
	assert_int_equal(key.mouse, MOUSE_WHEEL_DOWN);
	assert_true(input_next(&in, &key, false));
	assert_int_equal(key.code, KEY_UNKNOWN);
}

static void pastes(void **state)
{
	struct key key;

	(void)state;
	add("\033[200~one\ntw\033[20");
	assert_none();
	add("1~x");
	assert_true(input_next(&in, &key, false));
	assert_int_equal(key.code, KEY_PASTE);
	assert_int_equal(key.len, 6);
	assert_memory_equal(key.bytes, "one\ntw", 6);
	assert_key('x', false);
}

/* No key does two things in one pane; every key of a script has bytes. */
static void table(void **state)
{
	(void)state;
	for (unsigned p = 0; p < PANE_COUNT; p++)
		for (unsigned i = 0; i < key_row_count; i++)
			for (unsigned k = 0; k < 3 && key_rows[i].keys[k]; k++)
				if (key_rows[i].where >> p & 1)
					assert_int_equal(key_action(
						key_rows[i].keys[k], p),
						key_rows[i].action);
	assert_int_equal(key_action('s', PANE_CHAINS), ACTION_SNAPSHOT);
	assert_int_equal(key_action('s', PANE_PROMPT), ACTION_NONE);
	assert_int_equal(key_action(KEY_F10, PANE_PROMPT), ACTION_QUIT);
	assert_string_equal(input_bytes_of("PgUp"), "\033[5~");
	assert_string_equal(input_bytes_of("a"), "a");
	assert_string_equal(input_bytes_of("é"), "é");
	assert_null(input_bytes_of("Nosuch"));
}

static void manual(void **state)
{
	char text[16384] = "";
	FILE *file = fmemopen(text, sizeof(text), "w");

	(void)state;
	keys_manual(file);
	fclose(file);
	for (unsigned i = 0; i < key_row_count; i++)
		if (key_rows[i].help)
			assert_non_null(strstr(text, key_rows[i].help));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(plain_keys, clean),
		cmocka_unit_test_setup(answers, clean),
		cmocka_unit_test_setup(pieces, clean),
		cmocka_unit_test_setup(escapes, clean),
		cmocka_unit_test_setup(broken_bytes, clean),
		cmocka_unit_test_setup(no_character, clean),
		cmocka_unit_test_setup(mouse, clean),
		cmocka_unit_test_setup(pastes, clean),
		cmocka_unit_test(table),
		cmocka_unit_test(manual),
	};

	return cmocka_run_group_tests(tests, utf8, clean);
}
