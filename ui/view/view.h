/* view.h - the picture that the screen has of images and jobs.
 *
 * Made from replies of QMP by the client's thread and read by the screen's:
 * a struct shape never changes once it is published, and is counted. Nothing
 * in here talks to a channel; making a shape looks for free file names on the
 * disk, which is why the screen's thread does not.
 */
#ifndef BLKMON_UI_VIEW_H
#define BLKMON_UI_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ui/draw/names.h"

/* Of a file that nobody has opened here, as the engine judges it. */
enum view_role {
	VIEW_OPEN, VIEW_OVERLAY, VIEW_ORPHAN, VIEW_BELOW, VIEW_HELD,
	VIEW_UNUSED,
};

/* Which part of the list an image stands in: with what is open, or is to be
 * looked at; with files that have to do with each other alone; with those that
 * nothing uses. */
enum view_group { GROUP_TREE, GROUP_OTHERS, GROUP_UNUSED, GROUP_COUNT };

struct view_image {
	char *node;		/* node name; "" for one that is not open */
	char *name;		/* last part of the file name, and as much of
				 * the path as tells it from others; safe */
	struct name_cut cut;	/* of the name, where it is too long */
	char *path;		/* as it was opened, safe to show */
	char *file;		/* the same, as it is: for commands */
	char *full;		/* as it is, from the root on where that is
				 * known */
	char *tree;		/* what stands in front of the name (UTF-8) */
	char *tree_ascii;
	char *next;		/* of an active layer: a file name for the
				 * next snapshot, that nobody has taken */
	char *drive;		/* whose active layer it is; NULL none */
	char *format;		/* "qcow2"; "" not known */
	uint64_t size, disk;	/* bytes: of the guest's disk, on the host */
	uint64_t written;	/* seconds since 1970; 0 not known */
	int space;		/* index of its file system, or -1 */
	int backing;		/* index of the image below, or -1 */
	int top;		/* of a drive above, the active layer, or -1 */
	bool missing, read_only, no_format, compressed, dirty, corrupt,
	     encrypted;
	unsigned snapshots;	/* internal ones */
	const json_t *image;	/* ImageInfo, into shape->nodes; or NULL */
	enum view_role role;
	enum view_group group;
	bool left;		/* a job took it out of a chain, or into
				 * another image, and nobody has written */
	const json_t *entry;	/* into shape->folder; NULL: it is open */
};

/* A file system with images on it. */
struct view_space {
	char *path;		/* where it begins, safe to show */
	uint64_t free, size;
};

struct shape {
	_Atomic unsigned refs;
	struct view_image *images;	/* as they are shown: roots first */
	size_t n;
	size_t open;			/* of these */
	unsigned wide;			/* columns of tree, name and drive */
	bool formats, sizes;		/* differ from image to image */
	bool ages;			/* are known */
	unsigned drives;
	bool running;			/* the guest */
	struct view_space *spaces;
	size_t space_count;
	json_t *blocks, *nodes, *folder;	/* what it was made of */
};

/* From the replies' values of query-block, query-named-block-nodes with flat,
 * and x-blkmon-query-links (NULL where that is not known; then file names
 * say how images lie on each other), and x-blkmon-query-folder (NULL: files
 * that are not open are not shown). Keeps references. */
struct shape *shape_new(json_t *blocks, json_t *nodes, const json_t *links,
			json_t *folder);
/* From the value of x-blkmon-query-space; before anybody else has it. */
void shape_add_spaces(struct shape *shape, const json_t *spaces);
struct shape *shape_get(struct shape *shape);
void shape_put(struct shape *shape);	/* NULL is fine */
/* Index of the image, or -1. */
int shape_find(const struct shape *shape, const char *node);
/* The same; looks beside image @near first. */
int shape_find_near(const struct shape *shape, const char *node, int near);

/* What an image is known by: its node, or the path of one that is not open.
 * Borrowed. */
const char *view_key(const struct view_image *v);
int shape_find_key(const struct shape *shape, const char *key);

/* --- jobs --- */

#define JOB_SAMPLES 24
#define JOB_SPARK 10
#define RACE_SAMPLES 16

enum view_end {
	JOB_LIVES, JOB_DONE, JOB_CANCELLED, JOB_FAILED,
	JOB_GONE,		/* nobody said how it ended */
};

struct view_job {
	char id[128], type[16], status[16], error[512];
	char top[160], base[160];	/* node names; "" not known */
	char from_name[256], to_name[256]; /* images, safe to show; "" */
	struct name_cut from_cut, to_cut;
	char drive[128];		/* above the top; "" not known */
	uint64_t len, done, speed;	/* bytes, bytes, bytes/s (0 no limit) */
	uint64_t elapsed_ns;
	uint64_t began_us;		/* clock_wall_us(); 0 not known */
	bool positions;			/* done and len are of the disk, not of
					   what there is to do */
	bool waited;			/* it was paused or ready */
	bool told;			/* its end says what follows, */
	uint64_t moved, freed, rate;	/* bytes; bytes given back; bytes/s
					   while it did not stand still, or 0 */
	unsigned left;			/* and files that no drive uses */
	uint64_t left_bytes;		/* of them on the host */
	char left_first[256];		/* of them, safe to show */
	struct name_cut first_cut;
	bool paused, ready;
	bool elsewhere;			/* at another machine: it stays there
					   when this program ends */
	bool foreign;			/* and somebody else began it */
	bool failed_io;			/* stands still after an error */
	bool listed;			/* in the last reply */
	enum view_end end;
	double share;			/* done so far, 0 to 1: never less */
	struct {
		uint64_t ns, done;
	} samples[JOB_SAMPLES];
	unsigned sample_count;
	bool measured_anew;	/* they do not begin with the job */
	uint64_t spark[JOB_SPARK];	/* bytes in each of the last seconds */
	unsigned spark_count;		/* the last of these is not over */
	uint64_t spark_second;		/* of the job's time, which that is */
	bool races;			/* it is to catch up with what a guest
					   writes, and is READY then */
	struct {
		uint64_t ns, written, left;
	} race[RACE_SAMPLES];		/* of that: bytes, newest last */
	unsigned race_count;
};

struct view_jobs {
	struct view_job *list;		/* oldest first */
	size_t n;
};

void view_jobs_release(struct view_jobs *jobs);
/* Takes in the value of x-blkmon-query-jobs or query-block-jobs. True if one
 * is new. Those that are not in it any more stay, with the end that an event
 * tells; */
bool view_jobs_update(struct view_jobs *jobs, const json_t *reply,
		      const struct shape *shape);
/* after all events that came before the reply, the rest of them ends here. */
void view_jobs_settle(struct view_jobs *jobs);
/* An event as on the wire; those of other things are passed over. @shape (may
 * be NULL) names the images that it tells of. */
void view_jobs_event(struct view_jobs *jobs, const json_t *event,
		     const struct shape *shape);
void view_jobs_dismiss(struct view_jobs *jobs);	/* all that are over */
/* Takes in the value of query-blockstats at clock_ns() @ns, for jobs that race
 * with their guests. */
void view_jobs_race(struct view_jobs *jobs, const json_t *stats, uint64_t ns);
/* Copies @from over @to. */
void view_jobs_copy(struct view_jobs *to, const struct view_jobs *from);

/* Bytes a second over the last seconds, since its speed was changed or it
 * went on; 0 not known yet. */
uint64_t view_job_rate(const struct view_job *job);
/* Bytes a second from beginning to end; 0 not known, or it waited between and
 * its end does not tell. */
uint64_t view_job_mean(const struct view_job *job);
/* How a job that races with its guest is doing. */
struct view_race {
	uint64_t guest;		/* bytes a second that it writes */
	uint64_t left;		/* bytes */
	int64_t trend;		/* bytes a second that these grow by */
	bool endless;		/* so they have not got less for seconds while
				   it wrote: it will not end by itself */
};
/* False: not known (yet), or it has nothing to race with. */
bool view_job_race(const struct view_job *job, struct view_race *out);
/* Seconds to the end at that rate, or at its limit, or as what is left gets
 * less; false if nobody can say. */
bool view_job_eta(const struct view_job *job, uint64_t *seconds);
/* Whole percent, 100 only for what is finished or in sync. */
unsigned view_job_percent(const struct view_job *job);
/* Its numbers change by themselves. */
bool view_job_moves(const struct view_job *job);

#endif
