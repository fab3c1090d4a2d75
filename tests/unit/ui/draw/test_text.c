/* test_text.c - widths, cutting, numbers in few columns; the canvas. */
#include "tests/unit/ui/ui.h"

#include "engine/util/size.h"
#include "ui/draw/canvas.h"
#include "ui/draw/names.h"
#include "ui/draw/strip.h"
#include "ui/draw/text.h"

#define MIB (1ull << 20)

static void assert_fit(const char *text, unsigned columns, bool middle,
		       bool ascii, const char *want)
{
	struct str out = STR_INIT;

	if (middle)
		text_fit_middle(&out, text, columns, ascii);
	else
		text_fit(&out, text, columns, ascii);
	assert_string_equal(str_get(&out), want);
	assert_true(text_columns(str_get(&out)) <= columns);
	str_release(&out);
}

static void widths(void **state)
{
	(void)state;
	assert_int_equal(text_columns(""), 0);
	assert_int_equal(text_columns("abc"), 3);
	assert_int_equal(text_columns("磁碟"), 4);
	assert_int_equal(text_columns("é"), 1);
	assert_int_equal(text_columns("e\xcc\x81"), 1);	/* combining */
	assert_int_equal(text_columns("\xff\xfe"), 2);	/* not UTF-8 */
	assert_int_equal(text_columns("a\xe2\x80\xae" "b"), 3);	/* bidi */
	assert_int_equal(text_prefix("磁碟", 3), 3);
	assert_int_equal(text_prefix("e\xcc\x81x", 1), 3);
}

static void cutting(void **state)
{
	(void)state;
	assert_fit("overlay", 7, false, false, "overlay");
	assert_fit("overlay", 5, false, false, "over…");
	assert_fit("overlay", 5, false, true, "over~");
	assert_fit("overlay-17.qcow2", 9, true, true, "over~cow2");
	assert_fit("磁碟磁碟", 5, false, false, "磁碟…");
	assert_fit("磁碟磁碟", 4, false, false, "磁…");
	assert_fit("abc", 0, false, false, "");
	assert_fit("abc", 1, true, true, "~");
}

static void assert_size(uint64_t bytes, const char *want)
{
	char buf[8];

	assert_string_equal(size_short(bytes, buf, sizeof(buf)), want);
}

/* The names of one screen, cut to @columns; what is cut differs as the whole
 * did. */
static void assert_names(unsigned columns, size_t n, const char *const *names,
			 const char *const *want)
{
	struct name_cut cuts[8];
	struct str out[8];

	names_tell_apart(names, cuts, n);
	for (size_t i = 0; i < n; i++) {
		out[i] = (struct str)STR_INIT;
		names_fit(&out[i], names[i], cuts[i], columns, false);
		assert_true(text_columns(str_get(&out[i])) <= columns);
		assert_string_equal(str_get(&out[i]), want[i]);
		for (size_t k = 0; k < i; k++)
			if (strcmp(names[i], names[k]))
				assert_string_not_equal(str_get(&out[i]),
							str_get(&out[k]));
	}
	for (size_t i = 0; i < n; i++)
		str_release(&out[i]);
}

static void names_differ(void **state)
{
	static const char *const dates[] = {
		"web-frontend-01.example.internal-snapshot-2026-11-03.qcow2",
		"debian-12-golden-image-2026-10-01.qcow2",
		"web-frontend-01.example.internal-snapshot-2026-11-09.qcow2",
		"db.qcow2",
	};
	static const char *const hosts[] = {
		"web-frontend-01.example.internal-disk-1.raw",
		"web-frontend-02.example.internal-disk-1.raw",
		"web-frontend-01.example.internal-disk-2.raw",
		"web-frontend-01.example.internal-disk-1.raw",
		"web-frontend-01.example.internal-disk-1.qcow2",
	};
	static const char *const odd[] = {
		"", "a", "3f2a9cb1d05e77a1c2", "磁碟磁碟磁碟磁碟磁碟", "------------",
		"3f2a9cb1d05e77a1c2-",
	};

	(void)state;
	assert_names(80, 4, dates, (const char *const[]) {
		"web-frontend-01.example.internal-snapshot-2026-11-03",
		"debian-12-golden-image-2026-10-01",
		"web-frontend-01.example.internal-snapshot-2026-11-09",
		"db" });
	assert_names(22, 4, dates, (const char *const[]) {
		"web-frontend-01…-11-03", "debian-12-golden…-01",
		"web-frontend-01…-11-09", "db" });
	assert_names(16, 4, dates, (const char *const[]) {
		"web-frontend…-03", "debian-12…-10-01", "web-frontend…-09",
		"db" });
	assert_names(7, 4, dates, (const char *const[]) {
		"web…-03", "debian…", "web…-09", "db" });
	/* In the middle and at the end. */
	assert_names(20, 5, hosts, (const char *const[]) {
		"web…-01…-disk-1.raw", "web-frontend-02….raw",
		"web…-01…-disk-2.raw", "web…-01…-disk-1.raw",
		"web…-01…-1.qcow2" });
	assert_names(10, 6, odd, (const char *const[]) {
		"", "a", "3f2a…7a1c2", "磁碟…磁碟", "----…-----",
		"3f2a…a1c2-" });
}

/* Names that share nothing, and thousands of them, cost no square. */
static void many_names(void **state)
{
	enum { N = 3000 };
	char (*text)[32] = calloc(N, sizeof(*text));
	const char **names = calloc(N, sizeof(*names));
	struct name_cut *cuts = calloc(N, sizeof(*cuts));

	(void)state;
	for (size_t i = 0; i < N; i++) {
		snprintf(text[i], sizeof(*text), "disk-%zu-layer-%zu", i / 50,
			 i % 50);
		names[i] = text[i];
	}
	names_tell_apart(names, cuts, N);
	for (size_t i = 50; i < N; i++)
		assert_int_equal(cuts[i].words, 10);
	free(text);
	free(names);
	free(cuts);
}

static void wrapping(void **state)
{
	(void)state;
	assert_int_equal(text_rows("", 10), 1);
	assert_int_equal(text_row("one two three", 10), 8);
	assert_int_equal(text_rows("one two three", 10), 2);
	assert_int_equal(text_row("onetwothree", 10), 10);
	assert_int_equal(text_rows("磁碟", 1), 1);
}

static void copies(void **state)
{
	char buf[8];

	(void)state;
	text_copy_safe(buf, sizeof(buf), "abcdefgh");
	assert_string_equal(buf, "abcdefg");
	/* A character is not cut in two. */
	text_copy_safe(buf, sizeof(buf), "磁碟碟");
	assert_string_equal(buf, "磁碟");
	text_copy_safe(buf, sizeof(buf), "\033");
	assert_string_equal(buf, "\\x1b");
}

static void numbers(void **state)
{
	char buf[16];

	(void)state;
	assert_size(0, "0");
	assert_size(999, "999");
	assert_size(1000, "0.98K");
	assert_size(64 * MIB, "64.0M");
	assert_size(999 * MIB, "999M");
	assert_size(1023 * MIB, "1.00G");
	assert_size(UINT64_MAX, "16.0E");
	assert_string_equal(seconds_short(5, buf, sizeof(buf)), "0:05");
	assert_string_equal(seconds_short(3661, buf, sizeof(buf)), "1:01:01");
	assert_string_equal(seconds_short(360000, buf, sizeof(buf)), "4d 4h");
	seconds_short(UINT64_MAX, buf, sizeof(buf));
	assert_string_equal(size_brief(444 * MIB, buf, sizeof(buf)),
			    "444M");
	assert_string_equal(size_brief(23 * MIB / 10, buf, sizeof(buf)),
			    "2.3M");
	assert_string_equal(text_age(59, buf, sizeof(buf)), "59s");
	assert_string_equal(text_age(47 * 3600, buf, sizeof(buf)), "47h");
	assert_string_equal(text_age(48 * 3600, buf, sizeof(buf)), "2d");
}

static void assert_cell(uint64_t data, uint64_t zero, uint64_t compressed,
			bool ascii, const char *want)
{
	struct strip_cell cell = { data, zero, compressed, 0 };
	enum style style;

	assert_string_equal(strip_glyph(&cell, 800, ascii, &style), want);
}

/* Any byte shows, only all of them fill the cell, kinds differ in glyph. */
static void strips(void **state)
{
	struct strip_cell two[] = { { 1, 0, 0, 1 }, { 2, 0, 0, 0 } };
	struct strip_cell dead = { 9, 0, 1, 10 };
	enum style style;

	(void)state;
	assert_cell(0, 0, 0, false, "·");
	assert_cell(0, 0, 0, true, " ");
	assert_cell(1, 0, 0, false, "▁");
	assert_cell(799, 0, 0, false, "▇");
	assert_cell(800, 0, 0, false, "█");
	assert_cell(800, 0, 0, true, "#");
	assert_cell(400, 0, 0, true, "=");
	assert_cell(0, 1, 0, false, "o");
	assert_cell(0, 800, 0, false, "0");
	assert_cell(0, 0, 100, false, "▒");
	assert_cell(0, 0, 800, false, "▓");
	assert_cell(0, 0, 800, true, "Z");
	/* Zeroes hide no data, however much more of them there are. */
	assert_cell(300, 400, 0, false, "▃");
	assert_cell(1, 799, 0, false, "▁");
	assert_cell(1, 799, 0, true, ".");
	assert_cell(0, 799, 1, false, "▓");
	assert_cell(100, 0, 700, false, "▓");
	assert_string_equal(strip_glyph(&dead, 800, false, &style), "░");
	assert_string_equal(strip_glyph(&dead, 800, true, &style), "x");
	dead.dead--;
	assert_string_equal(strip_glyph(&dead, 800, true, &style), ".");
	/* What one sees of several is not dead. */
	assert_int_equal(strip_scaled(two, 2, 0, 1).dead, 0);
	assert_int_equal(strip_scaled(two, 2, 0, 4).dead, 1);
	assert_int_equal(strip_scaled(two, 2, 0, 1).data, 2);
	assert_int_equal(strip_scaled(two, 2, 0, 4).data, 1);
	assert_int_equal(strip_scaled(two, 2, 3, 4).data, 2);
	assert_int_equal(strip_scaled(two, 0, 3, 4).data, 0);
}

static void assert_screen(const struct canvas *c, const char *want)
{
	char text[4096] = "";
	FILE *file = fmemopen(text, sizeof(text), "w");

	canvas_write_text(c, file);
	fclose(file);
	assert_string_equal(text, want);
}

/* What has a background has a foreground: the terminal's own may be the
 * same. In eight colours kinds that differ by colour still do. */
static void looks(void **state)
{
	static const int colors[] = { 8, 256 };

	(void)state;
	for (int theme = THEME_AUTO; theme <= THEME_MONO; theme++)
		for (int i = 0; i < STYLE_COUNT * 4; i++) {
			struct look look = theme_look(
				(enum theme_name)theme, (enum style)(i / 4),
				i % 2, colors[i / 2 % 2]);

			assert_int_equal(look.bg >= 0 && look.fg < 0, false);
		}
	assert_int_equal(theme_look(THEME_DARK, STYLE_GOOD, false, 8).fg, 2);
	assert_int_equal(theme_look(THEME_DARK, STYLE_BAD, false, 8).fg, 1);
	assert_int_equal(theme_look(THEME_DARK, STYLE_WARN, false, 8).fg, 3);
	assert_int_equal(theme_look(THEME_LIGHT, STYLE_GOOD, false, 8).fg, 2);
	assert_int_equal(theme_look(THEME_LIGHT, STYLE_DATA, false, 8).fg, 4);
}

static void canvas_clips(void **state)
{
	struct canvas c;

	(void)state;
	canvas_init(&c, 6, 2);
	assert_int_equal(canvas_put(&c, 4, 0, 9, STYLE_TEXT, "abc"), 2);
	assert_int_equal(canvas_put(&c, 0, 1, 9, STYLE_TEXT, "磁碟碟碟"), 6);
	assert_int_equal(canvas_put(&c, 6, 0, 9, STYLE_TEXT, "x"), 0);
	assert_int_equal(canvas_put(&c, 0, 2, 9, STYLE_TEXT, "x"), 0);
	assert_screen(&c, "    ab\n磁碟碟\n");
	/* Half of a wide character is overwritten: the other half goes. */
	canvas_put(&c, 1, 1, 1, STYLE_TEXT, "x");
	canvas_put(&c, 2, 1, 1, STYLE_TEXT, "y");
	assert_screen(&c, "    ab\n xy 碟\n");
	/* A wide one that does not fit is left out. */
	assert_int_equal(canvas_put(&c, 5, 0, 9, STYLE_TEXT, "磁"), 0);
	canvas_put(&c, 0, 0, 9, STYLE_TEXT,
		   "e\xcc\x81\xcc\x82\xcc\x83\xcc\x84");
	assert_screen(&c, "e\xcc\x81\xcc\x82   ab\n xy 碟\n");
	canvas_resize(&c, 1, 1);
	assert_screen(&c, "\n");
	canvas_resize(&c, 0, 0);
	assert_screen(&c, "");
	canvas_release(&c);
}

static void canvas_in_ascii(void **state)
{
	struct canvas c;

	(void)state;
	canvas_init(&c, 8, 1);
	c.ascii = true;
	canvas_put(&c, 0, 0, 9, STYLE_TEXT, "aé磁e\xcc\x81");
	assert_screen(&c, "a???e\n");
	canvas_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(widths),
		cmocka_unit_test(cutting),
		cmocka_unit_test(names_differ),
		cmocka_unit_test(many_names),
		cmocka_unit_test(wrapping),
		cmocka_unit_test(copies),
		cmocka_unit_test(numbers),
		cmocka_unit_test(strips),
		cmocka_unit_test(looks),
		cmocka_unit_test(canvas_clips),
		cmocka_unit_test(canvas_in_ascii),
	};

	return cmocka_run_group_tests(tests, utf8, NULL);
}
