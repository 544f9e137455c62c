/*
 * keyword.c: which keyword says what. The names lie in mailboxes, so they stay.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "imap/keyword.h"

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(keyword_name(IMAP_LEARNED_SPAM), "$LearnedSpam");
	assert_string_equal(keyword_name(IMAP_LEARNED_HAM), "$LearnedHam");
	assert_string_equal(keyword_name(IMAP_LEARN_SKIPPED), "$LearnSkipped");
}

/* Its class where rspamd has it in that class by a learning; else only that it was skipped. */
static void test_which(void **state)
{
	(void)state;
	for (int o = OUTCOME_LEARNED; o < OUTCOMES; o++) {
		bool learned = o == OUTCOME_LEARNED || o == OUTCOME_KNOWN;

		assert_int_equal(keyword_for(CLASS_SPAM, (enum outcome)o),
				 learned ? IMAP_LEARNED_SPAM : IMAP_LEARN_SKIPPED);
		assert_int_equal(keyword_for(CLASS_HAM, (enum outcome)o),
				 learned ? IMAP_LEARNED_HAM : IMAP_LEARN_SKIPPED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_which),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
