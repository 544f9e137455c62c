/*
 * source.h - where messages come from and verdicts go back to: one mailbox (or spool, or sample
 * store), as a rule with the verdict that lying in it means. source_imap.c is a mailbox of an
 * IMAP account.
 *
 * A message is named by a number that a source never gives twice within one identity. A source
 * whose messages have names of another kind numbers them.
 *
 * The life of a source: open, then any number of rounds of list, want and next until it has
 * given everything, look, mark and remove in between or after, then close. All calls from one
 * thread. What a kind of source has to do for it is in source_ops.h.
 */
#ifndef LS_SOURCE_H
#define LS_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ranges.h"
#include "base/waiter.h"
#include "source/source_message.h"

enum source_next { SOURCE_ERROR = -1, SOURCE_END, SOURCE_MESSAGE, SOURCE_WAIT };

struct source {
	const struct source_ops *ops; /* which kind: source_ops.h */
	const char *account;	      /* borrowed; for the operator and for the ledger */
	const char *mailbox;	      /* borrowed, UTF-8 */
	enum mail_class class; /* NONE: each message has its own, in the verdicts' order */
	bool seen_only;	       /* only what its user has read counts */
	bool proof;	       /* what lies here must prove that it is a report (trust.h) */
	bool unwrap;	       /* messages of it are forwards: what is attached is learned */
	bool may_unwrap;       /* ... or perhaps: nobody said */
	bool dated;	       /* a message's date is the time of the report */
	bool expires;	       /* retention applies */
	bool fleeting; /* its numbers mean nothing in another run, nor is anyone a reporter */
	bool unmarked; /* the administrator wants no marks of ours here */
	bool decided;  /* only what a person decided counts */
	const char *owner; /* borrowed: whose own mailbox it is, and so the reporter; or NULL */
	int64_t hold;	   /* seconds that a verdict lies before it counts */

	/* set by open */
	bool is_open;
	const char *folder; /* which one it is, where mailbox is a role ("\\Junk"); else NULL */
	bool read_only;	    /* nothing may be changed */
	uint32_t identity;  /* numbers mean the same messages as long as this stays */
	uint32_t next;	    /* the next message gets this number or a higher one; 0 unknown */
	uint32_t count;	    /* messages in it */
	uint64_t version;   /* goes up with every change; 0: the source keeps none */
	bool can_mark;
};

/* Every int below is 0, or -1 with an error. */

/*
 * Open it, and fill in what struct source says is set by open; read_only changes nothing, not
 * even \Recent. ERR_MAILBOX (missing, refused) or ERR_SERVER.
 */
int source_open(struct source *s, bool read_only, struct err *e);

/* The numbers from first to last that exist, into found (emptied first). */
int source_list(struct source *s, uint32_t first, uint32_t last, struct ranges *found,
		struct err *e);

/*
 * Begin to give the messages in todo (emptied: it is the source's now). alone: one at a time,
 * and the next only when the one before has come.
 */
int source_want(struct source *s, struct ranges *todo, const struct source_filter *f,
		bool alone, struct err *e);

/*
 * SOURCE_MESSAGE and the next one in *m (which must be empty); SOURCE_WAIT where it has to come
 * first, and what to wait for; SOURCE_END after the last; SOURCE_ERROR. The order is the
 * source's own. Every number of todo is given exactly once.
 */
enum source_next source_next(struct source *s, struct source_message *m, struct wait *wait,
			     struct err *e);

/* How many bytes the next body will take, as far as the source knows; 0: it does not. */
uint32_t source_next_size(const struct source *s);

/* The message that the server owes us next; 0 where it owes none. */
uint32_t source_owed(const struct source *s);

/*
 * Where only what a person decided counts: messages that say of themselves that he did so, also
 * after they were given as UNDECIDED. found is emptied first.
 */
int source_decided(struct source *s, struct ranges *found, struct err *e);

/* fn for each message of ids that is there, in any order; ends early where fn says -1. */
int source_look(struct source *s, const struct ranges *ids, source_sight_fn *fn, void *ctx,
		struct err *e);

/*
 * Put the mark for (class, outcome) on these messages and take every other one of ours off.
 * Messages that are gone are no error. *held is false where the source could hold no mark
 * (full, forbidden), which is no error either. ids is emptied.
 */
int source_mark(struct source *s, struct ranges *ids, enum mail_class class,
		enum outcome outcome, bool *held, struct err *e);

/* What such a mark is called: "$LearnedSpam". Static text. NULL: here are never any marks. */
const char *source_mark_name(const struct source *s, enum mail_class class,
			     enum outcome outcome);

/*
 * The message could not be learned this time, and stays for the next run; why is one line.
 * Whoever looks at the source is to see it there.
 */
int source_fail(struct source *s, uint32_t id, const char *why, struct err *e);

/*
 * Can messages be removed this way, without touching others, and is the mailbox there that they
 * move to? ERR_MAILBOX/ERR_CONFIG with the cure, or ERR_SERVER.
 */
int source_can_remove(struct source *s, const struct source_removal *how, struct err *e);

/*
 * Remove exactly these messages; can_remove said yes. Those that are gone already are no error.
 * ids is emptied.
 */
int source_remove(struct source *s, struct ranges *ids, const struct source_removal *how,
		  struct err *e);

/*
 * Where a message that moves is copied first and removed then, a run that is cut short can
 * leave it in both places. *end is where the target ends now, to be recorded before
 * source_remove(), and 0 where a move is one step. copied receives those of ids that lie behind
 * that end too, or are known otherwise to have been copied: what is left is to remove them
 * here. Called before any of them is removed by another run.
 */
int source_target(struct source *s, const struct source_removal *how, uint64_t *end,
		  struct err *e);
int source_copied(struct source *s, const struct ranges *ids, const struct source_removal *how,
		  uint64_t end, struct ranges *copied, struct err *e);

/*
 * What people call a message that was given lately, if not by its number: a file's name.
 * Visible text, valid until the next call of source_next(); NULL: by its number.
 */
const char *source_name(const struct source *s, uint32_t id);

/* NULL is fine. */
void source_close(struct source *s);

#endif
