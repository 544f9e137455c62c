/*
 * What the server means: one complete response at a time. Pure: no I/O. Nothing is believed of
 * the order of responses, their lengths, or whether somebody asked for them.
 */
#include "imap/imap_priv.h"

#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/text.h"
#include "imap/sequence.h"
#include "mail/filter_mark.h"

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
    {"LIST-EXTENDED", IMAP_CAP_LIST_EXTENDED},
    {"ACL", IMAP_CAP_ACL},
    {"IDLE", IMAP_CAP_IDLE},
    {"NOTIFY", IMAP_CAP_NOTIFY},
    {"AUTH=PLAIN", IMAP_CAP_AUTH_PLAIN},
    {"AUTH=LOGIN", IMAP_CAP_AUTH_LOGIN},
    {"AUTH=OAUTHBEARER", IMAP_CAP_OAUTHBEARER},
    {"AUTH=XOAUTH2", IMAP_CAP_XOAUTH2},
    {"LOGINDISABLED", IMAP_CAP_LOGINDISABLED},
    {"IMAP4REV2", IMAP_CAP_UIDPLUS | IMAP_CAP_MOVE | IMAP_CAP_ESEARCH | IMAP_CAP_SPECIAL_USE |
		      IMAP_CAP_LIST_EXTENDED | IMAP_CAP_IDLE},
    {NULL, 0},
};

static const struct word flag_words[] = {
    {"\\Seen", IMAP_SEEN},
    {"\\Flagged", IMAP_FLAGGED},
    {"\\Deleted", IMAP_DELETED},
    {"$LearnedSpam", IMAP_LEARNED_SPAM},
    {"$LearnedHam", IMAP_LEARNED_HAM},
    {"$LearnSkipped", IMAP_LEARN_SKIPPED},
    {"$NotJunk", IMAP_NOT_JUNK},
    {"NotJunk", IMAP_NOT_JUNK},
    {"NonJunk", IMAP_NOT_JUNK},
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

int imap_broken(struct imap *s, struct err *e)
{
	uint32_t uid = imap_response_uid(&s->response);
	char text[ERR_TEXT_MAX];

	s->broken = true;
	if (uid == 0 || e->scope != ERR_SERVER)
		return -1;
	memcpy(text, e->text, sizeof text);
	return err_set(e, e->scope, e->kind, "%s (message UID %u)", text, uid);
}

int imap_protocol_error(struct imap *s, const char *why, struct err *e)
{
	err_set(e, ERR_SERVER, ERR_PROTOCOL, "account %s: %s sent %s", s->account->name,
		s->account->url, why);
	return imap_broken(s, e);
}

static const struct imap_item *next(struct imap *s)
{
	return imap_response_next(&s->response);
}

static bool is(const struct imap *s, const struct imap_item *i, const char *word)
{
	return imap_response_is(&s->response, i, word);
}

static const char *text_of(const struct imap *s, const struct imap_item *i)
{
	return imap_response_text(&s->response, i);
}

/* A string, in any of the forms that IMAP has, without a NUL in it. NULL: it is none. */
static const char *string_of(const struct imap *s, const struct imap_item *i)
{
	const char *text = text_of(s, i);

	if (i->kind != IMAP_ATOM && i->kind != IMAP_QUOTED && i->kind != IMAP_LITERAL)
		return NULL;
	return strlen(text) == i->len ? text : NULL;
}

/* What i began: nothing more for a word, everything to its end for a list. */
static void skip_value(struct imap *s, const struct imap_item *i)
{
	int depth = 0;

	for (;; i = next(s)) {
		depth += i->kind == IMAP_OPEN;
		depth -= i->kind == IMAP_CLOSE;
		if (depth <= 0 || i->kind == IMAP_EOL)
			return;
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
	const struct imap_item *i = next(s);

	*flags = 0;
	if (i->kind != IMAP_OPEN)
		return imap_protocol_error(s, "flags that are no list", e);
	while ((i = next(s))->kind == IMAP_ATOM)
		*flags |= word_bit(flag_words, text_of(s, i), i->len);
	return i->kind == IMAP_CLOSE ? 0 : imap_protocol_error(s, "flags that are no words", e);
}

static int read_number(struct imap *s, uint64_t max, uint64_t *out, struct err *e)
{
	if (imap_response_number(&s->response, next(s), max, out))
		return 0;
	return imap_protocol_error(s, "a word where a number belongs", e);
}

/* BODY[]: a literal as a rule; a quoted string and NIL are legal. */
static int read_body(struct imap *s, struct imap_message *m, struct err *e)
{
	const struct imap_item *i = next(s);

	if (m->has & (IMAP_HAS_BODY | IMAP_HAS_LARGE | IMAP_HAS_NIL))
		return imap_protocol_error(s, "two bodies of one message", e);
	switch (i->kind) {
	case IMAP_DATA:
		m->has |= s->response.large ? IMAP_HAS_LARGE : IMAP_HAS_BODY;
		m->body = s->response.body;
		s->response.body = (struct buf){0};
		return 0;
	case IMAP_QUOTED:
		m->has |= i->len > s->response.body_max ? IMAP_HAS_LARGE : IMAP_HAS_BODY;
		if (m->has & IMAP_HAS_LARGE)
			return 0;
		buf_init(&m->body, i->len);
		return buf_add(&m->body, text_of(s, i), i->len) == -1 ? err_no_memory(e) : 0;
	case IMAP_ATOM:
		m->has |= IMAP_HAS_NIL;
		return 0;
	default:
		return imap_protocol_error(s, "a body that is no string", e);
	}
}

/*
 * BODY[HEADER.FIELDS (X-SPAM ...)]<0>, behind its first word: the names, "]", and a string.
 * What servers make of the names differs; nothing but the string is looked at.
 */
static int read_header(struct imap *s, struct imap_message *m, struct err *e)
{
	const struct imap_item *i = next(s);

	if (i->kind != IMAP_OPEN)
		return imap_protocol_error(s, "header fields without their names", e);
	skip_value(s, i);
	if ((i = next(s))->kind != IMAP_ATOM || text_of(s, i)[0] != ']')
		return imap_protocol_error(s, "header fields without a ]", e);
	i = next(s);
	switch (i->kind) {
	case IMAP_LITERAL:
	case IMAP_QUOTED:
		m->has |= IMAP_HAS_HEADER;
		m->filtered = m->filtered || filter_mark_is_spam(text_of(s, i), i->len);
		return 0;
	case IMAP_ATOM: /* NIL */
		return 0;
	default:
		return imap_protocol_error(s, "header fields that are no string", e);
	}
}

/* MODSEQ (12345) of a message (RFC 7162): the mailbox has come at least so far. */
static int read_modseq(struct imap *s, struct err *e)
{
	uint64_t n = 0;

	if (next(s)->kind != IMAP_OPEN)
		return imap_protocol_error(s, "a MODSEQ that is no list", e);
	if (read_number(s, UINT64_MAX, &n, e) == -1)
		return -1;
	if (next(s)->kind != IMAP_CLOSE)
		return imap_protocol_error(s, "a MODSEQ that is no list", e);
	if (n > s->mailbox.modseq && s->mailbox.modseq > 0)
		s->mailbox.modseq = n;
	return 0;
}

/* One attribute of a FETCH response and its value. */
static int read_attribute(struct imap *s, const struct imap_item *name, struct imap_message *m,
			  struct err *e)
{
	const struct imap_item *i;
	uint64_t n = 0;

	if (is(s, name, "UID")) {
		if (read_number(s, UINT32_MAX, &n, e) == -1)
			return -1;
		m->uid = (uint32_t)n;
		m->has |= IMAP_HAS_UID;
		return 0;
	}
	if (is(s, name, "RFC822.SIZE")) {
		if (read_number(s, UINT64_MAX, &n, e) == -1)
			return -1;
		m->size = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
		m->has |= IMAP_HAS_SIZE;
		return 0;
	}
	if (is(s, name, "FLAGS")) {
		m->has |= IMAP_HAS_FLAGS;
		return read_flags(s, &m->flags, e);
	}
	if (is(s, name, "BODY[]"))
		return read_body(s, m, e);
	if (is(s, name, "BODY[HEADER.FIELDS"))
		return read_header(s, m, e);
	if (is(s, name, "MODSEQ"))
		return read_modseq(s, e);
	i = next(s);
	if (is(s, name, "INTERNALDATE") && i->kind == IMAP_QUOTED &&
	    parse_internaldate(text_of(s, i), i->len, &m->date))
		m->has |= IMAP_HAS_DATE;
	skip_value(s, i);
	return 0;
}

static int read_fetch(struct imap *s, struct imap_message *m, struct err *e)
{
	const struct imap_item *i = next(s);

	imap_message_free(m);
	*m = (struct imap_message){0};
	if (i->kind != IMAP_OPEN)
		return imap_protocol_error(s, "a FETCH response without its list", e);
	while ((i = next(s))->kind == IMAP_ATOM)
		if (read_attribute(s, i, m, e) == -1)
			return -1;
	if (i->kind == IMAP_CLOSE)
		return 0;
	return imap_protocol_error(s, "a FETCH response that is no list of names and values",
				   e);
}

static void read_capability(struct imap *s)
{
	const struct imap_item *i;

	s->caps = 0;
	while ((i = next(s))->kind == IMAP_ATOM)
		s->caps |= word_bit(capability_words, text_of(s, i), i->len);
}

/* * ESEARCH (TAG "L7") UID ALL 1:5,9 (RFC 4731). Those of SEARCH were taken as they came. */
static int read_esearch(struct imap *s, struct err *e)
{
	const struct imap_item *i = next(s);

	while (i->kind != IMAP_EOL) {
		bool all = is(s, i, "ALL");

		skip_value(s, i);
		i = next(s);
		if (!all || i->kind != IMAP_ATOM || s->response.found == NULL ||
		    sequence_read(s->response.found, text_of(s, i), i->len, e) == 0)
			continue;
		return e->scope == ERR_FATAL
			   ? -1
			   : imap_protocol_error(s, "a SEARCH answer that is no set of UIDs",
						 e);
	}
	return 0;
}

/* * LIST (\HasNoChildren \Junk) "/" "Junk Mail" */
static int read_list(struct imap *s, struct err *e)
{
	const struct imap_lister *l = &s->lister;
	bool match = l->use == NULL, there = true;
	const struct imap_item *i = next(s);
	const char *name;

	if (i->kind != IMAP_OPEN)
		return imap_protocol_error(s, "a LIST response without attributes", e);
	while ((i = next(s))->kind == IMAP_ATOM) {
		match = match || is(s, i, l->use);
		there = there && !is(s, i, "\\Noselect") && !is(s, i, "\\NonExistent");
	}
	if (i->kind != IMAP_CLOSE)
		return imap_protocol_error(s, "LIST attributes that are no list", e);
	(void)next(s); /* the hierarchy separator */
	name = string_of(s, next(s));
	if (l->each && match && there && name && name[0] != '\0')
		l->each(l->ctx, name);
	return 0;
}

/* * MYRIGHTS "Junk Mail" lrswi */
static void read_rights(struct imap *s)
{
	const char *rights;

	(void)next(s);
	rights = string_of(s, next(s));
	if (s->rights && rights && strlen(rights) < s->rights_size)
		memcpy(s->rights, rights, strlen(rights) + 1);
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

/* "[PERMANENTFLAGS (\Seen $LearnedSpam \*)]": which of our flags and keywords can be set. */
static void note_permanent(struct imap_mailbox *m, const char *text)
{
	unsigned flags = 0;
	const char *p = strchr(text, '(');

	while (p && *p && *p != ')') {
		size_t n;

		p += strspn(p, "( ");
		n = strcspn(p, " )]");
		flags |= n == 2 && memcmp(p, "\\*", 2) == 0 ? (unsigned)IMAP_KEYWORDS
							    : word_bit(flag_words, p, n);
		p += n;
		if (*p == ']')
			break;
	}
	m->permanent_known = true;
	m->can_delete = flags & IMAP_DELETED;
	m->keywords = flags & IMAP_KEYWORDS;
}

/* The response code of an untagged OK, or of the tagged one of SELECT. */
static int note_code(struct imap *s, const char *text, struct err *e)
{
	struct imap_mailbox *m = &s->mailbox;
	uint64_t n;

	if (text[0] != '[')
		return 0;
	if ((n = code_number(text, "UIDVALIDITY")) && n <= UINT32_MAX) {
		/* What the UIDs in flight mean is unknown from here on. */
		if (m->uidvalidity != 0 && m->uidvalidity != n)
			return imap_protocol_error(
			    s, "another UIDVALIDITY in the middle of a session", e);
		m->uidvalidity = (uint32_t)n;
	}
	if ((n = code_number(text, "UIDNEXT")) && n <= UINT32_MAX)
		m->uidnext = (uint32_t)n;
	else if ((n = code_number(text, "HIGHESTMODSEQ")))
		m->modseq = n;
	else if (strncasecmp(text, "[PERMANENTFLAGS", 15) == 0)
		note_permanent(m, text);
	else if (strncasecmp(text, "[READ-ONLY]", 11) == 0)
		m->read_only = true;
	else if (strncasecmp(text, "[READ-WRITE]", 12) == 0)
		m->read_only = false;
	else if (strncasecmp(text, "[NOTIFICATIONOVERFLOW]", 22) == 0)
		s->overflow = true; /* RFC 5465, 5.8 */
	return 0;
}

/* OK, NO, BAD, PREAUTH, BYE without a tag. */
static int read_status(struct imap *s, bool bye, struct err *e)
{
	const struct imap_item *text = next(s);

	if (!bye)
		return note_code(s, text_of(s, text), e);
	s->broken = true;
	return err_set(e, ERR_SERVER, ERR_TEMPORARY, "account %s: %s ended the session: %s",
		       s->account->name, s->account->url,
		       text->len > 0 ? text_of(s, text) : "no reason given");
}

/* * 23 EXISTS, * 5 FETCH (...) */
static int read_numbered(struct imap *s, const struct imap_item *number, struct imap_event *ev,
			 struct imap_message *m, struct err *e)
{
	const struct imap_item *i = next(s);
	uint64_t n;

	if (!imap_response_number(&s->response, number, UINT32_MAX, &n))
		return 0; /* an extension's response */
	if (i->kind != IMAP_ATOM)
		return imap_protocol_error(s, "a number without its response", e);
	if (is(s, i, "FETCH")) {
		ev->kind = IMAP_EVENT_FETCH;
		return read_fetch(s, m, e) == -1 ? -1 : 1;
	}
	if (is(s, i, "EXISTS")) {
		/* The same number again, and a lower one, tell of nothing that came. */
		s->news = s->news || (s->listening && n > s->mailbox.exists);
		s->mailbox.exists = (uint32_t)n;
	} else if (is(s, i, "RECENT"))
		s->mailbox.recent = (uint32_t)n;
	else if (is(s, i, "EXPUNGE") && s->mailbox.exists > 0)
		s->mailbox.exists--;
	return 0;
}

/* * STATUS "Old reports" (UIDVALIDITY 7 UIDNEXT 42); what is odd about it is no answer. */
static void read_mailbox_status(struct imap *s)
{
	const struct imap_item *word;
	uint64_t n;

	s->news = s->news || (s->listening && s->status == NULL); /* NOTIFY */
	if (s->status == NULL)
		return;
	skip_value(s, next(s)); /* its name: nothing else is asked for meanwhile */
	if (next(s)->kind != IMAP_OPEN)
		return;
	while ((word = next(s))->kind == IMAP_ATOM) {
		uint32_t *to = is(s, word, "UIDVALIDITY") ? &s->status->uidvalidity
			       : is(s, word, "UIDNEXT")	  ? &s->status->uidnext
			       : is(s, word, "MESSAGES")  ? &s->status->exists
			       : is(s, word, "UNSEEN")	  ? &s->status->unseen
							  : NULL;

		if (imap_response_number(&s->response, next(s), UINT32_MAX, &n) && to)
			*to = (uint32_t)n;
	}
}

static int read_untagged(struct imap *s, struct imap_event *ev, struct imap_message *m,
			 struct err *e)
{
	const struct imap_item *i = next(s);

	if (i->kind != IMAP_ATOM)
		return imap_protocol_error(s, "an untagged response without a name", e);
	if (imap_response_is_status(&s->response, i))
		return read_status(s, is(s, i, "BYE"), e);
	if (is(s, i, "CAPABILITY"))
		read_capability(s);
	else if (is(s, i, "ESEARCH"))
		return read_esearch(s, e);
	else if (is(s, i, "LIST"))
		return read_list(s, e);
	else if (is(s, i, "MYRIGHTS"))
		read_rights(s);
	else if (is(s, i, "STATUS"))
		read_mailbox_status(s);
	else
		return read_numbered(s, i, ev, m, e);
	return 0;
}

/* False where that command is not outstanding. */
static bool end_command(struct imap *s, unsigned command)
{
	for (size_t i = 0; i < IMAP_PIPELINE; i++)
		if (command != 0 && s->outstanding[i] == command) {
			s->outstanding[i] = 0;
			return true;
		}
	return false;
}

/* L12 OK text */
static int read_tagged(struct imap *s, const struct imap_item *tag, struct imap_event *ev,
		       struct err *e)
{
	const char *name = text_of(s, tag);
	const struct imap_item *status = next(s), *text = next(s);
	uint64_t n = 0;

	if (name[0] != s->tag || !text_number(name + 1, tag->len - 1, s->last, &n) ||
	    !end_command(s, (unsigned)n))
		return imap_protocol_error(s, "an answer to a command that was not given", e);
	ev->kind = IMAP_EVENT_DONE;
	ev->command = (unsigned)n;
	if (is(s, status, "OK"))
		ev->status = IMAP_OK;
	else if (is(s, status, "NO"))
		ev->status = IMAP_NO;
	else if (is(s, status, "BAD"))
		ev->status = IMAP_BAD_COMMAND;
	else
		return imap_protocol_error(s, "an answer without a status", e);
	text_visible(ev->text, sizeof ev->text, text_of(s, text), text->len);
	if (ev->status == IMAP_OK && note_code(s, text_of(s, text), e) == -1)
		return -1;
	s->untagged = 0;
	s->waited = 0;
	log_debug("imap account=%s answer=%c%u status=%d text=%s", s->account->name, s->tag,
		  ev->command, (int)ev->status, ev->text);
	return 1;
}

int imap_understand(struct imap *s, struct imap_event *ev, struct imap_message *m,
		    struct err *e)
{
	const struct imap_item *i = next(s);

	if (i->kind == IMAP_EOL)
		return 0;
	if (is(s, i, "+")) { /* nothing but logging in and IDLE waits for one */
		ev->kind = IMAP_EVENT_CONTINUE;
		return s->tag == 'A' || s->idling != 0;
	}
	if (i->kind != IMAP_ATOM)
		return imap_protocol_error(s, "a line that is no response", e);
	return is(s, i, "*") ? read_untagged(s, ev, m, e) : read_tagged(s, i, ev, e);
}
