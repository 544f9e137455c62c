/*
 * record.h - the ledger's records and how they are laid out on disk: versioned, big-endian,
 * pure. docs/ledger.md is the specification.
 */
#ifndef LS_RECORD_H
#define LS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "class.h"
#include "digest.h"
#include "outcome.h"

enum {
	RECORD_FORMAT = 1,	   /* of the whole ledger; a newer one is refused */
	RECORD_ANSWER_MAX = 200,   /* bytes of rspamd's words that are kept */
	RECORD_REPORTER_SIZE = 8,  /* bytes of a reporter's keyed hash (reporter.h) */
	RECORD_REPORTERS_MAX = 32, /* of one content; the oldest verdicts give way */
	RECORD_VALUE_MAX = 1024,   /* bytes that any record below takes on disk */
	RECORD_MAILBOX_KEY_MAX = 500,
	RECORD_UID_KEY = 12,
};

/* Where a message stands. The numbers are on disk: they never change. */
enum record_state {
	STATE_SEEN = 0,	     /* known to exist; to be looked at (again) in the next run */
	STATE_SUBMITTED = 1, /* sent to rspamd, no answer recorded */
	STATE_SETTLED = 2,   /* outcome known, not yet marked on the server */
	STATE_MARKED = 3,    /* marked, or the server allows no marks */
	STATE_PURGING = 4,   /* the server was told to remove it, no answer recorded */
	STATES,
};

const char *record_state_name(enum record_state s);

/* One message in one mailbox. */
struct record_uid {
	enum record_state state;
	enum outcome outcome;  /* NONE before it is settled, FAILED for the last try */
	enum mail_class class; /* the verdict that this copy stands for */
	unsigned tries;	       /* runs in which it failed; stays at 255 */
	int64_t settled_at;    /* seconds since 1970; of the last change before that */
	struct digest digest;  /* all zero where the body was never read */
};

/* What one user said of a content, last. */
struct record_reporter {
	unsigned char who[RECORD_REPORTER_SIZE];
	enum mail_class class;
	int64_t at; /* INTERNALDATE of that report */
};

/* One content, in however many copies. */
struct record_digest {
	enum mail_class class; /* the newest verdict */
	enum outcome outcome;  /* what became of it */
	unsigned flips;	       /* how often rspamd was taught the other class */
	unsigned copies;       /* how often it was seen */
	uint32_t epoch;	       /* the run of the newest verdict (struct record_run) */
	int64_t first_seen, last_seen;
	int64_t verdict_at;		    /* INTERNALDATE of the newest verdict */
	char answer[RECORD_ANSWER_MAX + 1]; /* rspamd's words where it did not just learn */
	struct record_reporter reporter[RECORD_REPORTERS_MAX];
	size_t n_reporters; /* those that are known; reports without one are not among them */
};

/* One mailbox of one account: what the last complete run saw. */
struct record_mailbox {
	uint32_t number; /* its name in the keys of messages */
	uint32_t uidvalidity, uidnext;
	uint64_t modseq;
	bool whole; /* a run went through it to its end before, whatever the UIDVALIDITY was */
};

/*
 * Runs are numbered, so that verdicts of one run can be told from those of an earlier one. A
 * run that was cut short keeps its number for the next, which ends it.
 */
struct record_run {
	uint32_t epoch;
	bool complete;
};

/* Each encode writes at most RECORD_VALUE_MAX bytes and returns how many. */
size_t record_uid_encode(const struct record_uid *r, unsigned char *out);
size_t record_digest_encode(const struct record_digest *r, unsigned char *out);
size_t record_mailbox_encode(const struct record_mailbox *r, unsigned char *out);
size_t record_run_encode(const struct record_run *r, unsigned char *out);
size_t record_u32_encode(uint32_t n, unsigned char *out);

/* Each decode returns false where the bytes are no such record; *r is then undefined. */
bool record_uid_decode(const void *data, size_t len, struct record_uid *r);
bool record_digest_decode(const void *data, size_t len, struct record_digest *r);
bool record_mailbox_decode(const void *data, size_t len, struct record_mailbox *r);
bool record_run_decode(const void *data, size_t len, struct record_run *r);
bool record_u32_decode(const void *data, size_t len, uint32_t *n);

/* The key of a message: sorted by mailbox, UIDVALIDITY, UID. */
void record_uid_key(uint32_t mailbox, uint32_t uidvalidity, uint32_t uid,
		    unsigned char out[RECORD_UID_KEY]);
bool record_uid_key_decode(const void *data, size_t len, uint32_t *mailbox,
			   uint32_t *uidvalidity, uint32_t *uid);

/* The key of a mailbox: account, NUL, mailbox. Returns its length, 0 where it is too long. */
size_t record_mailbox_key(const char *account, const char *mailbox, char *out, size_t size);

#endif
