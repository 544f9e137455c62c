/*
 * source.h - where messages come from and verdicts go back to: one mailbox, with the verdict
 * that lying in it means. source_imap.c is a mailbox of an IMAP account.
 *
 * The life of a source: open, then any number of rounds of list and next until it gives nothing
 * more, then mark and purge, then close. All calls from one thread.
 */
#ifndef LS_SOURCE_H
#define LS_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "class.h"
#include "err.h"
#include "outcome.h"
#include "uidset.h"

struct conf_account;
struct conf_mailbox;
struct conf_retention;
struct imap;

/* What a message is, before anyone looks into it. */
enum source_kind {
	SOURCE_BODY,	/* here it is */
	SOURCE_LARGE,	/* above max_size: not fetched */
	SOURCE_MARKED,	/* has the mark of an earlier run, see source_filter: not fetched */
	SOURCE_UNSEEN,	/* its user has not read it yet: not fetched */
	SOURCE_HELD,	/* too new to count: not fetched */
	SOURCE_REFUSED, /* the server says that it is there, and gives nothing of it */
	SOURCE_GONE,	/* was asked for and is no longer there */
};

struct source_message {
	enum source_kind kind;
	uint32_t uid;
	uint32_t size;	   /* bytes, as the server says; 0 with SOURCE_GONE */
	int64_t date;	   /* INTERNALDATE, seconds since 1970; 0 unknown */
	enum outcome mark; /* MARKED: what the mark says (KNOWN or SKIPPED) */
	struct buf body;   /* BODY: owned by whoever holds the message */
};

/* Which messages need not be fetched. */
struct source_filter {
	uint32_t max_size;
	bool seen_only;
	int64_t newest;	    /* INTERNALDATE above this: held */
	bool trust_skipped; /* $LearnSkipped is believed too: the ledger knows nothing of this
			       box */
};

struct source;

/* The contract of a kind of source. Every int is 0, or -1 with an error. */
struct source_ops {
	/*
	 * Open the mailbox; read_only changes nothing, not even \Recent. Fills in uidvalidity,
	 * uidnext, modseq, exists, can_mark. ERR_MAILBOX (missing, refused) or ERR_SERVER.
	 */
	int (*open)(struct source *s, bool read_only, struct err *e);

	/* The UIDs from first to last that exist, into found (emptied first). */
	int (*list)(struct source *s, uint32_t first, uint32_t last, struct uidset *found,
		    struct err *e);

	/* Begin to give the messages in todo (emptied: it is the source's now). */
	int (*want)(struct source *s, struct uidset *todo, const struct source_filter *f,
		    struct err *e);

	/*
	 * 1 and the next message in *m (which must be empty), 0 after the last. The order is
	 * the source's own. Every UID of todo is given exactly once.
	 */
	int (*next)(struct source *s, struct source_message *m, struct err *e);

	/* How many bytes the next body will take, as far as the source knows; 0: it does not.
	 */
	uint32_t (*next_size)(const struct source *s);

	/* The message that the server owes us next; 0 where it owes none. */
	uint32_t (*awaited)(const struct source *s);

	/*
	 * Put the mark for (class, outcome) on these messages and take off every other one of
	 * ours. Messages that are gone are no error. uids is emptied.
	 */
	int (*mark)(struct source *s, struct uidset *uids, enum mail_class class,
		    enum outcome outcome, struct err *e);

	/*
	 * Can this source remove messages as the policy says, without touching others, and is
	 * the mailbox there that they move to? 0, or -1: ERR_MAILBOX/ERR_CONFIG, or ERR_SERVER.
	 */
	int (*can_purge)(struct source *s, const struct conf_retention *policy, struct err *e);

	/*
	 * Of the messages in uids: those that are there (there), and of these the ones that no
	 * other client flagged or marked as deleted (free_to_go). deleted_is_ours: \Deleted
	 * does not count, an earlier run of ours set it. Both sets start empty.
	 */
	int (*removable)(struct source *s, const struct uidset *uids, bool deleted_is_ours,
			 struct uidset *there, struct uidset *free_to_go, struct err *e);

	/*
	 * Of the messages in uids, those that bear a mark of ours (added to found). Where the
	 * mailbox cannot hold marks: all of them.
	 */
	int (*marked)(struct source *s, const struct uidset *uids, struct uidset *found,
		      struct err *e);

	/*
	 * Remove exactly these messages, or move them, as the policy says; can_purge said yes.
	 * uids is emptied.
	 */
	int (*purge)(struct source *s, struct uidset *uids, const struct conf_retention *policy,
		     struct err *e);

	void (*close)(struct source *s);
};

struct source {
	const struct source_ops *ops;
	const char *account; /* borrowed; for people and for the ledger */
	const char *mailbox; /* borrowed, UTF-8 */
	enum mail_class class;
	bool seen_only;
	bool proof; /* what lies here must prove that it is a report (trust.h) */
	const char
	    *owner;   /* borrowed: whose own mailbox it is, and so the reporter; else NULL */
	int64_t hold; /* seconds that a message lies before it counts */

	/* set by open */
	uint32_t uidvalidity, uidnext, exists;
	uint64_t modseq; /* 0: the source keeps none */
	bool can_mark;
};

/* The mark that says this: $LearnedSpam, $LearnedHam or $LearnSkipped. */
const char *source_mark_name(enum mail_class class, enum outcome outcome);

/* Free what the message holds; it can be used again. */
void source_message_free(struct source_message *m);

/* A mailbox of an account that imap (borrowed) is logged in to. NULL without memory. */
struct source *source_imap(struct imap *imap, const struct conf_account *account,
			   const struct conf_mailbox *mailbox);

#endif
