/*
 * rfc2047.c: header text as it stands in real and in broken mail, and what it means in UTF-8.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <gmime/gmime.h>

#include "rfc2047.h"

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

/* TSCII has bytes that are four characters: 12 times as long, which no caller reckons with. */
static void growth_is_capped(void **state)
{
	static const char raw[] = "=?tscii?q?=82=82=82=82?=";
	char *utf8 = g_convert("\x82\x82\x82\x82", 4, "UTF-8", "tscii", NULL, NULL, NULL);

	(void)state;
	if (utf8 == NULL || strlen(utf8) <= 16)
		skip(); /* an iconv without it */
	check(raw, sizeof raw - 1, "\xC2\x82\xC2\x82\xC2\x82\xC2\x82");
	g_free(utf8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words),
	    cmocka_unit_test(appends),
	    cmocka_unit_test(conversions_are_capped),
	    cmocka_unit_test(growth_is_capped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
