/* image_info.c - see image_info.h. */
#include "engine/image/image_info.h"

#include <stdlib.h>

void snapshot_info_release(struct snapshot_info *info)
{
	free(info->id);
	free(info->name);
}

void image_info_release(struct image_info *image)
{
	for (size_t i = 0; i < image->snapshot_count; i++)
		snapshot_info_release(&image->snapshots[i]);
	for (size_t i = 0; i < image->qcow2.bitmap_count; i++)
		free(image->qcow2.bitmaps[i]);
	free(image->snapshots);
	free(image->qcow2.bitmaps);
	free(image->qcow2.data_file);
	free(image->filename);
	free(image->backing_filename);
	free(image->full_backing_filename);
	free(image->backing_format);
}
