/* snapshot_impl.h - what snapshot.c, which takes snapshots, and
 * snapshot_plan.c, which says what they would be, share.
 */
#ifndef BLKMON_SNAPSHOT_IMPL_H
#define BLKMON_SNAPSHOT_IMPL_H

#include "engine/chain/drive.h"
#include "engine/engine.h"
#include "engine/engine_impl.h"
#include "engine/image/qcow2/qcow2.h"

struct snapshot {
	struct engine *engine;
	const struct snapshot_options *o;
	const char *path, *format;
	struct drive *drive;	/* these two: references of ours */
	struct node *old;
	struct gate gate;	/* in front of it, for our flush */
	struct node *overlay;	/* in no graph until the switch; or, if
				   it was open before, a reference of ours */
	bool entered;		/* the overlay is in the graph */
	bool closed_old;	/* the old layer was made read-only */
	bool opened;		/* the overlay was there, and made writable */
	struct node *inside;	/* has an internal snapshot of ours */
	uint64_t size;		/* of the disk, when it was looked at */
	char *backing_name;
	bool created;		/* the file is ours to remove */
	bool filled;		/* it was there, and empty */
};

/* All that is refused before a file is touched. Of @all those before @s were
 * examined. Graph not held. In any case it has to be let go and released. */
int snapshot_examine(struct snapshot *all, struct snapshot *s,
		     struct err *err);
/* Refuses its file because it is open. */
int snapshot_file_held(const struct snapshot *s, struct err *err);
/* As what the new image is opened. */
struct node_options snapshot_node(const struct snapshot *s);
/* What the new image is to be; its words are kept in @s. */
int snapshot_header(struct snapshot *s, struct qcow2_create *create,
		    struct err *err);
/* What was made and not used is closed; graph begun. */
void snapshot_let_go(struct snapshot *s);
/* After it, and after graph_end(): what was made goes if it @failed. */
void snapshot_release(struct snapshot *s, bool failed);

#endif
