/*
 * What the server says: one response at a time, from its tokens. Nothing is believed of its
 * order, its lengths, or whether somebody asked for it.
 */
#include "imap_priv.h"

#include <string.h>
#include <time.h>

#include "clock.h"
#include "log.h"
#include "text.h"

enum {
	LITERAL_EXPECT = 256 * 1024,
	PATIENCE = 10,		/* timeouts that may pass before a command has its end */
	UNTAGGED_MAX = 1 << 20, /* responses before that end */
};

struct word {
	const char *name;
	unsigned bit;
};

static const struct word capability_words[] = {
    {"UIDPLUS", IMAP_CAP_UIDPLUS},
    {"MOVE", IMAP_CAP_MOVE},
    {"ESEARCH", IMAP_CAP_ESEARCH},
    {"CONDSTORE", IMAP_CAP_CONDSTORE},
    {"QRESYNC", IMAP_CAP_CONDSTORE},
    {"SPECIAL-USE", IMAP_CAP_SPECIAL_USE},
    {"IMAP4REV2", IMAP_CAP_UIDPLUS | IMAP_CAP_MOVE | IMAP_CAP_ESEARCH | IMAP_CAP_SPECIAL_USE},
    {NULL, 0},
};

static const struct word flag_words[] = {
    {"\\Seen", IMAP_SEEN},
    {"\\Flagged", IMAP_FLAGGED},
    {"\\Deleted", IMAP_DELETED},
    {"$LearnedSpam", IMAP_LEARNED_SPAM},
    {"$LearnedHam", IMAP_LEARNED_HAM},
    {"$LearnSkipped", IMAP_LEARN_SKIPPED},
    {NULL, 0},
};

static unsigned word_bit(const struct word *w, const char *s, size_t len)
{
	for (; w->name; w++)
		if (text_equal_nocase(s, len, w->name))
			return w->bit;
	return 0;
}

void imap_message_free(struct imap_message *m)
{
	buf_free(&m->body);
}

static int protocol_error(struct imap *s, const char *why, struct err *e)
{
	s->broken = true;
	return err_set(e, ERR_SERVER, ERR_PROTOCOL, "account %s: %s sent %s", s->account->name,
		       s->account->url, why);
}

/* The next token; waits for input. -1 with an ERR_SERVER error in place of MORE and BAD. */
static int next_token(struct imap *s, struct err *e)
{
	for (;;) {
		enum imap_token t;
		const char *data;
		size_t len, used;

		if (imap_conn_read(s->conn, &data, &len, e) == -1) {
			s->broken = true;
			return -1;
		}
		t = imap_parse(&s->parser, data, len, &used);
		imap_conn_consume(s->conn, used);
		if (t == IMAP_BAD)
			return protocol_error(s, s->parser.why, e);
		if (t != IMAP_MORE)
			return (int)t;
	}
}

/* The rest of the response, whatever it holds. */
static int skip_line(struct imap *s, struct err *e)
{
	int t;

	do {
		t = next_token(s, e);
	} while (t != -1 && t != IMAP_EOL);
	return t == -1 ? -1 : 0;
}

static int expect(struct imap *s, enum imap_token want, const char *why, struct err *e)
{
	int t = next_token(s, e);

	if (t == -1)
		return -1;
	return t == (int)want ? 0 : protocol_error(s, why, e);
}

/* The rest of the line as text in s->parser.text, and its end. */
static int read_text(struct imap *s, struct err *e)
{
	imap_parse_text(&s->parser);
	return expect(s, IMAP_TEXT, "a response without text", e);
}

/*
 * The literal that was announced, into b (NULL: thrown away). A literal that is to be kept has
 * passed its cap already. Every LITERAL_EXPECT bytes the server's clock starts anew.
 */
static int read_literal(struct imap *s, struct buf *b, struct err *e)
{
	uint64_t left = s->parser.literal, waited = 0;

	if (b && buf_reserve(b, (size_t)left) == -1)
		return err_set(e, ERR_FATAL, ERR_LOCAL,
			       "out of memory for a message of %llu bytes",
			       (unsigned long long)left);
	while (left > 0) {
		if (next_token(s, e) == -1)
			return -1;
		if (b)
			(void)buf_add(b, s->parser.data,
				      s->parser.data_len); /* reserved above */
		left -= s->parser.data_len;
		waited += s->parser.data_len;
		if (waited >= LITERAL_EXPECT) {
			imap_conn_expect(s->conn);
			waited = 0;
		}
	}
	return 0;
}

/* What t began: nothing more for a word, everything to its end for a list or a literal. */
static int skip_value(struct imap *s, int t, struct err *e)
{
	int depth = 0;

	for (;;) {
		if (t == IMAP_OPEN)
			depth++;
		else if (t == IMAP_CLOSE)
			depth--;
		else if (t == IMAP_LITERAL && read_literal(s, NULL, e) == -1)
			return -1;
		else if (t == IMAP_EOL)
			return protocol_error(s, "a list that does not end", e);
		if (depth <= 0)
			return 0;
		t = next_token(s, e);
		if (t == -1)
			return -1;
	}
}

static int month_of(const char *s)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int m = 0; m < 12; m++)
		if (memcmp(s, names + m * 3, 3) == 0)
			return m;
	return -1;
}

static int two_digits(const char *s)
{
	unsigned a = (unsigned)((s[0] == ' ' ? '0' : s[0]) - '0'), b = (unsigned)(s[1] - '0');

	return a > 9 || b > 9 ? -1 : (int)(a * 10 + b);
}

/* "17-Jul-1996 02:44:25 -0700" to seconds since 1970; false where it is none. */
static bool parse_internaldate(const char *s, size_t len, int64_t *out)
{
	struct tm tm = {0};
	uint64_t year;
	int zone_h, zone_m;

	if (len != 26 || s[2] != '-' || s[6] != '-' || s[11] != ' ' || s[20] != ' ')
		return false;
	tm.tm_mday = two_digits(s);
	tm.tm_mon = month_of(s + 3);
	tm.tm_hour = two_digits(s + 12);
	tm.tm_min = two_digits(s + 15);
	tm.tm_sec = two_digits(s + 18);
	zone_h = two_digits(s + 22);
	zone_m = two_digits(s + 24);
	if (!text_number(s + 7, 4, 9999, &year) || tm.tm_mday < 1 || tm.tm_mon < 0 ||
	    tm.tm_hour < 0 || tm.tm_min < 0 || tm.tm_sec < 0 || zone_h < 0 || zone_m < 0)
		return false;
	tm.tm_year = (int)year - 1900;
	*out = (int64_t)timegm(&tm) - (s[21] == '-' ? -1 : 1) * (zone_h * 3600 + zone_m * 60);
	return true;
}

/* Flags in parentheses, as enum imap_flag. */
static int read_flags(struct imap *s, unsigned *flags, struct err *e)
{
	int t;

	*flags = 0;
	if (expect(s, IMAP_OPEN, "flags that are no list", e) == -1)
		return -1;
	while ((t = next_token(s, e)) == IMAP_ATOM)
		*flags |= word_bit(flag_words, s->parser.text.data, s->parser.text.len);
	if (t == -1)
		return -1;
	return t == IMAP_CLOSE ? 0 : protocol_error(s, "flags that are no words", e);
}

static int read_number(struct imap *s, uint64_t max, uint64_t *out, struct err *e)
{
	int t = next_token(s, e);

	if (t == -1)
		return -1;
	if (t != IMAP_ATOM || !imap_parse_number(&s->parser, max, out))
		return protocol_error(s, "a word where a number belongs", e);
	return 0;
}

/* BODY[]: a literal as a rule; a quoted string and NIL are legal. */
static int read_body(struct imap *s, uint32_t max, struct imap_message *m, struct err *e)
{
	int t;

	/* A little too large is read away, for RFC822.SIZE is inexact on some servers. */
	s->parser.literal_max = (uint64_t)max * 2 + IMAP_SMALL_LITERAL;
	t = next_token(s, e);
	s->parser.literal_max = IMAP_SMALL_LITERAL;
	buf_free(&m->body); /* a server may say it twice */
	if (t == IMAP_QUOTED) {
		m->has |= IMAP_HAS_BODY;
		buf_init(&m->body, s->parser.text.len);
		if (buf_add(&m->body, s->parser.text.data, s->parser.text.len) == 0)
			return 0;
		return err_set(e, ERR_FATAL, ERR_LOCAL, "out of memory");
	}
	if (t == IMAP_ATOM)
		m->has |= IMAP_HAS_NIL;
	if (t != IMAP_LITERAL)
		return t == -1 ? -1 : skip_value(s, t, e);
	if (s->parser.literal > max) {
		m->has |= IMAP_HAS_LARGE;
		return read_literal(s, NULL, e);
	}
	m->has |= IMAP_HAS_BODY;
	buf_init(&m->body, max);
	return read_literal(s, &m->body, e);
}

/* One attribute of a FETCH response and its value; its name is the current token. */
static int read_attribute(struct imap *s, uint32_t body_max, struct imap_message *m,
			  struct err *e)
{
	uint64_t n = 0;
	int t;

	if (imap_parse_is(&s->parser, "UID")) {
		if (read_number(s, UINT32_MAX, &n, e) == -1)
			return -1;
		m->uid = (uint32_t)n;
		m->has |= IMAP_HAS_UID;
		return 0;
	}
	if (imap_parse_is(&s->parser, "RFC822.SIZE")) {
		if (read_number(s, UINT64_MAX, &n, e) == -1)
			return -1;
		m->size = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
		m->has |= IMAP_HAS_SIZE;
		return 0;
	}
	if (imap_parse_is(&s->parser, "FLAGS")) {
		m->has |= IMAP_HAS_FLAGS;
		return read_flags(s, &m->flags, e);
	}
	if (imap_parse_is(&s->parser, "BODY[]"))
		return read_body(s, body_max, m, e);
	if (imap_parse_is(&s->parser, "INTERNALDATE")) {
		if ((t = next_token(s, e)) == -1)
			return -1;
		if (t == IMAP_QUOTED &&
		    parse_internaldate(s->parser.text.data, s->parser.text.len, &m->date))
			m->has |= IMAP_HAS_DATE;
		return t == IMAP_QUOTED ? 0 : skip_value(s, t, e);
	}
	t = next_token(s, e);
	return t == -1 ? -1 : skip_value(s, t, e);
}

static int read_fetch(struct imap *s, uint32_t body_max, struct imap_message *m, struct err *e)
{
	int t;

	imap_message_free(m);
	*m = (struct imap_message){0};
	if (expect(s, IMAP_OPEN, "a FETCH response without its list", e) == -1)
		return -1;
	while ((t = next_token(s, e)) == IMAP_ATOM)
		if (read_attribute(s, body_max, m, e) == -1)
			return -1;
	if (t == -1)
		return -1;
	if (t != IMAP_CLOSE)
		return protocol_error(s, "a FETCH response that is no list of names and values",
				      e);
	return skip_line(s, e);
}

static int read_capability(struct imap *s, struct err *e)
{
	int t;

	s->caps = 0;
	while ((t = next_token(s, e)) == IMAP_ATOM)
		s->caps |= word_bit(capability_words, s->parser.text.data, s->parser.text.len);
	return t == -1 ? -1 : t == IMAP_EOL ? 0 : skip_line(s, e);
}

static int add_found(struct imap *s, struct err *e)
{
	const struct buf *b = &s->parser.text;

	if (s->found == NULL || uidset_add_text(s->found, b->data, b->len) == 0)
		return 0;
	return protocol_error(s, "a SEARCH answer that is no set of UIDs", e);
}

/* * SEARCH 2 3 5 (MODSEQ 917) */
static int read_search(struct imap *s, struct err *e)
{
	int t;

	while ((t = next_token(s, e)) == IMAP_ATOM)
		if (add_found(s, e) == -1)
			return -1;
	return t == -1 ? -1 : t == IMAP_EOL ? 0 : skip_line(s, e);
}

/* * ESEARCH (TAG "L7") UID ALL 1:5,9 (RFC 4731) */
static int read_esearch(struct imap *s, struct err *e)
{
	int t = next_token(s, e);

	while (t != -1 && t != IMAP_EOL) {
		bool all = t == IMAP_ATOM && imap_parse_is(&s->parser, "ALL");

		if (skip_value(s, t, e) == -1)
			return -1;
		t = next_token(s, e);
		if (all && t == IMAP_ATOM && add_found(s, e) == -1)
			return -1;
	}
	return t == -1 ? -1 : 0;
}

/* The first mailbox that has the special use is the one. */
static void take_name(struct imap *s, const struct buf *name)
{
	if (name->len > 0 && name->len < s->special_size && s->special_name[0] == '\0' &&
	    memchr(name->data, '\0', name->len) == NULL)
		memcpy(s->special_name, name->data, name->len + 1);
}

/* * LIST (\HasNoChildren \Junk) "/" "Junk Mail" */
static int read_list(struct imap *s, struct err *e)
{
	bool match = false;
	int t;

	if (expect(s, IMAP_OPEN, "a LIST response without attributes", e) == -1)
		return -1;
	while ((t = next_token(s, e)) == IMAP_ATOM)
		match |= s->special_use && imap_parse_is(&s->parser, s->special_use);
	if (t != IMAP_CLOSE || (t = next_token(s, e)) == -1) /* the hierarchy separator */
		return t == -1 ? -1 : protocol_error(s, "LIST attributes that are no list", e);
	t = next_token(s, e);
	if (t == IMAP_LITERAL) {
		struct buf name;
		int rc;

		buf_init(&name, IMAP_SMALL_LITERAL);
		rc = read_literal(s, &name, e);
		if (rc == 0 && match)
			take_name(s, &name);
		buf_free(&name);
		if (rc == -1)
			return -1;
	} else if ((t == IMAP_ATOM || t == IMAP_QUOTED) && match) {
		take_name(s, &s->parser.text);
	}
	return t == -1 ? -1 : t == IMAP_EOL ? 0 : skip_line(s, e);
}

/* "[NAME number]" in the text of a response: the number, or 0. */
static uint64_t code_number(const char *text, const char *name)
{
	const char *p = text[0] == '[' ? text + 1 : "";
	size_t n = strlen(name);
	uint64_t v = 0;

	if (strncasecmp(p, name, n) != 0 || p[n] != ' ')
		return 0;
	p += n + 1;
	return text_number(p, strspn(p, "0123456789"), UINT64_MAX, &v) ? v : 0;
}

/* "[PERMANENTFLAGS (\Seen $LearnedSpam \*)]": which of our keywords can be set. */
static unsigned code_keywords(const char *text)
{
	unsigned keywords = 0;
	const char *p = strchr(text, '(');

	while (p && *p && *p != ')') {
		size_t n;

		p += strspn(p, "( ");
		n = strcspn(p, " )]");
		if (n == 2 && memcmp(p, "\\*", 2) == 0)
			return IMAP_KEYWORDS;
		keywords |= word_bit(flag_words, p, n);
		p += n;
	}
	return keywords & IMAP_KEYWORDS;
}

/* The response code of an untagged OK, or of the tagged one of SELECT. */
static int note_code(struct imap *s, const char *text, struct err *e)
{
	struct imap_mailbox *m = &s->mailbox;
	uint64_t n;

	if (text == NULL || text[0] != '[')
		return 0;
	if ((n = code_number(text, "UIDVALIDITY")) && n <= UINT32_MAX) {
		/* What the UIDs in flight mean is unknown from here on. */
		if (m->uidvalidity != 0 && m->uidvalidity != n)
			return protocol_error(
			    s, "another UIDVALIDITY in the middle of a session", e);
		m->uidvalidity = (uint32_t)n;
	}
	if ((n = code_number(text, "UIDNEXT")) && n <= UINT32_MAX)
		m->uidnext = (uint32_t)n;
	else if ((n = code_number(text, "HIGHESTMODSEQ")))
		m->modseq = n;
	else if (strncasecmp(text, "[PERMANENTFLAGS", 15) == 0)
		m->keywords = code_keywords(text);
	else if (strncasecmp(text, "[READ-ONLY]", 11) == 0)
		m->read_only = true;
	else if (strncasecmp(text, "[READ-WRITE]", 12) == 0)
		m->read_only = false;
	return 0;
}

/* OK, NO, BAD, PREAUTH, BYE without a tag. */
static int read_status(struct imap *s, bool bye, struct err *e)
{
	if (read_text(s, e) == -1)
		return -1;
	if (bye) {
		s->broken = true;
		return err_set(
		    e, ERR_SERVER, ERR_TEMPORARY, "account %s: %s ended the session: %s",
		    s->account->name, s->account->url,
		    s->parser.text.len > 0 ? s->parser.text.data : "no reason given");
	}
	if (note_code(s, s->parser.text.data, e) == -1)
		return -1;
	return skip_line(s, e);
}

/* * 23 EXISTS, * 5 FETCH (...). The number is the current token. Sets *fetched. */
static int read_numbered(struct imap *s, uint32_t body_max, struct imap_message *m,
			 bool *fetched, struct err *e)
{
	uint64_t n;

	if (!imap_parse_number(&s->parser, UINT32_MAX, &n))
		return skip_line(s, e); /* an extension's response */
	if (expect(s, IMAP_ATOM, "a number without its response", e) == -1)
		return -1;
	if (imap_parse_is(&s->parser, "FETCH")) {
		*fetched = true;
		return read_fetch(s, body_max, m, e);
	}
	if (imap_parse_is(&s->parser, "EXISTS"))
		s->mailbox.exists = (uint32_t)n;
	else if (imap_parse_is(&s->parser, "EXPUNGE") && s->mailbox.exists > 0)
		s->mailbox.exists--;
	return skip_line(s, e);
}

static int read_untagged(struct imap *s, uint32_t body_max, struct imap_message *m,
			 bool *fetched, struct err *e)
{
	static const char *const status[] = {"OK", "NO", "BAD", "PREAUTH", "BYE"};

	if (expect(s, IMAP_ATOM, "an untagged response without a name", e) == -1)
		return -1;
	for (size_t i = 0; i < sizeof status / sizeof *status; i++)
		if (imap_parse_is(&s->parser, status[i]))
			return read_status(s, i == 4, e);
	if (imap_parse_is(&s->parser, "CAPABILITY"))
		return read_capability(s, e);
	if (imap_parse_is(&s->parser, "SEARCH"))
		return read_search(s, e);
	if (imap_parse_is(&s->parser, "ESEARCH"))
		return read_esearch(s, e);
	if (imap_parse_is(&s->parser, "LIST"))
		return read_list(s, e);
	return read_numbered(s, body_max, m, fetched, e);
}

/* L12 OK text: the tag is the current token. */
static int read_tagged(struct imap *s, struct imap_event *ev, struct err *e)
{
	const struct buf *t = &s->parser.text;
	uint64_t n = 0;

	if (t->data[0] != 'L' || !text_number(t->data + 1, t->len - 1, s->last, &n) ||
	    s->outstanding == 0)
		return protocol_error(s, "an answer to a command that was not given", e);
	ev->kind = IMAP_EVENT_DONE;
	ev->command = (unsigned)n;
	if (expect(s, IMAP_ATOM, "an answer without a status", e) == -1)
		return -1;
	ev->status = imap_parse_is(&s->parser, "OK")   ? IMAP_OK
		     : imap_parse_is(&s->parser, "NO") ? IMAP_NO
						       : IMAP_BAD_COMMAND;
	if (read_text(s, e) == -1)
		return -1;
	text_visible(ev->text, sizeof ev->text, t->data ? t->data : "", t->len);
	if (ev->status == IMAP_OK && note_code(s, t->data, e) == -1)
		return -1;
	s->outstanding--;
	s->waited = s->untagged = 0;
	log_debug("imap account=%s answer=L%u status=%d text=%s", s->account->name, ev->command,
		  (int)ev->status, ev->text);
	return skip_line(s, e);
}

/*
 * The first token of a response. A server may say that it is still there as often as it likes,
 * but not for ever: nobody else would have a turn.
 */
static int first_token(struct imap *s, struct err *e)
{
	int64_t begun = clock_ms();
	int t;

	if (s->waited > (int64_t)PATIENCE * s->account->timeout * 1000 ||
	    s->untagged++ > UNTAGGED_MAX) {
		s->broken = true;
		return err_set(
		    e, ERR_SERVER, ERR_PROTOCOL,
		    "account %s: %s talks on and does not come to the end of an answer",
		    s->account->name, s->account->url);
	}
	imap_conn_expect(s->conn);
	t = next_token(s, e);
	s->waited += clock_ms() - begun;
	return t;
}

int imap_next(struct imap *s, uint32_t body_max, struct imap_event *ev,
	      struct imap_message *message, struct err *e)
{
	s->body_max = body_max;
	for (;;) {
		bool fetched = false;
		int t = first_token(s, e);

		if (t == -1)
			return -1;
		if (t == IMAP_EOL)
			continue;
		if (t != IMAP_ATOM)
			return protocol_error(s, "a line that is no response", e);
		if (imap_parse_is(&s->parser, "*")) {
			if (read_untagged(s, body_max, message, &fetched, e) == -1)
				return -1;
			if (!fetched)
				continue;
			ev->kind = IMAP_EVENT_FETCH;
			return 0;
		}
		if (imap_parse_is(&s->parser, "+")) {
			if (read_text(s, e) == -1 || skip_line(s, e) == -1)
				return -1;
			continue;
		}
		return read_tagged(s, ev, e);
	}
}
