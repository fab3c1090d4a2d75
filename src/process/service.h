/* service.h - what a service tells the one who started it: systemd, or who
 * else speaks its protocol of datagrams.
 */
#ifndef BLKMON_SERVICE_H
#define BLKMON_SERVICE_H

/* Sends @state, lines like "READY=1", to the socket that $NOTIFY_SOCKET names:
 * a path, or '@' and a name of Linux's own. Waits while its queue is full, so
 * that nothing is lost when many services start at once. 0 also where nobody
 * is to be told; -EINVAL where it names no such socket, -ENAMETOOLONG, or what
 * the socket said. Any thread, as long as none changes the environment. */
int service_tell(const char *state);

#endif
