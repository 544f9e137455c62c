/*
 * imap_message.h - what a FETCH response says of one message.
 */
#ifndef LS_IMAP_MESSAGE_H
#define LS_IMAP_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Flags and keywords of a message that mean something to us. */
enum imap_flag {
	IMAP_SEEN = 1 << 0,
	IMAP_FLAGGED = 1 << 1,
	IMAP_DELETED = 1 << 2,
	IMAP_LEARNED_SPAM = 1 << 3,  /* $LearnedSpam */
	IMAP_LEARNED_HAM = 1 << 4,   /* $LearnedHam */
	IMAP_LEARN_SKIPPED = 1 << 5, /* $LearnSkipped */
	IMAP_NOT_JUNK = 1 << 6,	     /* $NotJunk, or what it was called before */
};

enum { IMAP_KEYWORDS = IMAP_LEARNED_SPAM | IMAP_LEARNED_HAM | IMAP_LEARN_SKIPPED };

/* One FETCH response. What it did not hold is 0 and not in has. */
struct imap_message {
	uint32_t uid;
	uint32_t size;	 /* RFC822.SIZE */
	int64_t date;	 /* INTERNALDATE, seconds since 1970 */
	unsigned flags;	 /* enum imap_flag */
	struct buf body; /* BODY[]: owned by the message */
	bool filtered;	 /* BODY[HEADER.FIELDS (...)]: a filter says that it is spam */
	enum {
		IMAP_HAS_UID = 1 << 0,
		IMAP_HAS_SIZE = 1 << 1,
		IMAP_HAS_DATE = 1 << 2,
		IMAP_HAS_FLAGS = 1 << 3,
		IMAP_HAS_BODY = 1 << 4,
		IMAP_HAS_LARGE = 1 << 5,  /* the body was larger than allowed and thrown away */
		IMAP_HAS_NIL = 1 << 6,	  /* the body is NIL: the server cannot read it */
		IMAP_HAS_HEADER = 1 << 7, /* some fields: filtered was looked for */
	} has;
};

void imap_message_free(struct imap_message *m);

#endif
