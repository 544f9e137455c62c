/*
 * compare.h - is a number still the message that the ledger knows by it? Asked before anything
 * is done to a message without a look at its content.
 */
#ifndef LS_COMPARE_H
#define LS_COMPARE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ranges.h"
#include "ledger/ledger.h"
#include "source/source.h"

/* Is this the message that the record is about? Unknown sizes and dates say nothing against it.
 */
bool compare_is_same(const struct record_message *r, const struct source_sight *sight);

/*
 * Compare the messages of ids with their records; what is another message now is recorded as
 * new (ledger_replace). *strange: how many. Returns 0, or -1 with an error of the source or
 * ledger.
 */
int compare_with_source(struct ledger *l, struct source *s, const struct record_mailbox *box,
			const struct ranges *ids, int64_t now, uint64_t *strange,
			struct err *e);

/*
 * Forget those messages of ids that the source does not list any more. *gone: how many. Returns
 * 0, or -1 as above.
 */
int compare_gone(struct ledger *l, struct source *s, const struct record_mailbox *box,
		 const struct ranges *ids, uint64_t *gone, struct err *e);

#endif
