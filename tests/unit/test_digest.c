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

#include "digest.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void check_hex(const struct digest *d, const char *want)
{
	char hex[DIGEST_HEX];

	digest_hex(d, hex);
	assert_string_equal(hex, want);
}

/* A message with one part, its bytes added in steps. */
static struct digest digest_of(const char *subject, const char *type, const char *data,
			       size_t len, size_t step)
{
	struct digest_hash *h = digest_new();
	struct digest d;
	struct err e;

	assert_non_null(h);
	digest_message_begin(h, subject, strlen(subject));
	digest_part_begin(h, type);
	for (size_t at = 0; at < len; at += step)
		digest_part_add(h, data + at, len - at < step ? len - at : step);
	digest_part_end(h);
	digest_message_end(h);
	assert_int_equal(digest_final(h, &d, &e), 0);
	digest_free(h);
	return d;
}

static struct digest digest_text(const char *type, const char *s)
{
	return digest_of("", type, s, strlen(s), strlen(s) + 1);
}

/* From docs/digest.md: the SHA-256 of the bytes that stand above each. */
static void framing(void **state)
{
	struct digest d = digest_of("hi", "text/plain", "one\r\ntwo\n", 9, 9);
	struct digest_hash *h = digest_new();
	struct err e;

	(void)state;
	/* 01 53 00000002 "hi" 50 0000000a "text/plain" sha256("one\ntwo") 45 00000000 */
	check_hex(&d, "5fba7770f05a8ecb72c8029221fe9e2c1052a4408b95d6622ce6064a17f99831");
	/* 01 53 00000000 45 00000000 */
	digest_message_begin(h, "", 0);
	digest_message_end(h);
	assert_int_equal(digest_final(h, &d, &e), 0);
	check_hex(&d, "60e0e2fb58e98c866020c68deab46eeac8d1d47b702586e01f361057acde8ebe");
	digest_free(h);
}

/* 01 53 00010203 "y" 0x10203 times 50 0000000a "text/plain" sha256("") 45 00000000 */
static void lengths(void **state)
{
	static char subject[0x10203 + 1];
	struct digest d;

	(void)state;
	memset(subject, 'y', sizeof subject - 1);
	d = digest_of(subject, "text/plain", "", 0, 1);
	check_hex(&d, "12bf3e1ae16b217e409ceaa3bfd056e00799a91aa2dcab492d96a07ed44c236a");
}

static void framing_is_unambiguous(void **state)
{
	struct digest a = digest_of("hitext/plain", "text/plain", "x", 1, 1);
	struct digest b = digest_of("hi", "text/plaintext/plain", "x", 1, 1);

	(void)state;
	assert_false(digest_equal(&a, &b));
}

static const struct {
	const char *type, *a, *b;
	bool same;
} pairs[] = {
    {"text/plain", "a\nb", "a\r\nb", true},
    {"text/plain", "a\nb", "a\rb", true},
    {"text/plain", "a\n\nb", "a\r\rb", true},
    {"text/plain", "a\nb", "a\n\nb", false},
    {"text/plain", "a\nb", "a b", false},
    {"text/plain", "a", "a\n", true},
    {"text/plain", "a", "a \t\r\n \r\n\r\n", true},
    {"text/plain", "a", "a\r", true},
    {"text/plain", "a \nb", "a\t\t\nb", true},
    {"text/plain", "a b", "a \t  b", true},
    {"text/plain", "a b", "ab", false},
    {"text/plain", "a", " a", false},
    {"text/plain", "  a", " a", true},
    {"text/plain", "\na", "a", false},
    {"text/plain", "", " \n\n", true},
    {"text/plain", "", "x", false},
    {"text/plain", "From x", ">From x", true},
    {"text/plain", "a\nFrom x", "a\n>>>From x", true},
    {"text/plain", "From", ">From", false},
    {"text/plain", "From\nx", ">From\nx", false},
    {"text/plain", "Fromx", ">Fromx", false},
    {"text/plain", "Fro", ">Fro", false},
    {"text/plain", "a From x", "a >From x", false},
    {"text/plain", " From x", " >From x", false},
    {"text/plain", ">", ">>", false},
    {"text/plain", ">\n", ">", true},
    {"text/plain", "> From x", "From x", false},
    {"message/delivery-status", "a\nb", "a \r\nb", true},
    {"image/png", "a\nb", "a\r\nb", true},
    {"image/png", "a", "a\r\n\r\n", true},
    {"image/png", "a\rb", "a\nb", false},
    {"image/png", "a\r", "a", false},
    {"image/png", "a\r\r\nb", "a\r\nb", false},
    {"image/png", "a b", "a  b", false},
    {"image/png", "a", "a ", false},
    {"image/png", "From x", ">From x", false},
};

static void normalisation(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct digest a = digest_text(pairs[i].type, pairs[i].a);
		struct digest b = digest_text(pairs[i].type, pairs[i].b);

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
	for (size_t t = 0; t < 2; t++) {
		const char *type = t ? "text/plain" : "image/png";
		struct digest whole = digest_of("", type, text, sizeof text, sizeof text);

		for (size_t step = 1; step < 70; step++) {
			struct digest d = digest_of("", type, text, sizeof text, step);

			assert_true(digest_equal(&d, &whole));
		}
	}
}

static void type_counts(void **state)
{
	struct digest a = digest_text("text/plain", "x");
	struct digest b = digest_text("text/html", "x");
	struct digest c = digest_of("s", "text/plain", "x", 1, 1);

	(void)state;
	assert_false(digest_equal(&a, &b));
	assert_false(digest_equal(&a, &c));
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
	    cmocka_unit_test(framing),
	    cmocka_unit_test(lengths),
	    cmocka_unit_test(framing_is_unambiguous),
	    cmocka_unit_test(normalisation),
	    cmocka_unit_test(pieces),
	    cmocka_unit_test(type_counts),
	    cmocka_unit_test(hexadecimal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
