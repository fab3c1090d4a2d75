/* image_text.h - ImageInfo as `qemu-img info` prints it. */
#ifndef BLKMON_CONSOLE_IMAGE_TEXT_H
#define BLKMON_CONSOLE_IMAGE_TEXT_H

#include <jansson.h>
#include <stdint.h>

#include "engine/util/str.h"

/* Adds the lines of one image (not of its "backing-image"). */
void image_text(const json_t *image, struct str *out);

/* The head and one line of a list of snapshots (SnapshotInfo), @id in the
 * first column. */
void snapshot_head_text(struct str *out);
void snapshot_text(const json_t *snapshot, const char *id, struct str *out);

/* "8.25 MiB" with up to three decimals and none when they are zero, as
 * qemu-io writes amounts and rates ("1.671 MiB", "64 KiB", "512 bytes"). */
void amount_text(double bytes, struct str *out);

#endif
