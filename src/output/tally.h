/*
 * tally.h - counts of messages by outcome, for one mailbox or a run.
 */
#ifndef LS_TALLY_H
#define LS_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "mail/class.h"
#include "mail/outcome.h"

struct tally {
	uint64_t outcome[OUTCOMES];
	uint64_t learned[3];	/* OUTCOME_LEARNED by enum mail_class */
	uint64_t taken_back[3]; /* of these, by the class that rspamd had before */
	uint64_t left;		/* messages left for the next run, undecided */
	bool left_or_more;	/* ... and maybe more: not everything was listed */
	uint64_t asked;		/* messages that had to prove that they are reports */
	uint64_t expired[GROUPS];
	uint64_t due;  /* due to expire, but left because of the limit */
	uint64_t kept; /* due to expire, but somebody else flagged or deleted them */
};

/* Count one message. */
void tally_count(struct tally *t, enum mail_class class, enum outcome outcome, bool flipped);

uint64_t tally_group(const struct tally *t, enum outcome_group g);
uint64_t tally_flipped(const struct tally *t);
uint64_t tally_expired(const struct tally *t);
bool tally_is_empty(const struct tally *t);
void tally_add(struct tally *sum, const struct tally *t);

#endif
