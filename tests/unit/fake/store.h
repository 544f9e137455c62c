/*
 * store.h - the store in memory, with a disk that can be full, and that outlives its ledger: a
 * run that was killed is a ledger that was closed without a commit.
 */
#ifndef FAKE_STORE_H
#define FAKE_STORE_H

#include "fake/events.h"
#include "ledger/store.h"

struct fake_store {
	struct store store; /* for ledger_over(); closing it only undoes what is open */
	struct store *real;
	struct fake_events *events; /* "commit", "commit failed" */
	bool dirty;		    /* something was changed since the last commit */
	unsigned commits;	    /* so far */
	unsigned fail_commit;	    /* the commit with this number fails; 0: none */
	unsigned fail_call; /* this one of the calls to come fails, but for commits; 0: none */
};

void fake_store_init(struct fake_store *s, struct fake_events *events);
void fake_store_free(struct fake_store *s);

#endif
