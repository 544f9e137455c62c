/*
 * utf7.c: mailbox names as RFC 3501, section 5.1.3, writes them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "imap/utf7.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *utf8, *wire;
} names[] = {
    {"INBOX", "INBOX"},
    {"Junk Mail", "Junk Mail"},
    {"a/b.c~\\\"x\"", "a/b.c~\\\"x\""}, /* quoting is for the next layer */
    {"~peter/mail/\xE5\x8F\xB0\xE5\x8C\x97/\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E",
     "~peter/mail/&U,BTFw-/&ZeVnLIqe-"}, /* the RFC's example */
    {"&", "&-"},
    {"A&B", "A&-B"},
    {"&&", "&-&-"},
    {"&AAA-", "&-AAA-"}, /* what looks encoded is not */
    {"\xC3\xA9&\xC3\xA9", "&AOk-&-&AOk-"},
    {"Entw\xC3\xBCrfe", "Entw&APw-rfe"},
    {"\xC3\xA9\xC3\xA9", "&AOkA6Q-"},
    {"\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC", "&IKwgrCCs-"}, /* no bits left over */
    {"\xF0\x9F\x98\x80", "&2D3eAA-"},			    /* a surrogate pair */
    {"x\xF0\x9F\x92\xA9y", "x&2D3cqQ-y"},
    {"\xF4\x8F\xBF\xBF", "&2,,f,w-"},
    {"\xEF\xBF\xBF", "&,,8-"},	      /* the last without surrogates */
    {"\xF0\x90\x80\x80", "&2ADcAA-"}, /* the first with them */
    {"-\xC3\xA9-", "-&AOk--"},
    {"\x7F", "&AH8-"},
    {"a\tb", "a&AAk-b"},
    {"\x01", "&AAE-"},
};

static void test_names(void **state)
{
	char out[64];

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_int_equal(utf7_encode(names[i].utf8, out, sizeof out), 0);
		assert_string_equal(out, names[i].wire);
	}
}

/* Into every size: all of it, or refused, and never a byte behind the end. */
static void test_size(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(names); i++)
		for (size_t size = 0; size < 40; size++) {
			char out[64];
			size_t want = strlen(names[i].wire) + 1;

			memset(out, '#', sizeof out);
			assert_int_equal(utf7_encode(names[i].utf8, out, size),
					 size >= want ? 0 : -1);
			assert_int_equal(out[size], '#');
			if (size >= want)
				assert_string_equal(out, names[i].wire);
		}
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
	    "",		"caf\xE9",	"\xC3", "a\xC0\x80", "\xED\xA0\xBD", "\xF4\x90\x80\x80",
	    "\xE2\x82", "\xC3\xA9\xFF", "\x80",
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(utf7_encode(bad[i], out, sizeof out), -1);
}

/* And back, into every size. */
static void test_decode(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(names); i++)
		for (size_t size = 0; size < 40; size++) {
			char out[64];
			size_t want = strlen(names[i].utf8) + 1;

			memset(out, '#', sizeof out);
			assert_int_equal(utf7_decode(names[i].wire, out, size),
					 size >= want ? 0 : -1);
			assert_int_equal(out[size], '#');
			if (size >= want)
				assert_string_equal(out, names[i].utf8);
		}
}

static void test_decode_refused(void **state)
{
	static const char *const bad[] = {
	    "",		"&", /* a run that does not end */
	    "x&",	"&AOk",
	    "&A-", /* bits that are no character */
	    "&AA-",	"&AOkA-",
	    "&AOkA6-",	"&AOl-",      /* bits behind the last that are not 0 */
	    "&AOkAAA-",		      /* a NUL */
	    "&AAA-",	"&AGE-",      /* "a" needs no shift */
	    "&ACA-",	"&AH4-",      /* nor do a blank and "~" */
	    "&ACY-",		      /* nor "&" a run */
	    "&AOkAYQ-", "&AOk-&AOk-", /* one run would do */
	    "&2D3-",		      /* half a pair */
	    "&2D3YPQ-",		      /* two first halves */
	    "&3gA-",		      /* a second half alone */
	    "&2D0AQQ-", "&AO/-",      /* base64 of MIME */
	    "&AOk=-",	"&AO k-",
	    "&AO\xC3-", "caf\xC3\xA9", /* must be encoded */
	    "caf\xE9",	"a\tb",
	    "a\x7F",
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		if (utf7_decode(bad[i], out, sizeof out) != -1)
			fail_msg("\"%s\" was taken for a name", bad[i]);
}

/* What it accepts is what utf7_encode writes: no name has two forms. */
static void test_decode_round_trip(void **state)
{
	static const char alphabet[] = "&-,+AOkD2Q3e9wa";
	uint32_t seed = 1;
	unsigned accepted = 0;

	(void)state;
	for (int round = 0; round < 300000; round++) {
		char wire[16] = "", utf8[64], again[64];
		size_t n = 1 + round % 10;

		for (size_t i = 0; i < n; i++) {
			seed = seed * 1103515245 + 12345;
			wire[i] = alphabet[(seed >> 8) % (sizeof alphabet - 1)];
		}
		if (utf7_decode(wire, utf8, sizeof utf8) == -1)
			continue;
		accepted += strchr(wire, '&') != NULL;
		assert_int_equal(utf7_encode(utf8, again, sizeof again), 0);
		assert_string_equal(again, wire);
	}
	assert_in_range(accepted, 1000, 300000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),	   cmocka_unit_test(test_size),
	    cmocka_unit_test(test_refused),	   cmocka_unit_test(test_decode),
	    cmocka_unit_test(test_decode_refused), cmocka_unit_test(test_decode_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
