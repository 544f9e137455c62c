/*
 * mark.h - put on the source, as marks, what the ledger has settled.
 */
#ifndef LS_MARK_H
#define LS_MARK_H

#include "base/err.h"
#include "ledger/ledger.h"
#include "output/output.h"
#include "source/source.h"

/*
 * Mark every settled message of this source, a thousand at a time, and record each time that it
 * is done. Where the source can hold no marks they count as marked, with a warning. A source
 * that is read-only is told nothing, and the reader of the output is told what it would be. The
 * ledger must have been committed before. Returns 0, or -1; what is not marked the next run
 * marks.
 */
int mark_settled(struct ledger *l, struct source *s, const struct record_mailbox *box,
		 struct output *output, struct err *e);

#endif
