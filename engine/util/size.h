/* size.h - byte counts as operators write and read them. */
#ifndef BLKMON_UTIL_SIZE_H
#define BLKMON_UTIL_SIZE_H

#include <stddef.h>
#include <stdint.h>

/* Parses a size as HMP's type `o` does: a decimal number (with fraction) or a
 * hexadecimal one, then one letter of B K M G T P E in either case; without a
 * letter it counts MiB. Recorded in transcript 04 of the reference.
 * 0 and *bytes (< 2^63), *end behind what was used; -EINVAL if there is no
 * number, a fraction of a byte, a sign '-', or 2^63 and above. A caller that
 * wants the whole word tests *end. */
int size_parse_hmp(const char *s, uint64_t *bytes, const char **end);

/* The same with plain numbers counting bytes (command-line options). */
int size_parse(const char *s, uint64_t *bytes, const char **end);

/* "8.25 MiB", "260 KiB", "0 B": IEC units, at most three significant digits,
 * as QEMU prints them ("%0.3g"). @buf needs 16 bytes. Returns @buf. */
char *size_format(uint64_t bytes, char *buf, size_t len);

/* "16.3M", "0", "1.50T": at most 5 columns; 1024s. @buf needs 8 bytes. */
char *size_short(uint64_t bytes, char *buf, size_t len);
/* "16M", "1.5T": at most 4 columns. */
char *size_brief(uint64_t bytes, char *buf, size_t len);
/* "0:05", "12:30", "3:07:20", "4d 7h". @buf needs 16 bytes. */
char *seconds_short(uint64_t seconds, char *buf, size_t len);
/* "0.19 s", "31.2 s", and from a minute on "1:05". @buf needs 16 bytes. */
char *time_short(uint64_t ns, char *buf, size_t len);

#endif
