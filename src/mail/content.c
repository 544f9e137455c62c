#include "mail/content.h"

#include <string.h>

#include <glib.h>

#include "base/text.h"

enum {
	SNIFF = 128, /* bytes in which rspamd looks for an undeclared encoding */
};

static const struct {
	const char *name;
	enum content_encoding encoding;
} encodings[] = {
    {"7bit", ENCODING_7BIT},	       {"8bit", ENCODING_8BIT},	    {"binary", ENCODING_8BIT},
    {"quoted-printable", ENCODING_QP}, {"base64", ENCODING_BASE64},
};

/* The fields of one header, each at most once. */
enum { TYPE, ENCODING, DISPOSITION, FIELDS };

static const char *const fields[FIELDS] = {
    [TYPE] = "Content-Type",
    [ENCODING] = "Content-Transfer-Encoding",
    [DISPOSITION] = "Content-Disposition",
};

static int field_of(struct span name)
{
	for (int i = 0; i < FIELDS; i++)
		if (text_equal_nocase(name.data, name.len, fields[i]))
			return i;
	return FIELDS;
}

bool content_is_field(struct span name)
{
	return field_of(name) < FIELDS;
}

/* A character of a parameter's value that no parser needs quotes for. */
static bool is_bare(char c)
{
	return c > ' ' && c < 127 && strchr("\"();\\", c) == NULL;
}

static bool is_token(char c)
{
	return is_bare(c) && strchr("<>@,:/[]?=", c) == NULL;
}

size_t content_token(const char *s)
{
	size_t n = 0;

	while (is_token(s[n]))
		n++;
	return n;
}

/* Bytes of the parameter's value at s, quotes included; 0 if it is not regular. */
static size_t value_length(const char *s)
{
	size_t n = 0;

	if (s[0] != '"') {
		while (is_bare(s[n]))
			n++;
		return n;
	}
	for (n = 1; s[n] != '"'; n++) {
		if (s[n] == '\\')
			n++;
		if (s[n] == '\0')
			return 0;
	}
	return n + 1;
}

/* Remove quotes around a value that needs none. */
static struct span unquote(const char *s, size_t len)
{
	struct span inner = {s + 1, len - 2};

	if (s[0] != '"' || len == 2)
		return (struct span){s, len};
	for (size_t i = 0; i < inner.len; i++)
		if (!is_bare(inner.data[i]))
			return (struct span){s, len};
	return inner;
}

static void append_lower(GString *out, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		g_string_append_c(out, g_ascii_tolower(s[i]));
}

/* Charsets whose blanks and line ends are those of ASCII, whatever bytes are beside them. */
static bool is_plain_charset(const char *s, size_t len)
{
	static const char *const whole[] = {"us-ascii", "utf-8"};
	static const char *const prefix[] = {"iso-8859-", "windows-125", "koi8-"};

	for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
		if (text_equal_nocase(s, len, whole[i]))
			return true;
	for (size_t i = 0; i < sizeof prefix / sizeof prefix[0]; i++) {
		size_t n = strlen(prefix[i]);

		if (len > n && text_equal_nocase(s, n, prefix[i]))
			return true;
	}
	return false;
}

/* Does the name of a parameter begin so? RFC 2231 appends an asterisk. */
static bool named(struct span name, const char *prefix)
{
	size_t n = strlen(prefix);

	return name.len >= n && text_equal_nocase(name.data, n, prefix);
}

/* Would every parser read this boundary, and may a relay replace it by another? */
static bool is_boundary(struct span value)
{
	static const char close[] = "--", word[] = "=?";

	return value.data[0] != '"' &&
	       (value.len < 2 || memcmp(value.data + value.len - 2, close, 2) != 0) &&
	       memmem(value.data, value.len, word, 2) == NULL;
}

/* Read one parameter of Content-Type; false if it is not regular. */
static bool take_parameter(struct content *c, GString *out, struct span name, struct span value)
{
	bool charset = text_equal_nocase(name.data, name.len, "charset");

	if (strncmp(out->str, "multipart/", 10) == 0 && named(name, "boundary")) {
		if (name.len != strlen("boundary") || c->boundary || !is_boundary(value))
			return false;
		c->boundary = g_strndup(value.data, value.len);
		return true;
	}
	if (named(name, "charset"))
		c->plain =
		    charset && c->charsets++ == 0 && is_plain_charset(value.data, value.len);
	g_string_append_c(out, ';');
	append_lower(out, name.data, name.len);
	g_string_append_c(out, '=');
	if (charset)
		append_lower(out, value.data, value.len);
	else
		g_string_append_len(out, value.data, (gssize)value.len);
	return true;
}

/* Read the parameters at s, to the end of the field. */
static bool take_parameters(struct content *c, GString *out, const char *s)
{
	for (int n = 0; *s != '\0'; n++) {
		struct span name;
		size_t len;

		if (*s++ != ';' || n == CONTENT_MAX_PARAMS)
			return false;
		if (*s == ' ')
			s++;
		if (*s == '\0')
			return true;
		name = (struct span){s, content_token(s)};
		s += name.len;
		if (name.len == 0 || *s++ != '=' || (len = value_length(s)) == 0 ||
		    !take_parameter(c, out, name, unquote(s, len)))
			return false;
		s += len;
	}
	return true;
}

/* "type/subtype" or a disposition's one word, in lower case; where its parameters begin. */
static const char *take_value(GString *out, const char *s, bool subtype)
{
	size_t n = content_token(s), m;

	if (n == 0 || n > CONTENT_MAX_TOKEN)
		return NULL;
	if (subtype) {
		m = s[n] == '/' ? content_token(s + n + 1) : 0;
		if (m == 0 || m > CONTENT_MAX_TOKEN)
			return NULL;
		n += 1 + m;
	}
	append_lower(out, s, n);
	return s + n;
}

/* The field's canonical form, owned by the caller; NULL if it has none. */
static char *canonical(struct content *c, const char *flat, bool type)
{
	GString *out = g_string_new(NULL);
	const char *s = take_value(out, flat, type);
	struct content ignored = {0};
	bool ok = s && take_parameters(type ? c : &ignored, out, s);

	return g_string_free(out, !ok);
}

static bool read_encoding(struct content *c, const char *flat)
{
	for (size_t i = 0; i < sizeof encodings / sizeof encodings[0]; i++)
		if (text_equal_nocase(flat, strlen(flat), encodings[i].name)) {
			c->encoding = encodings[i].encoding;
			return true;
		}
	return false;
}

static bool read_field(struct content *c, int field, const char *flat)
{
	for (const char *s = flat; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 127)
			return false;
	if (field == ENCODING)
		return read_encoding(c, flat);
	if (field == DISPOSITION)
		return (c->disposition = canonical(c, flat, false)) != NULL;
	return (c->type = canonical(c, flat, true)) != NULL;
}

bool content_read(struct span header, struct content *out)
{
	bool seen[FIELDS] = {false}, ok = true;
	struct span name, value;

	*out = (struct content){.plain = true};
	while (ok && part_field_next(&header, &name, &value)) {
		int field = field_of(name);
		char *flat;

		/* With a blank before the colon, rspamd does not see it as this field. */
		if (field == FIELDS || name.data[name.len] != ':')
			continue;
		if (seen[field] || value.len > CONTENT_MAX_FIELD ||
		    memchr(value.data, '\0', value.len) != NULL)
			return false;
		seen[field] = true;
		flat = part_unfold(value);
		ok = read_field(out, field, flat);
		g_free(flat);
	}
	return ok;
}

void content_free(struct content *c)
{
	g_free(c->type);
	g_free(c->boundary);
	g_free(c->disposition);
}

bool content_begins(const struct content *c, const char *prefix)
{
	return c->type && strncmp(c->type, prefix, strlen(prefix)) == 0;
}

static bool content_is(const struct content *c, const char *name)
{
	size_t n = strlen(name);

	return content_begins(c, name) && (c->type[n] == '\0' || c->type[n] == ';');
}

bool content_is_encoded(const struct content *c)
{
	return c->encoding == ENCODING_QP || c->encoding == ENCODING_BASE64;
}

bool content_is_message(const struct content *c)
{
	return !content_is_encoded(c) &&
	       (content_is(c, "message/rfc822") || content_is(c, "message/global") ||
		content_is(c, "message/news"));
}

static bool is_base64(char c)
{
	return g_ascii_isalnum(c) || c == '+' || c == '/';
}

bool content_is_base64(struct span s)
{
	size_t digits = 0, padding = 0;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.data[i];

		if (c == '\r' && (i + 1 == s.len || s.data[i + 1] != '\n'))
			return false;
		if (c == '=')
			padding++;
		else if (c != '\r' && c != '\n' && (!is_base64(c) || padding > 0))
			return false;
		else if (c != '\r' && c != '\n')
			digits++;
	}
	return padding <= 2 && (digits + padding) % 4 == 0;
}

/* Bytes of the line end at s; 0 if there is none. */
static size_t line_end(const char *s, size_t len)
{
	if (len > 0 && s[0] == '\n')
		return 1;
	return len > 1 && s[0] == '\r' && s[1] == '\n' ? 2 : 0;
}

/* Two hexadecimal digits. */
static bool is_pair(const char *s, size_t len)
{
	return len > 1 && g_ascii_isxdigit(s[0]) && g_ascii_isxdigit(s[1]);
}

static bool is_quoted_printable(struct span s)
{
	for (size_t i = 0, n; i < s.len; i += n) {
		const char *at = s.data + i;
		size_t escape = *at == '=', left = s.len - i - escape;

		n = line_end(at + escape, left);
		if (n == 0 && escape && is_pair(at + 1, left))
			n = 2;
		if (n == 0 && !escape && (*at == '\t' || (*at >= ' ' && *at < 127)))
			n = 1;
		if (n == 0)
			return false;
		n += escape;
	}
	return true;
}

static bool is_7bit(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.data[i] > 127)
			return false;
	return true;
}

static bool is_utf8(struct span s)
{
	uint32_t cp;
	size_t n;

	for (size_t i = 0; i < s.len; i += n) {
		n = 1;
		if ((unsigned char)s.data[i] > 127 &&
		    ((n = text_utf8(s.data + i, s.len - i, &cp)) == 0 || cp == 0))
			return false;
	}
	return true;
}

/* Would rspamd detect an undeclared encoding? If in doubt, yes. */
static bool looks_encoded(struct span s)
{
	static const char begin[] = "begin";
	bool other = false;
	int pairs = 0; /* "=" and two hexadecimal digits */

	while (s.len > 0 && g_ascii_isspace(s.data[0])) {
		s.data++;
		s.len--;
	}
	while (s.len > 0 && g_ascii_isspace(s.data[s.len - 1]))
		s.len--;
	if (s.len > 5 && memcmp(s.data, begin, 5) == 0)
		return true;
	if (s.len > SNIFF)
		s.len = SNIFF;
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.data[i] > 127)
			return false;
		pairs += s.data[i] == '=' && is_pair(s.data + i + 1, s.len - i - 1);
		other |= s.data[i] != '=' && !is_base64(s.data[i]);
	}
	return s.len > 0 && (pairs > 2 || !other);
}

/*
 * rspamd takes lines that begin with "--" for delimiters of parts even outside multiparts. If
 * the encoded bytes have what looks like the header of such a part, rspamd reads the part from
 * them.
 */
static bool looks_like_parts(struct span s)
{
	static const char mark[] = "Content-";
	size_t n = sizeof mark - 1;
	bool dashes = false, start = true;

	for (size_t i = 0; i < s.len; i++) {
		size_t left = s.len - i;

		if (start && left >= 2 && s.data[i] == '-' && s.data[i + 1] == '-')
			dashes = true;
		if (start && dashes && left >= n && text_equal_nocase(s.data + i, n, mark))
			return true;
		start = s.data[i] == '\n' || s.data[i] == '\r';
	}
	return false;
}

bool content_body_is_regular(const struct content *c, struct span body)
{
	if (c->encoding == ENCODING_BASE64)
		return content_is_base64(body);
	if (looks_like_parts(body))
		return false;
	switch (c->encoding) {
	case ENCODING_QP:
		return is_quoted_printable(body);
	case ENCODING_7BIT:
		return is_7bit(body);
	case ENCODING_NONE:
		if (looks_encoded(body))
			return false;
		/* fall through */
	default:
		return c->type != NULL || is_utf8(body);
	}
}

enum digest_mode content_mode(const struct content *c)
{
	bool text = c->type == NULL ? c->encoding != ENCODING_BASE64
				    : content_begins(c, "text/") ||
					  content_is(c, "message/delivery-status");

	if (text && c->plain)
		return DIGEST_TEXT;
	return c->encoding == ENCODING_BASE64 ? DIGEST_EXACT : DIGEST_LINES;
}
