/* background.h - whether a terminal is dark or light: it is asked. */
#ifndef BLKMON_UI_BACKGROUND_H
#define BLKMON_UI_BACKGROUND_H

#include <stdbool.h>

#include "engine/util/str.h"
#include "ui/draw/theme.h"

/* THEME_DARK or THEME_LIGHT. $COLORFGBG tells, or if @ask the terminal that
 * is read at @fd and written at @out: it is in raw mode, and has a tenth of a
 * second. What was typed
 * meanwhile is added to @typed. */
enum theme_name background_theme(int fd, int out, bool ask,
				 struct str *typed);
/* The colour that "rgb:RR/GG/BB..." names is nearer to white than to black. */
bool background_is_light(const char *color);

#endif
