/*
 * imap_response.h - one response of the server, collected from pieces of whatever size: its
 * tokens, to be walked once it is complete. Pure, like the tokenizer: the input may end
 * anywhere.
 *
 * What one response can cost: IMAP_TOKENS_MAX items of 12 bytes, IMAP_TEXT_MAX bytes of text,
 * and one message body. The numbers of a SEARCH response, which may be a million, are added to
 * a set of ranges as they come (RANGES_MAX of 8 bytes) and are not among the items.
 */
#ifndef LS_IMAP_RESPONSE_H
#define LS_IMAP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ranges.h"
#include "imap/imap_parse.h"

enum {
	IMAP_TEXT_MAX = 2 * IMAP_LINE_MAX,    /* of all tokens, with a NUL behind each */
	IMAP_SEARCH_MAX = 16 * IMAP_LINE_MAX, /* bytes of a SEARCH response: 1.5 million UIDs */
};

/*
 * One token: ATOM, QUOTED, LITERAL, TEXT (all with text), OPEN, CLOSE; DATA is the literal of
 * BODY[], which is in body; EOL is the last.
 */
struct imap_item {
	enum imap_token kind;
	uint32_t text, len; /* where its text begins in the text of the response */
};

struct imap_response {
	/* Set by the caller, any time. */
	uint32_t body_max;    /* a longer body is dropped as it comes */
	struct ranges *found; /* borrowed; has SEARCH's numbers appended; NULL: dropped */

	/* The response so far. */
	struct imap_item *item; /* owned */
	size_t n, size;
	struct buf text;
	struct buf body; /* may be taken by the caller, who leaves an empty one */
	bool large;	 /* the body was dropped */
	uint64_t bytes;	 /* of the response, literals included */
	size_t at;	 /* the item that imap_response_next gives next */
	const char *why; /* static text: what was wrong; NULL: no memory */

	/* private */
	struct imap_parser parser;
	struct buf *literal; /* where the literal in progress goes; NULL: dropped */
	uint64_t left;	     /* bytes of it that are to come */
	bool has_body;
};

void imap_response_init(struct imap_response *r);
void imap_response_free(struct imap_response *r);

/*
 * Read on in in[0..len); *used is set to the bytes consumed. Returns 1 where a response is
 * complete (imap_response_clear comes next), 0 where all input is used and more is needed, -1
 * for good, with why.
 */
int imap_response_feed(struct imap_response *r, const char *in, size_t len, size_t *used);

/* Forget the response, to read the next one. */
void imap_response_clear(struct imap_response *r);

/* The next item; at the end EOL, again and again. */
const struct imap_item *imap_response_next(struct imap_response *r);

/* The text of an item, NUL-terminated; "" where it has none. */
const char *imap_response_text(const struct imap_response *r, const struct imap_item *i);

/* It is an atom, this word, whatever its case. */
bool imap_response_is(const struct imap_response *r, const struct imap_item *i,
		      const char *word);

/* It is the name of a status response (RFC 3501, 7.1), behind which is text for people. */
bool imap_response_is_status(const struct imap_response *r, const struct imap_item *i);

/* It is an atom, a number up to max; false where it is none. */
bool imap_response_number(const struct imap_response *r, const struct imap_item *i,
			  uint64_t max, uint64_t *out);

/* The message that a FETCH response, complete or not, is about, by its UID; 0: unknown. */
uint32_t imap_response_uid(const struct imap_response *r);

#endif
