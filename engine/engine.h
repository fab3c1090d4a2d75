/* engine.h - the facade: all that the floors above may call.
 *
 * C structs in, C structs out; no JSON, nothing printed. Every call may be
 * made from any thread, holding nothing, and may block on the disk. Strings
 * in options are borrowed for the call. Errors: -1 and *err, with the short
 * sentences of QEMU that clients match (monitor.md 1.5, 2.2, 2.6).
 *
 * A `device` names a drive by id, or else a node by name.
 */
#ifndef BLKMON_ENGINE_H
#define BLKMON_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/event/event.h"
#include "engine/file/file.h"
#include "engine/chain/vm.h"
#include "engine/job/job.h"
#include "engine/image/check.h"
#include "engine/image/image_info.h"
#include "engine/image/node.h"
#include "engine/tree/tree_map.h"
#include "engine/util/err.h"

struct engine;

struct engine *engine_new(void);
/* Cancels all jobs (force) and makes all images durable: 0, or -1 and the
 * first that can't be. Whoever wants to know calls it before engine_free(),
 * and writes nothing in between. */
int engine_sync(struct engine *engine, struct err *err);
/* Cancels all jobs (force), flushes and closes all images. No disk (disk.h) is
 * open. */
void engine_free(struct engine *engine);
struct event_ring *engine_events(struct engine *engine);

/* --- drives --- */

struct drive_options {
	const char *id;			/* NULL: disk0, disk1, ... */
	struct node_options node;	/* no path: an empty drive */
	enum on_error on_read_error, on_write_error; /* of clients' requests;
							drive.h */
	bool force;			/* writable though it is the backing
					   file of an image that is not open */
	bool incomplete;		/* a backing file that is missing: what
					   there is opens, read-only, nothing of
					   it can be changed, and what is
					   missing can't be read; that is
					   published */
	bool only_plans;		/* nothing will be done to it: it is
					   opened read-only, refused where it
					   could not be written, and planned as
					   if it could */
	bool guess_unsaid;		/* a format that was guessed is not
					   published */
};

int engine_add_drive(struct engine *e, const struct drive_options *o,
		     struct err *err);
/* "Device 'x' not found", busy; its requests fail from then on. */
int engine_drive_del(struct engine *e, const char *id, struct err *err);

/* A node that no drive has, as blockdev-add makes them. Until something is put
 * on top of it the guest (exports, requests by hand) may use it by its name.
 * It stays until it is deleted by name. */
struct blockdev_options {
	const char *driver;		/* qcow2, raw, null-co; file,
					   host_device: bytes, for others */
	const char *node_name;		/* NULL for a nested one */
	const char *filename;		/* of the bytes; or */
	const char *file_node;		/* a node of driver file, taken over */
	const char *file_name;		/* its name if it is not open yet */
	const char *file_driver;	/* "file" or "host_device" */
	const char *data_driver;	/* the same of data_file */
	const char *data_file;
	uint64_t size;			/* null-co: bytes of zeroes; what is
					   written is kept, in memory */
	bool read_only;
	bool auto_read_only;		/* so if the file can't be written */
	bool file_read_only;		/* nobody may write to it */
	bool force_share;		/* read-only: beside one who writes */
	bool no_discard;		/* a guest's discards change nothing: */
	bool file_no_discard;		/* said of the image, or of its file */
	bool force;			/* as in drive_options; what is not
					   forced is refused to those who want
					   to write, not when it is opened:
					   the overlay may be opened next */
	enum file_cache cache;
	enum { BLOCKDEV_AS_HEADER, BLOCKDEV_NO_BACKING, BLOCKDEV_BACKING }
		backing;
	const char *backing_node;	/* BLOCKDEV_BACKING: this one, or ... */
	const struct blockdev_options *backing_options; /* ... a new one */
};
int engine_blockdev_add(struct engine *e, const struct blockdev_options *o,
			struct err *err);
/* "Failed to find node with node-name='x'", "Node 'x' is busy: ..." */
int engine_blockdev_del(struct engine *e, const char *node_name,
			struct err *err);
/* Makes @n nodes, each by its node_name, what their options say: all of them,
 * or none. What can be changed are read_only, no_discard, those of the file,
 * and, where no job runs, the backing image. "Cannot change the option
 * 'driver'", "Cannot change frozen 'backing' link from 'x' to 'y'"... */
int engine_blockdev_reopen(struct engine *e,
			   const struct blockdev_options *const *o, size_t n,
			   struct err *err);

/* Guest off / on: holds and releases guest I/O; jobs go on. Events STOP and
 * RESUME on a change. */
void engine_stop(struct engine *e);
void engine_cont(struct engine *e);
enum vm_state engine_vm_state(struct engine *e);

/* --- work --- */

struct snapshot_options {
	const char *device, *node_name;	/* one of them; the other NULL */
	const char *file;
	const char *format;		/* NULL: qcow2 */
	const char *snapshot_node_name;	/* NULL: generated */
	bool existing;			/* -n: the file is there already */
	bool overwrite;			/* replace a file that is not empty */
	const char *overlay;		/* instead of a file: a node that is
					   open and has no backing file; its
					   header stays as it is */
	bool force;			/* write to the file though it is the
					   backing file of an image that is
					   not open */
	const char *internal;		/* none of the above but device: a
					   snapshot of that name inside its
					   active layer */
	bool abort;			/* none of the above: a snapshot that
					   fails */
};
/* *formatting (may be NULL): the line QEMU prints ("Formatting '...'"), caller
 * frees; NULL when nothing was created. */
int engine_snapshot(struct engine *e, const struct snapshot_options *o,
		    char **formatting, struct err *err);

/* Several at one point in time, in the order given: all of them, or none, and
 * then no file is left that was made for it, and no snapshot in an image.
 * @formatting has @n places. */
int engine_snapshots(struct engine *e, const struct snapshot_options *o,
		     size_t n, char **formatting, struct err *err);

/* A snapshot inside the active layer of @device; "Snapshot with name 'i1'
 * already exists on device 'disk0'". */
int engine_snapshot_internal(struct engine *e, const char *device,
			     const char *name, struct err *err);
/* Deletes the one of that id and name (either may be NULL). *out is what it
 * was, released by the caller. */
int engine_snapshot_delete(struct engine *e, const char *device,
			   const char *id, const char *name,
			   struct snapshot_info *out, struct err *err);

struct stream_options {
	const char *device;		/* drive or node */
	const char *base, *base_node, *bottom; /* at most one; all NULL: all */
	const char *backing_file;	/* words for the header, NULL: ours */
	const char *filter_node_name;	/* another name of it till the end */
	struct job_options job;		/* id NULL: the drive's */
	int64_t speed;			/* < 0 is refused */
	bool force;			/* even where that changes internal
					   snapshots */
};
int engine_stream(struct engine *e, const struct stream_options *o,
		  struct err *err);

struct commit_options {
	const char *device;		/* drive */
	const char *base, *base_node;	/* both NULL: deepest */
	const char *top, *top_node;	/* both NULL: the active layer */
	const char *backing_file;
	const char *filter_node_name;	/* as in stream_options */
	struct job_options job;
	int64_t speed;
	bool rhel6;			/* top mandatory, active refused */
	bool words_72;			/* where those of QEMU 7.2 differ */
	bool force;			/* as in stream_options, and where base
					   has overlays that are not open */
	bool keep;			/* for an undo; see undo.h */
};
int engine_commit(struct engine *e, const struct commit_options *o,
		  struct err *err);

/* --- plans: what a request would do, forecast.h; all that it would refuse is
 * refused with the same words and class. *f is the caller's on 0. --- */

struct forecast;
int engine_plan_stream(struct engine *e, const struct stream_options *o,
		       struct forecast *f, struct err *err);
int engine_plan_commit(struct engine *e, const struct commit_options *o,
		       struct forecast *f, struct err *err);
int engine_plan_commit_sync(struct engine *e, const struct sync_options *o,
			    struct forecast *f, struct err *err);
/* Of several at one moment: @f has @n places, all set on 0. */
int engine_plan_snapshots(struct engine *e, const struct snapshot_options *o,
			  size_t n, struct forecast *f, struct err *err);
int engine_plan_complete(struct engine *e, const char *id, struct forecast *f,
			 struct err *err);
int engine_plan_cancel(struct engine *e, const char *id, bool force,
		       struct forecast *f, struct err *err);
int engine_plan_resize(struct engine *e, const char *device, uint64_t size,
		       bool force, struct forecast *f, struct err *err);

/* HMP's commit: the active layer of @device ("all": of every drive that has a
 * backing file, one after the other) into its backing file, at once, then
 * emptied; the drive stays on it. Each is a job, called after the drive or
 * commit-DRIVE where that is taken; the call returns when it has ended, or
 * with o->aside when all have started.
 * Cancelled, it is an error, and the active layer is as it was. o->base as
 * below. Texts of 1.5 without "Error: ". */
int engine_commit_sync(struct engine *e, const struct sync_options *o,
		       struct err *err);

/* What `qemu-img commit` does, as the same kind of job: active layer into
 * o->base (NULL: its backing file), emptied only where base is its own backing
 * file. */
int engine_commit_offline(struct engine *e, const struct sync_options *o,
			  struct err *err);

/* --- jobs by id: "Block job 'x' not found", ERR_DEVICE_NOT_ACTIVE --- */

/* Then waits until the job is over, at most @wait_ns: a query behind it does
 * not see one that is gone. */
int engine_job_cancel(struct engine *e, const char *id, bool force,
		      uint64_t wait_ns, struct err *err);
int engine_job_pause(struct engine *e, const char *id, struct err *err);
int engine_job_resume(struct engine *e, const char *id, struct err *err);
int engine_job_set_speed(struct engine *e, const char *id, int64_t speed,
			 struct err *err);
int engine_job_complete(struct engine *e, const char *id, struct err *err);
int engine_job_finalize(struct engine *e, const char *id, struct err *err);
int engine_job_dismiss(struct engine *e, const char *id, struct err *err);
/* The end: cancels all (force), waits until they are gone, and no other is
 * started. */
void engine_cancel_all(struct engine *e);

/* --- guest I/O by hand (qemu-io, cat); waits while stopped --- */

int engine_read(struct engine *e, const char *device, uint64_t off,
		uint64_t len, void *buf, struct err *err);
int engine_write(struct engine *e, const char *device, uint64_t off,
		 uint64_t len, const void *buf, bool fua, struct err *err);
int engine_zero(struct engine *e, const char *device, uint64_t off,
		uint64_t len, bool unmap, struct err *err);
int engine_discard(struct engine *e, const char *device, uint64_t off,
		   uint64_t len, struct err *err);
int engine_flush(struct engine *e, const char *device, struct err *err);
/* @force: though it is the backing file of an image that is not open. */
int engine_resize(struct engine *e, const char *device, uint64_t size,
		  bool force, struct err *err);
/* The first write to the node that ends beyond byte @threshold of its disk
 * publishes EVENT_THRESHOLD and disarms it; 0 disarms. "Device 'x' not
 * found". */
int engine_set_write_threshold(struct engine *e, const char *node_name,
			       uint64_t threshold, struct err *err);
/* --- checks; see image/check.h --- */

struct check_file {
	const char *path;
	const char *format;	/* NULL: by its first bytes */
	bool force_share;	/* look beside a running user, no locks */
};
/* An image that this process has not opened, with the locks of a reader, or of
 * a writer if o->fix is set. *format: the name of what it is. ERR_NOT_SUPPORTED
 * where the format has nothing to check. */
int engine_check_file(const struct check_file *f,
		      const struct check_options *o, struct check_report *out,
		      const char **format, struct err *err);
/* An open image, looked at only. One that is writable is flushed, and requests
 * of the disks that it is part of wait meanwhile; beside one that is read-only
 * they go on. */
int engine_check_node(struct engine *e, const char *node_name,
		      struct check_report *out, struct err *err);

/* Writes other words for the backing file into the header of an image of
 * @device's chain, unchecked; its format stays, and so does the open chain.
 * Words that lead to another file than is open are refused where the image
 * has internal snapshots, or overlays that are not open, unless @force. */
int engine_change_backing_file(struct engine *e, const char *device,
			       const char *node_name, const char *name,
			       bool force, struct err *err);
/* One piece of the merged map from @off on (what `cat` need not read). *len:
 * in how far to look (> 0), out how far the answer holds; *zero: reads as
 * zeroes. */
int engine_block_status(struct engine *e, const char *device, uint64_t off,
			uint64_t *len, bool *zero, struct err *err);

/* What the images of an open tree hold of its disk. "Cannot find device='' nor
 * node-name='x'"; or what is open has changed meanwhile. *out is freed with
 * tree_map_release(), also after an error. */
int engine_tree_map(struct engine *e, const struct tree_map_options *o,
		    struct tree_map *out, struct err *err);

/* --- queries: copies, freed by the caller with the call named --- */

struct node_info {
	char name[NODE_NAME_MAX];
	char *file;			/* what was opened ... */
	char *path;			/* ... and that from the root on; NULL:
					   not known */
	const char *driver;
	bool read_only;
	bool active;			/* a drive's active layer */
	bool bytes;			/* of driver file, part of another:
					   name, file and sizes are all */
	bool filter;			/* what a job has named, in front of
					   `backing`: the same */
	enum file_cache cache;
	uint64_t write_threshold;
	unsigned backing_depth;		/* images below */
	char backing[NODE_NAME_MAX];	/* node name of it, "" none */
	char job[128];			/* id of the job that uses it, or "" */
	uint64_t wr_highest_offset;
	uint64_t written;		/* the file: seconds since 1970, or 0 */
	dev_t dev;			/* what it is on; of a block device: its
					   own number */
	struct image_info image;
};

struct drive_info {
	char id[128];
	char node[NODE_NAME_MAX];	/* the active layer; "" empty drive */
	char filter[NODE_NAME_MAX];	/* a job's in front of it, or "" */
	bool read_only;
	const char *io_status;		/* "ok", "failed", "nospace" */
};

/* Lists of what is there at one moment. 0, or -ENOMEM: nothing is known and
 * the list is empty. */

/* All nodes, newest first; before them those that jobs have named. */
int engine_query_nodes(struct engine *e, struct node_info **out, size_t *n);
void node_info_free(struct node_info *info, size_t n);

/* A file system with images on it. */
struct space_info {
	char *mount;			/* where it begins */
	uint64_t free, size;		/* bytes */
	char (*nodes)[NODE_NAME_MAX];
	size_t node_count;
};
/* All of them; asks the host and holds nothing meanwhile. */
int engine_query_space(struct engine *e, struct space_info **out, size_t *n);
void space_info_free(struct space_info *info, size_t n);
/* All drives, in the order they were added. */
int engine_query_drives(struct engine *e, struct drive_info **out,
			size_t *n);	/* free() */
/* All jobs, newest first. */
int engine_query_jobs(struct engine *e, struct job_info **out,
		      size_t *n);	/* free() */

struct io_counts {
	uint64_t rd_bytes, wr_bytes, unmap_bytes, rd_ops, wr_ops, unmap_ops,
		 flush_ops, rd_ns, wr_ns, unmap_ns, flush_ns, rd_failed,
		 wr_failed, unmap_failed, flush_failed, wr_highest_offset,
		 rd_invalid, wr_invalid, unmap_invalid, flush_invalid;
	bool used;			/* there was a request; the last */
	uint64_t idle_ns;		/* ended so long ago */
};
/* By drive id (guest I/O) or node name (all I/O). 0, or -1 not found. */
int engine_query_io(struct engine *e, const char *device, bool node,
		    struct io_counts *out, struct err *err);

/* How long the requests of a drive's guest took, since it was opened: how many
 * for each time, up to which they took. */
#define LATENCY_STEPS 112
struct latency_info {
	char id[128];
	struct {
		uint64_t most_ns, count;
	} step[LATENCY_STEPS];		/* ascending; only those with some */
	size_t steps;
};
/* Of all drives. 0 or -ENOMEM; free(). */
int engine_query_latency(struct engine *e, struct latency_info **out,
			 size_t *n);

#endif
