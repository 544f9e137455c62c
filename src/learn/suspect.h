/*
 * suspect.h - the messages of one mailbox at which the connection broke in this run. Once may
 * be the network's fault; a message that breaks it twice is not asked for again in this run.
 * What broke it in earlier runs is in the ledger (OUTCOME_UNREADABLE) and asked for last,
 * alone. And those that failed in this run: they are not tried again on the next connection.
 */
#ifndef LS_SUSPECT_H
#define LS_SUSPECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ranges.h"

struct suspect {
	uint32_t box; /* number of the mailbox */
	struct ranges once, twice, failed;
	unsigned breaks; /* of the connection, in this mailbox */
};

void suspect_free(struct suspect *s);

/* The run goes on in this mailbox; what is known of another one is dropped. */
void suspect_enter(struct suspect *s, uint32_t box);

/* The connection broke while message id was owed. 0, or -1 without memory. */
int suspect_note(struct suspect *s, uint32_t id, struct err *e);

/* Did it break at this one twice? Then it is given up for this run. */
bool suspect_is_given_up(const struct suspect *s, uint32_t id);

/* The message failed, whatever the connection does. 0, or -1 without memory. */
int suspect_fail(struct suspect *s, uint32_t id, struct err *e);

/* Take those that failed in this run out of todo. 0, or -1 without memory. */
int suspect_spare(const struct suspect *s, struct ranges *todo, struct err *e);

#endif
