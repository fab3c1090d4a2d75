/* size.c - see size.h. */
#include "engine/util/size.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "engine/util/clock.h"

#define SIZE_LIMIT (1ull << 63)

/* 1024 to the power of the index; "B" stands for none. */
static const char units[] = "BKMGTPE";

/* The value of the digit @c, or @base if it is none. */
static unsigned digit_value(char c, unsigned base)
{
	static const char digits[] = "0123456789abcdef";
	const char *d = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return d && d - digits < (int)base ? (unsigned)(d - digits) : base;
}

/* Eats digits and stops counting at SIZE_LIMIT. */
static uint64_t parse_integer(const char **s, unsigned base)
{
	uint64_t v = 0;
	unsigned d;

	for (; (d = digit_value(**s, base)) < base; ++*s)
		v = v > (SIZE_LIMIT - d) / base ? SIZE_LIMIT : v * base + d;
	return v;
}

/* Eats ".ddd"; by hand, as strtod() asks the locale for its point. */
static int parse_fraction(const char **s, long double *out)
{
	long double v = 0, weight = 1;
	unsigned d;

	*out = 0;
	if (**s != '.')
		return 0;
	while ((d = digit_value(*++*s, 10)) < 10)
		v += (weight /= 10) * d;
	*out = v;
	/* 1.5e is 1.5 EiB, 1.5e3 an exponent, which is not allowed. */
	if (tolower((unsigned char)**s) != 'e')
		return 0;
	d = (*s)[1] == '+' || (*s)[1] == '-';
	return isdigit((unsigned char)(*s)[1 + d]) ? -EINVAL : 0;
}

/* Eats a unit; without one it is @missing. Returns the power of two. */
static unsigned parse_unit(const char **s, char missing)
{
	int c = toupper((unsigned char)**s);

	if (c && strchr(units, c))
		++*s;
	else
		c = missing;
	return 10 * (unsigned)(strchr(units, c) - units);
}

static bool is_hex(const char *s)
{
	return s[0] == '0' && tolower((unsigned char)s[1]) == 'x' &&
	       isxdigit((unsigned char)s[2]);
}

static int size_parse_number(const char *s, uint64_t *bytes, const char **end,
			     char missing)
{
	bool hex;
	long double fraction;
	unsigned shift;
	uint64_t v;

	while (isspace((unsigned char)*s))
		s++;
	s += *s == '+';
	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	hex = is_hex(s);
	s += hex ? 2 : 0;
	v = parse_integer(&s, hex ? 16 : 10);
	if (hex && *s == '.')
		return -EINVAL;
	if (parse_fraction(&s, &fraction) < 0)
		return -EINVAL;
	shift = parse_unit(&s, missing);
	if ((fraction > 0 && !shift) || v > (SIZE_LIMIT - 1) >> shift)
		return -EINVAL;
	v = (v << shift) + (uint64_t)(fraction * (1ull << shift) + 0.5L);
	if (v >= SIZE_LIMIT)
		return -EINVAL;
	*bytes = v;
	*end = s;
	return 0;
}

int size_parse_hmp(const char *s, uint64_t *bytes, const char **end)
{
	return size_parse_number(s, bytes, end, 'M');
}

int size_parse(const char *s, uint64_t *bytes, const char **end)
{
	return size_parse_number(s, bytes, end, 'B');
}

/* As QEMU, the next unit begins at 1000, not at 1024: 1000 MiB is 0.977 GiB
 * (and what rounds up to 1000, like 999.5 MiB, is "1e+03 MiB"). */
char *size_format(uint64_t bytes, char *buf, size_t len)
{
	double v = (double)bytes;
	const char *unit = units;

	for (; v >= 1000; v /= 1024)
		unit++;
	if (unit == units)
		snprintf(buf, len, "%0.3g B", v);
	else
		snprintf(buf, len, "%0.3g %ciB", v, *unit);
	return buf;
}

static char *size_digits(uint64_t bytes, bool brief, char *buf, size_t len)
{
	double v = (double)bytes;
	unsigned u = 0;
	int digits;

	/* What would round up to 1000 is written in the next unit. */
	while (v >= 999.5 && u < sizeof(units) - 2) {
		v /= 1024;
		u++;
	}
	digits = brief ? v < 9.95 : v < 9.995 ? 2 : v < 99.95;
	if (u == 0)
		snprintf(buf, len, "%.0f", v);
	else
		snprintf(buf, len, "%.*f%c", digits, v, units[u]);
	return buf;
}

char *size_short(uint64_t bytes, char *buf, size_t len)
{
	return size_digits(bytes, false, buf, len);
}

char *size_brief(uint64_t bytes, char *buf, size_t len)
{
	return size_digits(bytes, true, buf, len);
}

char *seconds_short(uint64_t seconds, char *buf, size_t len)
{
	unsigned long long s = seconds % 60, m = seconds / 60 % 60,
			   h = seconds / 3600;

	if (h >= 48)
		snprintf(buf, len, "%llud %lluh", h / 24 % 100000, h % 24);
	else if (h)
		snprintf(buf, len, "%llu:%02llu:%02llu", h, m, s);
	else
		snprintf(buf, len, "%llu:%02llu", m, s);
	return buf;
}

char *time_short(uint64_t ns, char *buf, size_t len)
{
	double seconds = (double)ns / (double)NS_PER_SEC;

	if (seconds >= 59.95)
		return seconds_short((uint64_t)(seconds + 0.5), buf, len);
	snprintf(buf, len, "%.*f s", seconds < 9.995 ? 2 : 1, seconds);
	return buf;
}
