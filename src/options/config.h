/* config.h - what an operator wants of the screen every time: a file of
 * sections, names and values, $XDG_CONFIG_HOME/blkmon/config (~/.config without
 * the variable).
 *
 *     theme = light           auto, dark, light, mono
 *     columns = disk dead     of format, size, disk, dead, age; none: no column
 *     map = held              or whole: what maps show at first
 *     bell = off              when a job ends
 *     confirm = off           as --yes
 *     [keys]
 *     commit = K              one or two letters, or Space
 */
#ifndef BLKMON_CONFIG_H
#define BLKMON_CONFIG_H

#include "engine/util/str.h"
#include "ui/screen/screen.h"

/* Takes it into *o, whose theme is the command line's if @theme_said; keys are
 * bound. What is wrong in it changes nothing else, and is told in *told, a line
 * each: "FILE:LINE: why". No file is no fault; without $HOME there is none. */
void config_read(struct screen_options *o, bool theme_said, struct str *told);

#endif
