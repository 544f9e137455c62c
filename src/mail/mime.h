/*
 * mime.h - what we need to know of one message: its digest, a few header fields to show,
 * whether it is encrypted, and where the original begins below the fields that were added on
 * top. part.c finds the pieces, content.c decides whether they are regular, GMime undoes their
 * encodings. Mail is hostile: every depth, count and length has a cap here, and memory does not
 * grow with the message.
 */
#ifndef LS_MIME_H
#define LS_MIME_H

#include <stdbool.h>
#include <stddef.h>

#include "mail/digest.h"
#include "base/err.h"

enum {
	MIME_TEXT_MAX = 256, /* bytes of a header field that are kept for display */
	/* Beyond these two, the rest goes into the digest in one piece, as it is. */
	MIME_MAX_DEPTH = 64,   /* multiparts and attached messages inside each other */
	MIME_MAX_PARTS = 2000, /* leaf parts that go into the digest one by one */

	MIME_MAX_HEADER = 256 * 1024, /* bytes of a message in which mime_original looks */
	MIME_MAX_FIELD = 16 * 1024,   /* bytes of a field's value that are decoded */
};

struct mime_info {
	struct digest digest;
	bool encrypted;		  /* PGP/MIME, S/MIME enveloped-data, inline PGP, in any part */
	char from[MIME_TEXT_MAX]; /* decoded, UTF-8, made visible (text_visible); "" if none */
	char subject[MIME_TEXT_MAX];
	char date[MIME_TEXT_MAX]; /* the Date field as ISO 8601 in UTC, "" if none or invalid */
};

/* Call each once, before and after everything else of this file. */
void mime_init(void);
void mime_shutdown(void);

/*
 * Where the message that the user saw begins: the offset of its first header line, 0 if nothing
 * was added. Everything down to and including the topmost report field (X-Learnspool-Report,
 * else X-Sieve-Redirected-From, each with its continuation lines) counts as added, if only
 * transport can have put fields there. Nothing is cut if there is From, Sender, To, Cc,
 * Subject, Date, Message-ID, MIME-Version, a Content- field, a field that rspamd makes a token
 * of, or a line that is not a regular field above it; nor if such a line or no field would be
 * left on top, or no empty line ends the header. An mbox "From " line is cut with the rest.
 * Pure; looks for fields in at most MIME_MAX_HEADER bytes.
 *
 * Pigeonhole's redirect (cmd-redirect.c) removes Return-Path, X-Sieve and
 * X-Sieve-Redirected-From from the message and prepends X-Sieve, X-Sieve-Redirected-From, and a
 * Message-ID if the message had none. This one Message-ID may be between
 * X-Sieve-Redirected-From and X-Learnspool-Report, and is cut with them.
 */
size_t mime_original(const char *msg, size_t len);

/*
 * Read one message (as it was received; cutting it does not change its digest). msg is borrowed
 * for the call and not copied as a whole. Any bytes are a message, even none: rspamd decides
 * whether it can be learned. Returns 0, or -1 with ERR_FATAL/ERR_LOCAL; *out then has no
 * digest.
 */
int mime_read(const char *msg, size_t len, struct mime_info *out, struct err *e);

#endif
