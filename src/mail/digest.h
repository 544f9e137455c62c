/*
 * digest.h - the identity of a content, the same in every copy of a message however it was
 * transported. docs/digest.md has the exact rule and the test vectors. This file implements its
 * framing and normalisation; mime.c feeds it.
 */
#ifndef LS_DIGEST_H
#define LS_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum {
	DIGEST_SIZE = 32,    /* bytes: SHA-256 */
	DIGEST_HEX = 64 + 1, /* with the terminator */
	DIGEST_VERSION = 2,  /* the first byte of the hashed data */
};

struct digest {
	unsigned char bytes[DIGEST_SIZE];
};

/* Lower-case hexadecimal, always terminated. */
void digest_hex(const struct digest *d, char out[DIGEST_HEX]);

bool digest_equal(const struct digest *a, const struct digest *b);

/* Parse a complete hexadecimal digest, in either case; false if it is not one. */
bool digest_parse(const char *hex, struct digest *out);

/* A digest being computed. Its memory is constant: data is hashed and not kept. */
struct digest_hash;

/* Owned by the caller (digest_free); NULL if there is no memory. */
struct digest_hash *digest_new(void);

/*
 * The calls below are made in the order of the message. They return nothing; digest_final
 * returns whether any of them failed.
 */

/* Add one item: its tag, and data unchanged. */
void digest_item(struct digest_hash *h, char tag, const char *data, size_t len);

/* How data is normalised before it is hashed (docs/digest.md). */
enum digest_mode {
	DIGEST_EXACT, /* not at all */
	DIGEST_LINES, /* line ends become LF, those at the end are dropped */
	DIGEST_TEXT,  /* the same, and blanks and mbox quoting are normalised */
};

/* Add an item whose data is the SHA-256 of bytes that are added in pieces of any size. */
void digest_data_begin(struct digest_hash *h, enum digest_mode mode);
void digest_data_add(struct digest_hash *h, const char *data, size_t len);
void digest_data_end(struct digest_hash *h, char tag);

/* Returns 0 and *out, or -1 with ERR_FATAL/ERR_LOCAL (OpenSSL failed). Call it once. */
int digest_final(struct digest_hash *h, struct digest *out, struct err *e);

/* NULL is allowed. */
void digest_free(struct digest_hash *h);

#endif
