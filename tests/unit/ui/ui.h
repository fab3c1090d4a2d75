/* ui.h - what the tests of the screen's rooms begin with. */
#ifndef BLKMON_TESTS_UI_H
#define BLKMON_TESTS_UI_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The locale decides how wide characters are. */
static inline int utf8(void **state)
{
	(void)state;
	return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

#endif
