/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/qmp/json/json_memory.h"

#include <pthread.h>
#include <stdlib.h>

#include "engine/util/bug.h"
#include "engine/util/mem.h"

static _Thread_local unsigned long lacks;
static json_t *prepared;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void *get(size_t size)
{
	void *p = mem_spare(NULL, size);

	lacks += !p;
	return p;
}

static void json_memory_prepare(void)
{
	json_set_alloc_funcs(get, free);
	prepared = json_pack("{s:{s:s, s:s}}", "error", "class",
			     "GenericError", "desc", "Cannot allocate memory");
	BUG_ON(!prepared);
}

void json_memory_init(void)
{
	pthread_once(&once, json_memory_prepare);
}

unsigned long json_memory_lacks(void)
{
	return lacks;
}

json_t *json_memory_error(void)
{
	json_memory_init();
	return json_incref(prepared);
}
