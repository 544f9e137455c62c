/*
 * backlog.h - which messages of a mailbox are still to be looked at.
 */
#ifndef LS_BACKLOG_H
#define LS_BACKLOG_H

#include <stdint.h>

#include "err.h"
#include "ledger.h"
#include "uidset.h"

/*
 * Add to todo what was found in the mailbox and is not in the ledger yet. Returns 0, or -1 with an
 * error of the ledger or of memory.
 */
int backlog_add(struct ledger *l, const struct record_mailbox *box, const struct uidset *found,
		struct uidset *todo, struct err *e);

/* Keep the lowest *left messages of todo, and count them off *left; -1 is no limit. */
void backlog_limit(struct uidset *todo, int64_t *left);

#endif
