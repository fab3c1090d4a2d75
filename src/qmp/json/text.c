/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/qmp/json/text.h"

#include "engine/util/str.h"

json_t *qmp_text(const char *text)
{
	json_t *value = json_string(text);
	struct str safe = STR_INIT;

	if (value)
		return value;
	str_add_safe(&safe, text);
	value = json_string(str_get(&safe));
	str_release(&safe);
	return value;
}
