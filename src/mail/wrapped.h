/*
 * wrapped.h - the messages that somebody forwarded as attachments: what a user of a collection
 * account means is what is attached, not the letter around it.
 *
 * Taken are parts that are a message (message/rfc822, RFC 2046 5.2.1), wherever they are in
 * multiparts: several, those of a multipart/digest, base64-encoded ones (Outlook), a file
 * *.eml, and the third part of a feedback report (RFC 5965). What is attached to an attached
 * message is a part of that. A report of another kind (a bounce) is nobody's verdict on what it
 * returns.
 */
#ifndef LS_WRAPPED_H
#define LS_WRAPPED_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum {
	WRAPPED_MAX = 100,  /* messages in one; more are no report of a person */
	WRAPPED_DEPTH = 20, /* multiparts inside each other */
};

struct wrapped {
	struct buf message[WRAPPED_MAX]; /* owned: wrapped_free */
	size_t n;
	const char *why; /* n is 0: why there is none; static text */
};

/*
 * Find them, and copy each. The copies together are not longer than msg (borrowed). Returns 0,
 * or -1 with ERR_FATAL/ERR_LOCAL; wrapped_free() in both cases.
 */
int wrapped_read(const char *msg, size_t len, struct wrapped *out, struct err *e);

void wrapped_free(struct wrapped *w);

#endif
