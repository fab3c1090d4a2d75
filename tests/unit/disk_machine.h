/* disk_machine.h - a machine with one raw disk "disk0" in file "disk", and a
 * channel to it. */
#ifndef BLKMON_TESTS_DISK_MACHINE_H
#define BLKMON_TESTS_DISK_MACHINE_H

#include <fcntl.h>
#include <unistd.h>

#include "engine/engine.h"
#include "src/qmp/channel.h"
#include "src/qmp/machine.h"
#include "tests/unit/scratch.h"

struct disk_machine {
	struct machine *machine;
	struct channel *channel;
};

/* The disk has @size bytes. 0 or -1. */
static inline int disk_machine_init(struct disk_machine *m, off_t size)
{
	struct drive_options o = {
		.id = "disk0", .node = { .path = "disk", .format = "raw" },
	};
	struct err err = ERR_INIT;
	int fd = open("disk", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, size))
		return -1;
	close(fd);
	m->machine = machine_new();
	m->channel = channel_local_new(m->machine);
	return engine_add_drive(m->machine->engine, &o, &err);
}

static inline void disk_machine_release(struct disk_machine *m)
{
	channel_free(m->channel);
	machine_free(m->machine);
	scratch_clear();
}

#endif
