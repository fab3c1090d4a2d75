/* qcow2_table.c - the tables that are wholly in memory: L1, refcount table. */
#include "engine/image/qcow2/qcow2_image.h"

#include <stdlib.h>

#include "engine/util/bytes.h"
#include "engine/util/mem.h"

int qcow2_table_read(struct file *file, struct qcow2_table *t, uint64_t host,
		     uint32_t count)
{
	uint8_t *raw = NULL;
	int rc = -ENOMEM;

	*t = (struct qcow2_table){ .host = host, .count = count };
	raw = buf_new(max_u64((uint64_t)count * 8, 8));
	t->entry = mem_try(max_u64(count, 1), sizeof(*t->entry));
	t->dirty = mem_try(count / QCOW2_PER_SECTOR + 1, 1);
	if (!raw || !t->entry || !t->dirty)
		goto out;
	rc = file_read(file, host, raw, (size_t)count * 8);
	for (uint32_t i = 0; !rc && i < count; i++)
		t->entry[i] = get_be64(raw + (size_t)i * 8);
out:
	free(raw);
	if (rc)
		qcow2_table_release(t);
	return rc;
}

void qcow2_table_release(struct qcow2_table *t)
{
	free(t->entry);
	free(t->dirty);
	*t = (struct qcow2_table){ 0 };
}

void qcow2_table_set(struct qcow2_table *t, uint32_t i, uint64_t entry)
{
	t->entry[i] = entry;
	t->dirty[i / QCOW2_PER_SECTOR] = 1;
	t->any_dirty = true;
}
