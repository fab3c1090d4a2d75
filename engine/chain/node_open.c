/* node_open.c - see node_open.h. */
#include "engine/chain/node_open.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/chain/format.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"

int node_check_name(const char *name, struct err *err)
{
	if (name && !str_is_id(name))
		return err_set(err, ERR_GENERIC, "Invalid node-name: '%s'",
			       name);
	if (name && strlen(name) >= NODE_NAME_MAX)
		return err_set(err, ERR_GENERIC, "Node name too long");
	return 0;
}

static int choose_driver(struct node *node, const char *format,
			 struct err *err)
{
	int rc;

	if (format) {
		node->drv = format_find_said(format);
		if (!node->drv)
			return err_set(err, ERR_GENERIC,
				       "Unknown file format '%s'", format);
		return 0;
	}
	node->probed = true;
	rc = format_probe(node->file, &format);
	if (rc)
		return err_sys(err, rc, "Could not read image '%s'",
			       node->file->path);
	node->drv = format_find(format);
	if (node->drv)
		return 0;
	return err_set(err, ERR_GENERIC, "'%s' looks like an image of format "
		       "%s, which is not read here; if it is a raw disk say "
		       "so: format=raw", node->file->path, format);
}

static struct node *node_new(struct file *file, const struct node_options *o)
{
	struct node *node = mem_alloc(sizeof(*node));

	if (o->node_name)
		memcpy(node->name, o->node_name, strlen(o->node_name) + 1);
	node->file = file;
	node->read_only = o->read_only;
	list_init(&node->link);
	range_init(&node->range);
	lock_init(&node->meta);
	return node;
}

static void node_free(struct node *node)
{
	range_release(&node->range);
	lock_release(&node->meta);
	file_close(node->file);
	free(node->merged_into);
	free(node);
}

static int check_driver(struct node *node, struct err *err)
{
	return node->drv->check_writable ?
	       node->drv->check_writable(node, err) : 0;
}

int node_open_file(struct node **out, struct file *file,
		   const struct node_options *o, struct err *err)
{
	struct node *node;

	if (node_check_name(o->node_name, err)) {
		file_close(file);
		return -1;
	}
	node = node_new(file, o);
	if (choose_driver(node, o->format, err) ||
	    node->drv->open(node, o, err)) {
		node_free(node);
		return -1;
	}
	if (!node->read_only && (check_driver(node, err) ||
				 node->drv->make_writable(node, err))) {
		node->drv->close(node);
		node_free(node);
		return -1;
	}
	*out = node;
	return 0;
}

int node_open(struct node **out, const struct node_options *o,
	      struct err *err)
{
	struct file_options fo = {
		.path = o->path,
		.writable = !o->read_only,
		.role = o->no_lock ? LOCKS_NONE :
			o->read_only ? LOCKS_READ : LOCKS_WRITE,
		.cache = o->cache,
	};
	struct file *file;

	if (file_open(&file, &fo, err))
		return -1;
	return node_open_file(out, file, o, err);
}

int node_open_missing(struct node **out, const char *path, uint64_t size,
		      struct err *err)
{
	const struct node_options o = { .read_only = true };
	struct node *node;
	struct file *file;

	if (file_open_memory(&file, size, err))
		return -1;
	free(file->path);
	file->path = mem_dup(path);
	node = node_new(file, &o);
	node->drv = &driver_missing;
	if (node->drv->open(node, &o, err)) {
		node_free(node);
		return -1;
	}
	*out = node;
	return 0;
}

int node_settle(struct node *node)
{
	return node->read_only ? 0 : node->drv->settle(node);
}

struct file *node_detach(struct node *node)
{
	struct file *file = node->file;

	node->drv->close(node);
	node->file = NULL;
	node_free(node);
	return file;
}

void node_close(struct node *node)
{
	node_settle(node);
	file_close(node_detach(node));
}
