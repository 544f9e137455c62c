#include "mail/mime.h"

#include <stdio.h>
#include <string.h>

#include <gmime/gmime.h>

#include "base/buf.h"
#include "mail/content.h"
#include "mail/part.h"
#include "mail/rfc2047.h"
#include "base/text.h"

enum {
	TYPE_MAX = 2 * CONTENT_MAX_TOKEN + sizeof "/", /* "type/subtype" with the terminator */
	CHUNK = 8 * 1024,			       /* bytes decoded at once */
};

/* One message being read into its digest. */
struct reader {
	struct digest_hash *hash; /* owned */
	struct mime_info *info;	  /* borrowed */
	struct err *e;		  /* borrowed */
	const char *end;	  /* of the whole message */
	int leaves;
	bool full; /* a cap was reached: the whole rest is in the hash */
};

/* A multipart or attached message that contains what is being read. */
struct level {
	struct level *outer; /* borrowed; NULL: none */
	struct span header;
	int depth;
	bool pinned; /* its header is in the hash as it is */
};

/* An entity, split. If it is not regular, the body is all that does not belong to the header.
 */
struct entity {
	struct span header, body;
	bool regular;
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

/* Fields, besides those of the content, that rspamd makes tokens of and transport does not add.
 */
static const char *const tokens[] = {"Subject",	  "From",	  "User-Agent",	  "X-Mailer",
				     "X-MimeOLE", "Organization", "Organisation", NULL};

/* Fields that authors write and transport does not add. */
static bool is_authors(struct span name)
{
	static const char *const names[] = {"Sender",	  "To",		  "Cc", "Date",
					    "Message-ID", "MIME-Version", NULL};
	static const char prefix[] = "Content-";
	size_t n = sizeof prefix - 1;

	return is_any(name, names) || is_any(name, tokens) ||
	       (name.len >= n && text_equal_nocase(name.data, n, prefix));
}

/* Would this rest of a header block still be one if it were at the top? */
static bool is_header(struct span rest)
{
	struct span name, value;

	return part_field_next(&rest, &name, &value) && name.len > 0;
}

/* Where the original begins, judged by the fields alone. */
static size_t find_original(const char *msg, size_t len)
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
		/* At the end of the bytes that we search, the field may continue, or be the
		 * last. */
		if (name.len == 0 || !part_field_is_regular(value) || is_authors(name) ||
		    end == window.len || !is_header(header))
			break;
		if (text_equal_nocase(name.data, name.len, "X-Learnspool-Report"))
			return end;
		if (sieve == 0 &&
		    text_equal_nocase(name.data, name.len, "X-Sieve-Redirected-From"))
			sieve = end;
	}
	return sieve;
}

size_t mime_original(const char *msg, size_t len)
{
	struct span header, body;
	size_t at = find_original(msg, len);

	/* To rspamd, a header that no empty line ends is text, so it stays complete. */
	if (at > 0)
		part_header(part_without_from((struct span){msg, len}), &header, &body);
	return at > 0 && header.len > 0 ? at : 0;
}

/* A field's value, cut at MIME_MAX_FIELD. */
static struct span field(struct span header, const char *name)
{
	struct span value;

	part_field(header, name, &value);
	if (value.len > MIME_MAX_FIELD)
		value.len = MIME_MAX_FIELD;
	return value;
}

/* The same for GMime: a C string without control characters; owned by the caller (g_free). */
static char *field_line(struct span header, const char *name)
{
	struct span value = field(header, name);
	char *s = g_malloc(value.len + 1);

	for (size_t i = 0; i < value.len; i++)
		s[i] = (unsigned char)value.data[i] < ' ' ? ' ' : value.data[i];
	s[value.len] = '\0';
	return s;
}

/* "type/subtype" of a Content-Type value in lower case, "text/plain" if it has none. */
static void type_parse(const char *s, char out[TYPE_MAX])
{
	size_t type, subtype;

	snprintf(out, TYPE_MAX, "text/plain");
	s += strspn(s, " ");
	type = content_token(s);
	if (type == 0 || type > CONTENT_MAX_TOKEN || s[type] != '/')
		return;
	subtype = content_token(s + type + 1);
	if (subtype == 0 || subtype > CONTENT_MAX_TOKEN ||
	    strchr("; (", s[type + 1 + subtype]) == NULL)
		return;
	for (size_t i = 0; i < type + 1 + subtype; i++)
		out[i] = g_ascii_tolower(s[i]);
	out[type + 1 + subtype] = '\0';
}

static bool type_is(const char *type, const char *const *types)
{
	return is_any((struct span){type, strlen(type)}, types);
}

/* A parameter of a Content-Type value, or NULL; owned by the caller (g_free). */
static char *type_parameter(const char *line, const char *name)
{
	GMimeContentType *ct = g_mime_content_type_parse(NULL, line);
	char *value = g_strdup(g_mime_content_type_get_parameter(ct, name));

	g_object_unref(ct);
	return value;
}

/* Is it encrypted, so that there is nothing to learn? Signed-only S/MIME is readable. */
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

/* Inline PGP: text that begins with the armour of a message. */
static bool is_armour(const char *s, size_t len)
{
	static const char mark[] = "-----BEGIN PGP MESSAGE-----";
	size_t n = sizeof mark - 1;

	while (len > 0 && g_ascii_isspace(*s)) {
		s++;
		len--;
	}
	return len >= n && memcmp(s, mark, n) == 0;
}

/* Check whether an entity is encrypted; returns true if it may be so inline. */
static bool look_for_encryption(struct reader *r, struct span header)
{
	char *line = field_line(header, "Content-Type");
	char type[TYPE_MAX];

	type_parse(line, type);
	if (type_is_encrypted(type, line))
		r->info->encrypted = true;
	g_free(line);
	return strncmp(type, "text/", 5) == 0;
}

/* Hash the fields of its content, as they are. */
static void add_content_fields(struct reader *r, struct span header)
{
	struct span name, value;

	while (part_field_next(&header, &name, &value)) {
		if (!content_is_field(name))
			continue;
		digest_data_add(r->hash, name.data,
				(size_t)(value.data - name.data) + value.len);
		digest_data_add(r->hash, "\n", 1);
	}
}

/* The meaning of bytes that are hashed as they are depends on these outer headers. */
static void pin(struct reader *r, struct level *l)
{
	if (l == NULL || l->pinned)
		return;
	pin(r, l->outer);
	l->pinned = true;
	digest_data_begin(r->hash, DIGEST_LINES);
	add_content_fields(r, l->header);
	digest_data_end(r->hash, 'B');
}

/* An entity that is not regular is a leaf, hashed as it is. */
static void read_opaque(struct reader *r, const struct entity *en, bool text,
			struct level *outer)
{
	if (text && is_armour(en->body.data, en->body.len))
		r->info->encrypted = true;
	pin(r, outer);
	r->leaves++;
	digest_data_begin(r->hash, DIGEST_LINES);
	add_content_fields(r, en->header);
	digest_data_add(r->hash, "\n", 1);
	digest_data_add(r->hash, en->body.data, en->body.len);
	digest_data_end(r->hash, 'O');
}

/* Past a cap, everything to the end of the message is one leaf, hashed as it is. */
static bool is_past_cap(struct reader *r, struct span here, struct level *outer)
{
	if (r->leaves < MIME_MAX_PARTS && (outer == NULL || outer->depth <= MIME_MAX_DEPTH))
		return false;
	pin(r, outer);
	r->full = true;
	digest_data_begin(r->hash, DIGEST_LINES);
	digest_data_add(r->hash, here.data, (size_t)(r->end - here.data));
	digest_data_end(r->hash, 'Z');
	return true;
}

static void add_text(struct reader *r, char tag, const char *text)
{
	digest_item(r->hash, tag, text, strlen(text));
}

static void add_content(struct reader *r, char tag, const struct content *c)
{
	add_text(r, tag, c->type ? c->type : "");
	if (c->disposition)
		add_text(r, 'D', c->disposition);
}

/* A part that has no parts. */
static void read_leaf(struct reader *r, const struct content *c, struct span body, bool text)
{
	char out[CHUNK + 64]; /* decoding makes it longer only by what was pending */
	bool encoded = content_is_encoded(c);
	GMimeEncoding code;

	add_content(r, 'P', c);
	r->leaves++;
	g_mime_encoding_init_decode(&code, c->encoding == ENCODING_BASE64
					       ? GMIME_CONTENT_ENCODING_BASE64
					       : GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);
	digest_data_begin(r->hash, content_mode(c));
	for (size_t at = 0, n; at < body.len; at += n) {
		const char *bytes = body.data + at;
		size_t len;

		n = body.len - at < CHUNK ? body.len - at : CHUNK;
		len = n;
		if (encoded) {
			len = g_mime_encoding_step(&code, bytes, n, out);
			bytes = out;
		}
		if (at == 0 && text && is_armour(bytes, len))
			r->info->encrypted = true;
		digest_data_add(r->hash, bytes, len);
	}
	digest_data_end(r->hash, 'C');
}

static int read_message(struct reader *r, struct span whole, struct level *outer);
static int read_entity(struct reader *r, const struct entity *en, struct level *outer);

/* Preamble or epilogue: parsers should ignore it, but some do not. */
static void read_between(struct reader *r, struct span s)
{
	size_t n = 0;

	while (n < s.len && (s.data[n] == '\n' || s.data[n] == '\r'))
		n++;
	if (n == s.len)
		return;
	digest_data_begin(r->hash, DIGEST_LINES);
	digest_data_add(r->hash, s.data, s.len);
	digest_data_end(r->hash, 'X');
}

static int read_multipart(struct reader *r, const struct content *c, struct part_iter *it,
			  struct level *level)
{
	struct entity en;
	struct span part;
	int rc = 0;

	add_content(r, 'M', c);
	read_between(r, it->preamble);
	while (rc == 0 && !r->full && part_next(it, &part)) {
		if (is_past_cap(r, part, level))
			break;
		en.regular = part_header(part, &en.header, &en.body);
		rc = read_entity(r, &en, level);
	}
	if (r->full)
		return rc;
	read_between(r, it->epilogue);
	add_text(r, 'E', "");
	return rc;
}

static int read_attached(struct reader *r, const struct content *c, struct span body,
			 struct level *level)
{
	int rc;

	add_content(r, 'A', c);
	rc = read_message(r, body, level);
	if (!r->full)
		add_text(r, 'E', "");
	return rc;
}

/* Read an entity according to its kind. */
static int read_entity(struct reader *r, const struct entity *en, struct level *outer)
{
	struct level level = {outer, en->header, outer ? outer->depth + 1 : 1, false};
	bool text = look_for_encryption(r, en->header), regular = en->regular;
	struct part_iter it;
	struct content c;
	int rc = 0;

	regular = content_read(en->header, &c) && regular;
	if (regular && content_begins(&c, "multipart/")) {
		struct span boundary = {c.boundary, c.boundary ? strlen(c.boundary) : 0};

		regular = !content_is_encoded(&c) && c.boundary &&
			  part_multipart(en->body, boundary, &it);
		if (regular)
			rc = read_multipart(r, &c, &it, &level);
	} else if (regular && content_is_message(&c)) {
		rc = read_attached(r, &c, en->body, &level);
	} else if (regular) {
		regular = content_body_is_regular(&c, en->body);
		if (regular)
			read_leaf(r, &c, en->body, text);
	}
	if (!regular)
		read_opaque(r, en, text, outer);
	content_free(&c);
	return rc;
}

/* Decode a field into UTF-8 text in *out, which is emptied first. */
static int read_text(struct reader *r, struct span header, const char *name, struct buf *out)
{
	struct span value = field(header, name);

	buf_clear(out);
	if (rfc2047_decode(value.data, value.len, out) < 0)
		return err_set(r->e, ERR_FATAL, ERR_LOCAL, "no memory for a header field");
	return 0;
}

/* Is s, of len bytes, only an address? */
static bool is_address(const char *s, size_t len)
{
	size_t ats = 0;

	for (size_t i = 0; i < len; i++) {
		if (!g_ascii_isalnum(s[i]) && strchr("!#$%&'*+-./=?^_`{|}~@", s[i]) == NULL)
			return false;
		ats += s[i] == '@';
	}
	return ats == 1 && memmem(s, len, "=?", 2) == NULL;
}

/* Remove the address from a From field: rspamd makes tokens only of the name. */
static void cut_address(char *flat)
{
	size_t len = strlen(flat);
	char *open = strrchr(flat, '<');

	if (open && flat[len - 1] == '>' &&
	    is_address(open + 1, (size_t)(flat + len - 1 - (open + 1))))
		*open = '\0';
	else if (is_address(flat, len))
		*flat = '\0';
	len = strlen(flat);
	if (len > 0 && flat[len - 1] == ' ')
		flat[len - 1] = '\0';
}

/* Hash one field that rspamd makes tokens of. */
static int add_field(struct reader *r, const char *name, struct span value)
{
	char *key = g_strdup_printf("%s:", name), *flat = NULL;
	struct buf text;
	int rc;

	buf_init(&text, 2 * MIME_MAX_FIELD);
	for (char *c = key; *c != '\0'; c++)
		*c = g_ascii_tolower(*c);
	rc = buf_adds(&text, key);
	if (rc == 0 &&
	    (value.len > MIME_MAX_FIELD || memchr(value.data, '\0', value.len) != NULL)) {
		digest_data_begin(r->hash, DIGEST_LINES);
		digest_data_add(r->hash, key, strlen(key));
		digest_data_add(r->hash, value.data, value.len);
		digest_data_end(r->hash, 'L');
	} else if (rc == 0) {
		flat = part_unfold(value);
		if (strcmp(name, "From") == 0)
			cut_address(flat);
		rc = rfc2047_canonical(flat, &text);
		if (rc == 1)
			add_text(r, 'F', text.data);
		else if (rc == 0 && (rc = buf_adds(&text, flat)) == 0)
			add_text(r, 'R', text.data);
	}
	g_free(flat);
	g_free(key);
	buf_free(&text);
	if (rc < 0)
		return err_set(r->e, ERR_FATAL, ERR_LOCAL, "no memory for a header field");
	return 0;
}

static int add_fields(struct reader *r, struct span header)
{
	struct span name, value;

	while (part_field_next(&header, &name, &value))
		for (const char *const *t = tokens; *t != NULL; t++)
			if (text_equal_nocase(name.data, name.len, *t) &&
			    name.data[name.len] == ':' && add_field(r, *t, value) < 0)
				return -1;
	return 0;
}

/* Read a message, the outermost or an attached one. */
static int read_message(struct reader *r, struct span whole, struct level *outer)
{
	struct entity en;

	if (is_past_cap(r, whole, outer))
		return 0;
	en.regular = part_header(whole, &en.header, &en.body);
	if (en.header.len == 0) {
		en.regular = false;
		en.body = whole;
	}
	return add_fields(r, en.header) < 0 ? -1 : read_entity(r, &en, outer);
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

/* Decode the fields for display. */
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
	struct span whole = {len > 0 ? msg : "", len};
	struct reader r = {.info = out, .e = e, .end = whole.data + len};
	int rc;

	memset(out, 0, sizeof *out);
	r.hash = digest_new();
	if (r.hash == NULL)
		return err_set(e, ERR_FATAL, ERR_LOCAL, "no memory for a digest");
	rc = read_fields(&r, whole);
	if (rc == 0)
		rc = read_message(&r, part_without_from(whole), NULL);
	if (rc == 0)
		rc = digest_final(r.hash, &out->digest, e);
	digest_free(r.hash);
	return rc;
}
