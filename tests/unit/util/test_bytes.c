/* test_bytes.c - fields, alignment, zeroes, and buffers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "engine/util/bytes.h"
#include "engine/util/mem.h"

static void fields_are_big_endian(void **state)
{
	unsigned char b[9] = { 0 };

	(void)state;
	put_be16(b + 1, 0x0102);
	assert_memory_equal(b + 1, "\1\2", 2);
	assert_int_equal(get_be16(b + 1), 0x0102);
	put_be32(b + 1, 0x01020304);
	assert_memory_equal(b + 1, "\1\2\3\4", 4);
	assert_int_equal(get_be32(b + 1), 0x01020304);
	put_be64(b + 1, 0xf102030405060708);
	assert_memory_equal(b + 1, "\xf1\2\3\4\5\6\7\10", 8);
	assert_true(get_be64(b + 1) == 0xf102030405060708);
	assert_int_equal(b[0], 0);
}

static void alignment(void **state)
{
	(void)state;
	assert_int_equal(align_down(4097, 4096), 4096);
	assert_int_equal(align_up(4097, 4096), 8192);
	assert_int_equal(align_up(4096, 4096), 4096);
	assert_int_equal(align_up(0, 512), 0);
	assert_true(align_up((1ull << 63) + 1, 512) == (1ull << 63) + 512);
	assert_true(is_aligned(0, 512) && is_aligned(1024, 512));
	assert_false(is_aligned(513, 512));
	assert_int_equal(div_round_up(0, 3), 0);
	assert_int_equal(div_round_up(7, 3), 3);
	assert_true(div_round_up(UINT64_MAX, 2) == 1ull << 63);
	assert_true(min_u64(1, UINT64_MAX) == 1);
	assert_true(max_u64(1, UINT64_MAX) == UINT64_MAX);
}

/* Every length, start and place of a lone non-zero byte around the words. */
static void zeroes(void **state)
{
	unsigned char b[80] = { 0 };

	(void)state;
	for (size_t from = 0; from < 9; from++) {
		for (size_t len = 0; len <= 64; len++) {
			b[from + len] = 1;
			assert_true(bytes_are_zero(b + from, len));
			b[from + len] = 0;
			for (size_t i = 0; i < len; i++) {
				b[from + i] = 0x80;
				assert_false(bytes_are_zero(b + from, len));
				b[from + i] = 0;
			}
		}
	}
}

static void zeroes_of_a_large_buffer(void **state)
{
	const size_t len = 2 << 20;
	unsigned char *b = buf_new(len);

	(void)state;
	memset(b, 0, len);
	assert_true(bytes_are_zero(b, len));
	b[len - 1] = 1;
	assert_false(bytes_are_zero(b, len));
	/* Repeats itself every 16 bytes, and yet is not zero. */
	memset(b, 1, len);
	assert_false(bytes_are_zero(b, len));
	free(b);
}

static void memory(void **state)
{
	char *p = mem_alloc(100);

	(void)state;
	assert_true(bytes_are_zero(p, 100));
	p = mem_grow(p, 200, 2);
	assert_true(bytes_are_zero(p, 100));
	p = mem_grow(p, 0, 2);
	assert_non_null(p);
	free(p);
	assert_null(mem_try(SIZE_MAX / 2, 3));
	p = mem_try(10, 10);
	assert_true(bytes_are_zero(p, 100));
	free(p);
	p = buf_new(512);
	assert_true(is_aligned((uintptr_t)p, 4096));
	free(p);
	assert_null(mem_dup(NULL));
	p = mem_printf("%s-%d", "a", 1);
	assert_string_equal(p, "a-1");
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_big_endian),
		cmocka_unit_test(alignment),
		cmocka_unit_test(zeroes),
		cmocka_unit_test(zeroes_of_a_large_buffer),
		cmocka_unit_test(memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
