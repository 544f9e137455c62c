/*
 * stamps.h - which messages were seen on which side of an account, by what MOVE and COPY keep
 * of a message: its size and date. So a message that a user takes out of Junk is found again in
 * the INBOX without reading every message there. A stamp is no proof, two messages may have the
 * same one; what is learned is decided by the content. Part of the ledger (docs/ledger.md).
 */
#ifndef LS_STAMPS_H
#define LS_STAMPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ledger/ledger.h"

enum stamp_seen {
	STAMP_IN_SPAM = 1 << 0, /* in a mailbox of class spam */
	STAMP_IN_HAM = 1 << 1,	/* in one of class ham, where a person put it */
};

/*
 * Where a message of this stamp was seen in the account by earlier runs: enum stamp_seen, 0:
 * nowhere. What was first seen in this run, on both sides, is a copy, and nobody knows which
 * way it went. 0, or -1.
 */
int stamps_get(struct ledger *l, const char *account, const struct record_stamp *stamp,
	       unsigned *seen, struct err *e);

/* It was seen there now. A stamp without a size is none. 0, or -1. */
int stamps_note(struct ledger *l, const char *account, const struct record_stamp *stamp,
		unsigned seen, int64_t now, struct err *e);

/*
 * Does a filter file mail in this account: was a message with its mark seen in a mailbox of
 * class spam? And such a message was. 0, or -1.
 */
int stamps_filter_files(struct ledger *l, const char *account, bool *files, struct err *e);
int stamps_note_filter(struct ledger *l, const char *account, int64_t now, struct err *e);

/*
 * Delete the stamps last noted before that time. Looks at max of them, and continues there in
 * the next call. 0, or -1.
 */
int stamps_forget(struct ledger *l, int64_t before, size_t max, struct err *e);

/* Is this record of the map one of ours, and whole? For ledger verify. */
bool stamps_is_sound(struct store_value key, struct store_value value);

#endif
