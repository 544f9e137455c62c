/*
 * expire.h - retention at work: what the policy (retain.h) lets go is deleted from a collection
 * mailbox, or moved. A message is removed only if this ledger settled it, if its mailbox is
 * still the one that the ledger knows, and if it looks as it did when it was settled; what
 * somebody flagged or marked as deleted is left to them.
 */
#ifndef LS_EXPIRE_H
#define LS_EXPIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/conf.h"
#include "ledger/ledger.h"
#include "output/output.h"
#include "source/source.h"

struct expire {
	const struct conf_retention *policy; /* borrowed, as all of these */
	struct ledger *ledger;
	struct output *output;
	bool dry_run; /* print what would go; the ledger must be LEDGER_DRY */
	int64_t now;  /* seconds since 1970 */
	int64_t left; /* messages that may still go in this run */
};

/*
 * Remove from this source what may go; it is opened where it is not and something is due.
 * Returns 0, or -1; what was removed until then is recorded, what was being removed is taken up
 * by the next run.
 */
int expire_source(struct expire *x, struct source *s, struct err *e);

/* Let the ledger forget what is older than its horizon: a bounded part of it in each run. */
int expire_ledger(struct expire *x, struct err *e);

#endif
