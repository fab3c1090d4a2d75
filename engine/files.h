/* files.h - the files around the chains: what lies in a folder, who uses it,
 * and what may go. Part of the facade.
 */
#ifndef BLKMON_FILES_H
#define BLKMON_FILES_H

#include <time.h>

#include "engine/engine.h"

/* --- what is there --- */

/* The first that fits. */
enum file_role {
	FILE_ACTIVE,	/* open here, and on top of its chain */
	FILE_LAYER,	/* open here, below another */
	FILE_DATA,	/* the external data file of one of these */
	FILE_ORPHAN,	/* names a backing or data file that is not there */
	FILE_OVERLAY,	/* not open, and reads from one that is open here */
	FILE_BELOW,	/* another image, which is not open, names it */
	FILE_HELD,	/* somebody else uses it */
	FILE_UNUSED,	/* none of all this */
};
const char *file_role_name(enum file_role role);	/* "active" ... */

struct file_link {
	char *words;		/* as in the header; NULL: no such link */
	char *path;		/* where that leads, or where it was looked
				   for; NULL: not to a local file */
	bool missing;
};

struct folder_image {
	char *path;
	const char *format;	/* NULL: it could not be read */
	uint64_t virtual_size;	/* 0: unknown */
	uint64_t disk_bytes;
	unsigned links;		/* names of the file */
	time_t modified;
	uint32_t snapshots;	/* inside */
	struct file_link backing, data;
	size_t overlays;	/* images that name it */
	enum file_role role;
	bool outside;		/* in none of the folders asked for */
	char node[NODE_NAME_MAX];	/* ACTIVE, LAYER, DATA */
	char *of;		/* OVERLAY: the first image below that is open
				   here ... */
	char of_node[NODE_NAME_MAX];
	bool held;		/* somebody else holds a lock on it */
	pid_t holder;		/* 0: not known */
	char holder_name[64];
	bool left;		/* a job took it out of a chain here, and it is
				   as it was then */
	bool spoilt;		/* a commit that was forced here changed what
				   it reads, and it is as it was then */
	char *merged_into;	/* what it held is part of this image too, as
				   far as is known; or NULL */
};

struct folder_report {
	struct folder_image *image;	/* by path */
	size_t count;
	uint64_t files;		/* looked at */
	bool cut;		/* there are more */
	uint64_t unread;	/* files that we may not read; one of them: */
	char *first_unread;	/* or NULL */
	char *closed;		/* a folder that we may not read, or NULL */
	bool watched;		/* EVENT_FOLDER tells of changes there, for a
				   minute from now on */
};

/* Of the folder @path; NULL: of all that open images lie in. Headers alone are
 * read, and nothing is locked. -1 where there is no such folder. */
int engine_query_folder(struct engine *e, const char *path,
			struct folder_report *out, struct err *err);
/* From now on EVENT_FOLDER tells of them as long as there is this engine: for
 * who looks on all the time, and does nothing meanwhile. */
void engine_watch_folders(struct engine *e);
void folder_report_release(struct folder_report *r);

/* --- what there is to open --- */

struct tip {
	char *path;
	size_t word;		/* which of the words it is for */
	bool from_folder;	/* that is a folder */
};

struct tips {
	struct tip *tip;	/* in the order of the words, each folder's by
				   name */
	size_t count, cap;
};

/* The disks that these @n words mean: an image by its name; all images of a
 * folder ("DIR") that no other one there needs and no job has merged into
 * another. Where there are several words, or folders, an image that another
 * one of them lies on is not a disk of its own, and what can't be an image is
 * passed over; that, and what there is beyond TIPS_MAX, is published. @known
 * (@known_count of them) will be open as well. The caller releases *out, also
 * after -1 (no memory, a folder that can't be read). */
#define TIPS_MAX 64	/* of a folder */
int engine_find_tips(struct engine *e, const char *const *words, size_t n,
		     const char *const *known, size_t known_count,
		     struct tips *out, struct err *err);
void tips_release(struct tips *t);

/* --- what may go --- */

struct delete_options {
	const char *const *files;
	size_t count;		/* > 0 */
	bool data_files;	/* also the external data files of these, that
				   no other image names */
	bool dry_run;		/* only look */
};

struct delete_item {
	char *path;
	const char *format;
	uint64_t disk_bytes;
	uint64_t freed;		/* what the file system gets back of them */
	uint64_t shared;	/* what other files share with it */
	unsigned links;		/* names of the file, this one included */
	uint32_t snapshots;	/* inside */
	char *data;		/* its external data file; NULL: none, or of
				   unknown name (external) */
	bool external;
	bool data_goes;		/* that is an item too */
	bool gone;
};

struct delete_report {
	struct delete_item *item;	/* in the order in which they go */
	size_t count;
	uint64_t freed;		/* bytes; of what is gone, or would be */
};

/* Removes images that nothing uses: no image of the folders that are known
 * here (those of these files and of all open images) names them as backing or
 * data file, but for such as go as well; nobody holds them open with a lock,
 * this process included; they are regular files, with the magic number of an
 * image, or were taken out of a chain by a job here. All of that, with the
 * locks of who is alone with the files, twice; then all of them go, or none,
 * but where the host fails in the middle: *out tells. 0, or -1 and which file
 * is used by whom. *out is to be released in both cases. */
int engine_delete(struct engine *e, const struct delete_options *o,
		  struct delete_report *out, struct err *err);
void delete_report_release(struct delete_report *r);
/* What would go, and what that gives back; `layers` are the files, in the order
 * in which they go, each with its format for a role. */
int engine_plan_delete(struct engine *e, const struct delete_options *o,
		       struct forecast *f, struct err *err);

#endif
