/*
 * digest.h - the content's identity, the same in every copy of a message however it travelled.
 * docs/digest.md has the exact rule and the test vectors; this file is that rule's framing and
 * normalisation, mime.c feeds it.
 */
#ifndef LS_DIGEST_H
#define LS_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

enum {
	DIGEST_SIZE = 32,    /* bytes: SHA-256 */
	DIGEST_HEX = 64 + 1, /* with the terminator */
	DIGEST_VERSION = 1,  /* the byte that the hash starts with */
};

struct digest {
	unsigned char bytes[DIGEST_SIZE];
};

/* Lower-case hexadecimal, always terminated. */
void digest_hex(const struct digest *d, char out[DIGEST_HEX]);

bool digest_equal(const struct digest *a, const struct digest *b);

/* Whole hexadecimal digests only, of either case; false where it is none. */
bool digest_parse(const char *hex, struct digest *out);

/* A digest in the making. Its memory is fixed: nothing that is added is kept. */
struct digest_hash;

/* Owned by the caller (digest_free); NULL without memory. */
struct digest_hash *digest_new(void);

/*
 * The calls below follow the message's own order: a message, in it parts and attached messages,
 * and its end. Nothing is returned before digest_final, which says whether any of them failed.
 */

/* subject: decoded, UTF-8, blanks folded; empty where there is none. */
void digest_message_begin(struct digest_hash *h, const char *subject, size_t len);
void digest_message_end(struct digest_hash *h);

/*
 * One leaf part: type is "type/subtype" in lower case, data its decoded bytes in pieces of any
 * size. What is text (text/, message/, multipart/) is normalised as text, the rest only in
 * its line ends.
 */
void digest_part_begin(struct digest_hash *h, const char *type);
void digest_part_add(struct digest_hash *h, const char *data, size_t len);
void digest_part_end(struct digest_hash *h);

/* 0 and *out, or -1 with an ERR_FATAL/ERR_LOCAL error (OpenSSL failed). Call it once. */
int digest_final(struct digest_hash *h, struct digest *out, struct err *e);

/* NULL is fine. */
void digest_free(struct digest_hash *h);

#endif
