/* chain_name.c - what operators and headers call an image; see chain.h.
 *
 * A name in a header is relative to the folder of the overlay that holds it,
 * a name that an operator types is relative to the working directory. An
 * image is what device and inode say.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/chain/chain.h"
#include "engine/chain/chain_walk.h"
#include "engine/chain/format.h"
#include "engine/chain/json_name.h"
#include "engine/util/mem.h"
#include "engine/util/str.h"

/* --- what a name is --- */

bool chain_is_protocol(const char *name)
{
	return name[strcspn(name, ":/")] == ':';
}

bool chain_is_remote(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789+.-");

	return n && name[n] == ':';
}

const char *chain_local_name(const char *name)
{
	return str_has_prefix(name, "file:") ? name + strlen("file:") : name;
}

/* QEMU looks for "file:a" in the working directory, wherever the header is. */
static bool is_from_here(const char *name)
{
	const char *local = chain_local_name(name);

	return local != name && *local != '/';
}

char *chain_resolve(const char *overlay_path, const char *backing_name)
{
	const char *slash = strrchr(overlay_path, '/');
	const char *name = chain_local_name(backing_name);

	if (*name == '/' || !slash)
		return mem_dup(name);
	return mem_printf("%.*s%s", (int)(slash + 1 - overlay_path),
			  overlay_path, name);
}

bool chain_identify(const char *path, struct file *id)
{
	struct stat st;

	if (stat(path, &st))
		return false;
	id->block_device = S_ISBLK(st.st_mode);
	id->dev = id->block_device ? st.st_rdev : st.st_dev;
	id->ino = id->block_device ? 0 : st.st_ino;
	return true;
}

/* --- which image is meant --- */

/* What a search has come upon: nothing, one image, or two. */
struct hit {
	struct node *node;
	bool ambiguous;
};

static void hit_add(struct hit *hit, struct node *node)
{
	if (hit->node && hit->node != node)
		hit->ambiguous = true;
	else
		hit->node = node;
}

bool chain_leads_to(const char *overlay_path, const char *name,
		    const struct file *file)
{
	struct json_name json;
	struct file id;
	char *path;
	bool same;

	if (json_name_read(name, &json))
		return chain_identify(json.path, &id) &&
		       file_is_same(&id, file);
	if (chain_is_remote(chain_local_name(name)))
		return false;
	path = chain_resolve(overlay_path, name);
	same = chain_identify(path, &id) && file_is_same(&id, file);
	free(path);
	return same;
}

/* Words are an image's while no other file stands there. */
static bool is_opened_as(const struct node *node, const char *name)
{
	struct file id;

	return !strcmp(node->file->path, name) &&
	       (!chain_identify(name, &id) || file_is_same(&id, node->file));
}

/* What a header says need not be what is open below it. */
static bool is_linked_as(const struct node *overlay, const char *name)
{
	return overlay->backing && overlay->backing_name &&
	       !strcmp(overlay->backing_name, name) &&
	       chain_leads_to(overlay->file->path, name,
			      overlay->backing->file);
}

bool chain_is_as_written(const struct node *top)
{
	if (top->to_hide)
		return false;
	for (const struct node *n = top; n; n = n->backing)
		if (n->backing_name && !(n->backing &&
		    chain_leads_to(n->file->path, n->backing_name,
				   n->backing->file)))
			return false;
	return true;
}

/* A format that no header says is the one that anybody would guess. Beside
 * json:{...} the header has the last word. */
static bool is_said_format(const struct node *node)
{
	const struct node *below = node->backing;
	const char *format = node->backing_format;
	struct json_name json;

	if (!format && json_name_read(node->backing_name, &json) &&
	    *json.driver)
		return format_find(json.driver) == below->drv;
	if (format)
		return format_find_said(format) == below->drv;
	return !format_probe(below->file, &format) &&
	       format_find(format) == below->drv;
}

static bool is_said_below(const struct node *node)
{
	const char *name = node->backing_name;
	struct err none = ERR_INIT;

	if (!node->backing || !name)
		return !node->backing && !name;
	return chain_leads_to(node->file->path, name, node->backing->file) &&
	       !chain_check_meaning(node->file->path, name, &none) &&
	       is_said_format(node);
}

bool chain_is_said(const struct node *top, const struct node *stop)
{
	for (const struct node *n = top; n != stop; n = n->backing)
		if (!is_said_below(n))
			return false;
	return true;
}

static struct hit find_same_words(struct node *top, const char *name)
{
	struct hit hit = { 0 };

	for (struct node *n = top; n; n = n->backing) {
		if (is_opened_as(n, name))
			hit_add(&hit, n);
		if (is_linked_as(n, name))
			hit_add(&hit, n->backing);
	}
	return hit;
}

static void find_file(struct node *top, const char *path, struct hit *hit)
{
	struct file id;

	if (!chain_identify(path, &id))
		return;
	for (struct node *n = top; n; n = n->backing)
		if (file_is_same(n->file, &id))
			hit_add(hit, n);
}

/* From the folder of each image; those of a chain mostly share one. */
static struct hit find_beside(struct node *top, const char *name)
{
	struct hit hit = { 0 };
	char *last = NULL;
	struct file id;

	/* what QEMU would take is looked for next, and is all that is meant */
	if (is_from_here(name) && chain_identify(chain_local_name(name), &id))
		return hit;
	for (struct node *n = top; n; n = n->backing) {
		char *path = chain_resolve(n->file->path, name);

		if (!last || strcmp(path, last))
			find_file(top, path, &hit);
		free(last);
		last = path;
	}
	free(last);
	return hit;
}

static struct hit find_from_here(struct node *top, const char *name)
{
	struct hit hit = { 0 };

	find_file(top, chain_local_name(name), &hit);
	return hit;
}

int chain_find(struct node *top, const char *name, struct node **out,
	       struct err *err)
{
	struct hit (*const ways[])(struct node *, const char *) = {
		find_same_words, find_beside, find_from_here,
	};

	*out = NULL;
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		struct hit hit = ways[i](top, name);

		if (hit.ambiguous)
			return err_set(err, ERR_GENERIC, "'%s' could be more "
				       "than one image of the backing chain; "
				       "give its whole path", name);
		*out = hit.node;
		if (hit.node)
			break;
	}
	return 0;
}

/* --- what to write into a header --- */

/* The folder of @path without symbolic links, with a slash behind; NULL if
 * there is none. ".." in a header means the real folder above. */
static char *real_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? mem_printf("%.*s", (int)(slash + 1 - path),
					  path) : mem_dup("./");
	char *real = realpath(folder, NULL);
	char *with_slash = NULL;

	if (real)
		with_slash = mem_printf("%s%s", real, real[1] ? "/" : "");
	free(real);
	free(folder);
	return with_slash;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* From one real folder to a file in another. */
static char *relative_path(const char *from, const char *to, const char *file)
{
	struct str path = STR_INIT;
	size_t same = 0;

	for (size_t i = 0; from[i] && from[i] == to[i]; i++)
		if (from[i] == '/')
			same = i + 1;
	for (const char *p = from + same; *p; p++)
		if (*p == '/')
			str_add(&path, "../");
	str_addf(&path, "%s%s", to + same, file);
	if (!chain_is_protocol(str_get(&path)))
		return str_detach(&path);
	str_clear(&path);
	str_addf(&path, "./%s%s", to + same, file);
	return str_detach(&path);
}

static char *computed_name(const char *overlay_path, const char *base_path,
			   bool relative)
{
	char *from = real_folder(overlay_path), *to = real_folder(base_path);
	const char *file = last_part(base_path);
	char *name = NULL;

	if (from && to)
		name = relative ? relative_path(from, to, file) :
				  mem_printf("%s%s", to, file);
	free(from);
	free(to);
	return name;
}

char *chain_name_from(const char *overlay_path, const struct node *base,
		      const char *wish, bool relative, struct err *err)
{
	char *name;

	if (wish && !chain_is_protocol(chain_local_name(wish)) &&
	    !is_from_here(wish) &&
	    chain_leads_to(overlay_path, wish, base->file))
		return mem_dup(wish);
	name = computed_name(overlay_path, base->file->path, relative);
	if (name && chain_leads_to(overlay_path, name, base->file))
		return name;
	free(name);
	err_set(err, ERR_GENERIC,
		"No name leads from the folder of '%s' to '%s': was it moved?",
		overlay_path, base->file->path);
	return NULL;
}

char *chain_name_like(const char *path, const struct node *above,
		      const struct node *base, struct err *err)
{
	const char *wish = above ? above->backing_name : NULL;
	bool relative = wish && *chain_local_name(wish) != '/';

	return chain_name_from(path, base, wish, relative, err);
}

char *chain_name_for(struct node *overlay, struct node *base, struct err *err)
{
	return chain_name_like(overlay->file->path, chain_above(overlay, base),
			       base, err);
}

char *chain_name_given(const struct node *overlay, const struct node *base,
		       const char *name)
{
	char *here = mem_printf("./%s", name);

	if (chain_is_protocol(name) &&
	    chain_leads_to(overlay->file->path, here, base->file))
		return here;
	free(here);
	if (is_from_here(name) &&
	    chain_leads_to(overlay->file->path, name, base->file))
		return chain_name_unseen(name);
	return mem_dup(name);
}

char *chain_name_unseen(const char *name)
{
	const char *local = is_from_here(name) ? chain_local_name(name) : name;
	bool here = chain_is_protocol(local) && !chain_is_remote(local);

	return mem_printf("%s%s", here ? "./" : "", local);
}

int chain_check_meaning(const char *overlay_path, const char *name,
			struct err *err)
{
	const char *local = chain_local_name(name);
	char *path = chain_resolve(overlay_path, name);
	struct file here, there;
	int rc = 0;

	if (is_from_here(name) && chain_identify(local, &here) &&
	    chain_identify(path, &there) && !file_is_same(&here, &there))
		rc = err_set(err, ERR_GENERIC, "The backing file '%s' of '%s' "
			     "may be '%s' or, as QEMU takes it, '%s' in the "
			     "working directory: qemu-img rebase -u with a "
			     "name without file: says which", name,
			     overlay_path, path, local);
	free(path);
	return rc;
}

/* @path from the root, with no links in its folders; or as it is. */
char *chain_whole_path(const char *path)
{
	char *folder = real_folder(path);
	char *whole = mem_printf("%s%s", folder ? folder : "",
				 folder ? last_part(path) : path);

	free(folder);
	return whole;
}

bool chain_is_missing(const char *path)
{
	struct stat st;

	return stat(path, &st) && (errno == ENOENT || errno == ENOTDIR);
}

void chain_explain_missing(const struct node *overlay, const char *path,
			   struct err *err)
{
	struct str safe = STR_INIT;
	struct file id;
	char *whole;

	if (err->errnum != ENOENT || chain_identify(path, &id))
		return;
	whole = chain_whole_path(path);
	str_add_safe(&safe, whole);
	err_set(err, ERR_GENERIC, "%s: it is the backing file of '%s', and was "
		"looked for at '%s'; if it is somewhere else now, qemu-img "
		"rebase -u -f %s -F %s -b WHERE %s mends the link", err->text,
		overlay->file->path, str_get(&safe), overlay->drv->name,
		overlay->backing_format ? overlay->backing_format : "FORMAT",
		overlay->file->path);
	err->errnum = ENOENT;
	str_release(&safe);
	free(whole);
}
