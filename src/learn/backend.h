/*
 * backend.h - can rspamd learn at all? Asked before the first message, and when one of its
 * answers leaves it open.
 */
#ifndef LS_BACKEND_H
#define LS_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "rspamd/rspamd.h"

struct backend {
	struct rspamd *rspamd; /* borrowed */
	int64_t good_at;       /* clock_ms() when it last said yes ... */
	uint64_t failures;     /* ... and rspamd's count then */
	bool begun;	       /* mail may have been sent by now */
};

/*
 * Ask, unless it said yes a moment ago and nothing has failed since: an rspamd that lost its
 * Redis breaks a connection before it gives an answer that means nothing. *stat (may be NULL)
 * is set where it was asked. Returns 0, or -1: the errors of rspamd_stat, and
 * ERR_FATAL/ERR_UNREACHABLE where it has no working Bayes classifier.
 */
int backend_check(struct backend *b, struct rspamd_stat *stat, struct err *e);

#endif
