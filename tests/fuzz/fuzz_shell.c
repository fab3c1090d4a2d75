/* fuzz_shell.c - a line at the prompt: as it is, and made qmp-shell's. */
#include "tests/fuzz/fuzz_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	fuzz_line("", data, len, console_run);
	fuzz_line("block-stream device=", data, len, console_run);
	return 0;
}
