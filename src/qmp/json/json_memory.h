/* json_memory.h - where the memory of JSON values comes from, and what is said
 * when it is out.
 *
 * jansson leaves out what it had no memory for: a list would be shorter than
 * the truth, and an object would lack a member. So failures are counted, and
 * a reply during which there was one is not given.
 */
#ifndef BLKMON_QMP_JSON_MEMORY_H
#define BLKMON_QMP_JSON_MEMORY_H

#include <jansson.h>

/* From here on values spend the reserve (mem.h) before they fail. Before the
 * first request; any number of times. */
void json_memory_init(void);
/* How often memory for JSON was out on the calling thread. */
unsigned long json_memory_lacks(void);
/* {"error"} with the words for it; made beforehand, the caller's. */
json_t *json_memory_error(void);

#endif
