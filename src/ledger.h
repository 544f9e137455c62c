/*
 * ledger.h - what was learned, and where every message stands. Records (record.h) over a store
 * (store.h), and the only code that moves a message from one state to the next. A step is
 * durable (ledger_commit) before the step after it acts on it.
 */
#ifndef LS_LEDGER_H
#define LS_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "record.h"
#include "store.h"

struct ledger;

enum ledger_mode {
	LEDGER_WRITE, /* for a run: takes the run lock */
	LEDGER_DRY,   /* as WRITE, in a transaction that is never committed: nothing changes */
	LEDGER_READ,  /* beside a run that writes: reads only, sees the last commit */
};

/*
 * Open the ledger in directory dir, made where it is missing and mode is LEDGER_WRITE. command
 * is for the one who finds it locked. NULL with an ERR_FATAL error: ERR_TEMPORARY (another run,
 * disk full), ERR_CONFIG (permissions), ERR_LOCAL (damaged, newer format).
 */
struct ledger *ledger_open(const char *dir, enum ledger_mode mode, const char *command,
			   struct err *e);

/* A ledger over this store (owned from now on), for tests. NULL as above. */
struct ledger *ledger_over(struct store *store, struct err *e);

void ledger_close(struct ledger *l);

/* The store below, for reading as a whole (ledger list, verify, backup). Borrowed. */
struct store *ledger_store(struct ledger *l);

/*
 * Make durable what was changed since the last call, all of it or, with an error, nothing;
 * after an error the ledger can only be closed. What is not committed is undone at the end.
 * Nothing happens in a dry run.
 */
int ledger_commit(struct ledger *l, struct err *e);

/*
 * Start a run: its number (struct record_run) is new, unless the last one was cut short.
 * ledger_run_end says that this one went through.
 */
int ledger_run_begin(struct ledger *l, struct err *e);
int ledger_run_end(struct ledger *l, struct err *e);

/*
 * The record of this mailbox; *known is false where the ledger never saw it (out then has only
 * a number of its own, stored with the next put). ERR_MAILBOX/ERR_CONFIG: names too long.
 */
int ledger_mailbox(struct ledger *l, const char *account, const char *mailbox,
		   struct record_mailbox *out, bool *known, struct err *e);
int ledger_mailbox_put(struct ledger *l, const char *account, const char *mailbox,
		       const struct record_mailbox *r, struct err *e);

/* 1 and *out, 0 where there is none, -1. */
int ledger_message(struct ledger *l, const struct record_mailbox *box, uint32_t uid,
		   struct record_uid *out, struct err *e);
int ledger_message_put(struct ledger *l, const struct record_mailbox *box, uint32_t uid,
		       const struct record_uid *r, struct err *e);
int ledger_message_del(struct ledger *l, const struct record_mailbox *box, uint32_t uid,
		       struct err *e);

/*
 * The first message of the mailbox with a UID of *uid or above: 1, *uid and *out; 0 at the end;
 * -1. Messages of an older UIDVALIDITY are not seen.
 */
int ledger_message_seek(struct ledger *l, const struct record_mailbox *box, uint32_t *uid,
			struct record_uid *out, struct err *e);

/* Forget every message of the mailbox that has another UIDVALIDITY: those UIDs mean nothing
 * now. */
int ledger_forget_stale(struct ledger *l, const struct record_mailbox *box, struct err *e);

/* 1 and *out, 0 where it was never seen, -1. */
int ledger_digest(struct ledger *l, const struct digest *d, struct record_digest *out,
		  struct err *e);

/* One copy of a message, on its way. */
struct ledger_copy {
	const struct record_mailbox *box; /* borrowed */
	uint32_t uid;
	enum mail_class class;
	int64_t date;		       /* INTERNALDATE */
	const struct digest *digest;   /* borrowed; NULL: the body was never read */
	const unsigned char *reporter; /* borrowed, RECORD_REPORTER_SIZE bytes; NULL: unknown */
};

/*
 * What to do with this copy, from what the ledger knows of its content (known may be NULL):
 * OUTCOME_NONE is "have rspamd learn it", any other one settles it without rspamd. The newest
 * verdict wins: a later run's, or within one run that of the later INTERNALDATE. Pure.
 */
enum outcome ledger_decide(const struct record_digest *known, enum mail_class class,
			   int64_t date, uint32_t epoch);

uint32_t ledger_epoch(const struct ledger *l);

/* Note who reported the content, before anything is decided; *out is its record then. */
int ledger_report(struct ledger *l, const struct ledger_copy *c, int64_t now,
		  struct record_digest *out, struct err *e);

/* The copy is not to be settled yet: too new, or too few reporters agree. */
int ledger_hold(struct ledger *l, const struct ledger_copy *c, int64_t now, struct err *e);

/* The copy is about to be sent to rspamd. */
int ledger_submit(struct ledger *l, const struct ledger_copy *c, int64_t now, struct err *e);

/* The message is there, and is to be looked at again in the next run. */
int ledger_see(struct ledger *l, const struct ledger_copy *c, int64_t now, struct err *e);

/* The message bears the mark of a run whose ledger was lost: outcome is what the mark says. */
int ledger_adopt(struct ledger *l, const struct ledger_copy *c, enum outcome outcome,
		 int64_t now, struct err *e);

/*
 * A settled message goes on to STATE_MARKED (it bears its mark, or none can be put on it) or to
 * STATE_PURGING, a failed one to STATE_PURGING. Never back; any other message, and one without
 * a record, is left alone.
 */
int ledger_advance(struct ledger *l, const struct record_mailbox *box, uint32_t uid,
		   enum record_state state, struct err *e);

/* The copy was sent, but rspamd cannot learn anything now: as if it had never been sent. */
int ledger_put_back(struct ledger *l, const struct ledger_copy *c, int64_t now, struct err *e);

/*
 * The copy is settled, or failed (OUTCOME_FAILED: to be tried again). answer is rspamd's words
 * (NULL: none). *flipped tells whether rspamd was moved from one class to the other.
 */
int ledger_settle(struct ledger *l, const struct ledger_copy *c, enum outcome outcome,
		  const char *answer, int64_t now, bool *flipped, struct err *e);

/*
 * Delete the records of STORE_DIGEST, or of STORE_UID if they are settled, that were last
 * touched before that time. Looks at max records, and goes on there with the next call, so that
 * a run costs little however large the ledger is. Adds to *forgotten.
 */
int ledger_forget(struct ledger *l, enum store_map map, int64_t before, size_t max,
		  uint64_t *forgotten, struct err *e);

#endif
