/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel lists the sockets with the names that they are bound to, and for
 * each which one is at its other end (sock_diag(7)); whose that is shows in
 * /proc.
 */
#include "src/attach/rival.h"

#include <ctype.h>
#include <dirent.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/util/process.h"

#define RIVAL_PEERS 16
#define RIVAL_PATH 320
#define TCP_ESTABLISHED 1	/* sock_diag's word for connected */

/* Inodes of the sockets that are connected to a path. */
struct peers {
	const char *path;
	uint32_t inode[RIVAL_PEERS];
	unsigned n;
};

static int rival_ask(int fd)
{
	struct {
		struct nlmsghdr head;
		struct unix_diag_req body;
	} ask = {
		.head = { .nlmsg_len = sizeof(ask),
			  .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.body = { .sdiag_family = AF_UNIX,
			  .udiag_states = 1u << TCP_ESTABLISHED,
			  .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER },
	};

	return send(fd, &ask, sizeof(ask), 0) == sizeof(ask) ? 0 : -1;
}

static bool rival_is_named(const struct rtattr *name, const char *path)
{
	size_t len = RTA_PAYLOAD(name);
	const char *text = RTA_DATA(name);

	if (len && !text[len - 1])
		len--;
	return len == strlen(path) && !memcmp(text, path, len);
}

static void rival_take(struct peers *p, const struct nlmsghdr *head)
{
	const struct unix_diag_msg *msg = NLMSG_DATA(head);
	long left = (long)head->nlmsg_len - (long)NLMSG_LENGTH(sizeof(*msg));
	const struct rtattr *at = (const void *)(msg + 1);
	uint32_t peer = 0;
	bool named = false;

	for (; left >= (long)sizeof(*at) && at->rta_len >= sizeof(*at) &&
	       at->rta_len <= left; ) {
		long step = RTA_ALIGN(at->rta_len);

		if (at->rta_type == UNIX_DIAG_NAME)
			named = rival_is_named(at, p->path);
		if (at->rta_type == UNIX_DIAG_PEER &&
		    RTA_PAYLOAD(at) >= sizeof(peer))
			memcpy(&peer, RTA_DATA(at), sizeof(peer));
		left -= step;
		at = (const void *)((const char *)at + step);
	}
	if (named && peer && p->n < RIVAL_PEERS)
		p->inode[p->n++] = peer;
}

/* False at the end of the list. */
static bool rival_take_all(struct peers *p, const void *data, ssize_t len)
{
	const struct nlmsghdr *head = data;

	for (; len >= (ssize_t)sizeof(*head) &&
	       head->nlmsg_len >= sizeof(*head) &&
	       (ssize_t)head->nlmsg_len <= len; ) {
		ssize_t step = (ssize_t)NLMSG_ALIGN(head->nlmsg_len);

		if (head->nlmsg_type == NLMSG_DONE ||
		    head->nlmsg_type == NLMSG_ERROR)
			return false;
		if (head->nlmsg_type == SOCK_DIAG_BY_FAMILY)
			rival_take(p, head);
		len -= step;
		head = (const void *)((const char *)head + step);
	}
	return true;
}

static void rival_list(struct peers *p)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
			NETLINK_SOCK_DIAG);
	uint64_t buf[4096];
	ssize_t n;

	if (fd < 0)
		return;
	if (!rival_ask(fd))
		while ((n = recv(fd, buf, sizeof(buf), 0)) > 0 &&
		       rival_take_all(p, buf, n))
			;
	close(fd);
}

/* --- whose they are --- */

static bool rival_has(const char *pid, uint32_t inode)
{
	char path[RIVAL_PATH], want[32], link[64];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(want, sizeof(want), "socket:[%u]", (unsigned)inode);
	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, link,
				       sizeof(link) - 1);

		link[n > 0 ? n : 0] = '\0';
		found = !strcmp(link, want);
	}
	if (dir)
		closedir(dir);
	return found;
}

static void rival_describe(const char *pid, char *out, size_t len)
{
	char name[64];

	process_name((pid_t)strtol(pid, NULL, 10), name, sizeof(name));
	snprintf(out, len, "%s (pid %.20s)", *name ? name : "a process", pid);
}

static bool rival_holds(const struct peers *p, const char *pid, ino_t own)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->inode[i] != own && rival_has(pid, p->inode[i]))
			return true;
	return false;
}

bool rival_find(const char *path, int fd, char *out, size_t len)
{
	struct peers peers = { .path = path };
	struct dirent *entry;
	struct stat st = { 0 };
	bool found = false;
	DIR *proc;

	if (fd >= 0 && fstat(fd, &st))
		return false;
	rival_list(&peers);
	proc = peers.n ? opendir("/proc") : NULL;
	while (proc && !found && (entry = readdir(proc)))
		if (isdigit((unsigned char)*entry->d_name) &&
		    rival_holds(&peers, entry->d_name, st.st_ino)) {
			rival_describe(entry->d_name, out, len);
			found = true;
		}
	if (proc)
		closedir(proc);
	return found;
}
