#include "base/jsonl.h"

#include <stdio.h>

void jsonl_put(json_t *line)
{
	if (line)
		json_dumpf(line, stdout,
			   JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(line);
}
