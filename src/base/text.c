#include "base/text.h"

#include <string.h>
#include <strings.h>

size_t text_utf8(const char *text, size_t len, uint32_t *cp)
{
	const unsigned char *s = (const unsigned char *)text;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xC0 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
	uint32_t c;

	if (n == 0 || n > len || s[0] >= 0xF8)
		return 0;
	c = n == 1 ? s[0] : s[0] & (0xFFu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xC0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3F);
	}
	if (n > 1 && (c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)))
		return 0;
	*cp = c;
	return n;
}

static bool is_shown(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7F && c < 0xA0))
		return false;
	if (c == 0x061C || c == 0x2028 || c == 0x2029 || c == 0xFEFF)
		return false;
	return !(c >= 0x202A && c <= 0x202E) && !(c >= 0x2066 && c <= 0x2069) && c != 0x200E &&
	       c != 0x200F;
}

size_t text_visible(char *dst, size_t size, const char *src, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *s = (const unsigned char *)src;
	size_t out = 0, fits = 0; /* fits: the length after which "..." still fits */

	if (size == 0)
		return 0;
	for (size_t i = 0; i < len;) {
		char piece[4];
		uint32_t cp = 0;
		size_t n = text_utf8(src + i, len - i, &cp), w;

		if (n > 0 && is_shown(cp)) {
			memcpy(piece, s + i, n);
			w = n;
		} else {
			n = 1; /* escape one byte at a time, so that nothing is hidden */
			memcpy(piece, (char[]){'\\', 'x', hex[s[i] >> 4], hex[s[i] & 15]}, 4);
			w = 4;
		}
		if (out + w + 1 > size) {
			out = fits;
			for (int dots = 0; dots < 3 && out + 1 < size; dots++)
				dst[out++] = '.';
			break;
		}
		memcpy(dst + out, piece, w);
		out += w;
		if (out + 4 <= size)
			fits = out;
		i += n;
	}
	dst[out] = '\0';
	return out;
}

bool text_number(const char *s, size_t len, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (len == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned digit = (unsigned)(unsigned char)s[i] - '0';

		if (digit > 9 || digit > max || n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*out = n;
	return true;
}

bool text_equal_nocase(const char *a, size_t alen, const char *b)
{
	return strlen(b) == alen && strncasecmp(a, b, alen) == 0;
}

bool text_ends_in(const char *s, const char *suffix)
{
	size_t len = strlen(s), n = strlen(suffix);

	return n > 0 && len > n && memcmp(s + len - n, suffix, n) == 0;
}

const char *text_list_next(const char **list, size_t *len)
{
	const char *word = *list + strspn(*list, " ,\t");

	*len = strcspn(word, " ,\t");
	*list = word + *len;
	return *len > 0 ? word : NULL;
}
