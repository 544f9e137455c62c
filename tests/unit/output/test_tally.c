/*
 * tally.c and words.c: every message is in one group, sums are sums, and how ages are called.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "output/tally.h"
#include "output/words.h"

static void test_count(void **state)
{
	(void)state;
	for (int o = OUTCOME_LEARNED; o < OUTCOMES; o++)
		for (int class = CLASS_SPAM; class <= CLASS_HAM; class ++) {
			struct tally t = {0};
			uint64_t all = 0;

			assert_true(tally_is_empty(&t));
			tally_count(&t, (enum mail_class) class, (enum outcome)o, false);
			assert_false(tally_is_empty(&t));
			assert_int_equal(t.outcome[o], 1);
			assert_int_equal(t.learned[class], o == OUTCOME_LEARNED);
			assert_int_equal(t.learned[CLASS_SPAM + CLASS_HAM - class], 0);
			assert_int_equal(tally_flipped(&t), 0);
			for (int g = 0; g < GROUPS; g++)
				all += tally_group(&t, (enum outcome_group)g);
			assert_int_equal(all, 1);
			assert_int_equal(tally_group(&t, outcome_group((enum outcome)o)), 1);
		}
}

/* Learned as one class: the other one was taken back. */
static void test_flipped(void **state)
{
	struct tally t = {0};

	(void)state;
	tally_count(&t, CLASS_SPAM, OUTCOME_LEARNED, true);
	assert_int_equal(t.taken_back[CLASS_HAM], 1);
	assert_int_equal(t.taken_back[CLASS_SPAM], 0);
	tally_count(&t, CLASS_HAM, OUTCOME_LEARNED, true);
	tally_count(&t, CLASS_HAM, OUTCOME_LEARNED, true);
	assert_int_equal(t.taken_back[CLASS_SPAM], 2);
	assert_int_equal(tally_flipped(&t), 3);
	assert_int_equal(t.learned[CLASS_HAM], 2);
}

static void test_empty(void **state)
{
	struct tally t = {.left = 1}, u = {.left_or_more = true}, v = {.kept = 1};

	(void)state;
	assert_false(tally_is_empty(&t));
	assert_false(tally_is_empty(&u));
	assert_true(tally_is_empty(&v)); /* expire has an end of its own */
}

/* Every number there is, added. */
static void test_add(void **state)
{
	struct tally a, b, sum;
	uint64_t n = 0;

	(void)state;
	memset(&a, 0, sizeof a);
	memset(&b, 0, sizeof b);
	memset(&sum, 0, sizeof sum);
	for (int o = 0; o < OUTCOMES; o++)
		a.outcome[o] = ++n, b.outcome[o] = 100 + n;
	for (int c = 0; c < 3; c++) {
		a.learned[c] = ++n, b.learned[c] = 100 + n;
		a.taken_back[c] = ++n, b.taken_back[c] = 100 + n;
	}
	for (int g = 0; g < GROUPS; g++)
		a.expired[g] = ++n, b.expired[g] = 100 + n;
	a.left = ++n, b.left = 100 + n;
	a.kept = ++n, b.kept = 100 + n;
	tally_add(&sum, &a);
	assert_false(sum.left_or_more);
	tally_add(&sum, &b);
	for (int o = 0; o < OUTCOMES; o++)
		assert_int_equal(sum.outcome[o], a.outcome[o] + b.outcome[o]);
	for (int c = 0; c < 3; c++) {
		assert_int_equal(sum.learned[c], a.learned[c] + b.learned[c]);
		assert_int_equal(sum.taken_back[c], a.taken_back[c] + b.taken_back[c]);
	}
	for (int g = 0; g < GROUPS; g++)
		assert_int_equal(sum.expired[g], a.expired[g] + b.expired[g]);
	assert_int_equal(sum.left, a.left + b.left);
	assert_int_equal(sum.kept, a.kept + b.kept);
	b.left_or_more = true;
	tally_add(&sum, &b);
	tally_add(&sum, &a);
	assert_true(sum.left_or_more);
}

static void test_expired(void **state)
{
	struct tally t = {0};

	(void)state;
	for (int g = 0; g < GROUPS; g++)
		t.expired[g] = UINT64_C(1) << g;
	assert_int_equal(tally_expired(&t), (1 << GROUPS) - 1);
}

static void test_ages(void **state)
{
	static const struct {
		int64_t age;
		const char *text;
	} ages[] = {{0, "0d"},	       {1, "1s"},	  {59, "59s"},
		    {60, "1m"},	       {61, "61s"},	  {90 * 60, "90m"},
		    {3600, "1h"},      {43200, "12h"},	  {86399, "86399s"},
		    {86400, "1d"},     {86401, "86401s"}, {90000, "25h"},
		    {7 * 86400, "7d"}, {86460, "1441m"},  {INT64_MAX, "9223372036854775807s"}};

	(void)state;
	for (size_t i = 0; i < sizeof ages / sizeof *ages; i++) {
		char out[WORDS_AGE];

		words_age(ages[i].age, out);
		assert_string_equal(out, ages[i].text);
	}
}

static void test_groups(void **state)
{
	(void)state;
	assert_string_equal(words_group(GROUP_LEARNED), "learned");
	assert_string_equal(words_group(GROUP_KNOWN), "known");
	assert_string_equal(words_group(GROUP_SKIPPED), "skipped");
	assert_string_equal(words_group(GROUP_UNTRUSTED), "untrusted");
	assert_string_equal(words_group(GROUP_HELD), "held");
	assert_string_equal(words_group(GROUP_FAILED), "failed");
}

/* Which group each outcome is in, and that each has a name and a text of its own. */
static void test_outcomes(void **state)
{
	static const enum outcome_group groups[OUTCOMES] = {
	    [OUTCOME_NONE] = GROUP_FAILED,	   [OUTCOME_LEARNED] = GROUP_LEARNED,
	    [OUTCOME_KNOWN] = GROUP_KNOWN,	   [OUTCOME_SURE] = GROUP_KNOWN,
	    [OUTCOME_UNLEARNABLE] = GROUP_SKIPPED, [OUTCOME_LARGE] = GROUP_SKIPPED,
	    [OUTCOME_ENCRYPTED] = GROUP_SKIPPED,   [OUTCOME_OVERRULED] = GROUP_SKIPPED,
	    [OUTCOME_FAILED] = GROUP_FAILED,	   [OUTCOME_UNTRUSTED] = GROUP_UNTRUSTED,
	    [OUTCOME_HELD] = GROUP_HELD,	   [OUTCOME_UNCONFIRMED] = GROUP_SKIPPED,
	    [OUTCOME_SKIPPED] = GROUP_SKIPPED,	   [OUTCOME_UNANSWERED] = GROUP_FAILED,
	    [OUTCOME_UNREADABLE] = GROUP_FAILED,   [OUTCOME_UNREAD] = GROUP_HELD,
	    [OUTCOME_NO_REPORT] = GROUP_SKIPPED,   [OUTCOME_UNDECIDED] = GROUP_SKIPPED,
	};

	(void)state;
	for (int o = 0; o < OUTCOMES; o++) {
		assert_int_equal(outcome_group((enum outcome)o), groups[o]);
		for (int p = 0; p < o; p++) {
			assert_string_not_equal(outcome_name((enum outcome)o),
						outcome_name((enum outcome)p));
			assert_string_not_equal(outcome_text((enum outcome)o),
						outcome_text((enum outcome)p));
		}
	}
}

/* A message that holds several: settled when all are, learned if one is. */
static void test_joined(void **state)
{
	static const enum outcome order[] = {
	    OUTCOME_NONE,   OUTCOME_UNLEARNABLE, OUTCOME_SURE,	    OUTCOME_LEARNED,
	    OUTCOME_FAILED, OUTCOME_HELD,	 OUTCOME_UNANSWERED};

	(void)state;
	for (int i = 0; i < 7; i++)
		for (int j = 0; j < 7; j++)
			assert_int_equal(outcome_joined(order[i], order[j]),
					 order[i > j ? i : j]);
	assert_int_equal(outcome_joined(OUTCOME_OVERRULED, OUTCOME_LARGE), OUTCOME_OVERRULED);
	assert_int_equal(outcome_joined(OUTCOME_UNTRUSTED, OUTCOME_KNOWN), OUTCOME_KNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_joined),   cmocka_unit_test(test_count),
	    cmocka_unit_test(test_flipped),  cmocka_unit_test(test_empty),
	    cmocka_unit_test(test_add),	     cmocka_unit_test(test_expired),
	    cmocka_unit_test(test_ages),     cmocka_unit_test(test_groups),
	    cmocka_unit_test(test_outcomes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
