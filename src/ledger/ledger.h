/*
 * ledger.h - what was learned, and the state of every message: records in a store. Only this
 * code moves a message to another state. A step is durable (ledger_commit) before the next one
 * acts.
 */
#ifndef LS_LEDGER_H
#define LS_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "ledger/copy.h"
#include "ledger/record.h"
#include "ledger/store.h"

struct ledger;

enum ledger_mode {
	LEDGER_WRITE, /* for a run: takes the run lock */
	LEDGER_DRY,   /* as WRITE, but in a transaction that is never committed */
	LEDGER_READ,  /* read-only, even while a run writes; sees the last commit */
};

/*
 * Open the ledger in directory dir; LEDGER_WRITE creates it if it does not exist. command is
 * shown to anybody who finds the ledger locked. NULL with an ERR_FATAL error: ERR_TEMPORARY
 * (another run, disk full), ERR_CONFIG (permissions), ERR_LOCAL (damaged, newer format).
 */
struct ledger *ledger_open(const char *dir, enum ledger_mode mode, const char *command,
			   struct err *e);

/* A ledger in this store (owned from now on), for tests and simulators. NULL as above. */
struct ledger *ledger_over(struct store *store, enum ledger_mode mode, struct err *e);
void ledger_close(struct ledger *l);

/* The store below, for reading all of it (ledger list, verify, backup). Borrowed. */
struct store *ledger_store(struct ledger *l);

/*
 * Make all changes since the last call durable or, with an error, none: then only ledger_close
 * is left. No effect in a dry run.
 */
int ledger_commit(struct ledger *l, struct err *e);

/*
 * Get the record of this mailbox; *known false: never seen, *out has a new number, stored with
 * the next put. ERR_MAILBOX/ERR_CONFIG: names too long.
 */
int ledger_mailbox(struct ledger *l, const char *account, const char *mailbox,
		   struct record_mailbox *out, bool *known, struct err *e);
int ledger_mailbox_put(struct ledger *l, const char *account, const char *mailbox,
		       const struct record_mailbox *r, struct err *e);

/* Get: 1 and *out, 0 if there is none, or -1. */
int ledger_message(struct ledger *l, const struct record_mailbox *box, uint32_t id,
		   struct record_message *out, struct err *e);
int ledger_message_put(struct ledger *l, const struct record_mailbox *box, uint32_t id,
		       const struct record_message *r, struct err *e);
int ledger_message_del(struct ledger *l, const struct record_mailbox *box, uint32_t id,
		       struct err *e);

/* Get the first message of this identity above *id (0: of all): 1, *id and *out; 0, or -1. */
int ledger_message_next(struct ledger *l, const struct record_mailbox *box, uint32_t *id,
			struct record_message *out, struct err *e);

/* Forget all messages of the mailbox, of any identity: their numbers are no longer valid. */
int ledger_forget_messages(struct ledger *l, const struct record_mailbox *box, struct err *e);

/* Forget the mailboxes of this account, with their messages. What was learned stays known. */
int ledger_forget_account(struct ledger *l, const char *account, struct err *e);

/* Get a content: 1 and *out, 0 if it was never seen, or -1. */
int ledger_digest(struct ledger *l, const struct digest *d, struct record_digest *out,
		  struct err *e);

/*
 * Decide on a verdict by what the ledger knows of this content (NULL: nothing). OUTCOME_NONE:
 * rspamd is to learn it; any other outcome settles it. The newest verdict wins. Pure.
 */
enum outcome ledger_decide(const struct record_digest *known, enum mail_class class,
			   int64_t verdict_at);

/* Record who reported the content, before anything is decided; *out is its new record. */
int ledger_report(struct ledger *l, const struct ledger_copy *c, int64_t now,
		  struct record_digest *out, struct err *e);

/*
 * Look at the copy later. why is HELD (too new, too few reporters agree) or UNREAD; NONE: in
 * the next run (not sent, or not answered), which keeps the reason of an earlier failure.
 */
int ledger_wait(struct ledger *l, const struct ledger_copy *c, enum outcome why, int64_t now,
		struct err *e);

/* The copy is about to be sent to rspamd. */
int ledger_submit(struct ledger *l, const struct ledger_copy *c, int64_t now, struct err *e);

/* The message has the mark of a run whose ledger was lost; outcome is what the mark means. */
int ledger_adopt(struct ledger *l, const struct ledger_copy *c, enum outcome outcome,
		 int64_t now, struct err *e);

/* Another message has this number now: forget the old one, and look at the new one later. */
int ledger_replace(struct ledger *l, const struct record_mailbox *box, uint32_t id, int64_t now,
		   struct err *e);

/*
 * The copy is settled, or it failed (an outcome of GROUP_FAILED: it will be tried again; tries
 * is incremented, the time of the first failure of that kind is kept). answer is the text of
 * rspamd or the mail server (NULL: none). *flipped: rspamd changed the class of this content.
 */
int ledger_settle(struct ledger *l, const struct ledger_copy *c, enum outcome outcome,
		  const char *answer, int64_t now, bool *flipped, struct err *e);

/*
 * Move a settled message to STATE_MARKED (bare: the server stores no mark), PURGING or COPIED,
 * one that rspamd refused to STATE_PURGING. Never back; any other message is not changed.
 */
int ledger_advance(struct ledger *l, const struct record_mailbox *box, uint32_t id,
		   enum record_state state, bool bare, struct err *e);

/* A removal was interrupted: STATE_PURGING becomes COPIED if copied, else what it was before.
 */
int ledger_resume(struct ledger *l, const struct record_mailbox *box, uint32_t id, bool copied,
		  struct err *e);

/*
 * Delete the records of contents last seen before that time. Looks at max records, and
 * continues there in the next call. Adds to *forgotten.
 */
int ledger_forget_contents(struct ledger *l, int64_t before, size_t max, uint64_t *forgotten,
			   struct err *e);

/* Ignore marks of an earlier ledger from now on: rspamd learns everything (reset --retrain). */
int ledger_distrust_marks(struct ledger *l, struct err *e);

/*
 * Are marks of an earlier ledger to be believed? Only while this one has not been through a
 * whole mailbox, and ledger_distrust_marks was not called. 1, 0, or -1.
 */
int ledger_believes_marks(struct ledger *l, struct err *e);

#endif
