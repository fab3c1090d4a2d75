/* engine_fixture.h - an engine with one drive "disk0" on an empty image "base"
 * of 8 MiB, in a folder of its own.
 */
#ifndef BLKMON_TESTS_ENGINE_FIXTURE_H
#define BLKMON_TESTS_ENGINE_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "engine/engine.h"
#include "engine/engine_impl.h"
#include "engine/util/mem.h"
#include "tests/unit/scratch.h"

#define MIB (1u << 20)

static struct engine *engine;
static struct err err;

static inline void run(const char *command)
{
	if (system(command))
		fail_msg("failed: %s", command);
}

static inline void add(const char *id, const char *path, const char *format,
		bool read_only)
{
	struct drive_options o = {
		.id = id,
		.node = { .path = path, .format = format,
			  .read_only = read_only },
	};

	if (engine_add_drive(engine, &o, &err))
		fail_msg("%s", err.text);
}

static inline int enter(void **state)
{
	if (scratch_enter(state))
		return -1;
	engine = engine_new();
	memset(&err, 0, sizeof(err));
	run("qemu-img create -q -f qcow2 base 8M");
	add(NULL, "base", "qcow2", false);
	return 0;
}

static inline int leave(void **state)
{
	engine_free(engine);
	return scratch_leave(state);
}

static inline void write_mib(unsigned at, int byte)
{
	char *buf = mem_alloc(MIB);

	memset(buf, byte, MIB);
	if (engine_write(engine, "disk0", (uint64_t)at * MIB, MIB, buf, false,
			 &err))
		fail_msg("%s", err.text);
	free(buf);
}

static inline void assert_mib(const char *device, unsigned at, int byte)
{
	char *buf = mem_alloc(MIB), *want = mem_alloc(MIB);

	memset(want, byte, MIB);
	if (engine_read(engine, device, (uint64_t)at * MIB, MIB, buf, &err))
		fail_msg("%s", err.text);
	assert_memory_equal(buf, want, MIB);
	free(buf);
	free(want);
}

#endif
