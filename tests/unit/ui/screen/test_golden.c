/* test_golden.c - whole screens, drawn without a display from the answers in
 * tests/ui/fixtures, compared with tests/ui/golden.
 *
 * A screen that is meant to have changed: GOLDEN=write build/tests/ui/...
 */
#include "tests/unit/slow.h"
#include "tests/unit/ui/fake_channel.h"
#include "tests/unit/ui/ui.h"

#include "ui/screen/replay.h"
#include "ui/screen/screen.h"

#define FIXTURES "tests/ui/fixtures/"
#define GOLDEN "tests/ui/golden/"

struct stage {
	struct play play;
	struct fake run, watch;
	struct console console;
	struct screen_options options;
	struct screen screen;
};

static json_t *load(const char *name)
{
	char *path = mem_printf(FIXTURES "%s.json", name);
	json_error_t error;
	json_t *scenes = json_load_file(path, 0, &error);

	if (!scenes)
		fail_msg("%s: %s", path, error.text);
	free(path);
	return scenes;
}

static json_t *deep_chain(int n)
{
	json_t *nodes = json_array(), *links = json_array(), *node = NULL;
	json_t *blocks;

	for (int i = n; i--; ) {
		char *name = mem_printf("n%d", i);
		char *file = mem_printf("layer-%04d.qcow2", i);
		char *below = i ? mem_printf("n%d", i - 1) : mem_dup("");

		node = json_pack("{s:s, s:s, s:b, s:{s:s, s:I, s:I}}",
				 "node-name", name, "drv", "qcow2", "ro",
				 i < n - 1, "image", "filename", file,
				 "virtual-size", (json_int_t)1 << 34,
				 "actual-size", (json_int_t)i << 20);
		json_array_append_new(nodes, node);
		json_array_append_new(links, json_pack("{s:s, s:s}",
			"node-name", name, "backing", below));
		free(name);
		free(file);
		free(below);
	}
	blocks = json_pack("[{s:s, s:O}]", "device", "disk0", "inserted",
			   json_array_get(nodes, 0));
	return json_pack("[{s:{s:o, s:o, s:o}, s:{s:I}}]", "replies",
			 "query-named-block-nodes", nodes, "query-block",
			 blocks, "x-blkmon-query-links", links, "maps",
			 "size", (json_int_t)1 << 34);
}

static void open_stage(struct stage *t, json_t *scenes, unsigned w,
		       unsigned h, bool ascii)
{
	*t = (struct stage) {
		.play.scenes = scenes,
		.options = { .columns = w, .rows = h, .ascii = ascii,
			     .script = "", .fixed_time = "12:00:00",
			     .color = true },
	};
	lock_init(&t->play.lock);
	fake_init(&t->run, &t->play);
	fake_init(&t->watch, &t->play);
	t->run.other = &t->watch;
	t->run.silent = true;
	console_init(&t->console, &t->run.channel);
	t->run.silent = false;
	fake_wake(&t->run);
	screen_init(&t->screen, &t->options, &t->console, &t->watch.channel);
}

static void close_stage(struct stage *t)
{
	screen_release(&t->screen);
	console_release(&t->console);
	fake_release(&t->run);
	fake_release(&t->watch);
	lock_release(&t->play.lock);
	json_decref(t->play.scenes);
}

static void perform(struct stage *t, const char *script)
{
	char *text = mem_dup(script), *save = NULL, *line;

	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		assert_int_equal(replay_line(&t->screen, line, NULL), 0);
	free(text);
	replay_settle(&t->screen, NULL);
}

static char *picture(struct stage *t, enum theme_name colors)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (colors)
		canvas_write_ansi(&t->screen.sheet.canvas, colors, out);
	else
		canvas_write_text(&t->screen.sheet.canvas, out);
	fprintf(out, "cursor %d,%d\n", t->screen.sheet.canvas.cursor_x,
		t->screen.sheet.canvas.cursor_y);
	fclose(out);
	return text;
}

static char *read_golden(const char *path)
{
	char *text = mem_alloc(1 << 20);
	FILE *in = fopen(path, "r");

	if (in) {
		text[fread(text, 1, (1 << 20) - 1, in)] = '\0';
		fclose(in);
	}
	return text;
}

static void compare(const char *name, const char *got)
{
	char *path = mem_printf(GOLDEN "%s.txt", name), *want;
	const char *mode = getenv("GOLDEN");
	FILE *out;

	if (mode && !strcmp(mode, "write")) {
		out = fopen(path, "w");
		assert_non_null(out);
		fputs(got, out);
		fclose(out);
	}
	want = read_golden(path);
	if (strcmp(got, want))
		fail_msg("%s differs; the screen is now:\n%s", path, got);
	free(want);
	free(path);
}

#define LINE(text) "type # " text "\nkey Enter\n"
#define LINES LINE("one") LINE("two") LINE("three") LINE("four") \
	LINE("five") LINE("six") LINE("seven") LINE("eight") LINE("nine") \
	LINE("ten") LINE("eleven") LINE("twelve") LINE("thirteen")

struct scene {
	const char *name, *fixture;
	unsigned w, h;
	bool ascii;
	enum theme_name colors;		/* auto: as text alone */
	const char *script;
};

static const struct scene scenes[] = {
	{ "chains-80x24", "commit", 80, 24, false, 0, "" },
	{ "chains-60x16", "commit", 60, 16, false, 0, "" },
	{ "chains-120x40", "commit", 120, 40, false, 0, "" },
	{ "chains-ascii", "commit", 80, 24, true, 0, "" },
	{ "chains-mono", "commit", 60, 16, false, THEME_MONO, "key k" },
	{ "too-small", "commit", 59, 16, false, 0, "" },
	{ "tiny", "commit", 1, 1, false, 0, "key s Enter c y" },
	{ "empty", "empty", 80, 24, false, 0, "" },
	{ "key-snapshot", "commit", 80, 24, false, 0, "key s" },
	{ "key-stream-whole", "commit", 80, 24, false, 0, "key t" },
	{ "key-stream-base", "commit", 80, 24, false, 0, "key k k t" },
	{ "key-commit-middle", "commit", 80, 24, false, 0, "key k c" },
	{ "key-commit-root", "commit", 80, 24, false, 0, "key g c" },
	{ "ask-commit", "commit", 80, 24, false, 0, "key g c e Enter" },
	{ "ask-no", "commit", 80, 24, false, 0,
	  "key g c e Enter Enter" },
	{ "job-running", "commit", 80, 24, false, 0,
	  "key g c Enter" },
	{ "job-running-60x16", "commit", 60, 16, false, 0,
	  "key g c Enter Tab" },
	{ "job-running-ascii", "commit", 80, 24, true, 0,
	  "key g c Enter" },
	{ "key-speed", "commit", 80, 24, false, 0,
	  "key g c Enter + +" },
	{ "key-cancel", "commit", 80, 24, false, 0,
	  "key g c Enter x" },
	{ "ask-quit", "commit", 80, 24, false, 0,
	  "key g c Enter q" },
	{ "job-ready", "commit", 80, 24, false, 0,
	  "key g c Enter 0 Enter" },
	{ "job-done", "commit", 80, 24, false, 0,
	  "key g c Enter 0 Enter C Enter" },
	{ "job-dismissed", "commit", 80, 24, false, 0,
	  "key g c Enter 0 Enter C Enter d" },
	{ "job-full", "full", 80, 24, false, 0,
	  "key g c Enter\nwait disk0 paused" },
	{ "job-paused", "paused", 80, 24, false, 0,
	  "key g c Enter\nwait disk0 paused" },
	{ "jobs-120x40", "jobs", 120, 40, false, 0, "key Tab G" },
	{ "jobs-zoom", "jobs", 80, 24, false, 0, "key Tab z" },
	{ "names-80x24", "family", 80, 24, false, 0, "" },
	{ "names-60x16", "family", 60, 16, false, 0, "key g" },
	{ "names-ascii", "family", 100, 24, true, 0, "key G" },
	{ "long-60x16", "long", 60, 16, false, 0,
	  "key /\ntype 11-15\nkey Enter Esc" },
	{ "long-ask-60x16", "long", 60, 16, false, 0,
	  "key /\ntype 11-15\nkey Enter Esc c e Enter" },
	{ "long-job-60x16", "long", 60, 16, false, 0,
	  "key /\ntype 11-15\nkey Enter Esc c Enter" },
	{ "long-80x24", "long", 80, 24, false, 0, "key k k" },
	{ "long-ask-80x24", "long", 80, 24, false, 0,
	  "key k k c e Enter" },
	{ "long-job-80x24", "long", 80, 24, false, 0,
	  "key k k c Enter" },
	{ "long-120x36", "long", 120, 36, false, 0, "key k k" },
	{ "long-ask-120x36", "long", 120, 36, false, 0,
	  "key k k c e Enter" },
	{ "long-job-120x36", "long", 120, 36, false, 0,
	  "key k k c Enter" },
	{ "long-200x60", "long", 200, 60, false, 0, "key k k" },
	{ "long-ask-200x60", "long", 200, 60, false, 0,
	  "key k k c e Enter" },
	{ "long-job-200x60", "long", 200, 60, false, 0,
	  "key k k c Enter" },
	{ "long-ascii", "long", 80, 24, true, 0, "key k k c Enter" },
	{ "long-done", "long", 80, 24, false, 0,
	  "key k k c Enter :\ntype info version\nkey Enter" },
	{ "long-stream", "long", 80, 24, false, 0,
	  "key k k c Enter :\ntype info version\nkey Enter Esc g j t Enter" },
	{ "long-heir-up", "long", 80, 24, false, 0,
	  "key k k c Enter :\ntype info version\nkey Enter Esc g j t Enter "
	  "j :\ntype info version\nkey Enter" },
	{ "long-stream-done", "long", 120, 36, false, 0,
	  "key k k c Enter :\ntype info version\nkey Enter Esc g j t Enter "
	  ":\ntype info version\nkey Enter" },
	{ "ask-puzzled", "commit", 80, 24, false, 0,
	  "key g c e Enter\ntype a bit of my text\nkey b" },
	{ "long-snapshot-60x16", "long", 60, 16, false, 0, "key s" },
	{ "long-stream-60x16", "long", 60, 16, false, 0,
	  "key /\ntype 11-15\nkey Enter Esc t" },
	{ "long-commit-60x16", "long", 60, 16, false, 0,
	  "key /\ntype 11-15\nkey Enter Esc c" },
	{ "long-snapshot-80x24", "long", 80, 24, false, 0, "key s" },
	{ "long-stream-80x24", "long", 80, 24, false, 0, "key k k t" },
	{ "long-commit-80x24", "long", 80, 24, false, 0, "key k k c" },
	{ "long-snapshot-120x36", "long", 120, 36, false, 0, "key s" },
	{ "long-stream-120x36", "long", 120, 36, false, 0, "key k k t" },
	{ "long-commit-120x36", "long", 120, 36, false, 0, "key k k c" },
	{ "notices", "notices", 80, 24, false, 0, "" },
	{ "folder-80x24", "folder", 80, 24, false, 0, "key G" },
	{ "folder-60x16", "folder", 60, 16, false, 0, "key G" },
	{ "folder-120x36", "folder", 120, 36, false, 0,
	  "key /\ntype clone\nkey Enter Esc" },
	{ "folder-ascii", "folder", 100, 24, true, 0, "key G k" },
	{ "folder-dark", "folder", 80, 24, false, THEME_DARK, "key G k" },
	{ "folder-orphan", "folder", 80, 24, false, 0,
	  "key /\ntype orphan\nkey Enter Esc Enter" },
	{ "folder-lists", "folder", 120, 36, false, 0, "key G Space G" },
	{ "folder-by-disk", "folder", 80, 24, false, 0, "key o" },
	{ "folder-delete", "folder", 80, 24, false, 0, "key G D" },
	{ "folder-delete-one", "folder", 80, 24, false, 0,
	  "key G Space G D" },
	{ "folder-deleted", "folder", 80, 24, false, 0, "key G D Enter" },
	{ "folder-delete-not", "folder", 80, 24, false, 0,
	  "key /\ntype clone\nkey Enter Esc D" },
	{ "folder-delete-open", "folder", 80, 24, false, 0, "key D" },
	{ "folder-delete-others", "folder", 80, 24, false, 0, "key G k D" },
	{ "pool-80x24", "pool", 80, 24, false, 0, "" },
	{ "pool-60x16", "pool", 60, 16, false, 0, "key g j j" },
	{ "pool-120x36", "pool", 120, 36, false, 0, "key g j j" },
	{ "pool-lists", "pool", 80, 24, false, 0, "key g j j Space j j" },
	{ "pool-finds", "pool", 80, 24, false, 0,
	  "key /\ntype pool-17\nkey Enter" },
	{ "folder-menu", "folder", 80, 24, false, 0, "key G ." },
	{ "menu", "commit", 80, 24, false, 0, "key k ." },
	{ "menu-60x16", "long", 60, 16, true, 0, "key . j j" },
	{ "menu-runs", "commit", 80, 24, false, 0, "key . c" },
	{ "menu-why-not", "commit", 80, 24, false, 0,
	  "key g c Enter . c" },
	{ "menu-of-a-job", "jobs", 120, 40, false, 0, "key Tab G ." },
	{ "menu-all", "jobs", 80, 24, false, 0, "key a" },
	{ "all-pause", "jobs", 80, 24, false, 0, "key a p" },
	{ "all-snapshots", "long", 120, 36, false, 0, "key a Enter" },
	{ "long-linear", "long", 120, 36, false, 0, "key m" },
	{ "long-fold", "long", 80, 24, false, 0, "key k k Space" },
	{ "long-unfold", "long", 60, 16, false, 0, "key k Space" },
	{ "long-by-dead", "long", 80, 24, false, 0, "key o o" },
	{ "long-filter", "long", 80, 24, false, 0,
	  "key /\ntype 11-1\nkey Enter n n" },
	{ "long-filter-none", "long", 80, 24, false, 0,
	  "key /\ntype nosuch\nkey Enter" },
	{ "long-mono", "long", 80, 24, false, THEME_MONO, "key k k c Enter" },
	{ "long-light", "long", 80, 24, false, THEME_LIGHT,
	  "key k k c Enter" },
	{ "long-dark-200x60", "long", 200, 60, false, THEME_DARK,
	  "key k k c Enter" },
	{ "job-full-dark", "full", 60, 16, false, THEME_DARK,
	  "key g c Enter\nwait disk0 paused" },
	{ "long-job-more", "long", 80, 24, false, 0,
	  "key k k c Enter Tab" },
	{ "plan-80x24", "plan", 80, 24, false, 0, "key k k t" },
	{ "plan-120x36", "plan", 120, 36, false, 0, "key k k c" },
	{ "plan-200x60", "plan", 200, 60, false, 0, "key k k c" },
	{ "plan-60x16", "plan", 60, 16, false, 0,
	  "key /\ntype 11-15\nkey Enter Esc t" },
	{ "plan-60x16-end", "plan", 60, 16, false, 0,
	  "key /\ntype 11-15\nkey Enter Esc t j PgDn PgDn" },
	{ "plan-ascii", "plan", 80, 24, true, 0, "key k k c" },
	{ "plan-mono", "plan", 80, 24, false, THEME_MONO, "key k k c" },
	{ "plan-light", "plan", 80, 24, false, THEME_LIGHT, "key k k c" },
	{ "spoils-200x60", "spoils", 200, 60, false, 0, "key h h h h h c" },
	{ "spoils-ascii", "spoils", 80, 24, true, 0, "key h h h h h c" },
	{ "long-commit-200x60", "long", 200, 60, false, 0, "key k k c" },
	{ "history-light-200x60", "history", 200, 60, false, THEME_LIGHT,
	  "key H" },
	{ "plan-dark-120x36", "plan", 120, 36, false, THEME_DARK,
	  "key k k c" },
	{ "spoils-mono", "spoils", 80, 24, false, THEME_MONO,
	  "key h h h h h c" },
	{ "spoils-light", "spoils", 80, 24, false, THEME_LIGHT,
	  "key h h h h h c" },
	{ "history-200x60", "history", 200, 60, false, 0, "key H" },
	{ "history-mono", "history", 80, 24, false, THEME_MONO, "key H" },
	{ "history-light", "history", 80, 24, false, THEME_LIGHT, "key H" },
	{ "folder-200x60", "folder", 200, 60, false, 0, "key G" },
	{ "folder-mono", "folder", 80, 24, false, THEME_MONO, "key G k" },
	{ "folder-light", "folder", 80, 24, false, THEME_LIGHT, "key G k" },
	{ "spoils-80x24", "spoils", 80, 24, false, 0, "key h h h h h c" },
	{ "spoils-120x36", "spoils", 120, 36, false, 0, "key h h h h h c" },
	{ "spoils-60x16", "spoils", 60, 16, true, 0,
	  "key h h h h h c PgDn" },
	{ "spoils-dark", "spoils", 120, 36, false, THEME_DARK,
	  "key h h h h h c f" },
	{ "spoils-rebase", "spoils", 80, 24, false, 0, "key h h h h h c b" },
	{ "spoils-rebase-left", "spoils", 120, 36, false, 0,
	  "key h h h h h c b Esc" },
	{ "spoils-rebase-edit", "spoils", 80, 24, false, 0,
	  "key h h h h h c b e" },
	{ "spoils-rebased", "spoils", 120, 36, false, 0,
	  "key h h h h h c b Enter" },
	{ "spoils-nothing-to-rebase", "spoils", 120, 36, false, 0,
	  "key h h h h h c b b" },
	{ "plan-keep-not", "spoils", 120, 36, false, 0,
	  "key h h h h h c b Enter u" },
	{ "plan-keep-no", "plan", 80, 24, false, 0, "key k k t u" },
	{ "plan-keep", "plan", 120, 36, false, 0, "key k k c f u" },
	{ "plan-refused", "plan", 80, 24, false, 0, "key k k c Enter" },
	{ "plan-forced", "plan", 80, 24, false, 0, "key k k c f" },
	{ "plan-forced-runs", "plan", 80, 24, false, 0,
	  "key k k c f Enter" },
	{ "plan-no-force", "plan", 80, 24, false, 0, "key k k t f" },
	{ "plan-edit", "plan", 80, 24, false, 0, "key k k t e" },
	{ "plan-speed", "plan", 80, 24, false, 0, "key k k t - - +" },
	{ "plan-fastest", "plan", 80, 24, false, 0, "key k k t +" },
	{ "plan-copy", "plan", 80, 24, false, 0, "key k k t y" },
	{ "plan-left", "plan", 80, 24, false, 0, "key k k t Esc" },
	{ "plan-types-nothing", "plan", 80, 24, false, 0, "key s k j t" },
	{ "plan-paste", "plan", 80, 24, false, 0, "key s\npaste yes" },
	{ "plan-of-cancel", "plan", 80, 24, false, 0,
	  "key k k c f Enter x" },
	{ "plan-ask-refused", "plan", 80, 24, false, 0,
	  "key :\ntype commit wbe\nkey Enter" },
	{ "plan-ask-forced", "plan", 80, 24, false, 0,
	  "key k k c f e Enter" },
	{ "plan-ask-json", "plan", 80, 24, false, 0,
	  "key :\ntype {\"execute\": \"block-commit\",\nkey Enter\n"
	  "type  \"arguments\": {\"x-blkmon-force\": true}}\nkey Enter" },
	{ "plan-ask-json-no", "plan", 80, 24, false, 0,
	  "key :\ntype {\"execute\": \"block-commit\",\nkey Enter\n"
	  "type  \"arguments\": {\"x-blkmon-force\": true}}\n"
	  "key Enter n" },
	{ "plan-ask-nested", "plan", 60, 16, true, 0,
	  "key :\ntype {\"execute\": \"human-monitor-command\", "
	  "\"arguments\": {\"command-line\": \"block_commit -f web\"}}\n"
	  "key Enter" },
	{ "guests-80x24", "guests", 80, 24, false, 0, "" },
	{ "guests-60x16", "guests", 60, 16, false, 0, "" },
	{ "guests-ascii", "guests", 100, 24, true, 0, "" },
	{ "guests-of-one", "guest", 80, 24, false, 0, "" },
	{ "details", "family", 80, 24, false, 0, "key g Enter" },
	{ "details-long", "long", 60, 16, false, 0,
	  "key /\ntype 11-15\nkey Enter Esc Enter" },
	{ "details-no-key", "long", 80, 24, false, 0, "key k k Enter C" },
	{ "details-copy", "long", 80, 24, false, 0, "key k k Enter y" },
	{ "copy", "long", 80, 24, false, 0, "key k k y" },
	{ "places-80x24", "places", 80, 24, false, 0, "" },
	{ "places-60x16", "places", 60, 16, false, 0, "key g" },
	{ "places-120x36", "places", 120, 36, false, 0, "key g" },
	{ "places-ascii", "places", 80, 24, true, 0, "" },
	{ "places-folded", "places", 80, 24, false, 0,
	  "key g Space j Space j Space" },
	{ "places-left", "places", 80, 24, false, 0, "key Left Left Enter" },
	{ "places-found", "places", 80, 24, false, 0,
	  "key g Space /\ntype own" },
	{ "places-sorted", "places", 80, 24, false, 0, "key o" },
	{ "places-used-by-none", "places", 80, 24, false, 0,
	  "key /\ntype left\nkey Enter" },
	{ "places-asked", "places", 80, 24, false, 0,
	  "key :\ntype block_job_cancel db/backup\nkey Enter" },
	{ "places-gone", "places-gone", 120, 36, false, 0, "key g j j j" },
	{ "places-many", "places-many", 80, 24, false, 0, "" },
	{ "places-many-open", "places-many", 80, 24, false, 0,
	  "key g Space j j Left" },
	{ "help-search", "commit", 80, 24, false, 0,
	  "key ? /\ntype pause" },
	{ "help-found", "commit", 80, 24, false, 0,
	  "key ? /\ntype log\nkey Enter n n N" },
	{ "help-no-match", "commit", 80, 24, true, 0,
	  "key ? /\ntype nosuch" },
	{ "help-left", "commit", 80, 24, false, 0,
	  "key ? /\ntype pause\nkey Esc Esc" },
	{ "history-80x24", "history", 80, 24, false, 0, "key H" },
	{ "history-60x16", "history", 60, 16, false, 0, "key H" },
	{ "history-120x36", "history", 120, 36, false, 0, "key H" },
	{ "history-ascii", "history", 80, 24, true, 0, "key H" },
	{ "history-none", "commit", 80, 24, false, 0, "key H" },
	{ "help", "commit", 80, 24, false, 0, "key ?" },
	{ "help-120x36", "commit", 120, 36, false, 0, "key ?" },
	{ "help-60x16", "commit", 60, 16, false, 0, "key ? PgDn" },
	{ "help-end", "commit", 80, 24, true, 0, "key ? G" },
	{ "search-chains", "commit", 80, 24, false, 0,
	  "key /\ntype sn1" },
	{ "search-found", "commit", 80, 24, false, 0,
	  "key /\ntype BASE\nkey Enter" },
	{ "prompt-completes", "commit", 80, 24, false, 0,
	  "key :\ntype block_job_\nkey Tab" },
	{ "prompt-lists-all", "commit", 60, 16, false, 0,
	  "key : Tab" },
	{ "prompt-list-goes", "commit", 80, 24, false, 0,
	  "key :\ntype block_job_\nkey Tab\ntype c" },
	{ "prompt-option-file", "commit", 80, 24, false, 0,
	  "key :\ntype drive_add 0 id=d1,file=tests/ui/fix\nkey Tab\n"
	  "type comm\nkey Tab\ntype ,format=" },
	{ "prompt-device", "commit", 80, 24, false, 0,
	  "key :\ntype block_stream d\nkey Tab\ntype 0 s\nkey Tab" },
	{ "prompt-long", "commit", 60, 16, false, 0,
	  "key :\ntype 0123456789 0123456789 0123456789 0123456789 ende" },
	{ "prompt-wide", "commit", 80, 24, false, 0,
	  "key :\ntype info 磁碟é\nkey Left" },
	{ "prompt-isearch", "commit", 80, 24, false, 0,
	  "key :\ntype # prüfung磁\nkey Enter C-r\ntype üf" },
	{ "prompt-paste", "commit", 80, 24, false, 0,
	  "paste info status\033[2Jinfo version" },
	{ "log-output", "commit", 80, 24, false, 0,
	  "key :\ntype info block-jobs\nkey Enter\ntype nosuch\nkey Enter" },
	{ "log-filter", "jobs", 80, 24, false, 0,
	  "key :\ntype info status\nkey Enter Esc f" },
	{ "log-frozen", "jobs", 60, 16, false, 0,
	  "key :\n" LINES "key PgUp" },
	{ "log-filter-frozen", "jobs", 80, 24, false, 0,
	  "key :\ntype info status\nkey Enter\n" LINES
	  "key Esc Tab Tab /\ntype info\nkey Enter f f" },
	{ "prompt-colon", "commit", 80, 24, false, 0,
	  "key :\ntype :block_commit disk0 base\nkey Enter" },
	{ "log-search-again", "jobs", 80, 24, false, 0,
	  "key :\n" LINES "key Esc Tab Tab /\ntype FIVE\nkey Enter n" },
	{ "log-search", "jobs", 80, 24, false, 0,
	  "key :\n" LINES "key Esc Tab Tab /\ntype FIVE" },
};

static void golden(void **state)
{
	const struct scene *scene = *state;
	struct stage t;
	char *got;

	open_stage(&t, load(scene->fixture), scene->w, scene->h,
		   scene->ascii);
	perform(&t, scene->script);
	got = picture(&t, scene->colors);
	close_stage(&t);
	compare(scene->name, got);
	free(got);
}

static void thousand_layers(void **state)
{
	struct stage t;
	char *got;

	(void)state;
	open_stage(&t, deep_chain(1000), 80, 24, false);
	perform(&t, "key k k PgUp");
	got = picture(&t, 0);
	compare("layers-1000", got);
	free(got);
	perform(&t, "key /\ntype layer-0042\nkey Enter");
	got = picture(&t, 0);
	compare("layers-1000-found", got);
	free(got);
	close_stage(&t);
}

/* What a stream onto a layer far above left of the chain: the one on which it
 * was pulled up is seen beside the selected one. */
static void result_is_seen(void **state)
{
	json_t *list = deep_chain(40), *after = deep_chain(21);
	struct stage t;
	char *got;

	(void)state;
	json_object_set_new(json_array_get(list, 0), "next",
			    json_string("block-stream"));
	json_object_set_new(json_array_get(after, 0), "events", json_pack(
		"[{s:s, s:{s:s, s:s}}]", "event", "BLOCK_JOB_COMPLETED",
		"data", "device", "disk0", "type", "stream"));
	json_array_extend(list, after);
	json_decref(after);
	open_stage(&t, list, 80, 24, false);
	perform(&t, "key g PgDn PgDn k t Enter");
	got = picture(&t, 0);
	close_stage(&t);
	compare("result-is-seen", got);
	free(got);
}

/* What the plan says of an undo is not said again by the panel. */
static void plan_says_undo(void **state)
{
	json_t *list = load("plan"), *scene, *plan;
	const char *key;
	struct stage t;
	size_t i;
	char *got;

	(void)state;
	json_array_foreach(list, i, scene)
		json_object_foreach(json_object_get(scene, "plans"), key, plan)
			json_object_set_new(json_object_get(plan, "return"),
					    "undo", json_string(
				"none: base changes"));
	open_stage(&t, list, 120, 36, false);
	perform(&t, "key k k c f");
	got = picture(&t, 0);
	compare("plan-says-undo", got);
	free(got);
	close_stage(&t);
}

/* What has changed since it was shown is shown anew, and not run; what has
 * not is run. */
static void plan_changes(void **state)
{
	json_t *list = load("plan"), *plan, *other;
	struct stage t;
	char *got;

	(void)state;
	plan = json_deep_copy(json_array_get(list, 0));
	json_object_set_new(plan, "next", json_string("x-blkmon-plan"));
	json_array_set_new(list, 1, json_deep_copy(plan));
	json_array_append_new(list, json_deep_copy(plan));
	json_array_append_new(list, json_deep_copy(plan));
	json_array_set_new(list, 0, plan);
	for (size_t i = 2; i < 4; i++) {
		plan = json_array_get(list, i);
		other = json_object_get(json_object_get(plan, "plans"),
					"block-stream");
		other = json_object_get(other, "return");
		json_array_clear(json_object_get(other, "unused"));
		json_object_set_new(other, "gives-back", json_integer(0));
	}
	json_object_del(json_array_get(list, 3), "next");
	open_stage(&t, list, 80, 24, false);
	perform(&t, "key k k t Enter");
	got = picture(&t, 0);
	compare("plan-changed", got);
	free(got);
	assert_true(t.screen.panel.on);
	perform(&t, "key Enter");
	assert_false(t.screen.panel.on);
	close_stage(&t);
}

static void send(struct stage *t, const char *bytes)
{
	screen_bytes(&t->screen, bytes, strlen(bytes));
	screen_pump(&t->screen, true);
	screen_draw(&t->screen);
}

/* The plan is not there yet: nothing can be run. */
static void plan_is_asked(void **state)
{
	struct stage t;
	char *got;

	(void)state;
	open_stage(&t, load("plan"), 80, 24, false);
	perform(&t, "key k k");
	send(&t, "t\r");
	got = picture(&t, 0);
	compare("plan-asking", got);
	free(got);
	replay_settle(&t.screen, NULL);
	assert_true(t.screen.panel.on);
	assert_false(t.screen.panel.asking);
	close_stage(&t);
}

/* What comes behind a line that is looked at waits, and is its answer if it
 * is one; Ctrl-C does not wait. */
static void typed_ahead(void **state)
{
	struct stage t;
	char *got;

	(void)state;
	open_stage(&t, load("plan"), 80, 24, false);
	perform(&t, "key :");
	send(&t, "block_commit -f web\rblock_job_set_speed web 2M\r");
	assert_true(t.screen.planning);
	replay_settle(&t.screen, NULL);
	assert_null(t.screen.ask.question);
	assert_int_equal(t.play.scene, 0);
	got = picture(&t, 0);
	compare("plan-typed-ahead", got);
	free(got);
	send(&t, "block_commit -f web\r");
	assert_true(t.screen.planning);
	send(&t, "\003");
	assert_false(t.screen.planning);
	replay_settle(&t.screen, NULL);
	assert_null(t.screen.ask.question);
	assert_int_equal(t.play.scene, 0);
	send(&t, "block_commit -f web\ry");
	replay_settle(&t.screen, NULL);
	assert_int_equal(t.play.scene, 1);
	close_stage(&t);
}

/* Whoever wants no questions gets none. */
static void nothing_asked(void **state)
{
	struct stage t;

	(void)state;
	open_stage(&t, load("plan"), 80, 24, false);
	t.options.yes = true;
	perform(&t, "key :\ntype block_commit -f web\nkey Enter");
	assert_int_equal(t.play.scene, 1);
	close_stage(&t);
}

/* No size and no order of sizes is too much. */
static void resizes(void **state)
{
	static const char *const sizes[] = {
		"size 200x60", "size 0x0", "size 1x1", "size 60x16",
		"size 80x3", "size 3x80", "size 300x200", "size 80x24",
	};
	/* All sizes still, and what is done at 60 and at 120. */
	const size_t step = under_valgrind() ? 15 : 1;
	struct stage t;

	(void)state;
	open_stage(&t, load("jobs"), 80, 24, false);
	perform(&t, under_valgrind() ? "key ?" : "size 1000x1000\nkey ?");
	for (size_t i = 0; i < 200; i += step) {
		perform(&t, sizes[i % 8]);
		if (i == 60)
			perform(&t, "key Esc z");
		if (i == 120)
			perform(&t, "key Tab z :\ntype abc");
		if (i == 165)
			perform(&t, "key C-c Esc g x");
	}
	assert_true(t.screen.panel.on);
	close_stage(&t);
}

int main(void)
{
	enum { N = sizeof(scenes) / sizeof(*scenes) };
	struct CMUnitTest tests[N + 8] = {
		cmocka_unit_test(thousand_layers),
		cmocka_unit_test(result_is_seen),
		cmocka_unit_test(resizes),
		cmocka_unit_test(plan_says_undo),
		cmocka_unit_test(plan_changes),
		cmocka_unit_test(plan_is_asked),
		cmocka_unit_test(typed_ahead),
		cmocka_unit_test(nothing_asked),
	};

	for (size_t i = 0; i < N; i++)
		tests[i + 8] = (struct CMUnitTest) {
			.name = scenes[i].name, .test_func = golden,
			.initial_state = (void *)(uintptr_t)&scenes[i],
		};
	return cmocka_run_group_tests(tests, utf8, NULL);
}
