/*
 * source_message.h - what a source gives, what it may keep back, and how it lets go.
 */
#ifndef LS_SOURCE_MESSAGE_H
#define LS_SOURCE_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "ledger/record.h"
#include "mail/class.h"
#include "mail/outcome.h"

enum {
	SOURCE_REPORTER_MAX = 256,
	SOURCE_NAME_MAX = 512, /* bytes of a message's name, with NUL */
};

/* What a message is, before anyone looks into it. */
enum message_kind {
	MESSAGE_BODY,	    /* here it is */
	MESSAGE_LARGE,	    /* above max_size: not fetched */
	MESSAGE_MARKED,	    /* bears a mark of ours that is believed: not fetched */
	MESSAGE_UNDECIDED,  /* no person put it where it lies: not fetched */
	MESSAGE_UNREAD,	    /* its user has not read it yet: not fetched */
	MESSAGE_HELD,	    /* too new to count: not fetched */
	MESSAGE_UNREADABLE, /* the server says that it is there, and does not give it */
	MESSAGE_GONE,	    /* was asked for and is no longer there */
};

struct source_message {
	enum message_kind kind;
	uint32_t id;
	enum mail_class class;		   /* in a source of both: the verdict */
	struct record_stamp stamp;	   /* zeros with GONE */
	enum outcome mark;		   /* MARKED: what the mark says (KNOWN or SKIPPED) */
	struct buf body;		   /* BODY: owned by whoever holds the message */
	char words[RECORD_ANSWER_MAX + 1]; /* UNREADABLE: the server's, or ours; visible */
	const char *why;		   /* UNDECIDED: static text */

	/* BODY: it counts only if the ledger knows its content from the account's other side.
	 */
	bool recalled;

	/* BODY: who reported it, where the source knows that for sure; "": it does not. */
	char reporter[SOURCE_REPORTER_MAX];
};

/* Which messages need not be fetched. */
struct source_filter {
	uint32_t max_size;
	bool read_only_counts; /* what its user has not read is UNREAD */
	int64_t newest; /* what is dated later, or not at all, is HELD; INT64_MAX: nothing is */
	bool believe_marks; /* the ledger was lost: what bears a mark of this class is MARKED */
};

/* What there is of a message, without its content. */
struct source_sight {
	uint32_t id;
	struct record_stamp stamp;
	unsigned marks; /* bears marks of ours: not 0; which ones only the source knows */
	bool flagged;	/* somebody wants to keep it */
	bool deleted;	/* somebody, or we, asked for its removal */
};

typedef int source_sight_fn(void *ctx, const struct source_sight *sight, struct err *e);

/* How messages leave. */
struct source_removal {
	const char *move_to; /* a mailbox, UTF-8; NULL: they are deleted */
	bool imprecise;	     /* allowed to remove without UIDPLUS (RFC 4315) */
};

/* Free what the message holds; it can be used again. */
void source_message_free(struct source_message *m);

#endif
