/* test_size.c - the sizes that QEMU 7.2 was seen to read and to write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "engine/util/size.h"

#define K (1ull << 10)
#define M (1ull << 20)
#define G (1ull << 30)
#define T (1ull << 40)
#define P (1ull << 50)
#define E (1ull << 60)

typedef int parse_fn(const char *s, uint64_t *bytes, const char **end);

struct good {
	const char *text;
	uint64_t bytes;
	const char *rest;
};

static const struct good hmp_good[] = {
	{ "200", 200 * M, "" },
	{ "200M", 200 * M, "" },
	{ "200m", 200 * M, "" },
	{ "1048576", T, "" },
	{ "1048576B", M, "" },
	{ "1048576b", M, "" },
	{ "512k", 512 * K, "" },
	{ "512K", 512 * K, "" },
	{ "1", M, "" },
	{ "1.5", 1572864, "" },
	{ "1.5M", 1572864, "" },
	{ "0.5k", 512, "" },
	{ "1.", M, "" },
	{ "1.k", K, "" },
	{ "1.0B", 1, "" },
	{ "0", 0, "" },
	{ "0B", 0, "" },
	{ "0x10", 16 * M, "" },
	{ "0X1f", 31 * M, "" },
	{ "0x10k", 16 * K, "" },
	{ "0x2000000B", 0x2000000Bull * M, "" },
	{ "1G", G, "" },
	{ "1g", G, "" },
	{ "1T", T, "" },
	{ "1P", P, "" },
	{ "7E", 7 * E, "" },
	{ "7.5e", 7 * E + E / 2, "" },
	{ "9223372036854775807B", INT64_MAX, "" },
	{ "67.5", 70778880, "" },
	{ "0x44", 68 * M, "" },
	{ "0.1G", 107374182, "" },
	{ "+5M", 5 * M, "" },
	{ " 5M", 5 * M, "" },
	{ "08", 8 * M, "" },
	{ "007", 7 * M, "" },
	/* what the console calls extraneous */
	{ "1e3", E, "3" },
	{ "5 M", 5 * M, " M" },
	{ "5MB", 5 * M, "B" },
	{ "5MiB", 5 * M, "iB" },
	{ "1x", M, "x" },
	{ "0x", 0, "x" },
	{ "1.5.5", 1572864, ".5" },
};

static const struct good plain_good[] = {
	{ "200", 200, "" },
	{ "0x10", 16, "" },
	{ "1.5k", 1536, "" },
	{ "64K", 64 * K, "" },
	{ "1G,x", G, ",x" },
};

static const char *const hmp_bad[] = {
	"", "abc", ".5", "1.5B", "-5M", "-0", "8E", "16E", "1.5e3M", "1.5E+3",
	"9223372036854775808B", "9223372036854775808", "+", "+-5", "M",
	"0x1.8", "7.99999999999999999999999E", "99999999999999999999999999B",
	"0xfffffffffffffffffB", "nan", "inf",
};

static const char *const plain_bad[] = { "1.5", "-1", "8E", "k" };

static void check_good(parse_fn *parse, const struct good *row)
{
	const char *end = NULL;
	uint64_t bytes = 1;

	print_message("size '%s'\n", row->text);
	assert_int_equal(parse(row->text, &bytes, &end), 0);
	assert_true(bytes == row->bytes);
	assert_string_equal(end, row->rest);
}

static void check_bad(parse_fn *parse, const char *text)
{
	const char *end;
	uint64_t bytes;

	print_message("size '%s'\n", text);
	assert_int_equal(parse(text, &bytes, &end), -EINVAL);
}

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static void parses_as_hmp(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(hmp_good); i++)
		check_good(size_parse_hmp, &hmp_good[i]);
	for (size_t i = 0; i < COUNT(hmp_bad); i++)
		check_bad(size_parse_hmp, hmp_bad[i]);
}

static void parses_plain(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(plain_good); i++)
		check_good(size_parse, &plain_good[i]);
	for (size_t i = 0; i < COUNT(plain_bad); i++)
		check_bad(size_parse, plain_bad[i]);
}

static void formats_as_qemu(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{ 0, "0 B" }, { 1, "1 B" }, { 512, "512 B" }, { 999, "999 B" },
		{ 1000, "0.977 KiB" }, { 1023, "0.999 KiB" }, { K, "1 KiB" },
		{ 196616, "192 KiB" }, { 266240, "260 KiB" },
		{ 999 * K, "999 KiB" }, { 999 * K + 512, "1e+03 KiB" },
		{ 1000 * K, "0.977 MiB" }, { M, "1 MiB" },
		{ 8650752, "8.25 MiB" }, { 25480704, "24.3 MiB" },
		{ 64 * M, "64 MiB" }, { 70778880, "67.5 MiB" },
		{ 1048051712, "1e+03 MiB" }, { 1000 * M, "0.977 GiB" },
		{ G, "1 GiB" }, { 10 * T, "10 TiB" }, { 3 * P, "3 PiB" },
		{ E, "1 EiB" }, { UINT64_MAX, "16 EiB" },
	};
	char buf[16];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(size_format(rows[i].bytes, buf,
						sizeof(buf)), rows[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_as_hmp),
		cmocka_unit_test(parses_plain),
		cmocka_unit_test(formats_as_qemu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
