/* fields.h - members of replies; a missing one reads as "", 0, false. */
#ifndef BLKMON_CONSOLE_FIELDS_H
#define BLKMON_CONSOLE_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

static inline const char *field_str(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

static inline uint64_t field_u64(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static inline bool field_bool(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

#endif
