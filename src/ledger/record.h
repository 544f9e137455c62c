/*
 * record.h - the ledger's records and their layout on disk: versioned and big-endian. Pure.
 * docs/ledger.md is the specification.
 */
#ifndef LS_RECORD_H
#define LS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "mail/class.h"
#include "mail/digest.h"
#include "mail/outcome.h"

enum {
	RECORD_FORMAT = 2,	  /* of the whole ledger; a newer one is refused */
	RECORD_ANSWER_MAX = 200,  /* bytes of rspamd's text that are kept */
	RECORD_REPORTER_SIZE = 8, /* bytes of a reporter's keyed hash (reporter.h) */
	RECORD_REPORTERS_MAX = CONF_MAX_QUORUM, /* of one content; the oldest are dropped */
	RECORD_VALUE_MAX = 1024,		/* bytes that a record below takes on disk */
	RECORD_MAILBOX_KEY_MAX = 500,
	RECORD_MESSAGE_KEY = 12,
};

/* The state of a message. The numbers are on disk: they never change. */
enum record_state {
	STATE_PENDING = 0,   /* known to exist; to be looked at (again) in a later run */
	STATE_SUBMITTED = 1, /* sent to rspamd, no answer recorded */
	STATE_SETTLED = 2,   /* outcome known, not yet marked on the server */
	STATE_MARKED = 3,    /* marked, or the server stores no marks */
	STATE_PURGING = 4,   /* the server was told to remove it, no answer recorded */
	STATE_COPIED = 5, /* ... and its copy lies where it is moved to: only to be deleted */
	STATES,
};

const char *record_state_name(enum record_state s);

/*
 * What a source tells of a message without its content. It identifies a message whose number
 * may have been given to another one (in a mail store that was restored from a backup).
 */
struct record_stamp {
	uint32_t size; /* bytes; 0 unknown */
	int64_t date;  /* seconds since 1970 (INTERNALDATE); 0 unknown */
};

/* One message in one mailbox. */
struct record_message {
	enum record_state state;
	enum outcome outcome;  /* NONE before it is settled; why, if it failed or waits */
	enum mail_class class; /* the verdict of this copy */
	unsigned tries;	       /* how often it failed in this way; stays at 255 */
	bool bare;	       /* MARKED, but the server could not store a mark */
	int64_t
	    changed_at; /* when it was settled; before that, its last change or first failure */
	int64_t verdict_at;		   /* when the verdict was given, if known */
	struct record_stamp stamp;	   /* zeros: not known (a ledger of format 1) */
	struct digest digest;		   /* all zero if the body was never read */
	char words[RECORD_ANSWER_MAX + 1]; /* why it failed: the text of rspamd or the server */
};

/* The last verdict of one user on a content. */
struct record_reporter {
	unsigned char who[RECORD_REPORTER_SIZE];
	enum mail_class class;
	int64_t at; /* when that verdict was given */
};

/* One content, with any number of copies. */
struct record_digest {
	enum mail_class class; /* the newest verdict */
	enum outcome outcome;  /* what became of it */
	bool in_doubt;	       /* rspamd was asked to learn the other class; answer not known */
	unsigned flips;	       /* how often rspamd was taught the other class */
	unsigned copies;       /* how often it was seen */
	int64_t first_seen, last_seen;
	int64_t verdict_at;		    /* when the newest verdict was given */
	char answer[RECORD_ANSWER_MAX + 1]; /* rspamd's text, unless it simply learned */
	struct record_reporter reporter[RECORD_REPORTERS_MAX];
	size_t n_reporters; /* known ones only; reports without a reporter do not count */
};

/*
 * One mailbox of one account, or any other source. Numbers are valid only within one identity
 * (UIDVALIDITY). next (UIDNEXT) and version (HIGHESTMODSEQ) are those of the last complete run;
 * the high ones are the highest ever seen: a source that falls behind them was restored from a
 * backup.
 */
struct record_mailbox {
	uint32_t number; /* identifies it in the keys of messages */
	uint32_t identity, next, high_next;
	uint64_t version, high_version;
	uint64_t
	    target;    /* where the mailbox that messages move to ended; 0: nothing is copied */
	uint32_t left; /* messages that the last run left for the next one */
	bool whole;    /* a run has been through all of it, with any identity */
	bool passed;   /* ... with this identity */
};

/* Each encode function writes at most RECORD_VALUE_MAX bytes and returns how many. */
size_t record_message_encode(const struct record_message *r, unsigned char *out);
size_t record_digest_encode(const struct record_digest *r, unsigned char *out);
size_t record_mailbox_encode(const struct record_mailbox *r, unsigned char *out);
size_t record_u32_encode(uint32_t n, unsigned char *out);

/*
 * Each decode function returns false if the bytes are not such a record; *r is then undefined.
 * Records of format 1 are read as well: a failed message becomes pending, because format 1 does
 * not tell what failed; an unconfirmed content becomes undecided.
 */
bool record_message_decode(const void *data, size_t len, struct record_message *r);
bool record_digest_decode(const void *data, size_t len, struct record_digest *r);
bool record_mailbox_decode(const void *data, size_t len, struct record_mailbox *r);
bool record_u32_decode(const void *data, size_t len, uint32_t *n);

/*
 * A verdict from the future comes from a clock that was wrong: set its time to unknown, so that
 * any other verdict is newer.
 */
void record_digest_no_future(struct record_digest *r, int64_t now);

/* Was the body of this message ever read? If not, it has no digest. */
bool record_has_digest(const struct record_message *r);

/* The key of a message: sorted by mailbox, identity, number. */
void record_message_key(uint32_t mailbox, uint32_t identity, uint32_t id,
			unsigned char out[RECORD_MESSAGE_KEY]);
bool record_message_key_decode(const void *data, size_t len, uint32_t *mailbox,
			       uint32_t *identity, uint32_t *id);

/* The key of a mailbox: account, NUL, mailbox. Returns its length, 0 if it is too long. */
size_t record_mailbox_key(const char *account, const char *mailbox, char *out, size_t size);

#endif
