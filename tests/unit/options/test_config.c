/* test_config.c - the configuration of the screen: what it sets, and that what
 * is wrong in it is told with its line and changes nothing. */
#include "tests/unit/slow.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/util/mem.h"
#include "src/options/config.h"
#include "ui/keys/keys.h"
#include "ui/pane/sheet.h"
#include "tests/unit/scratch.h"

static char *file;
static struct str manual;
static struct screen_options options;
static struct str told;

static int begin(void **state)
{
	(void)state;
	options = (struct screen_options) { .bell = true };
	setenv("XDG_CONFIG_HOME", scratch_dir, 1);
	return 0;
}

static int end(void **state)
{
	(void)state;
	str_clear(&told);
	remove(file);
	return 0;
}

static void wrote(const char *text)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* @wants: what is told, without the name of the file in front of each line. */
static void reads(const char *text, const char *wants)
{
	struct str all = STR_INIT;

	if (text)
		wrote(text);
	str_clear(&told);
	config_read(&options, false, &told);
	for (size_t len; *wants; wants += len + (wants[len] != '\0')) {
		len = strcspn(wants, "\n");
		str_addf(&all, "%s:%.*s\n", file, (int)len, wants);
	}
	assert_string_equal(str_get(&told), str_get(&all));
	str_release(&all);
}

static void all_that_can_be_set(void **state)
{
	(void)state;
	reads("# as I like it\n"
	      "theme = light\r\n"
	      "\n"
	      "columns = disk, dead\n"
	      "  map=whole ; all of it\n"
	      "bell: off\n"
	      "confirm = off", "");
	assert_int_equal(options.theme, THEME_LIGHT);
	assert_int_equal(options.without, ~(1u << COLUMN_DISK |
					    1u << COLUMN_DEAD));
	assert_true(options.whole);
	assert_false(options.bell);
	assert_true(options.yes);
}

static void what_is_on_is_as_it_was(void **state)
{
	(void)state;
	reads("\357\273\277# saved by an editor\nbell = on\nconfirm = on\n"
	      "map = held\n", "");
	assert_true(options.bell);
	assert_false(options.yes);
	assert_false(options.whole);
	options.bell = false;
	options.yes = true;
	reads(NULL, "");
	assert_false(options.bell);
	assert_true(options.yes);
}

static void no_column_is_possible(void **state)
{
	(void)state;
	reads("columns =\n", "");
	assert_int_equal(options.without, UINT_MAX);
}

static void the_command_line_goes_before(void **state)
{
	(void)state;
	wrote("theme = light\n");
	options.theme = THEME_MONO;
	config_read(&options, true, &told);
	assert_int_equal(options.theme, THEME_MONO);
	assert_int_equal(told.len, 0);
}

static void what_is_wrong_is_told(void **state)
{
	(void)state;
	reads("theme = lihgt\n"
	      "thene = light\n"
	      "\n"
	      "quux = 1\n"
	      "nonsense\n"
	      "[broken\n"
	      "columns = disk, weight\n"
	      "bell = \033[31m\n"
	      "confirm =\n"
	      "map = whole\n"
	      "[elsewhere]\n"
	      "theme = dark\n"
	      "lost",
	      "1: theme: 'lihgt' is none of auto|dark|light|mono\n"
	      "2: there is no setting 'thene'; did you mean 'theme'?\n"
	      "4: there is no setting 'quux'\n"
	      "5: neither [SECTION] nor NAME = VALUE\n"
	      "6: neither [SECTION] nor NAME = VALUE\n"
	      "7: columns: 'weight' is none of format|size|disk|dead|age\n"
	      "8: bell: '\\x1b[31m' is none of off|on\n"
	      "9: confirm: '' is none of off|on\n"
	      "12: there is no section 'elsewhere'\n"
	      "13: neither [SECTION] nor NAME = VALUE\n");
	assert_int_equal(options.theme, THEME_AUTO);
	assert_int_equal(options.without, 0);
	assert_true(options.bell);
	assert_false(options.yes);
	assert_true(options.whole);
}

static void long_lines(void **state)
{
	char *text = mem_printf("theme = dark%*s\nbell = off\n# %0500d\n"
				"x = %0500d", 3000, "", 1, 1);

	(void)state;
	reads(text, "1: too long a line\n3: too long a line\n"
	      "4: too long a line\n");
	assert_int_equal(options.theme, THEME_AUTO);
	assert_false(options.bell);
	free(text);
}

static void keys_of_ones_own(void **state)
{
	(void)state;
	reads("[keys]\ncommit = K\nfold = Space Z\nsnapshot = x\ncancel = s\n",
	      "");
	assert_int_equal(key_action('K', PANE_CHAINS), ACTION_COMMIT);
	assert_int_equal(key_action('c', PANE_CHAINS), ACTION_NONE);
	assert_int_equal(key_action(' ', PANE_CHAINS), ACTION_FOLD);
	assert_int_equal(key_action('Z', PANE_CHAINS), ACTION_FOLD);
	assert_int_equal(key_action('x', PANE_JOBS), ACTION_SNAPSHOT);
	assert_int_equal(key_action('s', PANE_JOBS), ACTION_CANCEL);
	assert_string_equal(keys_name(ACTION_COMMIT), "K");
	assert_string_equal(keys_name(ACTION_FOLD), "Space");
	reads("[keys]\nquit = Q\n", "");
	assert_int_equal(key_action('Q', PANE_LOG), ACTION_QUIT);
	assert_int_equal(key_action('q', PANE_LOG), ACTION_NONE);
	/* Not a letter: it stays. */
	assert_int_equal(key_action(KEY_F10, PANE_LOG), ACTION_QUIT);
	assert_int_equal(key_action(KEY_F10, PANE_PROMPT), ACTION_QUIT);
	assert_int_equal(key_action('Q', PANE_PROMPT), ACTION_NONE);
}

static void wrong_keys(void **state)
{
	(void)state;
	reads("[keys]\ncomit = X\nstream = F5\nzoom = a b c\nmenu =\n"
	      "sort = \303\251\nquux = q\nstream = T\n",
	      "2: there is no action 'comit'; did you mean 'commit'?\n"
	      "3: stream: 'F5' is not one letter, or two, or Space\n"
	      "4: zoom: 'a b c' is not one letter, or two, or Space\n"
	      "5: menu: '' is not one letter, or two, or Space\n"
	      "6: sort: '\303\251' is not one letter, or two, or Space\n"
	      "7: there is no action 'quux'\n");
	assert_int_equal(key_action('X', PANE_CHAINS), ACTION_NONE);
	assert_int_equal(key_action('a', PANE_CHAINS), ACTION_ALL);
	assert_int_equal(key_action('T', PANE_CHAINS), ACTION_STREAM);
	reads("[keys]\nhelp = H\nhistory = ?\ncopy = d\n",
	      " 'dismiss' has no key any more\n");
	assert_int_equal(key_action('d', PANE_CHAINS), ACTION_COPY);
	assert_string_equal(keys_name(ACTION_DISMISS), "no key");
	assert_int_equal(key_action(KEY_F1, PANE_CHAINS), ACTION_HELP);
	reads("[keys]\ndismiss = d\ncopy = y\n", "");
}

static void no_file_is_no_fault(void **state)
{
	(void)state;
	reads(NULL, "");
	wrote("");
	reads(NULL, "");
	setenv("XDG_CONFIG_HOME", "/dev/null", 1);
	reads(NULL, "");
	/* Only a full path counts, and there may be no home at all. */
	setenv("XDG_CONFIG_HOME", "here", 1);
	unsetenv("HOME");
	reads(NULL, "");
	setenv("HOME", "", 1);
	reads(NULL, "");
}

static void below_the_home(void **state)
{
	(void)state;
	assert_int_equal(mkdir(".config", 0700), 0);
	assert_int_equal(symlink("../blkmon", ".config/blkmon"), 0);
	wrote("theme = mono\n");
	unsetenv("XDG_CONFIG_HOME");
	setenv("HOME", scratch_dir, 1);
	config_read(&options, false, &told);
	assert_int_equal(options.theme, THEME_MONO);
}

static void what_can_not_be_read(void **state)
{
	(void)state;
	assert_int_equal(mkdir(file, 0700), 0);
	reads(NULL, " no regular file of at most 65536 bytes\n");
	assert_int_equal(rmdir(file), 0);
	/* Nobody will ever write to it. */
	assert_int_equal(mkfifo(file, 0600), 0);
	reads(NULL, " no regular file of at most 65536 bytes\n");
	assert_int_equal(unlink(file), 0);
	wrote("");
	assert_int_equal(truncate(file, 65537), 0);
	reads(NULL, " no regular file of at most 65536 bytes\n");
	assert_int_equal(unlink(file), 0);
	assert_int_equal(symlink("config", file), 0);
	reads(NULL, " Too many levels of symbolic links\n");
	assert_int_equal(unlink(file), 0);
	wrote("theme = mono\n");
	assert_int_equal(chmod(file, 0), 0);
	if (access(file, R_OK))
		reads(NULL, " Permission denied\n");
}

static void the_manual_names_all(void **state)
{
	const char *word;

	(void)state;
	for (unsigned i = 0; (word = keys_word(i)); i++)
		assert_non_null(strstr(str_get(&manual), word));
}

static int set_up(void **state)
{
	FILE *f = fopen("docs/blkmon.1", "r");

	assert_non_null(f);
	for (int c; (c = fgetc(f)) != EOF; )
		if (c != '\\')
			str_add_char(&manual, (char)c);
	fclose(f);
	if (scratch_enter(state) || mkdir("blkmon", 0700))
		return -1;
	file = mem_printf("%s/blkmon/config", scratch_dir);
	return 0;
}

static int tear_down(void **state)
{
	free(file);
	str_release(&told);
	str_release(&manual);
	return scratch_leave(state);
}

#define T(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(all_that_can_be_set),
		T(what_is_on_is_as_it_was),
		T(no_column_is_possible),
		T(the_command_line_goes_before),
		T(what_is_wrong_is_told),
		T(long_lines),
		T(keys_of_ones_own),
		T(wrong_keys),
		T(no_file_is_no_fault),
		T(below_the_home),
		T(what_can_not_be_read),
		T(the_manual_names_all),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
