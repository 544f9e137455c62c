/*
 * digest.c: the hexadecimal form, the framing and the normalisation, without any MIME. What
 * whole messages come to is in test_mime.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mail/digest.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void check_hex(const struct digest *d, const char *want)
{
	char hex[DIGEST_HEX];

	digest_hex(d, hex);
	assert_string_equal(hex, want);
}

/* One item and one datum, whose bytes are added in steps. */
static struct digest digest_of(enum digest_mode mode, const char *data, size_t len, size_t step)
{
	struct digest_hash *h = digest_new();
	struct digest d;
	struct err e;

	assert_non_null(h);
	digest_item(h, 'F', "hi", 2);
	digest_data_begin(h, mode);
	for (size_t at = 0; at < len; at += step)
		digest_data_add(h, data + at, len - at < step ? len - at : step);
	digest_data_end(h, 'C');
	assert_int_equal(digest_final(h, &d, &e), 0);
	digest_free(h);
	return d;
}

static struct digest digest_text(enum digest_mode mode, const char *s)
{
	return digest_of(mode, s, strlen(s), strlen(s) + 1);
}

static struct digest digest_item_of(char tag, const char *data, size_t len)
{
	struct digest_hash *h = digest_new();
	struct digest d;
	struct err e;

	assert_non_null(h);
	digest_item(h, tag, data, len);
	assert_int_equal(digest_final(h, &d, &e), 0);
	digest_free(h);
	return d;
}

/* From docs/digest.md: the SHA-256 of the bytes that stand above each. */
static void framing(void **state)
{
	struct digest d = digest_text(DIGEST_TEXT, "one\r\ntwo\n");

	(void)state;
	/* 02 46 00000002 "hi" 43 00000020 sha256("one\ntwo") */
	check_hex(&d, "4d1f9b6a990ce59b352d55b538e28016927973202e62bfddca61078b6634ec72");
	/* 02 45 00000000 */
	d = digest_item_of('E', "", 0);
	check_hex(&d, "4e9dbd0ed4ced9cb7913e22b8372ca3ca97aab1e7bb677d00176546ae59d1e4a");
}

/* 02 46 00010203 "y" 0x10203 times */
static void lengths(void **state)
{
	static char text[0x10203 + 1];
	struct digest d;

	(void)state;
	memset(text, 'y', sizeof text - 1);
	d = digest_item_of('F', text, sizeof text - 1);
	check_hex(&d, "9f521e1cca0a12717d8378cfdcfa71dcc55d6d8335f945d4087b6c0028db4e45");
}

static void tags_count(void **state)
{
	struct digest a = digest_item_of('F', "x", 1), b = digest_item_of('R', "x", 1);

	(void)state;
	assert_false(digest_equal(&a, &b));
}

static const struct {
	enum digest_mode mode;
	const char *a, *b;
	bool same;
} pairs[] = {
    {DIGEST_TEXT, "a\nb", "a\r\nb", true},
    {DIGEST_TEXT, "a\nb", "a\rb", true},
    {DIGEST_TEXT, "a\n\nb", "a\r\rb", true},
    {DIGEST_TEXT, "a\nb", "a\n\nb", false},
    {DIGEST_TEXT, "a\nb", "a b", false},
    {DIGEST_TEXT, "a", "a\n", true},
    {DIGEST_TEXT, "a", "a \t\r\n \r\n\r\n", true},
    {DIGEST_TEXT, "a", "a\r", true},
    {DIGEST_TEXT, "a \nb", "a\t\t\nb", true},
    {DIGEST_TEXT, "a b", "a \t  b", true},
    {DIGEST_TEXT, "a b", "ab", false},
    {DIGEST_TEXT, "a", " a", false},
    {DIGEST_TEXT, "  a", " a", true},
    {DIGEST_TEXT, "\na", "a", false},
    {DIGEST_TEXT, "", " \n\n", true},
    {DIGEST_TEXT, "", "x", false},
    {DIGEST_TEXT, "From x", ">From x", true},
    {DIGEST_TEXT, "a\nFrom x", "a\n>>>From x", true},
    {DIGEST_TEXT, "From", ">From", false},
    {DIGEST_TEXT, "From\nx", ">From\nx", false},
    {DIGEST_TEXT, "Fromx", ">Fromx", false},
    {DIGEST_TEXT, "Fro", ">Fro", false},
    {DIGEST_TEXT, "a From x", "a >From x", false},
    {DIGEST_TEXT, " From x", " >From x", false},
    {DIGEST_TEXT, ">", ">>", false},
    {DIGEST_TEXT, ">\n", ">", true},
    {DIGEST_TEXT, "> From x", "From x", false},
    {DIGEST_LINES, "a\nb", "a\r\nb", true},
    {DIGEST_LINES, "a", "a\r\n\r\n", true},
    {DIGEST_LINES, "a\rb", "a\nb", false},
    {DIGEST_LINES, "a\r", "a", false},
    {DIGEST_LINES, "a\r\r\nb", "a\r\nb", false},
    {DIGEST_LINES, "a b", "a  b", false},
    {DIGEST_LINES, "a", "a ", false},
    {DIGEST_LINES, "From x", ">From x", false},
    {DIGEST_EXACT, "a\nb", "a\r\nb", false},
    {DIGEST_EXACT, "a", "a\n", false},
    {DIGEST_EXACT, "a", "a\r", false},
    {DIGEST_EXACT, "a b", "a  b", false},
    {DIGEST_EXACT, "From x", ">From x", false},
};

static void normalisation(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct digest a = digest_text(pairs[i].mode, pairs[i].a);
		struct digest b = digest_text(pairs[i].mode, pairs[i].b);

		if (digest_equal(&a, &b) != pairs[i].same)
			fail_msg("pair %zu", i);
	}
}

/* How the bytes arrive is no identity, not even across the output buffer's end. */
static void pieces(void **state)
{
	static const char line[] = ">>From the \t\t \r\n\r\n >From\r> Fro\0m\n";
	char text[300 * (sizeof line - 1)];

	(void)state;
	for (size_t i = 0; i < 300; i++)
		memcpy(text + i * (sizeof line - 1), line, sizeof line - 1);
	for (enum digest_mode mode = DIGEST_EXACT; mode <= DIGEST_TEXT; mode++) {
		struct digest whole = digest_of(mode, text, sizeof text, sizeof text);

		for (size_t step = 1; step < 70; step++) {
			struct digest d = digest_of(mode, text, sizeof text, step);

			assert_true(digest_equal(&d, &whole));
		}
	}
}

/* The three modes, which agree on what has nothing to normalise. */
static void modes(void **state)
{
	struct digest exact = digest_text(DIGEST_EXACT, "a\nb");
	struct digest lines = digest_text(DIGEST_LINES, "a\nb");
	struct digest text = digest_text(DIGEST_TEXT, "a\nb");

	(void)state;
	assert_true(digest_equal(&exact, &lines));
	assert_true(digest_equal(&exact, &text));
}

static void hexadecimal(void **state)
{
	static const char hex[] =
	    "00112233445566778899aabbccddeeff0123456789abcdefFEDCBA9876543210";
	static const char lower[] =
	    "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210";
	char text[sizeof hex + 1];
	struct digest d, untouched;

	(void)state;
	assert_true(digest_parse(hex, &d));
	assert_int_equal(d.bytes[1], 0x11);
	assert_int_equal(d.bytes[31], 0x10);
	check_hex(&d, lower);

	untouched = d;
	for (size_t i = 0; i < sizeof hex - 1; i++) { /* too short, or no digit at i */
		memcpy(text, hex, sizeof hex);
		text[i] = '\0';
		assert_false(digest_parse(text, &d));
		text[i] = i % 2 ? 'g' : '/';
		assert_false(digest_parse(text, &d));
	}
	memcpy(text, hex, sizeof hex);
	memcpy(text + sizeof hex - 1, "0", 2);
	assert_false(digest_parse(text, &d));
	assert_true(digest_equal(&d, &untouched));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(framing),	   cmocka_unit_test(lengths),
	    cmocka_unit_test(tags_count),  cmocka_unit_test(normalisation),
	    cmocka_unit_test(pieces),	   cmocka_unit_test(modes),
	    cmocka_unit_test(hexadecimal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
