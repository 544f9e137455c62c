#include "mime.h"

#include <string.h>

#include <gmime/gmime.h>

#include "buf.h"
#include "part.h"
#include "rfc2047.h"
#include "text.h"

enum {
	TOKEN_MAX = 127, /* bytes of a type or a subtype (RFC 6838, 4.2) */
	TYPE_MAX = 2 * TOKEN_MAX + sizeof "/", /* "type/subtype" with the terminator */
	CHUNK = 8 * 1024,		       /* bytes decoded at once */
};

/* One message on its way into its digest. */
struct reader {
	struct digest_hash *hash; /* owned */
	struct mime_info *info;	  /* borrowed */
	struct err *e;		  /* borrowed */
	int depth;
	int parts;
};

/* An entity whose header was read. The body is borrowed. */
struct entity {
	char type[TYPE_MAX];
	char *boundary; /* owned; NULL where a multipart says none, or is none */
	GMimeContentEncoding encoding;
	struct span body;
};

void mime_init(void)
{
	g_mime_init();
}

void mime_shutdown(void)
{
	g_mime_shutdown();
}

static bool is_any(struct span name, const char *const *names)
{
	for (; *names != NULL; names++)
		if (text_equal_nocase(name.data, name.len, *names))
			return true;
	return false;
}

/* Fields that authors write and transport does not. */
static bool is_authors(struct span name)
{
	static const char *const names[] = {"From",	  "Sender",	  "To",
					    "Cc",	  "Subject",	  "Date",
					    "Message-ID", "MIME-Version", NULL};
	static const char prefix[] = "Content-";
	size_t n = sizeof prefix - 1;

	return is_any(name, names) ||
	       (name.len >= n && text_equal_nocase(name.data, n, prefix));
}

/* Would this, the rest of a header block, still be one with nothing above it? */
static bool is_header(struct span rest)
{
	struct span name, value;

	return !part_field_next(&rest, &name, &value) || name.len > 0;
}

size_t mime_original(const char *msg, size_t len)
{
	struct span window = {msg, len < MIME_MAX_HEADER ? len : MIME_MAX_HEADER};
	struct span header, body, name, value;
	bool added_id = false;
	size_t sieve = 0;

	if (len == 0)
		return 0;
	part_split(window, &header, &body);
	while (part_field_next(&header, &name, &value)) {
		size_t end = (size_t)(header.data - msg);

		if (sieve > 0 && !added_id &&
		    text_equal_nocase(name.data, name.len, "Message-ID")) {
			added_id = true; /* Pigeonhole's own */
			continue;
		}
		/* At the end of what we look at, the field may go on, or nothing is below. */
		if (name.len == 0 || is_authors(name) || end == window.len ||
		    !is_header(header))
			break;
		if (text_equal_nocase(name.data, name.len, "X-Learnspool-Report"))
			return end;
		if (sieve == 0 &&
		    text_equal_nocase(name.data, name.len, "X-Sieve-Redirected-From"))
			sieve = end;
	}
	return sieve;
}

/* A field's value, no more than counts of it. */
static struct span field(struct span header, const char *name)
{
	struct span value;

	part_field(header, name, &value);
	if (value.len > MIME_MAX_FIELD)
		value.len = MIME_MAX_FIELD;
	return value;
}

/* The same for GMime, a C string without control characters; owned by the caller (g_free). */
static char *field_line(struct span header, const char *name)
{
	struct span value = field(header, name);
	char *s = g_malloc(value.len + 1);

	for (size_t i = 0; i < value.len; i++)
		s[i] = (unsigned char)value.data[i] < ' ' ? ' ' : value.data[i];
	s[value.len] = '\0';
	return s;
}

/* Bytes of the RFC 2045 token at s. */
static size_t token(const char *s)
{
	size_t n = 0;

	while (s[n] > ' ' && s[n] < 127 && strchr("()<>@,;:\\\"/[]?=", s[n]) == NULL)
		n++;
	return n;
}

/* "type/subtype" of a Content-Type value in lower case; false where it does not begin so. */
static bool type_parse(const char *s, char out[TYPE_MAX])
{
	size_t type, subtype;

	s += strspn(s, " ");
	type = token(s);
	if (type == 0 || type > TOKEN_MAX || s[type] != '/')
		return false;
	subtype = token(s + type + 1);
	if (subtype == 0 || subtype > TOKEN_MAX || strchr("; (", s[type + 1 + subtype]) == NULL)
		return false;
	for (size_t i = 0; i < type + 1 + subtype; i++)
		out[i] = g_ascii_tolower(s[i]);
	out[type + 1 + subtype] = '\0';
	return true;
}

static bool type_is(const char *type, const char *const *types)
{
	return is_any((struct span){type, strlen(type)}, types);
}

static bool is_multipart(const char *type)
{
	return strncmp(type, "multipart/", 10) == 0;
}

/* A parameter of a Content-Type value, or NULL; owned by the caller (g_free). */
static char *type_parameter(const char *line, const char *name)
{
	GMimeContentType *ct = g_mime_content_type_parse(NULL, line);
	char *value = g_strdup(g_mime_content_type_get_parameter(ct, name));

	g_object_unref(ct);
	return value;
}

/* Encrypted for its reader only: nothing in it to learn. Signed-only S/MIME is readable. */
static bool type_is_encrypted(const char *type, const char *line)
{
	static const char *const pgp[] = {"multipart/encrypted", "application/pgp-encrypted",
					  NULL};
	static const char *const smime[] = {"application/pkcs7-mime",
					    "application/x-pkcs7-mime", NULL};
	static const char *const enveloped[] = {"enveloped-data", "authEnveloped-data", NULL};
	char *kind;
	bool yes;

	if (!type_is(type, smime))
		return type_is(type, pgp);
	kind = type_parameter(line, "smime-type");
	yes = kind == NULL || type_is(kind, enveloped);
	g_free(kind);
	return yes;
}

/* Read an entity's header; def is its type where it says none that is one. */
static void entity_read(struct reader *r, struct span header, const char *def,
			struct entity *out)
{
	char *line = field_line(header, "Content-Type");
	char *encoding = field_line(header, "Content-Transfer-Encoding");

	if (!type_parse(line, out->type))
		memcpy(out->type, def, strlen(def) + 1);
	if (type_is_encrypted(out->type, line))
		r->info->encrypted = true;
	out->boundary = is_multipart(out->type) ? type_parameter(line, "boundary") : NULL;
	out->encoding = g_mime_content_encoding_from_string(encoding);
	g_free(line);
	g_free(encoding);
}

/* Inline PGP: text that begins with the armour of a message. */
static bool is_armour(const char *type, const char *s, size_t len)
{
	static const char mark[] = "-----BEGIN PGP MESSAGE-----";
	size_t n = sizeof mark - 1;

	while (len > 0 && g_ascii_isspace(*s)) {
		s++;
		len--;
	}
	return strncmp(type, "text/", 5) == 0 && len >= n && memcmp(s, mark, n) == 0;
}

static bool is_decoded(GMimeContentEncoding encoding)
{
	return encoding == GMIME_CONTENT_ENCODING_BASE64 ||
	       encoding == GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE;
}

/* A part that has no parts: its type and its decoded bytes are identity. */
static int read_leaf(struct reader *r, const struct entity *en)
{
	char out[CHUNK + 64]; /* decoding never makes it longer, but for what was pending */
	GMimeEncoding code;

	if (++r->parts > MIME_MAX_PARTS)
		return err_set(r->e, ERR_MESSAGE, ERR_DATA, "message has more than %d parts",
			       MIME_MAX_PARTS);
	g_mime_encoding_init_decode(&code, en->encoding);
	digest_part_begin(r->hash, en->type);
	for (size_t at = 0, n; at < en->body.len; at += n) {
		const char *bytes = en->body.data + at;
		size_t len;

		n = en->body.len - at < CHUNK ? en->body.len - at : CHUNK;
		len = n;
		if (is_decoded(en->encoding)) {
			len = g_mime_encoding_step(&code, bytes, n, out);
			bytes = out;
		}
		if (at == 0 && is_armour(en->type, bytes, len))
			r->info->encrypted = true;
		digest_part_add(r->hash, bytes, len);
	}
	digest_part_end(r->hash);
	return 0;
}

static int read_entity(struct reader *r, struct span whole, const char *def);

/* Its parts in their order. One in which no part is found is a leaf: text that nobody split. */
static int read_multipart(struct reader *r, struct entity *en)
{
	bool digest = strcmp(en->type, "multipart/digest") == 0;
	char *delimiter = g_strdup_printf("--%s", en->boundary ? en->boundary : "");
	struct part_iter it = {.rest = en->body,
			       .delimiter = {delimiter, strlen(g_strchomp(delimiter))}};
	struct span part;
	int rc = 0, n;

	for (n = 0; rc == 0 && it.delimiter.len > 2 && part_next(&it, &part); n++)
		rc = read_entity(r, part, digest ? "message/rfc822" : "text/plain");
	g_free(delimiter);
	if (n == 0) {
		en->encoding = GMIME_CONTENT_ENCODING_DEFAULT;
		rc = read_leaf(r, en);
	}
	return rc;
}

static int read_message(struct reader *r, struct span whole);

/* What an entity is decides how it is read. */
static int read_body(struct reader *r, struct entity *en)
{
	static const char *const messages[] = {"message/rfc822", "message/global",
					       "message/news", NULL};
	bool multipart = is_multipart(en->type);
	int rc;

	/* An encoded attached message is against RFC 2046: a leaf, like any bytes. */
	if (!multipart && (!type_is(en->type, messages) || is_decoded(en->encoding)))
		return read_leaf(r, en);
	if (++r->depth > MIME_MAX_DEPTH)
		return err_set(r->e, ERR_MESSAGE, ERR_DATA,
			       "message nests parts more than %d deep", MIME_MAX_DEPTH);
	rc = multipart ? read_multipart(r, en) : read_message(r, en->body);
	r->depth--;
	return rc;
}

static int read_with_header(struct reader *r, struct span header, struct span body,
			    const char *def)
{
	struct entity en = {.body = body};
	int rc;

	entity_read(r, header, def, &en);
	rc = read_body(r, &en);
	g_free(en.boundary);
	return rc;
}

static int read_entity(struct reader *r, struct span whole, const char *def)
{
	struct span header, body;

	part_split(whole, &header, &body);
	return read_with_header(r, header, body, def);
}

/* A field as UTF-8 text in *out, which is emptied first. */
static int read_text(struct reader *r, struct span header, const char *name, struct buf *out)
{
	struct span value = field(header, name);

	buf_clear(out);
	if (rfc2047_decode(value.data, value.len, out) < 0)
		return err_set(r->e, ERR_FATAL, ERR_LOCAL, "no memory for a header field");
	return 0;
}

/* A message, the outermost or an attached one: its Subject, then what it says. */
static int read_message(struct reader *r, struct span whole)
{
	struct span header, body;
	struct buf subject;
	int rc;

	part_split(whole, &header, &body);
	buf_init(&subject, 4 * MIME_MAX_FIELD);
	rc = read_text(r, header, "Subject", &subject);
	if (rc == 0)
		digest_message_begin(r->hash, subject.data ? subject.data : "", subject.len);
	buf_free(&subject);
	if (rc == 0)
		rc = read_with_header(r, header, body, "text/plain");
	if (rc == 0)
		digest_message_end(r->hash);
	return rc;
}

static void read_date(struct span header, char out[MIME_TEXT_MAX])
{
	char *line = field_line(header, "Date");
	GDateTime *date = g_mime_utils_header_decode_date(line);
	GDateTime *utc = date ? g_date_time_to_utc(date) : NULL;
	char *s = utc ? g_date_time_format(utc, "%Y-%m-%dT%H:%M:%SZ") : NULL;

	text_visible(out, MIME_TEXT_MAX, s ? s : "", s ? strlen(s) : 0);
	g_free(s);
	if (utc != NULL)
		g_date_time_unref(utc);
	if (date != NULL)
		g_date_time_unref(date);
	g_free(line);
}

/* What people are shown of a message. */
static int read_fields(struct reader *r, struct span whole)
{
	struct span header, body;
	struct buf text;
	int rc;

	part_split(whole, &header, &body);
	read_date(header, r->info->date);
	buf_init(&text, 4 * MIME_MAX_FIELD);
	rc = read_text(r, header, "From", &text);
	text_visible(r->info->from, MIME_TEXT_MAX, text.data ? text.data : "", text.len);
	if (rc == 0)
		rc = read_text(r, header, "Subject", &text);
	text_visible(r->info->subject, MIME_TEXT_MAX, text.data ? text.data : "", text.len);
	buf_free(&text);
	return rc;
}

int mime_read(const char *msg, size_t len, struct mime_info *out, struct err *e)
{
	struct reader r = {.info = out, .e = e};
	struct span whole = {msg, len};
	int rc;

	memset(out, 0, sizeof *out);
	if (len == 0)
		return err_set(e, ERR_MESSAGE, ERR_DATA, "message is empty");
	r.hash = digest_new();
	if (r.hash == NULL)
		return err_set(e, ERR_FATAL, ERR_LOCAL, "no memory for a digest");
	rc = read_fields(&r, whole);
	if (rc == 0)
		rc = read_message(&r, whole);
	if (rc == 0)
		rc = digest_final(r.hash, &out->digest, e);
	digest_free(r.hash);
	return rc;
}
