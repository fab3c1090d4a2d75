/* far_impl.h - what the files of a far end share. */
#ifndef BLKMON_ATTACH_FAR_IMPL_H
#define BLKMON_ATTACH_FAR_IMPL_H

#include "engine/util/list.h"
#include "engine/util/thread.h"
#include "src/attach/far.h"

#define FAR_MANAGED "this machine is libvirt's, and is only looked at: use " \
	"qemu:///system (virsh), or --force-attach if you know better"
/* More of anything is no machine's, and would be compared each with each. */
#define FAR_LIST_MOST 8192
#define FAR_LIMIT_NS (10 * 1000000000ull)

struct far_job {
	char *id;		/* at the end */
	bool own;		/* started by this process */
	bool seen;		/* its end has it, or had */
	bool ready, ended;	/* and that was told */
	bool concluded;		/* and carries our mark: to be dismissed */
	bool looked;		/* the end was asked what it works on */
	bool active;		/* it gets READY: what it counts is work */
	char *top, *base;	/* node names; "" not known */
	uint64_t began_ns;	/* clock_ns(); of others: first seen */
};

struct far {
	struct address address;
	struct wire *wire;

	struct lock lock;	/* guards what follows; leaf */
	json_t *commands;	/* name -> true; NULL: never connected */
	char guest[128];
	char run[32];		/* of the guest, as query-status has it */
	bool run_stale;		/* it may have changed */
	bool managed;
	bool was_live, gone;	/* as it was told to the channels */
	struct far_job *jobs;
	size_t n;
	char *heard;		/* jobs as they were at the last visit */
	struct list channels;	/* of far_channel.c */
	struct list maps;	/* of far_map_keep.c */
	size_t maps_size;	/* bytes in these */
};

/* Who asks, and how long he waits. */
struct far_call {
	struct far *far;
	const struct interrupt *interrupt;
	bool impatient;		/* see channel.h */
};

/* --- far.c --- */

/* A text member of a reply or of arguments, or "". */
const char *far_arg(const json_t *object, const char *key);
bool far_can(struct far *f, const char *command);
/* The "return" value of a request to the end, the caller's; or NULL and err
 * with the end's class and words. Takes @args, which may be NULL. */
json_t *far_ask(const struct far_call *call, const char *command, json_t *args,
		struct err *err);
/* The same for what changes something, with a time limit (UINT64_MAX:
 * none). */
json_t *far_order(const struct far_call *call, const char *command,
		  json_t *args, uint64_t limit_ns, struct err *err);
/* The whole reply, NULL and err where there is none. Takes @request. */
json_t *far_send(const struct far_call *call, json_t *request,
		 bool changes, uint64_t limit_ns, struct err *err);
/* What the reply's error says, into @err. */
void far_take_error(const json_t *reply, struct err *err);
/* A request in @cmd's name may go to this end? 0, or -1 and err: it would
 * change something, and this end is only looked at. */
int far_guard(const struct far_call *call, const char *command,
	      struct err *err);
/* Does @command change something? What is not known does. */
bool far_changes(const char *command);

/* Asks whether the guest runs, if that may be otherwise than it was; far.run is
 * for those who show it. */
void far_learn_run(const struct far_call *call);

/* A blkmon understands all of the dialect. */
bool far_speaks_dialect(struct far *f);

/* --- far_clean.c --- */

/* Escapes control characters in all strings but those that name files, in
 * place. A string by itself is text, and stays. */
void far_clean(json_t *value);

/* --- far_nodes.c --- */

/* The value of query-named-block-nodes, the caller's; NULL and err, also
 * where asking for it could end the machine. */
json_t *far_nodes(const struct far_call *call, bool flat, struct err *err);
/* May it be asked? 0, or -1 and err. */
int far_nodes_check(const struct far_call *call, struct err *err);

/* --- far_files.c --- */

/* Names of files in a node, or what is inserted in a drive, become those that
 * people know them by. */
void far_files_plain(json_t *node);

/* --- far_channel.c: an event for all channels --- */

void far_publish(struct far *f, json_t *event);	/* takes it */
void far_notice(struct far *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The state is another: whoever shows it asks again. */
void far_tell_state(struct far *f);

/* --- far_names.c: who is called what, at one moment --- */

struct far_drive {
	char *shown;		/* to people, and what they type */
	const char *device;	/* as the end calls the drive; "" it does not */
	const char *node;	/* the image on top; "" none */
	const char *qdev;	/* "" none */
	const char *export;	/* id; "" it is no export */
};

struct far_names {
	struct far_drive *drives;
	size_t n;
	json_t *blocks;		/* query-block */
	json_t *nodes;		/* query-named-block-nodes, flat */
	json_t *exports;	/* query-block-exports, or NULL */
	json_t *links;		/* as x-blkmon-query-links, or NULL */
};

/* 0, or -1 and err: there is nothing to release. */
int far_names_load(struct far_names *names, const struct far_call *call,
		   struct err *err);
void far_names_release(struct far_names *names);
/* By what is shown, by drive, device path or top node; NULL if none. */
const struct far_drive *far_names_find(const struct far_names *names,
				       const char *word);
const json_t *far_names_node(const struct far_names *names, const char *node);
/* The node in the chain of @node that people call @word: a node, a file, or
 * the last part of its name if no other has that. NULL if there is none. */
const char *far_names_image(const struct far_names *names, const char *node,
			    const char *word);
/* The node below, or "". */
const char *far_names_below(const struct far_names *names, const char *node);
/* What people call a drive of that device path; the caller's. */
char *far_names_shown(const char *device, const char *qdev, const char *node);
/* Its driver puts itself between images and is none. */
bool far_names_is_filter(const json_t *node);
/* It is the file (or whatever stands for one) of an image. */
bool far_names_is_protocol(const json_t *node);
bool far_names_are_managed(const json_t *nodes);

/* --- far_links.c --- */

bool far_links_known(struct far *f);
/* The value of x-blkmon-query-links, the caller's; NULL and err. What a job has
 * put between images has an entry, too, and is below none. @nodes:
 * query-named-block-nodes. */
json_t *far_links(const struct far_call *call, const json_t *nodes,
		  struct err *err);

/* What the jobs of an end hold on to, by their ids: {"uses": nodes, "top",
 * "base-node", "active"}, where "active" is one that gets READY. The caller's;
 * NULL and err where the end does not tell. */
json_t *far_works(const struct far_call *call, struct err *err);

/* --- far_jobs.c --- */

/* An id of this end as it is shown. */
const char *far_job_shown(const char *id);
/* An id fit for all ends, that shows @word; the caller's. */
char *far_job_id(const char *word);
bool far_jobs_is_own(struct far *f, const char *id);
/* The end's id of what is called @shown, the caller's; NULL and err. */
char *far_job_find(const struct far_call *call, const char *shown,
		   struct err *err);
/* It is about to be started by us; undone with far_jobs_forget(). */
void far_jobs_own(struct far *f, const char *id, const char *top,
		  const char *base, bool active);
void far_jobs_forget(struct far *f, const char *id);
/* Finds out what those of @list (of query-block-jobs) work on of which that is
 * not known; asks once for each. */
void far_jobs_learn(const struct far_call *call, const json_t *list);
/* Adds what we know to an entry of query-jobs or query-block-jobs, whose id is
 * member @key. */
void far_jobs_dress(struct far *f, json_t *entry, const char *key);
/* Takes in an event of a job, and makes its data ours. False: that was told
 * already, after a look at the jobs. */
bool far_jobs_event(struct far *f, const char *name, json_t *data);
/* Asks for it; whether it is done is not told. */
void far_jobs_dismiss(const struct far_call *call, const char *id);
/* Dismisses what is concluded and carries our mark, also what an earlier
 * console began. In the wire's thread. */
void far_jobs_tend(const struct far_call *call);
/* The connection is there (again): what ended or got ready meanwhile. The same.
 */
void far_jobs_again(const struct far_call *call);
void far_jobs_release(struct far *f);

/* --- far_map.c --- */

/* May there be maps of an end that has none itself? */
bool far_map_may(struct far *f);
/* The value of x-blkmon-tree-map; NULL and err, also where its files are not
 * known to be this host's, or the image is not one that can be read. */
json_t *far_map(const struct far_call *call, const char *name, json_t *args,
		struct err *err);

/* By their maps, how much of the images of @chain (@n, from the top down) from
 * number @first on is seen through those above it in there: what a job would
 * move. False: they have no maps here. */
bool far_map_moved(const struct far_call *call, const struct far_names *names,
		   const json_t *const *chain, size_t n, size_t first,
		   uint64_t *bytes);

/* --- far_map_keep.c --- */

struct tree_file;
/* All that the map that is asked for with @args is made of, the caller's. NULL:
 * it is not to be kept, as one of the files may be written to without a trace
 * in its times; or there is no memory. */
char *far_map_key(const struct tree_file *files, size_t n, const json_t *args);
/* The one of that key, the caller's, or NULL; @key may be NULL. */
json_t *far_map_kept(struct far *f, const char *key);
void far_map_keep(struct far *f, const char *key, const json_t *map);
void far_maps_release(struct far *f);

/* --- far_verbs.c, far_answers.c --- */

/* Does a request of the dialect. The "return" value, or NULL and err. @args
 * is borrowed. */
struct far_verb {
	const char *name;
	json_t *(*run)(const struct far_call *call, const char *name,
		       json_t *args, struct err *err);
};

/* What is refused here, before the end is asked: 0, or -1 and err. A new layer
 * on an image that nobody uses would be gone at once; */
int far_check_user(const struct far_names *names, const char *word,
		   struct err *err);
/* so would be what lies behind a nearer end of the disk. */
int far_check_grows(const struct far_names *names, const json_t *args,
		    struct err *err);

/* --- far_plan.c --- */

/* What @request would do at an end that has no plans of its own; the value of
 * x-blkmon-plan, and "unknown": what is not known of it. "estimate" in its
 * bytes says what "left" was made of. NULL and err: also where it would be
 * refused. */
json_t *far_plan(const struct far_call *call, json_t *request,
		 struct err *err);

/* --- far_hmp.c --- */

/* The request as it is. @args is borrowed, here and below. */
json_t *far_pass(const struct far_call *call, const char *name, json_t *args,
		 struct err *err);
/* NULL, and that @what cannot be had at this end. */
json_t *far_not_here(const char *what, struct err *err);
/* What is kept for an undo, only a blkmon keeps: 0, or -1 and err where it is
 * asked for and not to be had. */
int far_check_keep(const struct far_call *call, const json_t *args,
		   struct err *err);
/* HMP's commit knows a drive by its name alone: 0, or -1 and err. */
int far_check_commit(const struct far_drive *drive, struct err *err);
json_t *far_commit(const struct far_call *call, const char *name, json_t *args,
		   struct err *err);
json_t *far_drive_add(const struct far_call *call, const char *name,
		      json_t *args, struct err *err);
json_t *far_drive_del(const struct far_call *call, const char *name,
		      json_t *args, struct err *err);

extern const struct far_verb far_verbs[];	/* change something */
extern const struct far_verb far_answers[];	/* look */
json_t *far_do(const struct far_call *call, const char *name, json_t *args,
	       struct err *err);

#endif
