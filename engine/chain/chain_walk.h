/* chain_walk.h - up and down a chain. Graph read-held. */
#ifndef BLKMON_CHAIN_WALK_H
#define BLKMON_CHAIN_WALK_H

#include <stdbool.h>

#include "engine/image/node.h"

unsigned chain_depth(const struct node *top);	/* images below top */
bool chain_has(const struct node *top, const struct node *node);
/* The image of top's chain whose backing file is @node, or NULL. */
struct node *chain_above(struct node *top, const struct node *node);

/* Refuses @name, which is none that the chain of @top has below it: "Can't find
 * 'x' in the backing chain", and which images it has. */
int chain_refuse_name(const char *name, const struct node *top,
		      struct err *err);
/* As tips: where @node is open, and which images the chain of @top has. */
void chain_tell_place(struct node *node, struct err *err);
void chain_tell_images(const struct node *top, struct err *err);

/* Refuses if an image from @top down to, not including, @stop has internal
 * snapshots: what these don't hold themselves they read from below, and @what
 * ("A commit") is about to change that. ERR_GENERIC, names the image and its
 * snapshots. */
int chain_check_snapshots(struct node *top, const struct node *stop,
			  const char *what, struct err *err);

#endif
