#include "mail/rfc2047.h"

#include <stdbool.h>
#include <string.h>

#include <gmime/gmime.h>

#include "mail/content.h"

enum {
	CHARSET_MAX = 40,     /* bytes of a charset's name, with the terminator */
	CONVERSIONS_MAX = 16, /* in a field: each may load a module of iconv (40 us) */
	GROWTH_MAX =
	    4, /* how many times longer text may become; UTF-8 needs 3, TSCII up to 12 */
};

/* An encoded word; both spans are borrowed from the field. */
struct word {
	char charset[CHARSET_MAX];
	char encoding; /* 'b' or 'q' */
	const char *text;
	size_t len;
};

/* Bytes in one charset ("": none named) that are converted together. */
struct run {
	char charset[CHARSET_MAX];
	struct buf bytes;
	struct buf *out; /* borrowed */
	int conversions; /* so far */
};

static bool is_blank(char c)
{
	return (unsigned char)c <= ' ' || c == 0x7F;
}

static bool all_blank(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_blank(s[i]))
			return false;
	return true;
}

/* A charset's name in lower case without the language of RFC 2231; false if it is not one. */
static bool word_charset(const char *s, size_t len, char out[CHARSET_MAX])
{
	const char *star = memchr(s, '*', len);
	size_t n = star ? (size_t)(star - s) : len;

	if (n == 0 || n >= CHARSET_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!g_ascii_isalnum(s[i]) && memchr("-_.:+", s[i], 5) == NULL)
			return false;
		out[i] = g_ascii_tolower(s[i]);
	}
	out[n] = '\0';
	return true;
}

/* Bytes of the encoded word =?charset?encoding?text?= at s, or 0 if there is none. */
static size_t word_at(const char *s, size_t len, struct word *w)
{
	const char *end = s + len, *charset = s + 2, *mark;

	if (len < 2 || s[0] != '=' || s[1] != '?')
		return 0;
	mark = memchr(charset, '?', (size_t)(end - charset));
	if (mark == NULL || end - mark < 3 || mark[2] != '?' ||
	    !word_charset(charset, (size_t)(mark - charset), w->charset))
		return 0;
	w->encoding = g_ascii_tolower(mark[1]);
	if (w->encoding != 'b' && w->encoding != 'q')
		return 0;
	w->text = mark + 3;
	mark = memchr(w->text, '?', (size_t)(end - w->text));
	if (mark == NULL || end - mark < 2 || mark[1] != '=')
		return 0;
	w->len = (size_t)(mark - w->text);
	return (size_t)(mark + 2 - s);
}

/* The last resort: ISO 8859-1. A header cannot have NULs. */
static int add_8bit(struct buf *out, char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] == '\0')
			s[i] = ' ';
	if (g_utf8_validate(s, (gssize)len, NULL))
		return buf_add(out, s, len);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		char two[2] = {(char)(0xC0 | c >> 6), (char)(0x80 | (c & 0x3F))};

		if (buf_add(out, c < 0x80 ? &s[i] : two, c < 0x80 ? 1 : 2) < 0)
			return -1;
	}
	return 0;
}

/* The run in UTF-8, or NULL if it cannot be converted; owned by the caller (g_free). */
static char *run_convert(struct run *r, size_t *len)
{
	char *utf8;

	if (r->charset[0] == '\0' || strcmp(r->charset, "utf-8") == 0 ||
	    ++r->conversions > CONVERSIONS_MAX)
		return NULL;
	utf8 = g_convert(r->bytes.data, (gssize)r->bytes.len, "UTF-8", r->charset, NULL, len,
			 NULL);
	if (utf8 == NULL || *len <= GROWTH_MAX * r->bytes.len)
		return utf8;
	g_free(utf8);
	return NULL;
}

static int run_flush(struct run *r)
{
	char *utf8;
	size_t len = 0;
	int rc;

	if (r->bytes.len == 0)
		return 0;
	utf8 = run_convert(r, &len);
	rc = utf8 ? buf_add(r->out, utf8, len) : add_8bit(r->out, r->bytes.data, r->bytes.len);
	g_free(utf8);
	buf_clear(&r->bytes);
	return rc;
}

static int run_add(struct run *r, const char *charset, const char *s, size_t len)
{
	if (strcmp(r->charset, charset) != 0) {
		if (run_flush(r) < 0)
			return -1;
		memcpy(r->charset, charset, strlen(charset) + 1);
	}
	return buf_add(&r->bytes, s, len);
}

/*
 * Undo the word's encoding; *len bytes, owned by the caller (g_free). Each word is decoded by
 * itself: its padding ends it, and may be missing.
 */
static char *word_decode(const struct word *w, size_t *len)
{
	GMimeEncoding code;
	char *in = g_malloc(w->len + 2), *out = g_malloc(w->len + 16);
	size_t n = w->len;

	memcpy(in, w->text, n);
	if (w->encoding == 'b') {
		in[n++] = '=';
		in[n++] = '='; /* GMime 3.2.15 needs complete padding */
	} else {
		for (size_t i = 0; i < n; i++)
			if (in[i] == '_')
				in[i] = ' ';
	}
	g_mime_encoding_init_decode(&code, w->encoding == 'b'
					       ? GMIME_CONTENT_ENCODING_BASE64
					       : GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);
	*len = g_mime_encoding_step(&code, in, n, out);
	g_free(in);
	return out;
}

static int run_add_word(struct run *r, const struct word *w)
{
	size_t len;
	char *text = word_decode(w, &len);
	int rc = run_add(r, w->charset, text, len);

	g_free(text);
	return rc;
}

static int decode_words(struct run *r, const char *raw, size_t len)
{
	size_t plain = 0; /* where the text since the last word begins */
	struct word w = {.text = ""};

	for (size_t i = 0, n; i<len; i += n> 0 ? n : 1) {
		n = word_at(raw + i, len - i, &w);
		if (n == 0)
			continue;
		/* Blanks between two words only limit line lengths (RFC 2047, 6.2). */
		if (!all_blank(raw + plain, i - plain) &&
		    run_add(r, "", raw + plain, i - plain) < 0)
			return -1;
		if (run_add_word(r, &w) < 0)
			return -1;
		plain = i + n;
	}
	if (run_add(r, "", raw + plain, len - plain) < 0)
		return -1;
	return run_flush(r);
}

/* Reduce runs of blanks in the appended text s[from..] to one space, none at the ends. */
static void fold_blanks(struct buf *b, size_t from)
{
	size_t to = from;

	if (b->data == NULL)
		return;
	for (size_t i = from; i < b->len; i++) {
		bool blank = is_blank(b->data[i]);

		if (!blank)
			b->data[to++] = b->data[i];
		else if (to > from && b->data[to - 1] != ' ')
			b->data[to++] = ' ';
	}
	if (to > from && b->data[to - 1] == ' ')
		to--;
	b->data[to] = '\0';
	b->len = to;
}

int rfc2047_decode(const char *raw, size_t len, struct buf *out)
{
	struct run r = {.out = out};
	size_t from = out->len;
	int rc;

	buf_init(&r.bytes, len);
	rc = decode_words(&r, raw, len);
	buf_free(&r.bytes);
	if (rc == 0)
		fold_blanks(out, from);
	return rc;
}

/* Does every parser read the word in the same way? Not all know the language of RFC 2231. */
static bool word_is_regular(const char *s, const struct word *w)
{
	if (memchr(s, '*', (size_t)(w->text - s)) != NULL ||
	    (strcmp(w->charset, "utf-8") != 0 && strcmp(w->charset, "us-ascii") != 0))
		return false;
	if (w->encoding == 'b')
		return content_is_base64((struct span){w->text, w->len});
	for (size_t i = 0; i < w->len; i++)
		if ((unsigned char)w->text[i] > 127 ||
		    (w->text[i] == '=' &&
		     (w->len - i < 3 || !g_ascii_isxdigit(w->text[i + 1]) ||
		      !g_ascii_isxdigit(w->text[i + 2]))))
			return false;
	return true;
}

/* Append the text of s, which must be an encoded word. Returns as rfc2047_canonical. */
static int add_canonical(struct buf *out, const char *s, size_t len)
{
	struct word w = {.text = ""};
	bool ascii;
	size_t n;
	char *text;
	int rc;

	if (word_at(s, len, &w) != len || !word_is_regular(s, &w))
		return 0;
	text = word_decode(&w, &n);
	ascii = strcmp(w.charset, "us-ascii") == 0;
	for (size_t i = 0; ascii && i < n; i++)
		ascii = (unsigned char)text[i] < 128;
	if (ascii || strcmp(w.charset, "utf-8") == 0)
		rc = buf_add(out, text, n) < 0 ? -1 : 1;
	else
		rc = 0;
	g_free(text);
	return rc;
}

static bool is_text(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7F)
			return false;
	return len == 0 || g_utf8_validate(s, (gssize)len, NULL);
}

int rfc2047_canonical(const char *flat, struct buf *out)
{
	bool before = false, encoded; /* the last word, this word */
	size_t from = out->len, n;
	int rc = is_text(flat, strlen(flat)) ? 1 : 0;

	for (const char *s = flat; rc == 1 && *s != '\0'; s += n + (s[n] == ' ')) {
		n = strcspn(s, " ");
		encoded = memmem(s, n, "=?", 2) != NULL;
		if (s > flat && !(before && encoded) && buf_adds(out, " ") < 0)
			return -1;
		if (encoded)
			rc = add_canonical(out, s, n);
		else if (buf_add(out, s, n) < 0)
			rc = -1;
		before = encoded;
	}
	if (rc == 1 && !is_text(out->data ? out->data + from : "", out->len - from))
		rc = 0;
	if (rc == 1)
		fold_blanks(out, from);
	else if (out->data)
		out->data[out->len = from] = '\0';
	return rc;
}
