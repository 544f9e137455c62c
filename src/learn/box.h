/*
 * box.h - a source's record in the ledger, and whether the source is still what it was: numbers
 * mean the same messages only as long as identity, next and version say so, and as long as
 * messages that were settled look as they did then.
 */
#ifndef LS_BOX_H
#define LS_BOX_H

#include <stdbool.h>

#include "base/err.h"
#include "ledger/ledger.h"
#include "source/source.h"

enum box_state {
	BOX_NEW,      /* the ledger never saw it */
	BOX_SAME,     /* its numbers mean what they did */
	BOX_REPLACED, /* another identity */
	BOX_RESTORED, /* it fell behind what was seen of it: restored from a backup */
};

/* Load the record of this open source. 0, or -1 with an error of the ledger. */
int box_load(struct ledger *l, const struct source *s, struct record_mailbox *box,
	     enum box_state *state, struct err *e);

/* Begin anew: no number that was known means anything. Recorded, and durable. 0, or -1. */
int box_begin(struct ledger *l, const struct source *s, struct record_mailbox *box,
	      struct err *e);

/* Record how far the source has come, as soon as it is seen; writes only what is new. 0, or -1.
 */
int box_note_high(struct ledger *l, const struct source *s, struct record_mailbox *box,
		  struct err *e);

/*
 * A run went through to the end (complete), or left messages for the next one. Writes only what
 * is new. 0, or -1.
 */
int box_end(struct ledger *l, const struct source *s, struct record_mailbox *box, bool complete,
	    uint64_t left, struct err *e);

#endif
