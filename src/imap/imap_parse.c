#include "imap/imap_parse.h"

#include <string.h>

#include "base/text.h"

enum {
	BETWEEN, /* before a token */
	IN_ATOM,
	IN_QUOTED,
	IN_ESCAPE, /* behind a backslash in a quoted string */
	IN_LENGTH, /* behind the { of a literal */
	LENGTH_CR, /* behind its } */
	LENGTH_LF,
	IN_LITERAL,
	BEHIND_LITERAL,
	IN_TEXT,
	EXPECT_LF, /* behind a CR */
	BROKEN,
};

void imap_parse_init(struct imap_parser *p)
{
	*p = (struct imap_parser){.literal_max = IMAP_SMALL_LITERAL,
				  .line_max = IMAP_LINE_MAX,
				  .tokens_max = IMAP_TOKENS_MAX};
	buf_init(&p->text, IMAP_LINE_MAX);
}

void imap_parse_free(struct imap_parser *p)
{
	buf_free(&p->text);
}

static enum imap_token bad(struct imap_parser *p, const char *why)
{
	p->state = BROKEN;
	p->why = why;
	return IMAP_BAD;
}

static enum imap_token token(struct imap_parser *p, enum imap_token t)
{
	p->state = BETWEEN;
	if (++p->tokens > p->tokens_max)
		return bad(p, "a response of too many words");
	return t;
}

static enum imap_token end_of_line(struct imap_parser *p)
{
	if (p->depth != 0)
		return bad(p, "a line that ends inside a list");
	p->state = BETWEEN;
	p->line = p->tokens = 0;
	p->line_max = IMAP_LINE_MAX;
	p->tokens_max = IMAP_TOKENS_MAX;
	p->want_text = false;
	return IMAP_EOL;
}

static bool is_atom_end(unsigned char c)
{
	return c <= ' ' || c == '(' || c == ')' || c == 0x7F;
}

/* The first byte of a token. Returns IMAP_MORE where the token goes on. */
static enum imap_token begin(struct imap_parser *p, unsigned char c)
{
	buf_clear(&p->text);
	switch (c) {
	case ' ':
		return IMAP_MORE;
	case '\r':
		p->state = EXPECT_LF;
		return IMAP_MORE;
	case '\n':
		return end_of_line(p);
	case '(':
		if (++p->depth > IMAP_DEPTH_MAX)
			return bad(p, "lists nested too deep");
		return token(p, IMAP_OPEN);
	case ')':
		if (--p->depth < 0)
			return bad(p, "a ) without its (");
		return token(p, IMAP_CLOSE);
	case '"':
		p->state = IN_QUOTED;
		return IMAP_MORE;
	case '{':
		p->state = IN_LENGTH;
		p->literal = 0;
		p->digits = false;
		return IMAP_MORE;
	default:
		if (c < ' ' || c == 0x7F)
			return bad(p, "a control character outside a literal");
		p->state = IN_ATOM;
		return buf_add(&p->text, &c, 1) == -1 ? bad(p, "out of memory") : IMAP_MORE;
	}
}

/* One byte of a literal's length, "{123}" CR LF. literal8 of RFC 3516 is the same behind a ~.
 */
static enum imap_token length(struct imap_parser *p, unsigned char c)
{
	switch (p->state) {
	case IN_LENGTH:
		if (c == '}' && p->digits) {
			p->state = LENGTH_CR;
			return IMAP_MORE;
		}
		if (c < '0' || c > '9')
			return bad(p, "a literal without a length");
		p->digits = true;
		if (p->literal > (UINT64_MAX - 9) / 10)
			return bad(p, "a literal longer than any message");
		p->literal = p->literal * 10 + (c - '0');
		return IMAP_MORE;
	case LENGTH_CR:
		if (c == '\r') {
			p->state = LENGTH_LF;
			return IMAP_MORE;
		}
		/* fall through */
	default:
		if (c != '\n')
			return bad(p, "a literal's length that does not end its line");
	}
	if (p->literal > p->literal_max)
		return bad(p, "a literal larger than allowed");
	p->left = p->literal;
	(void)token(p, IMAP_LITERAL);
	if (p->state == BROKEN)
		return IMAP_BAD;
	p->state = p->left > 0 ? IN_LITERAL : BEHIND_LITERAL;
	return IMAP_LITERAL;
}

static enum imap_token quoted(struct imap_parser *p, unsigned char c)
{
	if (p->state == IN_QUOTED && c == '"')
		return token(p, IMAP_QUOTED);
	if (c == '\r' || c == '\n' || c == '\0')
		return bad(p, "a quoted string that does not end");
	if (p->state == IN_QUOTED && c == '\\') {
		p->state = IN_ESCAPE;
		return IMAP_MORE;
	}
	p->state = IN_QUOTED;
	return buf_add(&p->text, &c, 1) == -1 ? bad(p, "out of memory") : IMAP_MORE;
}

/* Is this byte one of a quoted string like any other? */
static bool is_quoted_plain(char c)
{
	return c != '"' && c != '\\' && c != '\r' && c != '\n' && c != '\0';
}

/* How many bytes from the front belong to the atom, the text or the quoted string that we are
 * in. */
static size_t plain_run(const struct imap_parser *p, const char *in, size_t len)
{
	size_t n = 0;

	if (p->state == IN_ATOM)
		while (n < len && !is_atom_end((unsigned char)in[n]) && in[n] != '{')
			n++;
	else if (p->state == IN_QUOTED)
		while (n < len && is_quoted_plain(in[n]))
			n++;
	else
		while (n < len && in[n] != '\r' && in[n] != '\n' && in[n] != '\0')
			n++;
	return n;
}

/* The byte that ends an atom or a text; it is not consumed unless it belongs to the token. */
static enum imap_token end_plain(struct imap_parser *p, unsigned char c, size_t *used)
{
	if (c == '\0')
		return bad(p, "a NUL outside a literal");
	if (p->state == IN_ATOM && c == '{') {
		if (p->text.len != 1 || p->text.data[0] != '~')
			return bad(p, "a { inside a word");
		--*used;
		p->state = BETWEEN;
		return IMAP_MORE;
	}
	--*used;
	return token(p, p->state == IN_ATOM ? IMAP_ATOM : IMAP_TEXT);
}

static enum imap_token step(struct imap_parser *p, unsigned char c, size_t *used)
{
	switch (p->state) {
	case BEHIND_LITERAL:
		/* Anything else is a piece of the literal, or what stood behind it. */
		if (c != ' ' && c != ')' && (p->depth > 0 || (c != '\r' && c != '\n')))
			return bad(p, "a literal that does not have the length it announced");
		p->state = BETWEEN;
		/* fall through */
	case BETWEEN:
		if (p->want_text) {
			p->want_text = false;
			p->state = IN_TEXT;
			buf_clear(&p->text);
			if (c != ' ')
				--*used;
			return IMAP_MORE;
		}
		return begin(p, c);
	case IN_QUOTED:
	case IN_ESCAPE:
		return quoted(p, c);
	case IN_LENGTH:
	case LENGTH_CR:
	case LENGTH_LF:
		return length(p, c);
	case EXPECT_LF:
		return c == '\n' ? end_of_line(p) : bad(p, "a CR without its LF");
	default:
		return end_plain(p, c, used);
	}
}

static enum imap_token literal_piece(struct imap_parser *p, const char *in, size_t len,
				     size_t *used)
{
	size_t n = len < p->left ? len : (size_t)p->left;

	*used += n;
	p->data = in;
	p->data_len = n;
	p->left -= n;
	if (p->left == 0)
		p->state = BEHIND_LITERAL;
	return IMAP_DATA;
}

enum imap_token imap_parse(struct imap_parser *p, const char *in, size_t len, size_t *used)
{
	*used = 0;
	while (*used < len && p->state != BROKEN) {
		enum imap_token t;
		size_t before = *used;

		if (p->state == IN_LITERAL)
			return literal_piece(p, in + *used, len - *used, used);
		if (p->state == IN_ATOM || p->state == IN_TEXT || p->state == IN_QUOTED) {
			size_t n = plain_run(p, in + *used, len - *used);

			if (buf_add(&p->text, in + *used, n) == -1)
				return bad(p, "a line that is too long");
			*used += n;
			p->line += n;
			before = *used;
			if (*used == len)
				break;
		}
		t = step(p, (unsigned char)in[(*used)++], used);
		p->line += *used - before;
		if (p->line > p->line_max)
			return bad(p, "a line that is too long");
		if (t != IMAP_MORE)
			return t;
	}
	return p->state == BROKEN ? IMAP_BAD : IMAP_MORE;
}

void imap_parse_text(struct imap_parser *p)
{
	p->want_text = true;
}

bool imap_parse_is(const struct imap_parser *p, const char *word)
{
	return p->text.len > 0 && text_equal_nocase(p->text.data, p->text.len, word);
}

bool imap_parse_number(const struct imap_parser *p, uint64_t max, uint64_t *out)
{
	return p->text.len > 0 && text_number(p->text.data, p->text.len, max, out);
}
