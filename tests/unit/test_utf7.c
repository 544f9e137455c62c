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

#include "utf7.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_size),
	    cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
