/*
 * outcome.h - the possible outcomes for a message, as used by ledger, output and marks.
 */
#ifndef LS_OUTCOME_H
#define LS_OUTCOME_H

#include <stdbool.h>

/* The numbers are stored in the ledger (docs/ledger.md): they never change. */
enum outcome {
	OUTCOME_NONE = 0,
	OUTCOME_LEARNED = 1,	  /* rspamd answered that it learned it */
	OUTCOME_KNOWN = 2,	  /* rspamd, or our ledger, had it in this class already */
	OUTCOME_SURE = 3,	  /* rspamd refused: it is sure of this class already */
	OUTCOME_UNLEARNABLE = 4,  /* rspamd can never learn it, whatever the class */
	OUTCOME_LARGE = 5,	  /* above max-size; never sent */
	OUTCOME_ENCRYPTED = 6,	  /* encrypted, and the configuration skips these; never sent */
	OUTCOME_OVERRULED = 7,	  /* a newer verdict says the other class; never sent */
	OUTCOME_FAILED = 8,	  /* not settled: rspamd refused it, with a reason */
	OUTCOME_UNTRUSTED = 9,	  /* the report is not proved to come from a user; never sent */
	OUTCOME_HELD = 10,	  /* not settled: too new, or too few reporters agree so far */
	OUTCOME_UNCONFIRMED = 11, /* too few reporters agreed in time; never sent */
	OUTCOME_SKIPPED = 12,	  /* by its mark, an earlier run skipped it; why is not known */
	OUTCOME_UNANSWERED = 13,  /* not settled: rspamd gave no meaningful answer */
	OUTCOME_UNREADABLE = 14,  /* not settled: the mail server does not deliver it */
	OUTCOME_UNREAD = 15,	  /* not settled: it counts only when its user has read it */
	OUTCOME_NO_REPORT = 16,	  /* a forward without an attached message; never sent */
	OUTCOME_UNDECIDED = 17,	  /* lies where a filter, or nobody, put it; never sent */
	OUTCOMES,
};

/* How the summary counts it. */
enum outcome_group {
	GROUP_LEARNED,
	GROUP_KNOWN,
	GROUP_SKIPPED,
	GROUP_UNTRUSTED,
	GROUP_HELD,   /* waiting: too new, too few reporters, not read yet */
	GROUP_FAILED, /* stays for the next run */
	GROUPS,
};

enum outcome_group outcome_group(enum outcome o);

/* Does rspamd have it, by this message or before: LEARNED or KNOWN? What a mark tells. */
bool outcome_is_learned(enum outcome o);

/*
 * The outcome of a message that holds others with these two outcomes: it is settled when all of
 * them are, and learned if one is; and it may be removed only if both may. NONE stands for no
 * message.
 */
enum outcome outcome_joined(enum outcome a, enum outcome b);

/* One word for logs and JSON: "learned", "unlearnable" ... */
const char *outcome_name(enum outcome o);

/* A few words: "too short to learn". */
const char *outcome_text(enum outcome o);

#endif
