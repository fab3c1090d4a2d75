/* engine_space.c - the file systems that images are on; see engine.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/file/file.h"
#include "engine/util/mem.h"

struct spaces {
	struct space_info *list;
	dev_t *dev;
	size_t n, cap, dev_cap;
};

static struct space_info *space_new(struct spaces *s, struct file_system *fs)
{
	void *list = mem_try_more(s->list, &s->cap, s->n + 1,
				  sizeof(*s->list));
	void *dev;

	if (list)
		s->list = list;
	dev = mem_try_more(s->dev, &s->dev_cap, s->n + 1, sizeof(*s->dev));
	if (dev)
		s->dev = dev;
	if (!list || !dev)
		return NULL;
	s->dev[s->n] = fs->dev;
	s->list[s->n] = (struct space_info) {
		.mount = fs->mount, .free = fs->free, .size = fs->size,
	};
	fs->mount = NULL;
	return &s->list[s->n++];
}

static int space_add(struct spaces *s, struct file_system *fs,
		     const char *node)
{
	struct space_info *info = NULL;
	void *nodes;

	for (size_t i = 0; i < s->n; i++)
		if (s->dev[i] == fs->dev)
			info = &s->list[i];
	if (!info)
		info = space_new(s, fs);
	nodes = info ? mem_spare(info->nodes, (info->node_count + 1) *
				 sizeof(*info->nodes)) : NULL;
	if (!nodes)
		return -ENOMEM;
	info->nodes = nodes;
	memcpy(info->nodes[info->node_count++], node, sizeof(*info->nodes));
	return 0;
}

int engine_query_space(struct engine *e, struct space_info **out, size_t *n)
{
	struct spaces s = { 0 };
	struct file_system fs;
	struct node_info *nodes;
	size_t count;
	int rc = engine_query_nodes(e, &nodes, &count);

	for (size_t i = 0; i < count && !rc; i++) {
		if (nodes[i].bytes || file_system_find(&fs, nodes[i].file))
			continue;
		rc = space_add(&s, &fs, nodes[i].name);
		free(fs.mount);
	}
	node_info_free(nodes, count);
	free(s.dev);
	if (rc) {
		space_info_free(s.list, s.n);
		s = (struct spaces) { 0 };
	}
	*out = s.list;
	*n = s.n;
	return rc;
}

void space_info_free(struct space_info *info, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(info[i].mount);
		free(info[i].nodes);
	}
	free(info);
}
