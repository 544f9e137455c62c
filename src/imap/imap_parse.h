/*
 * imap_parse.h - a resumable tokenizer for what an IMAP server says (RFC 3501, section 9).
 * Pure: bytes in, tokens out, no I/O; the input may end anywhere. Every length has a cap,
 * because a server's answer is as hostile as mail.
 */
#ifndef LS_IMAP_PARSE_H
#define LS_IMAP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum {
	IMAP_LINE_MAX =
	    1024 * 1024, /* bytes of one response, literals not counted, and of one token */
	IMAP_TOKENS_MAX = 256 * 1024,	/* tokens of one response */
	IMAP_DEPTH_MAX = 32,		/* parentheses inside each other */
	IMAP_SMALL_LITERAL = 64 * 1024, /* a literal where no message body is expected */
};

enum imap_token {
	IMAP_MORE,    /* the input is used up; call again with more */
	IMAP_ATOM,    /* also numbers, flags, NIL, "*", "+", tags, BODY[]: text in p->text */
	IMAP_QUOTED,  /* text in p->text, without quotes and backslashes */
	IMAP_LITERAL, /* announced: p->literal bytes follow as IMAP_DATA (none if it is 0) */
	IMAP_DATA,    /* a piece of a literal: p->data, p->data_len, inside the input */
	IMAP_OPEN,    /* ( */
	IMAP_CLOSE,   /* ) */
	IMAP_TEXT,    /* the rest of the line, after imap_parse_text(): text in p->text */
	IMAP_EOL,     /* the response ends */
	IMAP_BAD,     /* p->why says what the protocol, or our cap, does not allow; final */
};

struct imap_parser {
	/* Caps, set by the caller at any time: */
	uint64_t literal_max;	     /* of the next literal */
	size_t line_max, tokens_max; /* of this line; the defaults again in the next one */

	struct buf text; /* of the last ATOM, QUOTED or TEXT */
	uint64_t literal;
	const char *data; /* borrowed from the input */
	size_t data_len;
	const char *why; /* static text */

	/* private: where the tokenizer stands */
	int state;
	uint64_t left; /* bytes of the literal that are to come */
	size_t line, tokens;
	int depth;
	bool digits, want_text;
};

void imap_parse_init(struct imap_parser *p);
void imap_parse_free(struct imap_parser *p);

/*
 * Read the next token from in[0..len). *used is set to the bytes consumed, also with IMAP_MORE.
 * The text of the token stays valid until the next call. After IMAP_BAD every call returns
 * IMAP_BAD.
 */
enum imap_token imap_parse(struct imap_parser *p, const char *in, size_t len, size_t *used);

/*
 * Take the rest of this line as one IMAP_TEXT: what follows OK, NO, BAD, BYE, PREAUTH or "+" is
 * human-readable text and need not be well-formed. A leading blank is dropped.
 */
void imap_parse_text(struct imap_parser *p);

/* The text of the last token is this word, whatever its case. */
bool imap_parse_is(const struct imap_parser *p, const char *word);

/* The text of the last token as a number up to max; false where it is none. */
bool imap_parse_number(const struct imap_parser *p, uint64_t max, uint64_t *out);

#endif
