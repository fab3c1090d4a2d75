/* siblings_headers.c - who reads an image as headers say and not as the graph
 * does; see siblings.h.
 */
#include "engine/chain/siblings.h"

#include <ctype.h>
#include <stdio.h>

#include "engine/chain/chain.h"
#include "engine/chain/chain_walk.h"

/* "a commit" at the beginning of a sentence. */
struct siblings_subject {
	char text[80];
};

static struct siblings_subject subject_of(const char *what)
{
	struct siblings_subject out;

	snprintf(out.text, sizeof(out.text), "%s", what);
	*out.text = (char)toupper((unsigned char)*out.text);
	return out;
}

/* One that is open: its own snapshots, and who is not open. */
static int check_reader(const struct siblings *s, struct node *node,
			const char *what, struct err *err)
{
	struct siblings_subject subject = subject_of(what);

	return chain_check_snapshots(node, node->backing, subject.text, err) ||
	       siblings_check(s, node, what, err) ? -1 : 0;
}

/* Nobody sees the difference. */
static bool stays_said(const struct node *from, const struct node *stop,
		       const char *words)
{
	return chain_is_said(from, stop) &&
	       (!words || chain_leads_to(from->file->path, words, stop->file));
}

static bool reads_as_said(const struct node *top, const struct node *node)
{
	return chain_has(top, node) && chain_is_said(top, node);
}

bool siblings_read_otherwise(const struct node *node, const struct node *from,
			     const struct node *stop, const char *words)
{
	return !stays_said(from, stop, words) && reads_as_said(node, from);
}

int siblings_check_headers(const struct siblings *s, struct node *from,
			   const struct node *stop, const char *words,
			   const char *what, struct err *err)
{
	if (stays_said(from, stop, words))
		return 0;
	if (!s->layers)
		return err_set(err, ERR_GENERIC, "The chain of '%s' has "
			       "changed: try it again", from->file->path);
	list_for_each(link, &from->graph->nodes) {
		struct node *node = container_of(link, struct node, link);

		if (!reads_as_said(node, from) ||
		    !check_reader(s, node, what, err))
			continue;
		/* what is below there is not what it reads from */
		if (!chain_is_said(from, stop))
			*err->way.file = '\0';
		return -1;
	}
	return 0;
}
