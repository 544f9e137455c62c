#include "mail/wrapped.h"

#include <string.h>

#include <gmime/gmime.h>

#include "base/text.h"
#include "mail/content.h"
#include "mail/part.h"

/* What was seen besides, in the order in which it explains that there is no message. */
enum seen {
	SEEN_NOTHING,
	SEEN_HEADERS,	/* of a message, without its text */
	SEEN_IRREGULAR, /* parts that not every parser would tell apart in the same way */
	SEEN_TNEF,
	SEEN_BOUNCE,
	SEEN_GARBLED, /* an attached message of which it is not sure where it begins */
	SEEN_TOO_MANY,
};

static const char *const reasons[] = {
    [SEEN_NOTHING] = "no attached message; an inline forward is no longer the message",
    [SEEN_HEADERS] = "only the headers of a message are attached",
    [SEEN_IRREGULAR] = "its parts cannot be told apart for certain",
    [SEEN_TNEF] = "winmail.dat, Outlook's own format, does not hold the message as it was",
    [SEEN_BOUNCE] = "a delivery report, not a user's",
    [SEEN_GARBLED] =
	"an attached message has a malformed header field: what it is is not certain",
    [SEEN_TOO_MANY] = "more than 100 attached messages",
};

struct search {
	struct wrapped *out;
	enum seen seen;
	struct err *e;
};

static void saw(struct search *s, enum seen what)
{
	if (what > s->seen)
		s->seen = what;
}

static bool is_type(const struct content *c, const char *name)
{
	size_t n = strlen(name);

	return c->type && strncmp(c->type, name, n) == 0 &&
	       (c->type[n] == '\0' || c->type[n] == ';');
}

/* Does a parameter of this canonical value ("x/y;name=a.eml") end in .eml? */
static bool names_eml(const char *value)
{
	static const char end[] = ".eml";
	const char *p = value ? strchr(value, ';') : NULL;

	while (p) {
		const char *next = strchr(++p, ';');
		size_t len = next ? (size_t)(next - p) : strlen(p);

		while (len > 0 && p[len - 1] == '"')
			len--;
		if (len >= sizeof end - 1 &&
		    text_equal_nocase(p + len - (sizeof end - 1), sizeof end - 1, end))
			return true;
		p = next;
	}
	return false;
}

/* Is this leaf a message, sent as such or as a file? */
static bool is_message(const struct content *c)
{
	return is_type(c, "message/rfc822") || is_type(c, "message/global") ||
	       (is_type(c, "application/octet-stream") &&
		(names_eml(c->type) || names_eml(c->disposition)));
}

static void look_at_leaf(struct search *s, const struct content *c)
{
	if (is_type(c, "text/rfc822-headers") || is_type(c, "message/global-headers"))
		saw(s, SEEN_HEADERS);
	else if (is_type(c, "application/ms-tnef") || is_type(c, "application/vnd.ms-tnef"))
		saw(s, SEEN_TNEF);
}

/* Undo the transfer encoding. 0, or -1 if there is no memory. */
static int decode(const struct content *c, struct span body, struct buf *out)
{
	GMimeEncoding code;

	if (!content_is_encoded(c))
		return buf_add(out, body.data, body.len);
	g_mime_encoding_init_decode(&code, c->encoding == ENCODING_BASE64
					       ? GMIME_CONTENT_ENCODING_BASE64
					       : GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);
	for (size_t at = 0, n; at < body.len; at += n) {
		char piece[8192 + 64];
		size_t len;

		n = body.len - at < 8192 ? body.len - at : 8192;
		len = g_mime_encoding_step(&code, body.data + at, n, piece);
		if (buf_add(out, piece, len) == -1)
			return -1;
	}
	return 0;
}

static int take(struct search *s, const struct content *c, struct span body)
{
	struct wrapped *w = s->out;
	struct span header, rest;
	struct buf *m;

	if (w->n == WRAPPED_MAX) {
		saw(s, SEEN_TOO_MANY);
		return 0;
	}
	m = &w->message[w->n];
	buf_init(m, body.len + 64);
	if (decode(c, body, m) == -1) {
		buf_free(m);
		return err_no_memory(s->e);
	}
	part_split((struct span){m->data ? m->data : "", m->len}, &header, &rest);
	if (header.len > 0)
		w->n++; /* else it is no message, whatever it is called */
	else
		buf_free(m);
	return 0;
}

/* An empty line, whatever the lines before it are. */
static size_t header_end(struct span entity)
{
	size_t at = 0;

	while (at + 1 < entity.len && at < CONTENT_MAX_FIELD) {
		const char *p = entity.data + at;

		if (p[0] == '\n' && (p[1] == '\n' || p[1] == '\r'))
			break;
		at++;
	}
	return at;
}

/* Does the header of an entity that is not regular speak of a message all the same? */
static bool speaks_of_message(struct span entity)
{
	static const char *const signs[] = {"message/rfc822", "message/global", ".eml"};
	const size_t end = header_end(entity);

	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
		size_t n = strlen(signs[i]);

		for (size_t at = 0; at + n <= end; at++)
			if (text_equal_nocase(entity.data + at, n, signs[i]))
				return true;
	}
	return false;
}

static int visit(struct search *s, struct span entity, bool in_digest, int depth);

static int visit_parts(struct search *s, const struct content *c, struct span body, int depth)
{
	struct span boundary = {c->boundary, c->boundary ? strlen(c->boundary) : 0}, part;
	bool digest = is_type(c, "multipart/digest");
	struct part_iter it;
	int rc = 0;

	if (is_type(c, "multipart/report") &&
	    strcasestr(c->type, "report-type=feedback-report") == NULL) {
		saw(s, SEEN_BOUNCE);
		return 0;
	}
	if (depth == WRAPPED_DEPTH || c->boundary == NULL || content_is_encoded(c) ||
	    !part_multipart(body, boundary, &it)) {
		saw(s, SEEN_IRREGULAR);
		return 0;
	}
	while (rc == 0 && part_next(&it, &part))
		rc = visit(s, part, digest, depth + 1);
	return rc;
}

/* One entity; in a multipart/digest what names no type is a message (RFC 2046, 5.1.5). */
static int visit(struct search *s, struct span entity, bool in_digest, int depth)
{
	struct span header, body;
	struct content c;
	bool regular = part_header(entity, &header, &body);
	int rc = 0;

	regular = content_read(header, &c) && regular;
	if (!regular)
		saw(s, depth > 0 && speaks_of_message(entity) ? SEEN_GARBLED : SEEN_IRREGULAR);
	else if (content_begins(&c, "multipart/"))
		rc = visit_parts(s, &c, body, depth);
	else if (c.type == NULL ? in_digest : is_message(&c))
		rc = take(s, &c, body);
	else
		look_at_leaf(s, &c);
	content_free(&c);
	return rc;
}

int wrapped_read(const char *msg, size_t len, struct wrapped *out, struct err *e)
{
	struct search s = {.out = out, .e = e};
	int rc;

	memset(out, 0, sizeof *out);
	rc = visit(&s, part_without_from((struct span){len > 0 ? msg : "", len}), false, 0);
	/* A part of what is attached is not what its sender meant, and would be the end of it.
	 */
	if (s.seen >= SEEN_GARBLED)
		wrapped_free(out);
	out->why = reasons[s.seen];
	return rc;
}

void wrapped_free(struct wrapped *w)
{
	for (size_t i = 0; i < w->n; i++)
		buf_free(&w->message[i]);
	w->n = 0;
}
