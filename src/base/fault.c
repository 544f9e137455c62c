#include "base/fault.h"

#ifdef LEARNSPOOL_FAULT
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

void fault_step(const char *name)
{
	static uint64_t step;
	const char *kill_at = getenv("LEARNSPOOL_FAULT_STEP");
	const char *log = getenv("LEARNSPOOL_FAULT_LOG");
	uint64_t n = 0;
	FILE *f;

	step++;
	if (log && (f = fopen(log, "a")) != NULL) {
		fprintf(f, "%llu %s\n", (unsigned long long)step, name);
		fclose(f);
	}
	if (kill_at && text_number(kill_at, strlen(kill_at), UINT32_MAX, &n) && n == step)
		raise(SIGKILL);
}
#else
typedef int fault_is_compiled_out; /* a translation unit must not be empty */
#endif
