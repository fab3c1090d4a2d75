/* monitors.h - the options that make ways in: --qmp, --chardev, --monitor, in
 * the words of QEMU and qemu-storage-daemon.
 */
#ifndef BLKMON_MONITORS_H
#define BLKMON_MONITORS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "src/qmp/wire/server.h"

struct monitors {		/* all zero: none */
	json_t *chardevs;	/* id -> its options */
	json_t *list;		/* options of monitors */
};

/* Each takes an option's value: 0, or -1 and what is wrong with it. */
int monitors_qmp(struct monitors *m, const char *text, struct err *err);
int monitors_chardev(struct monitors *m, const char *text, struct err *err);
int monitors_monitor(struct monitors *m, const char *text, struct err *err);
void monitors_release(struct monitors *m);

/* Do all of them have their chardev? 0, or -1 and err. */
int monitors_check(const struct monitors *m, struct err *err);
size_t monitors_count(const struct monitors *m);
/* One of them is on standard input and output. */
bool monitors_use_stdio(const struct monitors *m);

/* Opens all of them in @server. 0, or -1 and err. */
int monitors_open(const struct monitors *m, struct server *server,
		  struct err *err);

#endif
