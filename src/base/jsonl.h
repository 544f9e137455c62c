/*
 * jsonl.h - one JSON object per line on standard output.
 */
#ifndef LS_JSONL_H
#define LS_JSONL_H

#include <jansson.h>

/* Print the object on a line of its own and release it; NULL (no memory): an empty line. */
void jsonl_put(json_t *line);

#endif
