/* engine_space.c - the file systems that images are on; see engine.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/file/file.h"
#include "engine/util/mem.h"

struct spaces {
	struct space_info *list;
	dev_t *dev;		/* of each */
	size_t n, cap, dev_cap;
};

static int space_new(struct spaces *s, const struct node_info *node)
{
	struct file_system fs;
	void *list, *dev;

	if (file_system_find(&fs, node->file))
		return 0;
	list = mem_try_more(s->list, &s->cap, s->n + 1, sizeof(*s->list));
	if (list)
		s->list = list;
	dev = mem_try_more(s->dev, &s->dev_cap, s->n + 1, sizeof(*s->dev));
	if (dev)
		s->dev = dev;
	if (!list || !dev) {
		free(fs.mount);
		return -ENOMEM;
	}
	s->dev[s->n] = node->dev;
	s->list[s->n++] = (struct space_info) {
		.mount = fs.mount, .free = fs.free, .size = fs.size,
	};
	return 0;
}

static struct space_info *space_of(struct spaces *s, dev_t dev)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->dev[i] == dev)
			return &s->list[i];
	return NULL;
}

/* The host is asked once for each file system. */
static int space_add(struct spaces *s, const struct node_info *node)
{
	int rc = space_of(s, node->dev) ? 0 : space_new(s, node);
	struct space_info *info = space_of(s, node->dev);
	void *nodes;

	if (rc || !info)
		return rc;
	nodes = mem_spare(info->nodes, (info->node_count + 1) *
			  sizeof(*info->nodes));
	if (!nodes)
		return -ENOMEM;
	info->nodes = nodes;
	memcpy(info->nodes[info->node_count++], node->name,
	       sizeof(*info->nodes));
	return 0;
}

int engine_query_space(struct engine *e, struct space_info **out, size_t *n)
{
	struct spaces s = { 0 };
	struct node_info *nodes;
	size_t count;
	int rc = engine_query_nodes(e, &nodes, &count);

	for (size_t i = 0; i < count && !rc; i++)
		if (!nodes[i].bytes && !nodes[i].filter)
			rc = space_add(&s, &nodes[i]);
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
