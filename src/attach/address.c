/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/attach/address.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util/mem.h"
#include "engine/util/str.h"

void address_release(struct address *a)
{
	free(a->text);
	free(a->name);
	free(a->host);
	free(a->path);
	*a = (struct address) { 0 };
}

/* Cuts ",KEY=on" or ",KEY=off" from the end of @text. A path may have commas,
 * so nothing else is an option. */
static bool address_cut_option(char *text, const char *key, bool *value)
{
	const char *const words[] = { "off", "on" };
	size_t len = strlen(text);

	for (int i = 0; i < 2; i++) {
		char *option = mem_printf(",%s=%s", key, words[i]);
		size_t n = strlen(option);
		bool found = len > n && !strcmp(text + len - n, option);

		free(option);
		if (!found)
			continue;
		text[len - n] = '\0';
		*value = i;
		return true;
	}
	return false;
}

static int address_wrong(const char *text, const char *how, struct err *err)
{
	return err_set(err, ERR_GENERIC, "'%s' %s", text, how);
}

/* "localhost" is what the host's own table says, and is looked at again when
 * it is dialled. */
static bool names_this_machine(const char *host)
{
	struct in_addr four;
	struct in6_addr six;

	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, host, &six) == 1)
		return IN6_IS_ADDR_LOOPBACK(&six);
	return !strcmp(host, "localhost");
}

static int address_parse_tcp(struct address *a, const char *rest,
			     struct err *err)
{
	const char *colon = strrchr(rest, ':');
	size_t len = colon ? (size_t)(colon - rest) : 0;

	if (!len || !colon[1] || strspn(colon + 1, "0123456789") !=
	    strlen(colon + 1))
		return address_wrong(a->text, "is not tcp:HOST:PORT", err);
	if (len > 2 && rest[0] == '[' && rest[len - 1] == ']')
		a->host = mem_printf("%.*s", (int)len - 2, rest + 1);
	else
		a->host = mem_printf("%.*s", (int)len, rest);
	a->path = mem_dup(colon + 1);
	if (a->any_host || names_this_machine(a->host))
		return 0;
	return address_wrong(a->text, "leaves this machine, and who reads or "
			     "writes there has the machine: ssh:HOST:PATH is "
			     "the way, or --insecure-tcp", err);
}

/* Cuts "[USER@]HOST" off in front of a colon: the host, the caller's, or NULL.
 * One in brackets has colons, and goes to ssh without the brackets. */
static char *address_cut_host(const char **rest)
{
	const char *text = *rest, *open = strpbrk(text, ":["), *end;

	if (!open)
		return NULL;
	if (*open == '[' && (open == text || open[-1] == '@')) {
		end = strchr(open, ']');
		if (!end || end[1] != ':')
			return NULL;
		*rest = end + 2;
		return mem_printf("%.*s%.*s", (int)(open - text), text,
				  (int)(end - open) - 1, open + 1);
	}
	end = strchr(text, ':');
	*rest = end ? end + 1 : "";
	return end ? mem_printf("%.*s", (int)(end - text), text) : NULL;
}

/* Neither user nor host is taken for an option of ssh, whatever stands in
 * front of it. */
static int address_parse_ssh(struct address *a, const char *rest,
			     struct err *err)
{
	const char *at;

	a->host = address_cut_host(&rest);
	if (!a->host || !*a->host || !*rest)
		return address_wrong(a->text, "is not ssh:[USER@]HOST:PATH",
				     err);
	a->path = mem_dup(rest);
	at = strrchr(a->host, '@');
	if (*a->host == '-' || (at && (at[1] == '-' || !at[1])))
		return address_wrong(a->text, "has a host that begins with a "
				     "hyphen, or none", err);
	return 0;
}

static int address_parse_rest(struct address *a, struct err *err)
{
	const char *rest = strchr(a->text, ':');
	size_t len = rest ? (size_t)(rest - a->text) : 0;

	if (len == 4 && !memcmp(a->text, "unix", 4) && rest[1]) {
		a->path = mem_dup(rest + 1);
		return 0;
	}
	if (len == 3 && !memcmp(a->text, "tcp", 3)) {
		a->kind = ADDRESS_TCP;
		return address_parse_tcp(a, rest + 1, err);
	}
	if (len == 3 && !memcmp(a->text, "ssh", 3)) {
		a->kind = ADDRESS_SSH;
		return address_parse_ssh(a, rest + 1, err);
	}
	return address_wrong(a->text, "is none of unix:PATH, tcp:HOST:PORT "
			     "and ssh:[USER@]HOST:PATH", err);
}

int address_parse(struct address *a, const char *text, bool any_host,
		  struct err *err)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	*a = (struct address) { .any_host = any_host, .hold = true };
	if (len && text[len] == '=') {
		a->name = mem_printf("%.*s", (int)len, text);
		text += len + 1;
	}
	a->text = mem_dup(text);
	while (address_cut_option(a->text, "look", &a->look) ||
	       address_cut_option(a->text, "hold", &a->hold) ||
	       address_cut_option(a->text, "force", &a->force))
		;
	return address_parse_rest(a, err);
}

char *address_short(const struct address *a)
{
	const char *slash = strrchr(a->path, '/');
	const char *name = slash && slash[1] ? slash + 1 : a->path;
	size_t len = strlen(name), dot = strcspn(name, ".");
	char *text;

	if (a->kind == ADDRESS_TCP)
		return mem_printf("%s-%s", a->host, a->path);
	text = mem_printf("%.*s", (int)(dot ? dot : len), name);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			*c = '-';
	return text;
}
