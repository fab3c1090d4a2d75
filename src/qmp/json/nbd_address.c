/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/qmp/json/nbd_address.h"

#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "src/qmp/json/text.h"

static json_t *inet(const char *host, size_t len, const char *port)
{
	char *name = mem_printf("%.*s", (int)len, host);
	json_t *addr = json_pack("{s:s, s:{s:o, s:o}}", "type", "inet",
				 "data", "host", qmp_text(name),
				 "port", qmp_text(port));

	free(name);
	return addr;
}

json_t *nbd_address(const char *text, struct err *err)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;

	if (!strncmp(text, "unix:", 5) && text[5])
		return json_pack("{s:s, s:{s:o}}", "type", "unix", "data",
				 "path", qmp_text(text + 5));
	if (!strncmp(text, "unix:", 5) || !colon || !colon[1])
		goto bad;
	if (len > 2 && text[0] == '[' && text[len - 1] == ']')
		return inet(text + 1, len - 2, colon + 1);
	if (!memchr(text, ':', len))
		return inet(text, len, colon + 1);
bad:
	err_set(err, ERR_GENERIC, "error parsing address '%s'", text);
	return NULL;
}
