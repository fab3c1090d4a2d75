/* fuzz_line.h - a console on the null channel that is given one line. */
#ifndef BLKMON_TESTS_FUZZ_LINE_H
#define BLKMON_TESTS_FUZZ_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/util/bug.h"
#include "engine/util/str.h"
#include "src/console/console.h"
#include "src/console/line/console_run.h"
#include "tests/fuzz/null_channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Whole lines, and nothing that could steer a terminal. */
static inline void fuzz_write(void *arg, enum console_kind kind,
			      const char *line)
{
	size_t len = strlen(line);

	(void)arg;
	(void)kind;
	BUG_ON(!len || line[len - 1] != '\n');
	for (size_t i = 0; i < len - 1; i++)
		BUG_ON(((unsigned char)line[i] < ' ' && line[i] != '\t') ||
		       line[i] == 0x7f);
}

static inline void fuzz_line(const char *before, const uint8_t *data,
			     size_t len,
			     int (*run)(struct console *c, const char *line))
{
	struct channel null = { .ops = &null_ops };
	struct console console;
	struct str line = STR_INIT;

	console_init(&console, &null);
	console.write = fuzz_write;
	str_add(&line, before);
	str_add_mem(&line, data, len);
	run(&console, str_get(&line));
	str_release(&line);
	console_release(&console);
}

#endif
