/*
 * outcome.h - how the way of one message can end: the vocabulary of ledger, report and marks.
 */
#ifndef LS_OUTCOME_H
#define LS_OUTCOME_H

/* The numbers are stored in the ledger (docs/ledger.md): they never change. */
enum outcome {
	OUTCOME_NONE = 0,
	OUTCOME_LEARNED = 1,	  /* rspamd answered that it learned it */
	OUTCOME_KNOWN = 2,	  /* rspamd, or our ledger, had it in this class already */
	OUTCOME_SURE = 3,	  /* rspamd would not: it is sure of this class already */
	OUTCOME_UNLEARNABLE = 4,  /* rspamd, or our caps on MIME, cannot; for good */
	OUTCOME_LARGE = 5,	  /* above max-size; never sent */
	OUTCOME_ENCRYPTED = 6,	  /* encrypted, and the configuration skips these; never sent */
	OUTCOME_OVERRULED = 7,	  /* a newer verdict says the other class; never sent */
	OUTCOME_FAILED = 8,	  /* not settled: it stays for the next run */
	OUTCOME_UNTRUSTED = 9,	  /* the report is not proved to come from a user; never sent */
	OUTCOME_HELD = 10,	  /* not settled: too new, or too few reporters agree so far */
	OUTCOME_UNCONFIRMED = 11, /* too few reporters agreed in time; never sent */
	OUTCOME_SKIPPED = 12,	  /* its mark says that an earlier run skipped it, not why */
	OUTCOMES,
};

/* What the summary counts it as. */
enum outcome_group {
	GROUP_LEARNED,
	GROUP_KNOWN,
	GROUP_SKIPPED,
	GROUP_UNTRUSTED,
	GROUP_HELD,
	GROUP_FAILED,
	GROUPS,
};

enum outcome_group outcome_group(enum outcome o);

/* One word for logs and JSON: "learned", "unlearnable" ... */
const char *outcome_name(enum outcome o);

/* A few words for people: "too short to learn". */
const char *outcome_text(enum outcome o);

#endif
