#include "imap/utf7.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/text.h"

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

struct utf7 {
	char *out;
	size_t n, size;
	uint32_t bits; /* waiting to be written, the newest lowest */
	int n_bits;
	bool shifted;
};

static bool put(struct utf7 *u, char c)
{
	if (u->n + 1 >= u->size)
		return false;
	u->out[u->n++] = c;
	return true;
}

static bool put_unit(struct utf7 *u, uint32_t unit)
{
	if (!u->shifted && !put(u, '&'))
		return false;
	u->shifted = true;
	u->bits = u->bits << 16 | unit;
	for (u->n_bits += 16; u->n_bits >= 6; u->n_bits -= 6)
		if (!put(u, base64[u->bits >> (u->n_bits - 6) & 63]))
			return false;
	return true;
}

static bool end_shift(struct utf7 *u)
{
	bool ok = true;

	if (u->shifted && u->n_bits > 0)
		ok = put(u, base64[u->bits << (6 - u->n_bits) & 63]);
	if (u->shifted)
		ok = ok && put(u, '-');
	u->shifted = false;
	u->bits = 0;
	u->n_bits = 0;
	return ok;
}

static bool put_char(struct utf7 *u, uint32_t c)
{
	if (c >= 0x20 && c <= 0x7E)
		return end_shift(u) && put(u, (char)c) && (c != '&' || put(u, '-'));
	if (c < 0x10000)
		return put_unit(u, c);
	c -= 0x10000;
	return put_unit(u, 0xD800 + (c >> 10)) && put_unit(u, 0xDC00 + (c & 0x3FF));
}

int utf7_encode(const char *utf8, char *out, size_t size)
{
	struct utf7 u = {.out = out, .size = size};
	size_t len = strlen(utf8);

	for (size_t i = 0, n; i < len; i += n) {
		uint32_t c;

		n = text_utf8(utf8 + i, len - i, &c);
		if (n == 0 || !put_char(&u, c))
			return -1;
	}
	if (!end_shift(&u) || u.n == 0)
		return -1;
	out[u.n] = '\0';
	return 0;
}

static bool put_utf8(struct utf7 *u, uint32_t c)
{
	if (c < 0x80)
		return put(u, (char)c);
	if (c < 0x800)
		return put(u, (char)(0xC0 | c >> 6)) && put(u, (char)(0x80 | (c & 0x3F)));
	if (c < 0x10000)
		return put(u, (char)(0xE0 | c >> 12)) &&
		       put(u, (char)(0x80 | (c >> 6 & 0x3F))) &&
		       put(u, (char)(0x80 | (c & 0x3F)));
	return put(u, (char)(0xF0 | c >> 18)) && put(u, (char)(0x80 | (c >> 12 & 0x3F))) &&
	       put(u, (char)(0x80 | (c >> 6 & 0x3F))) && put(u, (char)(0x80 | (c & 0x3F)));
}

/* A run of base64, from behind the & to behind the -, as UTF-8. NULL: it is none. */
static const char *get_shifted(const char *p, struct utf7 *u)
{
	uint32_t bits = 0, high = 0;
	int n_bits = 0;

	for (; *p != '-'; p++) {
		const char *digit = *p ? strchr(base64, *p) : NULL;
		uint32_t c;

		if (digit == NULL)
			return NULL;
		bits = bits << 6 | (uint32_t)(digit - base64);
		n_bits += 6;
		if (n_bits < 16)
			continue;
		n_bits -= 16;
		c = bits >> n_bits & 0xFFFF;
		bits &= (1u << n_bits) - 1;
		if ((c >= 0x20 && c <= 0x7E) || c == 0)
			return NULL; /* is written as itself */
		if (high != 0 ? c < 0xDC00 || c > 0xDFFF : c >= 0xDC00 && c <= 0xDFFF)
			return NULL;
		if (c >= 0xD800 && c <= 0xDBFF) {
			high = c;
			continue;
		}
		if (high != 0)
			c = 0x10000 + ((high - 0xD800) << 10) + (c - 0xDC00);
		high = 0;
		if (!put_utf8(u, c))
			return NULL;
	}
	return high == 0 && n_bits < 6 && bits == 0 ? p + 1 : NULL;
}

int utf7_decode(const char *wire, char *out, size_t size)
{
	struct utf7 u = {.out = out, .size = size};
	const char *p = wire;
	bool shifted = false; /* the last was a run of base64: one more would have been in it */

	while (*p) {
		if (*p < 0x20 || *p > 0x7E || (*p != '&' && !put(&u, *p)))
			return -1;
		if (*p++ != '&') {
			shifted = false;
		} else if (*p == '-') {
			if (!put(&u, '&'))
				return -1;
			p++;
			shifted = false;
		} else {
			p = shifted ? NULL : get_shifted(p, &u);
			if (p == NULL)
				return -1;
			shifted = true;
		}
	}
	if (u.n == 0)
		return -1;
	out[u.n] = '\0';
	return 0;
}
