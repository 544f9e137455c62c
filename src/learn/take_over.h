/*
 * take_over.h - messages that another program had rspamd learn: settled as known, unread, so
 * that no run looks at them again.
 */
#ifndef LS_TAKE_OVER_H
#define LS_TAKE_OVER_H

#include <stdint.h>

#include "base/err.h"
#include "base/ranges.h"
#include "ledger/ledger.h"
#include "source/source.h"

/*
 * Settle those of ids that are in this source (not open yet) and that the ledger has no record
 * of. *settled: how many; *gone: how many are not there. The source is only read. 0, or -1.
 */
int take_over(struct ledger *l, struct source *s, const struct ranges *ids, uint64_t *settled,
	      uint64_t *gone, struct err *e);

#endif
