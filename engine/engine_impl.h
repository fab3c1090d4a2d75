/* engine_impl.h - what the engine's rooms share behind the facade.
 *
 * engine.c holds drives and guest I/O, engine_query.c queries; engine_jobs.c
 * the start of jobs and their control; snapshot.c the snapshot;
 * engine_siblings.c what is looked for before an image is written.
 */
#ifndef BLKMON_ENGINE_IMPL_H
#define BLKMON_ENGINE_IMPL_H

#include "engine/chain/drive.h"
#include "engine/engine.h"
#include "engine/folder_events.h"
#include "engine/chain/graph.h"
#include "engine/chain/sibling.h"
#include "engine/chain/siblings.h"
#include "engine/chain/vm.h"
#include "engine/util/pool.h"

struct engine {
	struct graph graph;
	struct event_ring events;
	struct pool *pool;
	struct vm vm;
	struct jobs jobs;
	struct list protocols;		/* blockdev.c; graph lock */
	struct folder_events folders;
	struct list undos;		/* engine_undo.c; graph lock */
	unsigned next_drive;		/* for disk0, disk1; graph write-held */
};

/* The node a `device` means: a drive's active layer, or a node by name.
 * *drive (may be NULL) is the drive or NULL. "Cannot find device='x' nor
 * node-name='x'", ERR_DEVICE_NOT_FOUND. Graph held. */
struct node *engine_find(struct engine *e, const char *device,
			 struct drive **drive, struct err *err);
/* The same of what lies on top of its chain: `Need a root block node`. */
struct node *engine_find_root(struct engine *e, const char *device,
			      struct drive **drive, struct err *err);
/* What is refused to @name because of who lies on it. -1. */
int engine_lies_below(const char *name, const char *above, struct err *err);

/* Before the node that a `device` means is written the first time since it was
 * opened by name: who reads from it and is not open? Refused then, as
 * siblings_check(). Graph not held. */
int engine_look_first(struct engine *e, const char *device, struct err *err);
/* The same for what is not open yet: what is to be known, graph not held, and
 * whether it may be opened to be written, graph held. */
void engine_look_path(struct engine *e, const struct node_options *o,
		      struct siblings *s);
int engine_check_path(struct engine *e, const struct node_options *o,
		      const struct siblings *s, struct err *err);
/* What is to be known before an image of @device's chain is written; @s stays
 * empty where there is none of that name. Graph not held. */
void engine_look(struct engine *e, const char *device, struct siblings *s);
/* Refused unless forced: who reads what the stream, or the commit into @base
 * of what is below @overlay, changes or whose link it writes; found or inside
 * of an image. Graph begun. */
int engine_stream_readers(const struct stream_options *o,
			  const struct siblings *s, struct node *top,
			  struct node *base, struct err *err);
int engine_commit_readers(const struct commit_options *o,
			  const struct siblings *s, struct node *overlay,
			  struct node *top, struct node *base,
			  struct err *err);
/* Says what jobs of earlier processes left behind in @top's chain, which is a
 * disk by the name @id. Graph begun; pauses it. */
void engine_tell_marks(struct engine *e, const char *id,
		       const struct node *top);
/* The same where a chain is opened node by node: what concerns this one. */
void engine_tell_marks_of(struct engine *e, const struct node *node);

/* --- engine_images.c: snapshots inside images --- */

/* The active layer of @device, if it can have them now; or NULL. Graph
 * begun. */
struct node *internal_node(struct engine *e, const char *device,
			   struct drive **drive, struct err *err);
/* No request of the node's disk is under way. "Snapshot with name 'i1' already
 * exists on device 'd'"; a refused one leaves the image as it was. @dry: only
 * whether it is refused. */
int internal_take(struct node *node, const char *device, const char *name,
		  bool dry, struct err *err);
/* Refuses one, for there is one of that name. */
int internal_there(const char *device, const char *name, struct err *err);
/* Undoes that, before anything was written. */
int internal_take_back(struct node *node, const char *name, struct err *err);
/* --- engine_folder.c --- */

struct open_file {
	const struct file *file;
	struct node *node;		/* whose it is */
	bool data;			/* its external data file */
};

/* All files that are open here, freed by the caller. 0 or -ENOMEM. Begun. */
int files_open(struct engine *e, struct open_file **out, size_t *n);
/* The one of that identity, or NULL. */
const struct open_file *files_find(const struct open_file *open, size_t n,
				   const struct sibling_id *id);
/* What they are called; NULL: no memory. Graph not held. */
char **files_paths(struct engine *e, size_t *n);
void files_free_paths(char **paths, size_t n);

/* --- engine_undo.c; graph write-held, begun --- */

/* Would undo_keep() be refused? With the same words. Pauses the graph. */
int undo_check_keep(struct engine *e, const char *id, struct node *base,
		    struct err *err);
/* Clones base before the job @id writes to it; @overlay is that of top, or top
 * itself. Pauses the graph. */
int undo_keep(struct engine *e, const char *id, struct node *overlay,
	      struct node *top, struct node *base, struct err *err);
/* The job has let go of its images; nothing held. For other processes it is
 * noted what base is now. (jobs.let_go) */
void undo_job_over(struct jobs *jobs, const char *id);
/* The job has not begun. */
void undo_forget(struct engine *e, const char *id);
void undos_release(struct engine *e);
/* engine_undo_file.c: engine_commit_at_once() that keeps base. Graph not
 * held. */
int undo_commit_kept(struct engine *e, const struct sync_options *o,
		     struct err *err);

/* --- engine_jobs.c: requests for jobs, and how they are resolved --- */

struct work;
struct request_kind {
	/* The images, and how they lie to each other; graph begun. */
	int (*resolve)(struct engine *e, const void *o,
		       const struct siblings *s, struct work *w,
		       struct err *err);
	/* What start() would refuse; the same. */
	int (*check)(struct jobs *jobs, const struct work *w, struct err *err);
	/* The same. A reference to the job, if it is to be waited for. */
	int (*start)(struct jobs *jobs, const struct work *w, struct job **job,
		     struct err *err);
};

struct request {
	const struct request_kind *kind;
	const void *o;		/* the options */
	const char *device;
	bool no_look;		/* nobody whom siblings.h finds is in the way */
	bool if_unsaid;		/* nor is anybody where the headers of the
				   chain say what is open */
	bool spoils;		/* forced: whoever is found is spoilt by it */
	bool force;		/* even if it does not fit */
	bool keep;		/* what base holds, for an undo */
};

struct request engine_ask_stream(const struct stream_options *o);
struct request engine_ask_commit(const struct commit_options *o);
struct request engine_ask_commit_sync(const struct sync_options *o);
/* To its end; @o->keep is not looked at. Nothing held. */
int engine_commit_at_once(struct engine *e, const struct sync_options *o,
			  struct err *err);
/* A counted reference, or "Block job 'x' not found". Nothing held. */
struct job *engine_find_job(struct engine *e, const char *id,
			    struct err *err);

/* --- engine.c; graph held --- */

/* The image that a resize of @device is for, or NULL and why it is refused. */
struct node *engine_resolve_resize(struct engine *e, const char *device,
				   uint64_t size, struct err *err);

/* --- engine_start.c; nothing held --- */

/* Starts the job of a request, refused before the first byte if it does not
 * fit; *job as from request_kind.start(). */
int engine_start(struct engine *e, const struct request *r, struct job **job,
		 struct err *err);

/* --- engine_plan.c; nothing held --- */

/* What the work of @r needs of its file system; refuses what does not fit
 * there unless it is forced. What can't be counted needs nothing, and why is
 * told by the start. */
int engine_admit(struct engine *e, const struct request *r,
		 struct job_need *need, struct err *err);

/* --- blockdev.c; graph held --- */

/* A node of driver file that has become part of another. */
struct protocol {
	char name[NODE_NAME_MAX];
	const char *driver;
	char *path;
	bool read_only;			/* as it was asked for */
	bool no_discard, no_lock;
	enum file_cache cache;
	char user[NODE_NAME_MAX];	/* the node it is part of ... */
	bool nested;			/* ... and goes away with */
	struct list link;		/* engine->protocols */
};

struct protocol *protocol_find(struct engine *e, const char *name);
/* Is it the name of an image, or of a file that is part of one? */
bool blockdev_has_name(struct engine *e, const char *name);
/* May a new node be called @name (NULL: made up)? 0, or -1 and QEMU's words. */
int blockdev_check_name(struct engine *e, const char *name, struct err *err);
/* What @node took for its file, or NULL. */
struct protocol *protocol_of(struct engine *e, const struct node *node);

/* Is that a driver of bytes, below the formats? */
bool blockdev_is_bytes(const char *driver);
/* Are the files of @o what their drivers are for? Those that are not there are
 * not asked about. QEMU's words. */
int blockdev_check_files(const struct blockdev_options *o, struct err *err);
/* Nobody looks beside a writer at what this program writes: the tables that it
 * changes in memory are not on disk. Begun. */
int blockdev_check_beside(struct engine *e, const struct node_options *o,
			  struct err *err);
/* Lets go of all nodes that were opened by name; graph write-held. */
void blockdev_release(struct engine *e);
/* After nodes went, or changed places: files without a user are nodes again,
 * and what is on top is a disk. Graph write-held. */
void blockdev_settle(struct engine *e);
/* @node is going to lie below another: nobody may write it, nor read it as a
 * disk. Refused while somebody uses it. Graph write-held. */
int blockdev_unmake_disk(struct node *node, struct err *err);

#endif
