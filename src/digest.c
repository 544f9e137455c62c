#include "digest.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

static const char FROM[] = "From"; /* what mbox writers quote at the start of a line */

enum { FROM_LEN = sizeof FROM - 1 };

/* What is withheld of a part because what follows decides whether it counts. */
struct normal {
	bool text;
	bool cr;	/* a CR: half a line end, or a byte of its own */
	size_t lines;	/* line ends since the last byte that counted */
	bool blank;	/* spaces or tabs since then, on this line */
	bool start;	/* still in what may be ">From" at the start of a line */
	size_t quotes;	/* its ">" */
	size_t matched; /* its bytes of FROM */
};

struct digest_hash {
	EVP_MD_CTX *whole, *part; /* owned */
	bool failed;
	struct normal n;
	unsigned char out[4096]; /* normalised bytes on their way into part */
	size_t out_len;
};

void digest_hex(const struct digest *d, char out[DIGEST_HEX])
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		out[2 * i] = hex[d->bytes[i] >> 4];
		out[2 * i + 1] = hex[d->bytes[i] & 15];
	}
	out[DIGEST_HEX - 1] = '\0';
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->bytes, b->bytes, DIGEST_SIZE) == 0;
}

/* The value of a hexadecimal digit, or -1. */
static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool digest_parse(const char *hex, struct digest *out)
{
	struct digest d;

	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		int high = digit(hex[2 * i]);
		int low = high < 0 ? -1 : digit(hex[2 * i + 1]);

		if (low < 0)
			return false;
		d.bytes[i] = (unsigned char)(high << 4 | low);
	}
	if (hex[DIGEST_HEX - 1] != '\0')
		return false;
	*out = d;
	return true;
}

static void hash_start(struct digest_hash *h, EVP_MD_CTX *ctx)
{
	if (EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
		h->failed = true;
}

static void hash_add(struct digest_hash *h, EVP_MD_CTX *ctx, const void *data, size_t len)
{
	if (!h->failed && EVP_DigestUpdate(ctx, data, len) != 1)
		h->failed = true;
}

/* One item of the outer hash: its tag, its length in four bytes, big-endian, its bytes. */
static void hash_item(struct digest_hash *h, char tag, const char *data, size_t len)
{
	unsigned char head[5] = {(unsigned char)tag, (unsigned char)(len >> 24),
				 (unsigned char)(len >> 16), (unsigned char)(len >> 8),
				 (unsigned char)len};

	hash_add(h, h->whole, head, sizeof head);
	hash_add(h, h->whole, data, len);
}

struct digest_hash *digest_new(void)
{
	static const unsigned char version = DIGEST_VERSION;
	struct digest_hash *h = calloc(1, sizeof *h);

	if (h == NULL)
		return NULL;
	h->whole = EVP_MD_CTX_new();
	h->part = EVP_MD_CTX_new();
	if (h->whole == NULL || h->part == NULL) {
		digest_free(h);
		return NULL;
	}
	hash_start(h, h->whole);
	hash_add(h, h->whole, &version, 1);
	return h;
}

void digest_free(struct digest_hash *h)
{
	if (h == NULL)
		return;
	EVP_MD_CTX_free(h->whole);
	EVP_MD_CTX_free(h->part);
	free(h);
}

void digest_message_begin(struct digest_hash *h, const char *subject, size_t len)
{
	hash_item(h, 'S', subject, len);
}

void digest_message_end(struct digest_hash *h)
{
	hash_item(h, 'E', "", 0);
}

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

void digest_part_begin(struct digest_hash *h, const char *type)
{
	bool text = starts_with(type, "text/") || starts_with(type, "message/") ||
		    starts_with(type, "multipart/");

	hash_item(h, 'P', type, strlen(type));
	hash_start(h, h->part);
	h->n = (struct normal){.text = text, .start = true};
	h->out_len = 0;
}

static void out_flush(struct digest_hash *h)
{
	hash_add(h, h->part, h->out, h->out_len);
	h->out_len = 0;
}

static void out_byte(struct digest_hash *h, char c)
{
	if (h->out_len == sizeof h->out)
		out_flush(h);
	h->out[h->out_len++] = (unsigned char)c;
}

/* A byte that counts: the line ends and the blanks before it count then, too. */
static void put(struct digest_hash *h, char c)
{
	for (; h->n.lines > 0; h->n.lines--)
		out_byte(h, '\n');
	if (h->n.blank)
		out_byte(h, ' ');
	h->n.blank = false;
	out_byte(h, c);
}

/* The start of a line is over: what was withheld of it counts, quotes only if they are text. */
static void put_start(struct digest_hash *h, bool quoted_from)
{
	size_t quotes = quoted_from ? 0 : h->n.quotes, matched = h->n.matched;

	h->n.start = false;
	h->n.quotes = h->n.matched = 0;
	while (quotes-- > 0)
		put(h, '>');
	for (size_t i = 0; i < matched; i++)
		put(h, FROM[i]);
}

static void put_line_end(struct digest_hash *h)
{
	if (h->n.start)
		put_start(h, false);
	h->n.blank = false;
	h->n.start = true;
	h->n.lines++;
}

static void put_text(struct digest_hash *h, char c)
{
	struct normal *n = &h->n;
	bool blank = c == ' ' || c == '\t';

	if (n->start && c == '>' && n->matched == 0) {
		n->quotes++;
		return;
	}
	if (n->start && n->matched < FROM_LEN && c == FROM[n->matched]) {
		n->matched++;
		return;
	}
	if (n->start)
		put_start(h, blank && n->matched == FROM_LEN);
	if (blank)
		n->blank = true;
	else
		put(h, c);
}

/* A CR that no LF followed: a line end in text, a byte in anything else. */
static void put_lone_cr(struct digest_hash *h)
{
	h->n.cr = false;
	if (h->n.text)
		put_line_end(h);
	else
		put(h, '\r');
}

void digest_part_add(struct digest_hash *h, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = data[i];

		if (h->n.cr && c != '\n')
			put_lone_cr(h);
		h->n.cr = c == '\r';
		if (c == '\n')
			put_line_end(h);
		else if (c != '\r' && h->n.text)
			put_text(h, c);
		else if (c != '\r')
			put(h, c);
	}
}

void digest_part_end(struct digest_hash *h)
{
	unsigned char sum[DIGEST_SIZE];

	if (h->n.cr)
		put_lone_cr(h);
	if (h->n.start)
		put_start(h, false);
	out_flush(h);
	if (!h->failed && EVP_DigestFinal_ex(h->part, sum, NULL) != 1)
		h->failed = true;
	hash_add(h, h->whole, sum, h->failed ? 0 : sizeof sum);
}

int digest_final(struct digest_hash *h, struct digest *out, struct err *e)
{
	if (!h->failed && EVP_DigestFinal_ex(h->whole, out->bytes, NULL) != 1)
		h->failed = true;
	if (h->failed)
		return err_set(e, ERR_FATAL, ERR_LOCAL, "OpenSSL cannot compute SHA-256");
	return 0;
}
