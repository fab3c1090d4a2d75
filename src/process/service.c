/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/process/service.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The length of the address, or -errno. A name that starts with '@' is no
 * file: its first byte is zero and no byte ends it. */
static int service_address(const char *name, struct sockaddr_un *addr)
{
	size_t len = strlen(name);

	*addr = (struct sockaddr_un) { .sun_family = AF_UNIX };
	if (len < 2 || (*name != '/' && *name != '@'))
		return -EINVAL;
	if (len >= sizeof(addr->sun_path))
		return -ENAMETOOLONG;
	memcpy(addr->sun_path, name, len);
	if (*name == '@')
		addr->sun_path[0] = '\0';
	return (int)(offsetof(struct sockaddr_un, sun_path) + len +
		     (*name == '/'));
}

int service_tell(const char *state)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr;
	int fd, len, rc;

	if (!name || !*name)
		return 0;
	len = service_address(name, &addr);
	if (len < 0)
		return len;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	do
		rc = sendto(fd, state, strlen(state), MSG_NOSIGNAL,
			    (struct sockaddr *)&addr, (socklen_t)len) < 0 ?
			-errno : 0;
	while (rc == -EINTR);
	close(fd);
	return rc;
}
