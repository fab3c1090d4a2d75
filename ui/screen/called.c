/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/screen/called.h"

#include <stdlib.h>
#include <string.h>

#include "ui/draw/text.h"

/* One that is not there yet is called as it will be. */
static void called_add(void *arg, const char *path, struct str *out)
{
	const struct called *of = arg;
	const struct shape *shape = of->s->shape;
	bool ascii = of->s->canvas.ascii;
	char *safe;

	for (size_t i = 0; shape && i < shape->n; i++) {
		const struct view_image *v = &shape->images[i];

		if (strcmp(v->file, path) && strcmp(v->full, path))
			continue;
		names_fit(out, v->name, v->cut, of->columns, ascii);
		return;
	}
	safe = text_safe(text_base_name(path));
	text_fit_middle(out, safe, of->columns, ascii);
	free(safe);
}

struct plan_names called_names(struct called *called)
{
	return (struct plan_names) { .add = called_add, .arg = called };
}
