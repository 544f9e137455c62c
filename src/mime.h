/*
 * mime.h - what we need to know of one message: its digest, a few header fields for people,
 * whether it is encrypted, and where the original begins below what the collection put on top.
 * part.c finds the pieces, GMime undoes their encodings. Mail is hostile: every depth, count
 * and length has a cap here, and memory does not grow with the message.
 */
#ifndef LS_MIME_H
#define LS_MIME_H

#include <stdbool.h>
#include <stddef.h>

#include "digest.h"
#include "err.h"

enum {
	MIME_TEXT_MAX = 256,	      /* bytes of a header field kept for people */
	MIME_MAX_DEPTH = 64,	      /* multiparts and attached messages inside each other */
	MIME_MAX_PARTS = 2000,	      /* leaf parts that go into the digest one by one */
	MIME_MAX_HEADER = 256 * 1024, /* bytes of a message in which mime_original looks */
	MIME_MAX_FIELD = 16 * 1024,   /* bytes of a field's value that count */
};

struct mime_info {
	struct digest digest;
	bool encrypted;		  /* PGP/MIME, S/MIME enveloped-data, inline PGP, in any part */
	char from[MIME_TEXT_MAX]; /* decoded, UTF-8, made visible (text_visible); "" if none */
	char subject[MIME_TEXT_MAX];
	char date[MIME_TEXT_MAX]; /* the Date field as ISO 8601 in UTC, "" if none or bad */
};

/* Once, before and after everything else of this file. */
void mime_init(void);
void mime_shutdown(void);

/*
 * Where the message begins that the user saw: the offset of its first header line, 0 where the
 * collection added nothing. Everything down to and including the topmost marker field (
 * X-Learnspool-Report, else X-Sieve-Redirected-From, each with its continuation lines) is the
 * collection's, provided that only transport put fields there: where From, Sender, To, Cc,
 * Subject, Date, Message-ID, MIME-Version or a Content- field stands above, or a line that is
 * no field, nothing is cut; nor where such a line or nothing would be left on top. An mbox
 * "From " line goes with what is cut. Pure; looks at MIME_MAX_HEADER bytes at most.
 *
 * Pigeonhole's redirect (cmd-redirect.c) takes Return-Path, X-Sieve and X-Sieve-Redirected-From
 * out of the message and prepends X-Sieve, X-Sieve-Redirected-From, and a Message-ID where the
 * message had none. That one Message-ID may stand between X-Sieve-Redirected-From and
 * X-Learnspool-Report, and is cut with them.
 */
size_t mime_original(const char *msg, size_t len);

/*
 * Read one message (as it came; cutting changes no digest). msg is borrowed for the call and
 * not copied as a whole. Any bytes are a message: what is no MIME is text. Returns 0, or -1
 * with an ERR_MESSAGE/ERR_DATA error (too deep, too many parts, empty) or ERR_FATAL/ERR_LOCAL;
 * *out then has what was found so far, and no digest.
 */
int mime_read(const char *msg, size_t len, struct mime_info *out, struct err *e);

#endif
