/*
 * content.h - the fields in which an entity describes its content (Content-Type,
 * -Transfer-Encoding and -Disposition), and whether every parser would read them in the same
 * way. docs/digest.md has the rule; such content is called regular.
 */
#ifndef LS_CONTENT_H
#define LS_CONTENT_H

#include <stdbool.h>
#include <stddef.h>

#include "mail/digest.h"
#include "mail/part.h"

enum {
	CONTENT_MAX_TOKEN = 127,       /* bytes of a type or a subtype (RFC 6838, 4.2) */
	CONTENT_MAX_FIELD = 16 * 1024, /* bytes of a value that can be regular */
	CONTENT_MAX_PARAMS = 64,       /* parameters of a value that can be regular */
};

enum content_encoding {
	ENCODING_NONE, /* no field names one */
	ENCODING_7BIT,
	ENCODING_8BIT, /* or binary */
	ENCODING_QP,
	ENCODING_BASE64,
};

/* All strings are owned (content_free) and NULL if there is no such value. */
struct content {
	char *type;	   /* canonical: "text/plain;charset=utf-8" */
	char *boundary;	   /* of a multipart; not part of type */
	char *disposition; /* canonical: "attachment;filename=a.pdf" */
	int charsets;	   /* how many are named */
	bool plain;	   /* none, or one with the blanks and line ends of ASCII */
	enum content_encoding encoding;
};

/* Bytes of the token at s (RFC 2045, 5.1). */
size_t content_token(const char *s);

/* Is it the name of one of the three fields? */
bool content_is_field(struct span name);

/* Read a regular header (part_header). false if the three fields are not regular. */
bool content_read(struct span header, struct content *out);
void content_free(struct content *c);

/* Does its type begin with prefix ("multipart/")? */
bool content_begins(const struct content *c, const char *prefix);

/* Is it an attached message, to be read like any message? RFC 2046 forbids encoding them. */
bool content_is_message(const struct content *c);

/* Must it be decoded? */
bool content_is_encoded(const struct content *c);

/* Is a leaf's body valid in its encoding, and not mistakable for another encoding? */
bool content_body_is_regular(const struct content *c, struct span body);

/* How a leaf's decoded bytes are hashed. */
enum digest_mode content_mode(const struct content *c);

/* Is it base64 with nothing else but line ends, padded at its end, and nothing after that? */
bool content_is_base64(struct span s);

#endif
