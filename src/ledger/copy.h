/*
 * copy.h - one copy of a content, being processed: what the ledger is told of it.
 */
#ifndef LS_COPY_H
#define LS_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger/record.h"

/* What became of the parts of a message so far: outcome_joined(), and the words for it. */
struct ledger_joined {
	enum outcome outcome;
	char why[RECORD_ANSWER_MAX + 1];
};

/* Everything is borrowed. */
struct ledger_copy {
	const struct record_mailbox *box;
	uint32_t id; /* its number in the source */
	enum mail_class class;
	int64_t verdict_at;	       /* when the verdict was given, seconds since 1970 */
	struct record_stamp stamp;     /* zeros: unknown */
	const struct digest *digest;   /* NULL: the body was never read */
	const unsigned char *reporter; /* RECORD_REPORTER_SIZE bytes; NULL: unknown */

	/*
	 * A message may hold several (mail/wrapped.h), and digest be that of one of them. Then
	 * the message's own record has no digest, and is settled with the last part.
	 */
	unsigned part;			    /* from 1 on; 0: the message itself */
	bool more;			    /* others come after this part */
	const struct ledger_joined *joined; /* the parts before this one; NULL: none */
};

#endif
