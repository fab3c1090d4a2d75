/* view_impl.h - the tree while it is made; what the files of it share. */
#ifndef BLKMON_UI_VIEW_IMPL_H
#define BLKMON_UI_VIEW_IMPL_H

#include "ui/view/view.h"

/* An image while the tree is made; indices into builder.list, -1 none. */
struct seedling {
	struct view_image image;
	int backing, child, sibling;
};

struct builder {
	struct seedling *list;
	size_t n;
	struct shape *shape;	/* under construction */
	int *place;		/* where list[i] stands in shape->images */
};

/* One more, empty; there is room for it. */
struct seedling *view_add(struct builder *b);
void view_set_names(struct view_image *v, const char *node, const char *path);

/* view_folder.c: the images of @folder (x-blkmon-query-folder) that are not
 * open, behind those that are; there is room. */
void view_add_closed(struct builder *b, const json_t *folder);

#endif
