/* machine.c - see machine.h. */
#include "src/qmp/machine.h"

#include <stdlib.h>

#include "engine/util/mem.h"
#include "src/qmp/json/json_memory.h"

struct machine *machine_new(void)
{
	struct machine *m = mem_alloc(sizeof(*m));

	json_memory_init();
	m->engine = engine_new();
	m->nbd = nbd_server_new(m->engine);
	m->iothreads = iothreads_new();
	return m;
}

int machine_sync(struct machine *m, struct err *err)
{
	nbd_server_quit(m->nbd);
	return engine_sync(m->engine, err);
}

void machine_free(struct machine *m)
{
	nbd_server_free(m->nbd);
	engine_free(m->engine);
	iothreads_free(m->iothreads);
	free(m);
}
