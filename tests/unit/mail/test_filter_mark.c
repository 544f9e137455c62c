/* filter_mark.c: which fields say that a filter took a message for spam. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mail/filter_mark.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const spam[] = {
    "X-Spam: Yes\r\n\r\n",
    "X-Spam: yes",
    "x-spam:YES\r\n",
    "X-Spam : Yes\r\n",
    "X-Spam-Flag: YES\r\n",
    "X-Spam-Status: Yes, score=14.20\r\n",
    "X-Spam-Status:\r\n Yes, score=14.20\r\n",
    "X-Spam-Status: Yes",
    "X-Rspamd-Action: add header\r\n",
    "X-Rspamd-Action: rewrite subject\n",
    "X-Rspamd-Action: reject (no reason)\n",
    "X-Rspamd-Action: quarantine\n",
    "X-Rspamd-Action: discard\n",
    "X-Spam: No\r\nX-Spam: Yes\r\n",
    "Subject: a\r\n b\r\nX-Spam-Flag: YES\r\n",
    "\r\n: \r\nX-Spam: Yes",
};

static const char *const not_spam[] = {
    "",
    "\r\n",
    "X-Spam",
    "X-Spam:",
    "X-Spam: \r\n",
    "X-Spam: No\r\n",
    "X-Spam: Yesterday\r\n",
    "X-Spam-Flag: NO\r\n",
    "X-Spam-Status: No, yes=1\r\n",
    "X-Spam-Status: No,\r\n X-Spam: Yes\r\n",
    "X-Spam-Level: Yes\r\n",
    "X-Spammer: Yes\r\n",
    "Subject: X-Spam: Yes\r\n",
    "Subject: a\r\n X-Spam: Yes\r\n",
    "X-Rspamd-Action: no action\r\n",
    "X-Rspamd-Action: greylist\r\n",
    "X-Rspamd-Action: soft reject\r\n",
    ": Yes\r\n",
};

static void test_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(spam); i++)
		if (!filter_mark_is_spam(spam[i], strlen(spam[i])))
			fail_msg("no spam: %s", spam[i]);
	for (size_t i = 0; i < COUNT(not_spam); i++)
		if (filter_mark_is_spam(not_spam[i], strlen(not_spam[i])))
			fail_msg("spam: %s", not_spam[i]);
	assert_false(filter_mark_is_spam(NULL, 0));
}

/* Cut anywhere, without a NUL behind it, and with one inside: nothing beyond is read. */
static void test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(spam); i++)
		for (size_t len = 0; len <= strlen(spam[i]); len++) {
			char *copy = malloc(len + 1);

			assert_non_null(copy);
			memcpy(copy, spam[i], len);
			(void)filter_mark_is_spam(copy, len);
			copy = realloc(copy, len > 0 ? len : 1);
			assert_non_null(copy);
			(void)filter_mark_is_spam(copy, len);
			copy[len / 2] = '\0';
			(void)filter_mark_is_spam(copy, len);
			free(copy);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
