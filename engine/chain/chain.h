/* chain.h - an image with everything below it: open, walk, names. */
#ifndef BLKMON_CHAIN_H
#define BLKMON_CHAIN_H

#include <stdbool.h>

#include "engine/chain/graph.h"
#include "engine/image/node.h"

#define CHAIN_DEPTH_MAX 4096
#define CHAIN_METADATA_MAX (64ull << 20)	/* bytes, unless told else */

/* Opens o->path and all its backing files into the graph (write-held; paused
 * until all of them can enter at once), or shares what is open there already:
 * a backing file that is open as a backing file is one node, counted. Refused:
 * loops (by device and inode), an image that is in use read-write by another
 * drive (named), a backing link without a format (the sentence names
 * `backing-format=` and --probe), json: and protocol names. Backing files are
 * opened read-only. With allow_missing a backing file that is not there is none
 * of these: an image that can't be read stands for it, and the chain is
 * incomplete (graph_check_whole()). *out has one reference for the caller. On
 * failure nothing stays open beyond graph_end(). */
int chain_open(struct graph *g, const struct node_options *o,
	       struct node **out, struct err *err);

/* Of the data files that @o names the one that the image on top will have, if
 * it asks for one; NULL: none is named. Looks at headers. */
const char *chain_data_file(const struct node_options *o);

/* Two chains took of the data_files_shared of @o: is none left over? 0, or -1
 * and err. */
int chain_check_data_files(const struct graph *a, const struct graph *b,
			   const struct node_options *o, struct err *err);

/* Absolute or relative to the folder of @overlay_path; caller frees. */
char *chain_resolve(const char *overlay_path, const char *backing_name);
/* Would QEMU take what stands before a colon for a protocol? Such a name is
 * written into no header: "./" in front makes it one of a file. */
bool chain_is_protocol(const char *name);
/* Does the header of @overlay_path mean one file by @name, "file:" in front,
 * wherever it is looked for? Here that is the folder of the overlay, to QEMU
 * the working directory. */
int chain_check_meaning(const char *overlay_path, const char *name,
			struct err *err);
/* json: and the like: no name of a local file. "file:" in front is passed
 * over by chain_local_name(). Other words with a colon may be a file's: who
 * made the image may not have been QEMU. */
bool chain_is_remote(const char *name);
const char *chain_local_name(const char *name);
/* Fills what file_is_same() compares for the file of that name, without
 * opening it. False if there is none. */
bool chain_identify(const char *path, struct file *id);

/* The same name from the root, with no links in its folders; caller frees. */
char *chain_whole_path(const char *path);
/* Is there no file of that name, and no way that could be barred? */
bool chain_is_missing(const char *path);
/* Does one of the headers from the image @path down name a backing file that is
 * missing? By headers alone; nothing is locked. *overlay (the caller's) is
 * whose it is, *at where it was looked for. */
bool chain_find_missing(const char *path, char **overlay, char **at);
/* Is the data file there that the header of the image behind @file names, if it
 * names one? 0, or -1 and which it is. */
int chain_check_data(const struct file *file, struct err *err);
/* Refuses to write to @named as the data file of the image at @path, whose
 * header leads to another one that is there. */
int chain_check_named_data(const char *path, const char *named,
			   struct err *err);

/* If @err is that there is no @path, where the header of @overlay leads: whose
 * link that is, where it was looked for, and what mends it. */
void chain_explain_missing(const struct node *overlay, const char *path,
			   struct err *err);

/* --- graph read-held --- */

/* The data file that the header of @node leads to, if that is another one than
 * it has, and is there; or NULL. Caller frees. */
char *chain_other_data(const struct node *node);
/* chain_check_named_data() of one that is open. */
int chain_check_written_data(const struct node *node, struct err *err);

/* Is all below @top open that the headers of its chain name, or are about to
 * name, and nothing else in its place? A link that only the graph has is none
 * to look for. Graph read-held or past a gate. */
bool chain_is_as_written(const struct node *top);
/* Do the words @name in the header of an image at @overlay_path lead to
 * @file? */
bool chain_leads_to(const char *overlay_path, const char *name,
		    const struct file *file);
/* Do the headers from @top down to, not including, @stop (NULL: to the end)
 * say what is open, so that who goes by them alone sees the same? */
bool chain_is_said(const struct node *top, const struct node *stop);

/* The image of the chain of @top that an operator calls @name: the same
 * string as on the command line, or in a header if it leads to what is open
 * below that; else by device and inode of
 * the name taken literally, relative to the folder of the overlay, relative
 * to the working directory. *out NULL and 0 if there is none; -1 if it could
 * be two. */
int chain_find(struct node *top, const char *name, struct node **out,
	       struct err *err);

/* The words to write into the header of @overlay so that it resolves to
 * @base from the overlay's folder (section 4.6 of the reference: keep the
 * string that the chain has for it where it still resolves; relative stays
 * relative; else absolute). Checked by resolving it. Caller frees.
 * NULL + err */
char *chain_name_for(struct node *overlay, struct node *base,
		     struct err *err);
/* The same for the image at @path, as relative as the header of @above names
 * what lies below that; NULL: absolute. */
char *chain_name_like(const char *path, const struct node *above,
		      const struct node *base, struct err *err);
/* The same for an image that is to be made at @overlay_path: @wish if it
 * resolves to @base from there, else a computed name, relative if asked. */
char *chain_name_from(const char *overlay_path, const struct node *base,
		      const char *wish, bool relative, struct err *err);

/* The words that an operator wants there: they may lead anywhere, but if QEMU
 * would see a protocol in a name that leads to @base from @overlay it gets
 * "./" in front, and from a relative one "file:" is taken away. Caller
 * frees. */
char *chain_name_given(const struct node *overlay, const struct node *base,
		       const char *name);
/* The same where nobody looks at what is there: "./" in front of what is a
 * file here and a protocol to QEMU. Caller frees. */
char *chain_name_unseen(const char *name);

#endif
