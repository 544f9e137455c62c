/*
 * trouble.h - what does not work for a while: said once when it begins, and once when it is
 * over, however often it is tried in between.
 */
#ifndef LS_TROUBLE_H
#define LS_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct trouble {
	bool lasts;
	enum err_kind kind;
	int64_t since; /* clock_ms() */
	char text[ERR_TEXT_MAX];
};

/* It did not work. Logged unless it was of the same kind before. */
void trouble_begin(struct trouble *t, const struct err *e);

/* It works. Logged if it did not; what is the subject: "account ham@example.org". */
void trouble_end(struct trouble *t, const char *what);

#endif
