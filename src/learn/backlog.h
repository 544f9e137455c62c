/*
 * backlog.h - which messages of a mailbox are still to be looked at, and which of those that
 * the ledger knows have to be compared with what the source says of them.
 */
#ifndef LS_BACKLOG_H
#define LS_BACKLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ranges.h"
#include "ledger/ledger.h"
#include "output/tally.h"
#include "source/source.h"

enum { BACKLOG_NEWEST = 16 };

/* How far an earlier run came; zeroed is empty. */
struct backlog {
	struct ranges todo;	/* to be taken again */
	struct ranges held;	/* held for other reporters: decided by content, not fetched */
	struct ranges aside;	/* the source did not give them: last, one by one */
	struct ranges doubtful; /* acted on without a look at the content: compared first */
	struct tally waiting;	/* what is not due yet, by outcome */
	struct ranges known;	/* every message that the ledger has a record of */
};

void backlog_free(struct backlog *b);

/*
 * Read it from the records of the mailbox, as of s, which is open: unread messages may be read
 * by now if it has changed since the last run. doubtful gets what is settled and not marked,
 * what is held for others, and, where messages may have come, the newest of those that are
 * known: a restored source gives their numbers again. 0, or -1.
 */
int backlog_read(struct ledger *l, const struct record_mailbox *box, const struct source *s,
		 int64_t now, struct backlog *b, struct err *e);

/*
 * What was left alone, because no person had decided about it, and of which the source says now
 * that one did, is to be looked at again. Of an open source that has changed since the last
 * run. 0, or -1.
 */
int backlog_decided(struct ledger *l, const struct record_mailbox *box, struct source *s,
		    int64_t now, struct err *e);

/* Add to todo what was found in the source and is not in the ledger yet. 0, or -1. */
int backlog_new(struct ledger *l, const struct record_mailbox *box, const struct ranges *found,
		struct ranges *todo, struct err *e);

#endif
