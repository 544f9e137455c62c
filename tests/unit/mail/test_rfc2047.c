/*
 * rfc2047.c: header text as it stands in real and in broken mail, and what it means in UTF-8.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <gmime/gmime.h>

#include "mail/rfc2047.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *raw, *text;
} pairs[] = {
    {"", ""},
    {" plain  text \t here ", "plain text here"},
    {"folded\r\n text", "folded text"},
    {"folded\n\ttext", "folded text"},
    {"=?utf-8?q?J=C3=BCrgen_M?=", "J\u00fcrgen M"},
    {"=?UTF-8?B?SsO8cmdlbg==?=", "J\u00fcrgen"},
    {"=?utf-8*de?Q?lang?=", "lang"},
    {"=?iso-8859-1?q?=FCber?=", "\u00fcber"},
    {"=?windows-1252?q?=93hi=94?=", "\u201chi\u201d"},
    {"=?koi8-r?b?8NLJ18XU?=", "\u041f\u0440\u0438\u0432\u0435\u0442"},
    {"=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "\u65e5\u672c"},
    /* neighbours: the blanks between them are none; each has its own padding, or lost it */
    {"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"},
    {"=?utf-8?q?a?=\r\n =?utf-8?q?b?=", "ab"},
    {"=?utf-8?q?a?==?utf-8?q?b?=", "ab"},
    {"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"},
    {"x=?utf-8?q?a?=y", "xay"},
    {"=?utf-8?b?YQ==?= =?utf-8?b?Yg==?=", "ab"},
    {"=?utf-8?b?YQ?= =?utf-8?b?YWI?=", "aab"},
    {"=?utf-8?q?a_?= =?utf-8?b?Yg==?=", "a b"},
    {"=?utf-8?q?a?= =?iso-8859-1?q?=FC?=", "a\u00fc"},
    /* a character split between words, as broken mailers do */
    {"=?utf-8?q?a=C3?= =?utf-8?q?=BCb?=", "a\u00fcb"},
    {"=?utf-8?b?ww==?= =?UTF-8?b?vGI=?=", "\u00fcb"},
    {"=?utf-8?b?ww==?= =?utf-8?q?=BC?=", "\u00fc"},
    /* what is no word stays as it stands */
    {"=?utf-8?q?unterminated", "=?utf-8?q?unterminated"},
    {"=?utf-8?x?abc?=", "=?utf-8?x?abc?="},
    {"=?"
     "?q?a?=",
     "=?"
     "?q?a?="},
    {"=?a b?q?c?=", "=?a b?q?c?="},
    {"=?utf-8//TRANSLIT?q?a?=", "=?utf-8//TRANSLIT?q?a?="},
    {"=?utf-8?q?a?b?=", "=?utf-8?q?a?b?="},
    {"=?", "=?"},
    {"a?utf-8?q?b?=", "a?utf-8?q?b?="},
    {"=xutf-8?q?b?=", "=xutf-8?q?b?="},
    {"=?=?=?=?q?utf-8?=", "=?=?=?=?q?utf-8?="},
    {"=?q?b?=?=", ""},
    /* broken words */
    {"=?utf-8?q?=zz=4?=", "=zz"},
    {"=?utf-8?b?!!!!?=", ""},
    {"=?utf-8?b?"
     "?= x",
     "x"},
    {"=?utf-8?q?a b?=", "a b"},
    /* no or another charset: UTF-8 if it is that, else ISO 8859-1 */
    {"=?x-nope?q?=FCber?=", "\u00fcber"},
    {"=?x-nope?q?=C3=BCber?=", "\u00fcber"},
    {"=?utf-8?q?=FFx?=", "\u00ffx"},
    {"=?us-ascii?q?=FC?=", "\u00fc"},
    {"raw \xFC and \xFF", "raw \u00fc and \u00ff"},
    {"raw \u00fc", "raw \u00fc"},
    {"!\"#$ marks, ~ too", "!\"#$ marks, ~ too"},
    {"=?utf-8?q?a?= =?utf-8?q?_b?=", "a b"},
    {"=?utf-8?q?a?= =?utf-8?q?b?= c", "ab c"},
    {"one, =?utf-8?q?=C3=BC?= two =?iso-8859-1?q?=FC?= three", "one, \u00fc two \u00fc three"},
    /* control characters are blanks, whoever hid them */
    {"a\x01\x7F b", "a b"},
    {"=?utf-8?q?a=00=0D=0ASubject:_b=00?=", "a Subject: b"},
    {"=?utf-16be?b?AGEAAABi?=", "a b"},
};

static void check(const char *raw, size_t len, const char *want)
{
	struct buf out;

	buf_init(&out, 4 * len);
	assert_int_equal(rfc2047_decode(raw, len, &out), 0);
	assert_string_equal(out.data ? out.data : "", want);
	assert_int_equal(out.len, strlen(want));
	buf_free(&out);
}

static void words(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++)
		check(pairs[i].raw, strlen(pairs[i].raw), pairs[i].text);
	check("a\0b", 3, "a b");
	check("a\0b\0c\xFC", 6, "a b c\u00fc");
}

static void appends(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 10);
	assert_int_equal(buf_adds(&out, "x  "), 0);
	assert_int_equal(rfc2047_decode(" y  z ", 6, &out), 0);
	assert_string_equal(out.data, "x  y z");
	assert_int_equal(rfc2047_decode("12345", 5, &out), -1); /* past the cap */
	buf_free(&out);
}

/* Modules of iconv are loaded a bounded number of times; the rest counts as unknown. */
static void conversions_are_capped(void **state)
{
	struct buf raw;
	char want[100] = "";

	(void)state;
	buf_init(&raw, 4096);
	for (int i = 0; i < 20; i++) {
		const char *charset = i % 2 ? "koi8-r" : "iso-8859-5";

		assert_int_equal(buf_addf(&raw, "=?%s?q?=D0?= ", charset), 0);
		snprintf(want + strlen(want), sizeof want - strlen(want), "%s",
			 i >= 16 ? "\u00d0"
			 : i % 2 ? "\u043f"
				 : "\u0430");
	}
	check(raw.data, raw.len, want);
	buf_free(&raw);
}

/* Text between the words is no conversion. */
static void plain_text_is_not_counted(void **state)
{
	struct buf raw, want;

	(void)state;
	buf_init(&raw, 4096);
	buf_init(&want, 4096);
	for (int i = 0; i < 17; i++) {
		assert_int_equal(buf_addf(&raw, "%sx =?koi8-r?q?=D0?=", i ? " " : ""), 0);
		assert_int_equal(
		    buf_addf(&want, "%sx %s", i ? " " : "", i < 16 ? "\u043f" : "\u00d0"), 0);
	}
	check(raw.data, raw.len, want.data);
	buf_free(&raw);
	buf_free(&want);
}

/* With every cap: all of it, or -1. And nothing is read behind the end of the field. */
static void caps(void **state)
{
	static const char *const texts[] = {
	    "plain text",
	    "plain =?utf-8?q?=C3=BC?= and =?koi8-r?q?=D0=D0?= and more",
	    "=?utf-8?q?=C3=BC?= =?koi8-r?q?=D0=D0?=",
	    "raw \xFC\xFC and =?iso-8859-1?q?=FC?= \xFC",
	    "x =?utf-8?q?cut?",
	    "x =?utf-8?q?cut",
	    "x =?utf-8?q",
	    "x =?utf-8",
	    "x =?",
	    "x =",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		size_t len = strlen(texts[i]);
		char *raw = malloc(len); /* not a byte more, so that a sanitizer sees it */
		struct buf all, out;

		assert_non_null(raw);
		memcpy(raw, texts[i], len);
		buf_init(&all, 4 * len);
		assert_int_equal(rfc2047_decode(raw, len, &all), 0);
		for (size_t cap = 0; cap <= 4 * len; cap++) {
			buf_init(&out, cap);
			if (rfc2047_decode(raw, len, &out) == 0)
				assert_string_equal(out.data, all.data);
			else
				assert_true(cap < 2 * all.len);
			if (cap < all.len)
				assert_int_equal(rfc2047_decode(raw, len, &out), -1);
			buf_free(&out);
		}
		buf_free(&all);
		free(raw);
	}
}

/* TSCII has bytes that are four characters: 12 times as long, which no caller reckons with. */
static void growth_is_capped(void **state)
{
	static const char raw[] = "=?tscii?q?=82=82=82=82?=";
	char *utf8 = g_convert("\x82\x82\x82\x82", 4, "UTF-8", "tscii", NULL, NULL, NULL);

	(void)state;
	if (utf8 == NULL || strlen(utf8) <= 16) {
		print_message("SKIPPED: an iconv without TSCII\n");
		skip();
	}
	check(raw, sizeof raw - 1, "\xC2\x82\xC2\x82\xC2\x82\xC2\x82");
	g_free(utf8);
}

/* What every parser reads so; NULL: what stands as it is. */
static const char *const canonical[][2] = {
    {"", ""},
    {"a b", "a b"},
    {"J\u00fcrgen", "J\u00fcrgen"},
    {"=?utf-8?q?J=C3=BCrgen_M?=", "J\u00fcrgen M"},
    {"=?UTF-8?B?SsO8cmdlbg==?= x", "J\u00fcrgen x"},
    {"=?utf-8?q?a=C3?= =?utf-8?q?=BCb?=", "a\u00fcb"},
    {"=?us-ascii?q?a?= =?utf-8?q?_b?=", "a b"},
    {"a =?utf-8?q?b?=", "a b"},
    {"=?utf-8?q?__a__?= _b", "a _b"},
    {"=?utf-8?q?"
     "?= a",
     "a"},
    {"=?utf-8?q?=FC?=", NULL},
    {"=?us-ascii?q?=C3=BC?=", NULL},
    {"=?iso-8859-1?q?a?=", NULL},
    {"=?utf-8*de?q?a?=", NULL},
    {"=?utf-8?x?a?=", NULL},
    {"=?utf-8?q?a", NULL},
    {"x=?utf-8?q?a?=", NULL},
    {"=?utf-8?q?a?=x", NULL},
    {"=?utf-8?q?a b?=", NULL},
    {"=?utf-8?q?=zz?=", NULL},
    {"=?utf-8?q?a=zz?=", NULL},
    {"=?utf-8?q?a=4?=", NULL},
    {"=?utf-8?q?a\u00fc?=", NULL},
    {"=?utf-8?q?\u00fc?=", NULL},
    {"=?utf-8?b?YQ?=", NULL},
    {"=?utf-8?b?YQ=?=", NULL},
    {"=?utf-8?b?YQ==YQ==?=", NULL},
    {"=?utf-8?b?Y Q==?=", NULL},
    {"=?utf-8?b?Y.Q=?=", NULL},
    {"=?utf-8?q?=00?=", NULL},
    {"=?utf-8?q?=0A?=", NULL},
    {"a\x01", NULL},
    {"a\x7F", NULL},
    {"\xFC", NULL},
};

static void canonical_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(canonical); i++) {
		const char *want = canonical[i][1];
		struct buf out;

		buf_init(&out, 100);
		assert_int_equal(buf_adds(&out, "x: "), 0);
		if (rfc2047_canonical(canonical[i][0], &out) != (want != NULL))
			fail_msg("canonical %zu", i);
		assert_string_equal(out.data + 3, want ? want : "");
		buf_free(&out);
	}
}

static void canonical_text_is_capped(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 3);
	assert_int_equal(rfc2047_canonical("a b", &out), 1);
	assert_int_equal(rfc2047_canonical("a", &out), -1);
	buf_free(&out);
	buf_init(&out, 1);
	assert_int_equal(rfc2047_canonical("a b", &out), -1);
	buf_clear(&out);
	assert_int_equal(rfc2047_canonical("=?utf-8?q?ab?=", &out), -1);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words),
	    cmocka_unit_test(appends),
	    cmocka_unit_test(conversions_are_capped),
	    cmocka_unit_test(growth_is_capped),
	    cmocka_unit_test(plain_text_is_not_counted),
	    cmocka_unit_test(caps),
	    cmocka_unit_test(canonical_text),
	    cmocka_unit_test(canonical_text_is_capped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
