/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/qmp/json/error.h"

#include "engine/util/str.h"
#include "src/qmp/json/text.h"

static bool classes_72;

void qmp_error_classes_72(void)
{
	classes_72 = true;
}

bool qmp_error_is_72(void)
{
	return classes_72;
}

static const char *class_name(enum err_class class)
{
	switch (class) {
	case ERR_COMMAND_NOT_FOUND:
		return "CommandNotFound";
	case ERR_DEVICE_NOT_ACTIVE:
		return "DeviceNotActive";
	case ERR_DEVICE_NOT_FOUND:
		return "DeviceNotFound";
	case ERR_DEVICE_IN_USE:
		return "DeviceInUse";
	case ERR_NOT_SUPPORTED:
		return "NotSupported";
	case ERR_INVALID_PARAMETER:
		return "InvalidParameter";
	default:
		return "GenericError";
	}
}

/* 7.2 says DeviceNotFound only with "Device 'x' not found". */
static const char *class_name_72(const struct err *err)
{
	switch (err->class) {
	case ERR_DEVICE_IN_USE:
	case ERR_NOT_SUPPORTED:
	case ERR_INVALID_PARAMETER:
		return "GenericError";
	case ERR_DEVICE_NOT_FOUND:
		if (!str_has_prefix(err->text, "Device "))
			return "GenericError";
		return "DeviceNotFound";
	default:
		return class_name(err->class);
	}
}

json_t *qmp_error(const struct err *err)
{
	return json_pack("{s:s, s:o}", "class", classes_72 ?
			 class_name_72(err) : class_name(err->class),
			 "desc", qmp_text(err->text));
}
