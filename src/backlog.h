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
 * Add to todo what was found in the mailbox and is not in the ledger yet. Returns 0, or -1 with
 * an error of the ledger or of memory.
 */
int backlog_add(struct ledger *l, const struct record_mailbox *box, const struct uidset *found,
		struct uidset *todo, struct err *e);

/*
 * Move the lowest max messages of todo (-1: all) to part, which is empty. Returns 0, or -1
 * without memory.
 */
int backlog_take(struct uidset *todo, int64_t max, struct uidset *part, struct err *e);

#endif
