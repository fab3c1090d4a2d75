/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/options/monitors.h"

#include <string.h>

#include "engine/util/mem.h"
#include "src/console/front/remote.h"
#include "src/qmp/json/args.h"
#include "src/qmp/json/keyval.h"
#include "src/qmp/wire/session.h"

#define CHARDEV_ARGS "backend:e=socket|stdio,id:s,*path:s,*fd:i,*host:s," \
	"*port:s,*server:b,*wait:b,*signal:b"
#define MONITOR_ARGS "chardev:s,*id:s,*mode:e=control|readline,*pretty:b"
#define QMP_ARGS "dev:s,*server:b,*wait:b,*pretty:b"

static json_t *monitors_parse(const char *text, const char *implied,
			      const char *spec, struct err *err)
{
	json_t *args = keyval_parse(text, implied, err);

	if (args && args_check(spec, args, "", err)) {
		json_decref(args);
		return NULL;
	}
	return args;
}

static void init(struct monitors *m)
{
	if (m->list)
		return;
	m->list = json_array();
	m->chardevs = json_object();
}

void monitors_release(struct monitors *m)
{
	json_decref(m->list);
	json_decref(m->chardevs);
}

/* --- chardevs --- */

static int check_socket(const json_t *o, struct err *err)
{
	bool path = args_str(o, "path"), host = args_str(o, "host");
	bool fd = json_object_get(o, "fd");

	if (path + host + fd != 1)
		return err_set(err, ERR_GENERIC, "a socket has one of 'path',"
			       " 'fd' and 'host'");
	if (host && !args_str(o, "port"))
		return err_set(err, ERR_GENERIC,
			       "Parameter 'port' is missing");
	if (args_bool(o, "wait", false))
		return err_set(err, ERR_GENERIC, "wait=on is not possible: "
			       "nothing here waits for a client");
	return 0;
}

static int add_chardev(struct monitors *m, json_t *options, struct err *err)
{
	const char *id = args_str(options, "id");

	init(m);
	if (!strcmp(args_str(options, "backend"), "socket") &&
	    check_socket(options, err)) {
		json_decref(options);
		return -1;
	}
	if (json_object_get(m->chardevs, id)) {
		err_set(err, ERR_GENERIC, "there is a chardev '%s' already",
			id);
		json_decref(options);
		return -1;
	}
	json_object_set_new(m->chardevs, id, options);
	return 0;
}

int monitors_chardev(struct monitors *m, const char *text, struct err *err)
{
	json_t *options = monitors_parse(text, "backend", CHARDEV_ARGS, err);

	return options ? add_chardev(m, options, err) : -1;
}

/* --- monitors --- */

int monitors_monitor(struct monitors *m, const char *text, struct err *err)
{
	json_t *options = monitors_parse(text, "chardev", MONITOR_ARGS, err);

	init(m);
	return options ? json_array_append_new(m->list, options) : -1;
}

/* "unix:PATH", "tcp:HOST:PORT", "stdio" as a chardev's options, or NULL. The
 * port stands behind the last colon: an IPv6 address has some itself. */
static json_t *device_options(const char *dev)
{
	const char *colon;

	if (!strcmp(dev, "stdio"))
		return json_pack("{s:s}", "backend", "stdio");
	if (str_has_prefix(dev, "unix:"))
		return json_pack("{s:s, s:s}", "backend", "socket",
				 "path", dev + 5);
	colon = strrchr(dev, ':');
	if (!str_has_prefix(dev, "tcp:") || colon == dev + 3)
		return NULL;
	return json_pack("{s:s, s:s%, s:s}", "backend", "socket", "host",
			 dev + 4, (size_t)(colon - dev - 4), "port",
			 colon + 1);
}

/* A chardev and a monitor on it. Other than --chardev, this is a server
 * unless it is told otherwise. */
int monitors_qmp(struct monitors *m, const char *text, struct err *err)
{
	json_t *options = monitors_parse(text, "dev", QMP_ARGS, err), *chardev;
	char id[32];
	int rc = -1;

	if (!options)
		return -1;
	init(m);
	snprintf(id, sizeof(id), "qmp %zu", json_array_size(m->list));
	chardev = device_options(args_str(options, "dev"));
	if (chardev) {
		json_object_set_new(chardev, "id", json_string(id));
		json_object_set_new(chardev, "server", json_boolean(
			args_bool(options, "server", true)));
		json_object_set(chardev, "wait",
				json_object_get(options, "wait"));
		rc = add_chardev(m, chardev, err);
	} else {
		err_set(err, ERR_GENERIC, "'%s' is not unix:PATH, "
			"tcp:HOST:PORT or stdio", args_str(options, "dev"));
	}
	if (!rc)
		json_array_append_new(m->list, json_pack("{s:s, s:b}",
			"chardev", id, "pretty",
			(int)args_bool(options, "pretty", false)));
	json_decref(options);
	return rc;
}

static json_t *chardev_of(const struct monitors *m, const json_t *monitor)
{
	return json_object_get(m->chardevs, args_str(monitor, "chardev"));
}

static bool is_stdio(const json_t *chardev)
{
	return !strcmp(args_str(chardev, "backend"), "stdio");
}

int monitors_check(const struct monitors *m, struct err *err)
{
	json_t *monitor;
	size_t i;

	json_array_foreach(m->list, i, monitor)
		if (!chardev_of(m, monitor))
			return err_set(err, ERR_GENERIC, "--monitor: there "
				       "is no chardev '%s'",
				       args_str(monitor, "chardev"));
	return 0;
}

size_t monitors_count(const struct monitors *m)
{
	return json_array_size(m->list);
}

bool monitors_use_stdio(const struct monitors *m)
{
	json_t *monitor;
	size_t i;

	json_array_foreach(m->list, i, monitor)
		if (is_stdio(chardev_of(m, monitor)))
			return true;
	return false;
}

static int open_one(const json_t *monitor, const json_t *chardev,
		    struct server *server, struct err *err)
{
	const char *mode = args_str(monitor, "mode");
	struct server_way way = {
		.path = args_str(chardev, "path"),
		.host = args_str(chardev, "host"),
		.port = args_str(chardev, "port"),
		.fd = (int)args_int(chardev, "fd", -1),
		.connect = !args_bool(chardev, "server", false),
		.pretty = args_bool(monitor, "pretty", false),
		.protocol = mode && !strcmp(mode, "readline") ?
			&remote_protocol : &session_protocol,
	};

	if (is_stdio(chardev))
		way.kind = SERVER_STDIO;
	else
		way.kind = way.path ? SERVER_UNIX : way.host ? SERVER_TCP :
			SERVER_FD;
	return server_add(server, &way, err);
}

int monitors_open(const struct monitors *m, struct server *server,
		  struct err *err)
{
	json_t *monitor;
	size_t i;

	json_array_foreach(m->list, i, monitor)
		if (open_one(monitor, chardev_of(m, monitor), server, err))
			return -1;
	return 0;
}
