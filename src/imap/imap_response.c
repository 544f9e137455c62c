#include "imap/imap_response.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "imap/sequence.h"

enum { KEPT_BYTES = 64 * 1024 }; /* a longer response gives its memory back */

void imap_response_init(struct imap_response *r)
{
	*r = (struct imap_response){.body_max = 0};
	imap_parse_init(&r->parser);
	buf_init(&r->text, IMAP_TEXT_MAX);
}

void imap_response_free(struct imap_response *r)
{
	imap_parse_free(&r->parser);
	buf_free(&r->text);
	buf_free(&r->body);
	free(r->item);
	r->item = NULL;
	r->n = r->size = 0;
}

void imap_response_clear(struct imap_response *r)
{
	if (r->size * sizeof *r->item > KEPT_BYTES) {
		free(r->item);
		r->item = NULL;
		r->size = 0;
	}
	if (r->text.size > KEPT_BYTES)
		buf_free(&r->text);
	if (r->parser.text.size > KEPT_BYTES)
		buf_free(&r->parser.text);
	buf_clear(&r->text);
	buf_free(&r->body);
	r->n = r->at = 0;
	r->bytes = 0;
	r->large = r->has_body = false;
}

static int bad(struct imap_response *r, const char *why)
{
	r->why = why;
	return -1;
}

static int add_item(struct imap_response *r, enum imap_token kind, uint32_t len)
{
	if (r->n > IMAP_TOKENS_MAX)
		return bad(r, "a response of too many words");
	if (r->n == r->size) {
		size_t size = r->size ? r->size * 2 : 64;
		struct imap_item *p = realloc(r->item, size * sizeof *p);

		if (p == NULL)
			return bad(r, NULL);
		r->item = p;
		r->size = size;
	}
	r->item[r->n++] = (struct imap_item){kind, (uint32_t)r->text.len, len};
	return 0;
}

/* Whether there is room for len bytes of text and their NUL. */
static int reserve_text(struct imap_response *r, size_t len)
{
	if (len + 1 > r->text.cap - r->text.len)
		return bad(r, "a response that is too long");
	return buf_reserve(&r->text, len + 1) == -1 ? bad(r, NULL) : 0;
}

static int add_text(struct imap_response *r, enum imap_token kind)
{
	const struct buf *t = &r->parser.text;

	if (add_item(r, kind, (uint32_t)t->len) == -1 || reserve_text(r, t->len) == -1)
		return -1;
	(void)buf_add(&r->text, t->len ? t->data : "",
		      t->len + 1); /* reserved, as is the NUL */
	return 0;
}

static bool item_is(const struct imap_response *r, size_t i, const char *word)
{
	return i < r->n && imap_response_is(r, &r->item[i], word);
}

static bool is_fetch(const struct imap_response *r)
{
	return item_is(r, 0, "*") && item_is(r, 2, "FETCH");
}

/* Items of "* 1 FETCH (BODY[]": a literal that follows is a message. */
static bool expects_body(const struct imap_response *r)
{
	return r->parser.depth == 1 && r->n > 4 && item_is(r, r->n - 1, "BODY[]") &&
	       is_fetch(r);
}

/* What the words so far mean for the tokenizer. */
static void steer(struct imap_response *r)
{
	struct imap_parser *p = &r->parser;

	/* A little too large is read away, for RFC822.SIZE is inexact on some servers. */
	p->literal_max = expects_body(r) ? (uint64_t)r->body_max * 2 + IMAP_SMALL_LITERAL
					 : IMAP_SMALL_LITERAL;
	if (r->n == 1 && item_is(r, 0, "+"))
		imap_parse_text(p);
	if (r->n != 2 || r->item[0].kind != IMAP_ATOM || r->item[1].kind != IMAP_ATOM)
		return;
	if (!item_is(r, 0, "*") || imap_response_is_status(r, &r->item[1]))
		imap_parse_text(p); /* of a command's end, or of an untagged status */
	if (item_is(r, 1, "SEARCH"))
		p->line_max = p->tokens_max = IMAP_SEARCH_MAX;
}

static int begin_body(struct imap_response *r)
{
	uint64_t len = r->parser.literal;

	if (r->has_body)
		return bad(r, "two bodies of one message");
	r->has_body = true;
	r->large = len > r->body_max;
	r->literal = r->large ? NULL : &r->body;
	if (add_item(r, IMAP_DATA, 0) == -1)
		return -1;
	if (r->large)
		return 0;
	/* All of it at once: a body that grows piece by piece is copied again and again. */
	buf_init(&r->body, (size_t)len);
	return buf_reserve(&r->body, (size_t)len) == -1 ? bad(r, NULL) : 0;
}

static int begin_literal(struct imap_response *r)
{
	size_t len = (size_t)r->parser.literal;

	r->left = r->parser.literal;
	if (expects_body(r))
		return begin_body(r);
	r->literal = &r->text;
	if (add_item(r, IMAP_LITERAL, (uint32_t)len) == -1 || reserve_text(r, len) == -1)
		return -1;
	return len == 0 ? buf_add(&r->text, "", 1) : 0;
}

static void add_data(struct imap_response *r)
{
	if (r->literal)
		(void)buf_add(r->literal, r->parser.data, r->parser.data_len); /* reserved */
	r->left -= r->parser.data_len;
	if (r->left == 0 && r->literal == &r->text)
		(void)buf_add(&r->text, "", 1);
}

/* An atom behind "* SEARCH". */
static int add_found(struct imap_response *r)
{
	const struct buf *t = &r->parser.text;
	struct err e;

	if (r->found == NULL || sequence_read(r->found, t->data, t->len, &e) == 0)
		return 0;
	if (e.kind == ERR_PROTOCOL)
		return bad(r, "a SEARCH answer that is no set of UIDs");
	return bad(r, r->found->n > RANGES_MAX / 2
			  ? "a SEARCH answer with more gaps than any mailbox has"
			  : NULL);
}

static int add_token(struct imap_response *r, enum imap_token t)
{
	int rc;

	switch (t) {
	case IMAP_BAD:
		return bad(r, r->parser.why);
	case IMAP_DATA:
		add_data(r);
		return 0;
	case IMAP_LITERAL:
		rc = begin_literal(r);
		break;
	case IMAP_ATOM:
		if (r->n == 2 && item_is(r, 1, "SEARCH") && item_is(r, 0, "*"))
			return add_found(r);
		/* fall through */
	case IMAP_QUOTED:
	case IMAP_TEXT:
		rc = add_text(r, t);
		break;
	default:
		rc = add_item(r, t, 0);
	}
	if (rc == 0)
		steer(r);
	return rc;
}

int imap_response_feed(struct imap_response *r, const char *in, size_t len, size_t *used)
{
	*used = 0;
	while (*used < len) {
		size_t n;
		enum imap_token t = imap_parse(&r->parser, in + *used, len - *used, &n);

		*used += n;
		r->bytes += n;
		if (t == IMAP_MORE)
			return 0;
		if (add_token(r, t) == -1)
			return -1;
		if (t == IMAP_EOL)
			return 1;
	}
	return 0;
}

const struct imap_item *imap_response_next(struct imap_response *r)
{
	const struct imap_item *i = &r->item[r->at];

	if (i->kind != IMAP_EOL)
		r->at++;
	return i;
}

static bool has_text(const struct imap_item *i)
{
	return i->kind == IMAP_ATOM || i->kind == IMAP_QUOTED || i->kind == IMAP_LITERAL ||
	       i->kind == IMAP_TEXT;
}

const char *imap_response_text(const struct imap_response *r, const struct imap_item *i)
{
	return has_text(i) ? r->text.data + i->text : "";
}

bool imap_response_is(const struct imap_response *r, const struct imap_item *i,
		      const char *word)
{
	return i->kind == IMAP_ATOM &&
	       text_equal_nocase(imap_response_text(r, i), i->len, word);
}

bool imap_response_is_status(const struct imap_response *r, const struct imap_item *i)
{
	static const char *const status[] = {"OK", "NO", "BAD", "PREAUTH", "BYE"};

	for (size_t k = 0; k < sizeof status / sizeof *status; k++)
		if (imap_response_is(r, i, status[k]))
			return true;
	return false;
}

bool imap_response_number(const struct imap_response *r, const struct imap_item *i,
			  uint64_t max, uint64_t *out)
{
	return i->kind == IMAP_ATOM && text_number(imap_response_text(r, i), i->len, max, out);
}

uint32_t imap_response_uid(const struct imap_response *r)
{
	int depth = 0;
	uint64_t uid = 0;

	for (size_t i = 3; is_fetch(r) && i + 1 < r->n && uid == 0; i++) {
		depth += r->item[i].kind == IMAP_OPEN;
		depth -= r->item[i].kind == IMAP_CLOSE;
		if (depth == 1 && item_is(r, i, "UID"))
			(void)imap_response_number(r, &r->item[i + 1], UINT32_MAX, &uid);
	}
	return (uint32_t)uid;
}
