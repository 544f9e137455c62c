#include "utf7.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "text.h"

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
