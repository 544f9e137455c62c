#include "mail/digest.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

static const char FROM[] = "From"; /* what mbox writers quote at the start of a line */

enum { FROM_LEN = sizeof FROM - 1 };

/* Data that is held back because the bytes after it decide whether it counts. */
struct normal {
	enum digest_mode mode;
	bool cr;	/* a CR: half a line end, or a byte of its own */
	size_t lines;	/* line ends since the last byte that counted */
	bool blank;	/* spaces or tabs since then, on this line */
	bool start;	/* still in what may be ">From" at the start of a line */
	size_t quotes;	/* how many ">" it has */
	size_t matched; /* how many bytes of FROM it has */
};

struct digest_hash {
	EVP_MD_CTX *whole, *data; /* owned */
	bool failed;
	struct normal n;
	unsigned char out[4096]; /* normalised bytes, not yet hashed into data */
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

void digest_item(struct digest_hash *h, char tag, const char *data, size_t len)
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
	h->data = EVP_MD_CTX_new();
	if (h->whole == NULL || h->data == NULL) {
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
	EVP_MD_CTX_free(h->data);
	free(h);
}

void digest_data_begin(struct digest_hash *h, enum digest_mode mode)
{
	hash_start(h, h->data);
	h->n = (struct normal){.mode = mode, .start = true};
	h->out_len = 0;
}

static void out_flush(struct digest_hash *h)
{
	hash_add(h, h->data, h->out, h->out_len);
	h->out_len = 0;
}

static void out_byte(struct digest_hash *h, char c)
{
	if (h->out_len == sizeof h->out)
		out_flush(h);
	h->out[h->out_len++] = (unsigned char)c;
}

/* Add a byte that counts; the line ends and blanks before it now count, too. */
static void put(struct digest_hash *h, char c)
{
	for (; h->n.lines > 0; h->n.lines--)
		out_byte(h, '\n');
	if (h->n.blank)
		out_byte(h, ' ');
	h->n.blank = false;
	out_byte(h, c);
}

/* The start of a line is over: what was held back counts, but quotes only if they are text. */
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

/* A CR without LF: a line end in text, a byte like any other elsewhere. */
static void put_lone_cr(struct digest_hash *h)
{
	h->n.cr = false;
	if (h->n.mode == DIGEST_TEXT)
		put_line_end(h);
	else
		put(h, '\r');
}

void digest_data_add(struct digest_hash *h, const char *data, size_t len)
{
	if (h->n.mode == DIGEST_EXACT) {
		hash_add(h, h->data, data, len);
		return;
	}
	for (size_t i = 0; i < len; i++) {
		char c = data[i];

		if (h->n.cr && c != '\n')
			put_lone_cr(h);
		h->n.cr = c == '\r';
		if (c == '\n')
			put_line_end(h);
		else if (c != '\r' && h->n.mode == DIGEST_TEXT)
			put_text(h, c);
		else if (c != '\r')
			put(h, c);
	}
}

void digest_data_end(struct digest_hash *h, char tag)
{
	unsigned char sum[DIGEST_SIZE];

	if (h->n.cr)
		put_lone_cr(h);
	if (h->n.start)
		put_start(h, false);
	out_flush(h);
	if (!h->failed && EVP_DigestFinal_ex(h->data, sum, NULL) != 1)
		h->failed = true;
	digest_item(h, tag, (const char *)sum, h->failed ? 0 : sizeof sum);
}

int digest_final(struct digest_hash *h, struct digest *out, struct err *e)
{
	if (!h->failed && EVP_DigestFinal_ex(h->whole, out->bytes, NULL) != 1)
		h->failed = true;
	if (h->failed)
		return err_set(e, ERR_FATAL, ERR_LOCAL, "OpenSSL cannot compute SHA-256");
	return 0;
}
