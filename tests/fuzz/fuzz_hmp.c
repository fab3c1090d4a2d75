/* fuzz_hmp.c - a line of HMP. */
#include "tests/fuzz/fuzz_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	fuzz_line("", data, len, console_run_hmp);
	return 0;
}
