/*
 * text.c: numbers that are numbers, UTF-8 that is UTF-8, and that nothing which a stranger
 * wrote reaches a terminal as anything but visible characters.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *text;
	uint64_t max;
	bool ok;
	uint64_t value;
} numbers[] = {
    {"0", 0, true, 0},
    {"1", 0, false, 0},
    {"7", 5, false, 0}, /* a digit above max */
    {"9", 8, false, 0},
    {"9", 9, true, 9},
    {"10", 9, false, 0},
    {"17", 16, false, 0},
    {"16", 16, true, 16},
    {"007", 7, true, 7},
    {"4294967295", UINT32_MAX, true, UINT32_MAX},
    {"4294967296", UINT32_MAX, false, 0},
    {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
    {"18446744073709551616", UINT64_MAX, false, 0},
    {"99999999999999999999999999", UINT64_MAX, false, 0},
    {"", UINT64_MAX, false, 0},
    {" 1", UINT64_MAX, false, 0},
    {"1 ", UINT64_MAX, false, 0},
    {"+1", UINT64_MAX, false, 0},
    {"-1", UINT64_MAX, false, 0},
    {"0x10", UINT64_MAX, false, 0},
    {"1e3", UINT64_MAX, false, 0},
    {"\xB1", UINT64_MAX, false, 0},
    {"1/", UINT64_MAX, false, 0},
    {"1:", UINT64_MAX, false, 0},
};

static void test_number(void **state)
{
	uint64_t n;

	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		n = 4711;
		if (text_number(numbers[i].text, strlen(numbers[i].text), numbers[i].max, &n) !=
		    numbers[i].ok)
			fail_msg("\"%s\" up to %llu", numbers[i].text,
				 (unsigned long long)numbers[i].max);
		assert_int_equal(n, numbers[i].ok ? numbers[i].value : 4711);
	}
	assert_true(text_number("123", 2, 99, &n)); /* the length counts, not the NUL */
	assert_int_equal(n, 12);
	assert_false(text_number("1\0002", 3, 999, &n));
}

/* Every max up to 300 against every number up to 400. */
static void test_number_limit(void **state)
{
	(void)state;
	for (unsigned max = 0; max <= 300; max++)
		for (unsigned i = 0; i <= 400; i++) {
			char text[8];
			int len = snprintf(text, sizeof text, "%u", i);
			uint64_t n = 0;

			if (text_number(text, (size_t)len, max, &n) != (i <= max))
				fail_msg("%u up to %u", i, max);
			assert_int_equal(n, i <= max ? i : 0);
		}
}

static const struct {
	const char *text;
	size_t len, want;
	uint32_t cp;
} characters[] = {
    {"a", 1, 1, 'a'},
    {"\0", 1, 1, 0},
    {"\x7F", 1, 1, 0x7F},
    {"\xC2\x80", 2, 2, 0x80},
    {"\xDF\xBF", 2, 2, 0x7FF},
    {"\xE0\xA0\x80", 3, 3, 0x800},
    {"\xED\x9F\xBF", 3, 3, 0xD7FF},
    {"\xEE\x80\x80", 3, 3, 0xE000},
    {"\xEF\xBF\xBF", 3, 3, 0xFFFF},
    {"\xF0\x90\x80\x80", 4, 4, 0x10000},
    {"\xF4\x8F\xBF\xBF", 4, 4, 0x10FFFF},
    {"\xC3\xA9x", 3, 2, 0xE9},
    {"\x80", 1, 0, 0}, /* a continuation alone */
    {"\xBF", 1, 0, 0},
    {"\xC0\x80", 2, 0, 0}, /* overlong */
    {"\xC1\xBF", 2, 0, 0},
    {"\xE0\x80\x80", 3, 0, 0},
    {"\xE0\x9F\xBF", 3, 0, 0},
    {"\xF0\x80\x80\x80", 4, 0, 0},
    {"\xF0\x8F\xBF\xBF", 4, 0, 0},
    {"\xED\xA0\x80", 3, 0, 0}, /* surrogates */
    {"\xED\xBF\xBF", 3, 0, 0},
    {"\xF4\x90\x80\x80", 4, 0, 0}, /* above U+10FFFF */
    {"\xF7\xBF\xBF\xBF", 4, 0, 0},
    {"\xF8\x88\x80\x80\x80", 5, 0, 0},
    {"\xFC\x84\x80\x80\x80\x80", 6, 0, 0},
    {"\xFE", 1, 0, 0},
    {"\xFF", 1, 0, 0},
    {"\xBF\x80", 2, 0, 0}, /* a continuation in front */
    {"\x80\x80", 2, 0, 0},
    {"\xF8\x90\x80\x80", 4, 0, 0},
    {"\xC3\xBC", 1, 0, 0}, /* the length counts, whatever lies behind it */
    {"\xE2\x82\xAC", 2, 0, 0},
    {"\xF0\x9F\x98\x80", 3, 0, 0},
    {"\xC3", 1, 0, 0}, /* cut short */
    {"\xE2\x82", 2, 0, 0},
    {"\xF0\x9F\x98", 3, 0, 0},
    {"\xC3z", 2, 0, 0}, /* not continued */
    {"\xE2\x82z", 3, 0, 0},
    {"\xE2z\xAC", 3, 0, 0},
    {"\xC3\xC3", 2, 0, 0},
};

static void test_utf8(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(characters); i++) {
		uint32_t cp = 0;
		size_t n = text_utf8(characters[i].text, characters[i].len, &cp);

		if (n != characters[i].want || (n > 0 && cp != characters[i].cp))
			fail_msg("character %zu: %zu bytes, U+%04X", i, n, cp);
	}
}

static const struct {
	const char *text, *want;
} shown[] = {
    {"", ""},
    {"plain text", "plain text"},
    {"tab\there\r\n", "tab\\x09here\\x0d\\x0a"},
    {"\x1B[31mred", "\\x1b[31mred"},
    {"\x7F", "\\x7f"},
    {"back\\slash", "back\\slash"},
    {"gr\xC3\xBC\xC3\x9F", "gr\xC3\xBC\xC3\x9F"},
    {"\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"},
    {"\xC2\x80\xC2\x9B", "\\xc2\\x80\\xc2\\x9b"}, /* C1: 0x9B is CSI */
    {"\xC2\x9F~", "\\xc2\\x9f~"},		  /* the last of C1, and the last before DEL */
    {"\x1F ", "\\x1f "},
    {"\xC2\xA0", "\xC2\xA0"},					    /* the first behind C1 */
    {"\xE2\x80\xAA\xE2\x80\xAE", "\\xe2\\x80\\xaa\\xe2\\x80\\xae"}, /* U+202A, U+202E */
    {"\xE2\x81\xA6\xE2\x81\xA9", "\\xe2\\x81\\xa6\\xe2\\x81\\xa9"}, /* U+2066, U+2069 */
    {"\xE2\x80\x8E\xE2\x80\x8F", "\\xe2\\x80\\x8e\\xe2\\x80\\x8f"}, /* U+200E, U+200F */
    {"\xD8\x9C", "\\xd8\\x9c"},					    /* U+061C */
    {"\xE2\x80\xA8\xE2\x80\xA9", "\\xe2\\x80\\xa8\\xe2\\x80\\xa9"}, /* U+2028, U+2029 */
    {"\xEF\xBB\xBF", "\\xef\\xbb\\xbf"},			    /* U+FEFF */
    {"\xE2\x80\xAF\xE2\x81\xA5\xE2\x81\xAA",
     "\xE2\x80\xAF\xE2\x81\xA5\xE2\x81\xAA"}, /* beside */
    {"\xC0\x9B", "\\xc0\\x9b"},		      /* overlong ESC */
    {"\xE0\x80\x9B", "\\xe0\\x80\\x9b"},
    {"caf\xE9", "caf\\xe9"}, /* Latin-1 */
    {"\xE2\x82", "\\xe2\\x82"},
    {"\xED\xA0\x80", "\\xed\\xa0\\x80"},
};

static void test_visible(void **state)
{
	char out[100];

	(void)state;
	for (size_t i = 0; i < COUNT(shown); i++) {
		size_t n = text_visible(out, sizeof out, shown[i].text, strlen(shown[i].text));

		if (strcmp(out, shown[i].want) != 0 || n != strlen(shown[i].want))
			fail_msg("%zu: \"%s\" is not \"%s\"", i, out, shown[i].want);
	}
	assert_int_equal(text_visible(out, sizeof out, "a\0b", 3), 6);
	assert_string_equal(out, "a\\x00b");
}

static void test_visible_cut(void **state)
{
	static const struct {
		size_t size;
		const char *text, *want;
	} cuts[] = {
	    {8, "1234567", "1234567"},
	    {8, "12345678", "1234..."},
	    {8,
	     "123\xC3\xBC"
	     "567",
	     "123..."}, /* no half character before the dots */
	    {8,
	     "12\xC3\xBC"
	     "567",
	     "12\xC3\xBC"
	     "567"},
	    {8,
	     "12\xC3\xBC"
	     "5678",
	     "12\xC3\xBC..."},
	    {8, "\xF0\x9F\x98\x80\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80..."},
	    {8, "1\xF0\x9F\x98\x80\xF0\x9F\x98\x80", "1..."},
	    {8, "\x01\x02", "\\x01..."},
	    {8, "12345\x01", "1234..."},
	    {9, "12345678", "12345678"},
	};
	char out[16];

	(void)state;
	for (size_t i = 0; i < COUNT(cuts); i++) {
		size_t n;

		memset(out, '#', sizeof out);
		n = text_visible(out, cuts[i].size, cuts[i].text, strlen(cuts[i].text));
		assert_string_equal(out, cuts[i].want);
		assert_int_equal(n, strlen(cuts[i].want));
		assert_int_equal(out[cuts[i].size], '#');
	}
	out[0] = '#';
	assert_int_equal(text_visible(out, 0, "x", 1), 0);
	assert_int_equal(out[0], '#');
}

/* Whatever the bytes and the size: terminated, inside, valid UTF-8, nothing invisible. */
static void test_visible_any(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char in[40], out[64];
		size_t len = (size_t)round % sizeof in, size = 8 + (size_t)round % 50, n, at, w;

		for (size_t i = 0; i < len; i++) {
			seed = seed * 1103515245 + 12345;
			in[i] = (char)(seed >> 16);
		}
		memset(out, '#', sizeof out);
		n = text_visible(out, size, in, len);
		assert_true(n < size && strlen(out) == n && out[size] == '#');
		for (at = 0; at < n; at += w) {
			uint32_t cp = 0;

			w = text_utf8(out + at, n - at, &cp);
			assert_true(w > 0 && cp >= 0x20 && (cp < 0x7F || cp >= 0xA0));
		}
		/* What is visible stays as it is. */
		assert_int_equal(text_visible(in, sizeof in, out, n < sizeof in ? n : 0),
				 n < sizeof in ? n : 0);
		assert_memory_equal(in, out, n < sizeof in ? n : 0);
	}
}

static void test_nocase(void **state)
{
	(void)state;
	assert_true(text_equal_nocase("InBox", 5, "INBOX"));
	assert_true(text_equal_nocase("", 0, ""));
	assert_false(text_equal_nocase("INBOX", 4, "INBOX"));
	assert_false(text_equal_nocase("INBOX", 5, "INBO"));
	assert_false(text_equal_nocase("INB\0X", 5, "INBOX"));
	assert_false(text_equal_nocase("OK\0", 3, "OK"));
	assert_false(text_equal_nocase("[", 1, "{")); /* 0x20 apart, but no letters */
	assert_false(text_equal_nocase("\xC3\x84", 2, "\xC3\xA4"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_number),	cmocka_unit_test(test_number_limit),
	    cmocka_unit_test(test_utf8),	cmocka_unit_test(test_visible),
	    cmocka_unit_test(test_visible_cut), cmocka_unit_test(test_visible_any),
	    cmocka_unit_test(test_nocase),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
