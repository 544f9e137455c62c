/*
 * mark.h - put on the server, as keywords, what the ledger has settled.
 */
#ifndef LS_MARK_H
#define LS_MARK_H

#include "err.h"
#include "ledger.h"
#include "report.h"
#include "source.h"

/*
 * Mark every settled message of this mailbox, a thousand at a time, and record each time that
 * it is done. Where the server allows no keywords they count as marked, with a warning. In a
 * dry run (report) the server is told nothing and the reader is told what. The ledger must have
 * been committed before. Returns 0, or -1; what is not marked the next run marks.
 */
int mark_settled(struct ledger *l, struct source *s, const struct record_mailbox *box,
		 struct report *report, struct err *e);

#endif
