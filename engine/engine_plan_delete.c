/* engine_plan_delete.c - what a deletion would take away: a dry run of it. */
#include <errno.h>

#include "engine/files.h"
#include "engine/forecast/forecast.h"

static int plan_add_item(struct forecast *f, const struct delete_item *item)
{
	int rc = forecast_add(&f->layers, NULL, item->path, item->format,
			      false);

	if (!rc)
		f->layers.file[f->layers.count - 1].bytes = item->disk_bytes;
	return rc;
}

int engine_plan_delete(struct engine *e, const struct delete_options *given,
		       struct forecast *f, struct err *err)
{
	struct delete_options o = *given;
	struct delete_report r;
	int rc;

	o.dry_run = true;
	*f = (struct forecast){
		.kind = "delete", .cancel = "what is gone stays gone",
	};
	rc = engine_delete(e, &o, &r, err);
	for (size_t i = 0; !rc && i < r.count; i++)
		if (plan_add_item(f, &r.item[i]))
			rc = err_sys(err, ENOMEM, "No plan");
	f->freed = r.freed;
	delete_report_release(&r);
	if (rc)
		forecast_release(f);
	return rc;
}
