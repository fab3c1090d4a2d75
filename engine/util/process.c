/* process.c - see process.h. */
#include "engine/util/process.h"

#include <stdio.h>
#include <string.h>

#include "engine/util/str.h"

void process_name(pid_t pid, char *buf, size_t len)
{
	char path[32], line[32] = "";
	struct str safe = STR_INIT;
	FILE *comm;

	snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pid);
	comm = fopen(path, "re");
	if (comm && fgets(line, sizeof(line), comm))
		line[strcspn(line, "\n")] = '\0';
	if (comm)
		fclose(comm);
	str_add_safe(&safe, line);
	snprintf(buf, len, "%s", str_get(&safe));
	str_release(&safe);
}
