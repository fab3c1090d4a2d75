/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Start-up: images are opened, a front end is chosen, and at the end
 * everything is closed in the other direction.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/files.h"
#include "engine/nbd/nbd_server.h"
#include "engine/util/bug.h"
#include "engine/util/err.h"
#include "src/console/front/human.h"
#include "src/console/front/script.h"
#include "src/console/front/serve.h"
#include "src/console/hmp/hmp.h"
#include "src/console/line/console_run.h"
#include "src/attach/places.h"
#include "src/offline/offline.h"
#include "src/options/config.h"
#include "src/options/dump.h"
#include "src/options/images.h"
#include "src/options/options.h"
#include "src/process/daemon.h"
#include "src/process/service.h"
#include "src/process/signals.h"
#include "src/qmp/command.h"
#include "src/qmp/json/error.h"
#include "src/qmp/machine.h"
#include "ui/keys/keys.h"
#include "ui/prompt/line.h"
#include "ui/screen/screen.h"

enum { EXIT_WELL, EXIT_FAILED, EXIT_USAGE };

struct program {
	struct options options;
	struct signals signals;
	struct machine *machine;
	struct after *after;
	struct places *places;
	struct channel *channel;
	struct console console;
	struct progress progress;	/* of what a line waits for */
	struct server *server;		/* NULL: no way in from outside */
	struct pidfile pidfile;
	bool served;			/* as a daemon, not as a console */
	bool lenient;			/* somebody looks on: one image of many
					   may fail */
	bool waits;			/* for places that are not there */
	bool unreached;			/* some were not */
};

/* An image must never be opened as descriptor 0, 1 or 2. */
static void fill_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	close(fd);
}

static int main_complain(const struct err *err)
{
	err_say("%s", err->text);
	return EXIT_FAILED;
}

static int main_no_channel(void)
{
	struct err err = ERR_INIT;

	err_sys(&err, EMFILE, "Could not start");
	return main_complain(&err);
}

/* Takes *command's arguments. */
static int run_command(struct program *p, struct daemon_command *command)
{
	json_t *reply = channel_call(p->channel, command->name,
				     command->args);
	const char *error = channel_error(reply);
	struct str text = STR_INIT;

	command->args = NULL;
	if (error) {
		err_add_text(&text, error);
		fprintf(stderr, "blkmon: --%s: %s\n", command->option,
			str_get(&text));
	}
	str_release(&text);
	json_decref(reply);
	return error ? EXIT_FAILED : 0;
}

static int open_monitors(struct program *p)
{
	struct err err = ERR_INIT;

	if (!monitors_count(&p->options.daemon.monitors))
		return 0;
	p->server = server_new(p->machine);
	if (monitors_open(&p->options.daemon.monitors, p->server, &err) ||
	    server_start(p->server, &err))
		return main_complain(&err);
	return 0;
}

/* Work goes on where the one who started us can't be told. */
static void tell_starter(const char *state)
{
	int rc = service_tell(state);

	if (rc)
		fprintf(stderr, "blkmon: NOTIFY_SOCKET: could not tell '%s': "
			"%s\n", state, strerror(-rc));
}

/* A script that can't reach one of its places does not begin, unless it goes
 * on behind errors; somebody who looks waits for it. */
static int main_connect_all(struct program *p)
{
	const struct options *o = &p->options;
	struct err err = ERR_INIT;
	int rc = 0;

	for (size_t i = 0; i < o->connect_count; i++)
		if (places_connect(p->places, o->connect[i],
				   p->waits || o->go_on, &p->signals.interrupt,
				   &err))
			rc = main_complain(&err);
	p->unreached = rc;
	return p->waits || o->go_on ? 0 : rc;
}

/* Images first: who can connect finds them all. */
static int main_open_all(struct program *p)
{
	const struct options *o = &p->options;
	const struct daemon_options *d = &o->daemon;
	struct err err = ERR_INIT;
	const char *culprit;

	if (images_open(o, p->machine->engine, p->lenient, &culprit, &err)) {
		main_complain(&err);
		if (culprit)
			offline_hint(culprit);
		return EXIT_FAILED;
	}
	for (size_t i = 0; i < d->command_count; i++)
		if (run_command(p, &d->commands[i]))
			return EXIT_FAILED;
	if (open_monitors(p) || main_connect_all(p))
		return EXIT_FAILED;
	if (d->pidfile && pidfile_make(&p->pidfile, d->pidfile, &err))
		return main_complain(&err);
	daemon_ready();
	tell_starter("READY=1");
	return 0;
}

/* What the clients did not ask for themselves they are told, and jobs and
 * exports are over before the connections. */
static void close_monitors(struct program *p)
{
	struct event ev = { .type = EVENT_SHUTDOWN };

	if (!p->server)
		return;
	if (!p->console.quit && !p->signals.ended) {
		snprintf(ev.text, sizeof(ev.text), "host-ui");
		event_publish(engine_events(p->machine->engine), &ev);
	}
	engine_cancel_all(p->machine->engine);
	nbd_server_quit(p->machine->nbd);
	server_free(p->server);
}

/* --- as a daemon --- */

static int main_serve(struct program *p)
{
	int end = p->server ? server_stdin_fd(p->server) : -1;

	p->served = true;
	return serve_run(&p->console, end) ? EXIT_FAILED : EXIT_WELL;
}

static int run_daemon(struct program *p)
{
	serve_init(&p->console);
	return main_open_all(p) ? EXIT_FAILED : main_serve(p);
}

static void main_show_progress(struct program *p, int terminal)
{
	progress_init(&p->progress, terminal, p->options.progress_fd);
	p->console.progress = &p->progress;
}

/* --- batch --- */

static bool main_run_file(struct script *b, const char *name)
{
	bool more;
	int fd;

	if (!strcmp(name, "-"))
		return script_read(b, STDIN_FILENO);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		err_say("Could not open '%s': %s", name, strerror(errno));
		b->failed = true;
		return false;
	}
	more = script_read(b, fd);
	close(fd);
	return more;
}

static bool run_inputs(struct script *b, const struct options *o)
{
	bool more = true;

	if (!o->input_count)
		return script_read(b, STDIN_FILENO);
	for (size_t i = 0; more && i < o->input_count; i++)
		more = o->inputs[i].file ? main_run_file(b, o->inputs[i].text)
					 : script_line(b, o->inputs[i].text);
	return more;
}

static int run_batch(struct program *p)
{
	struct script batch;

	script_init(&batch, &p->console);
	main_show_progress(p, STDERR_FILENO);
	batch.echo = p->options.echo;
	batch.go_on = p->options.go_on;
	if (main_open_all(p))
		return EXIT_FAILED;
	batch.failed |= p->unreached;
	console_events(&p->console, 0);
	if (!run_inputs(&batch, &p->options))
		return batch.failed ? EXIT_FAILED : EXIT_WELL;
	/* An empty standard input is no script: somebody started a server. */
	if ((p->server || p->options.daemon.serves) && !batch.started)
		return main_serve(p);
	script_end(&batch);
	return batch.failed ? EXIT_FAILED : EXIT_WELL;
}

/* --- line mode --- */

/* Who sits at a terminal has it as is wanted there; scripts do not. */
static void main_configure(struct options *o, struct str *told)
{
	if (!o->no_config)
		config_read(&o->screen, o->theme_said, told);
}

static int main_run_line(struct program *p)
{
	struct str told = STR_INIT;

	p->signals.soft_int = p->waits = true;
	p->lenient = true;
	main_configure(&p->options, &told);
	fputs(str_get(&told), stderr);
	str_release(&told);
	/* Lines from a program are a script's, and not asked about. */
	line_init(&p->console, p->options.screen.yes || !isatty(STDIN_FILENO));
	main_show_progress(p, STDOUT_FILENO);
	if (main_open_all(p))
		return EXIT_FAILED;
	for (size_t i = 0; i < p->options.first_count; i++)
		console_run(&p->console, p->options.first[i]);
	line_run();
	return EXIT_WELL;
}

/* --- the screen --- */

static int run_screen(struct program *p)
{
	struct channel *watch = places_channel_new(p->places);
	struct str told = STR_INIT;
	int rc = -1;

	if (!watch)
		return main_no_channel();
	p->signals.soft_int = p->waits = true;
	p->lenient = true;
	main_configure(&p->options, &told);
	p->options.screen.told = str_get(&told);
	engine_watch_folders(p->machine->engine);
	p->options.screen.first = p->options.first;
	p->options.screen.first_count = p->options.first_count;
	if (!main_open_all(p))
		rc = screen_run(&p->options.screen, &p->console, watch);
	channel_free(watch);
	str_release(&told);
	return rc ? EXIT_FAILED : EXIT_WELL;
}

static bool main_at_terminal(void)
{
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

/* Is what is typed at a terminal, or by a script of keys, what is run? */
static bool has_prompt(const struct options *o)
{
	if (o->screen.script)
		return true;
	return !o->input_count && !o->daemon.daemonize &&
	       !monitors_use_stdio(&o->daemon.monitors) &&
	       (o->line || main_at_terminal());
}

/* At a terminal that can show it; at another one the prompt is alone. */
static bool has_screen(const struct options *o)
{
	return o->screen.script ||
	       (has_prompt(o) && !o->line && screen_possible());
}

/* The option that has nothing to work on, or NULL. */
static const char *main_idle_option(const struct options *o)
{
	if (o->first_count && !has_prompt(o))
		return "--first is for a prompt";
	if (o->screen.log_file && !has_screen(o))
		return "--log is for the screen";
	return NULL;
}

static int run_front_end(struct program *p)
{
	const struct options *o = &p->options;

	if (has_screen(o))
		return run_screen(p);
	if (o->input_count)
		return run_batch(p);
	if (o->daemon.daemonize || monitors_use_stdio(&o->daemon.monitors))
		return run_daemon(p);
	if (o->line || main_at_terminal())
		return main_run_line(p);
	return o->daemon.headless ? run_daemon(p) : run_batch(p);
}

/* All else works without it. */
static void main_start_after(struct program *p)
{
	struct err err = ERR_INIT;

	p->after = after_start(p->machine->engine, &p->options.after, &err);
	if (!p->after)
		main_complain(&err);
}

/* What the front end did not live to see: its console has nobody to write to
 * any more. */
static void main_tell_rest(struct program *p)
{
	serve_init(&p->console);
	console_events(&p->console, 0);
}

/* With the engine, until it has come to rest again. */
static int run_on_machine(struct program *p)
{
	struct err err = ERR_INIT;
	int status;

	p->channel = places_channel_new(p->places);
	if (!p->channel)
		return main_no_channel();
	console_init(&p->console, p->channel);
	p->console.interrupt = &p->signals.interrupt;
	p->console.pretty = p->options.pretty;
	status = run_front_end(p);
	tell_starter("STOPPING=1");
	close_monitors(p);
	if (machine_sync(p->machine, &err))
		status = main_complain(&err);
	return status;
}

static int run_console(struct program *p)
{
	const char *idle = main_idle_option(&p->options);
	struct err err = ERR_INIT;
	int status;

	if (idle) {
		fprintf(stderr, "blkmon: %s, and there is none\n", idle);
		return EXIT_USAGE;
	}
	if (p->options.daemon.daemonize && daemon_begin(&err))
		return main_complain(&err);
	if (signals_start(&p->signals, &err))
		return main_complain(&err);
	qmp_human_line = human_line;
	p->machine = machine_new();
	signals_attach(&p->signals, p->machine->engine);
	main_start_after(p);
	p->places = places_new(p->machine, &p->options.places);
	status = run_on_machine(p);
	after_stop(p->after);
	if (p->channel) {
		main_tell_rest(p);
		console_release(&p->console);
		channel_free(p->channel);
	}
	places_free(p->places);
	signals_detach(&p->signals);
	machine_free(p->machine);
	pidfile_remove(&p->pidfile);
	return status;
}

static int main_dump(enum options_dump what)
{
	char *text;

	if (what == OPTIONS_DUMP_JSON) {
		dump_json(stdout);
	} else {
		text = hmp_manual();
		fputs(text, stdout);
		keys_manual(stdout);
		free(text);
	}
	return fflush(stdout) ? EXIT_FAILED : EXIT_WELL;
}

static int main_run(struct program *p, int argc, char **argv)
{
	int status = argc > 1 ? offline_run(argc - 1, argv + 1,
					    &p->signals) : -1;

	if (status >= 0)
		return status;
	switch (options_parse(&p->options, argc, argv)) {
	case OPTIONS_EXIT:
		status = fflush(stdout) ? EXIT_FAILED : EXIT_WELL;
		break;
	case OPTIONS_USAGE:
		status = EXIT_USAGE;
		break;
	default:
		if (p->options.classes_72)
			qmp_error_classes_72();
		status = p->options.dump ? main_dump(p->options.dump)
					 : run_console(p);
	}
	options_release(&p->options);
	return status;
}

int main(int argc, char **argv)
{
	struct program program = { 0 };
	struct err err = ERR_INIT;
	int status;

	fill_standard_fds();
	setlocale(LC_CTYPE, "");
	if (signals_init(&program.signals, &err))
		return main_complain(&err);
	status = main_run(&program, argc, argv);
	signals_release(&program.signals);
	/* A daemon that is told to end by a signal has done well. */
	if (program.signals.ended && !program.served)
		return 128 + program.signals.ended;
	return status;
}
