/*
 * retain.c: what may go, as a table of (record, policy, now). That nothing goes too early
 * matters more than that anything goes, so every doubt (a clock that was set back, a date that
 * nobody knows) must end in "stays".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "learn/retain.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { DAY = 86400, NOW = 1700000000 };

/* An age of its own for each group, so that a wrong one is seen. */
static const struct conf_retention each = {
    .learned = 1 * DAY,
    .known = 2 * DAY,
    .skipped = 3 * DAY,
    .untrusted = 4 * DAY,
    .failed = 5 * DAY,
    .forget = 6 * DAY,
};
/* The default: nothing is said. */
static const struct conf_retention silent = {
    .learned = CONF_NEVER,
    .known = CONF_NEVER,
    .skipped = CONF_NEVER,
    .untrusted = CONF_NEVER,
    .failed = CONF_NEVER,
    .forget = CONF_NEVER,
};
static const struct conf_retention at_once = {0};

static const int64_t age_of[OUTCOMES] = {
    [OUTCOME_NONE] = CONF_NEVER,       [OUTCOME_LEARNED] = 1 * DAY,
    [OUTCOME_KNOWN] = 2 * DAY,	       [OUTCOME_SURE] = 2 * DAY,
    [OUTCOME_UNLEARNABLE] = 3 * DAY,   [OUTCOME_LARGE] = 3 * DAY,
    [OUTCOME_ENCRYPTED] = 3 * DAY,     [OUTCOME_OVERRULED] = 3 * DAY,
    [OUTCOME_FAILED] = 5 * DAY,	       [OUTCOME_UNTRUSTED] = 4 * DAY,
    [OUTCOME_HELD] = CONF_NEVER,       [OUTCOME_UNCONFIRMED] = 3 * DAY,
    [OUTCOME_SKIPPED] = 4 * DAY, /* the longest of those it may have been */
    [OUTCOME_UNANSWERED] = CONF_NEVER, [OUTCOME_UNREADABLE] = CONF_NEVER,
    [OUTCOME_UNREAD] = CONF_NEVER,     [OUTCOME_NO_REPORT] = 3 * DAY,
    [OUTCOME_UNDECIDED] = CONF_NEVER,
};

static bool goes(enum record_state state, enum outcome outcome, int64_t settled,
		 const struct conf_retention *policy, int64_t now)
{
	struct record_message r = {
	    .state = state, .outcome = outcome, .class = CLASS_HAM, .changed_at = settled};

	return retain_may_go(&r, policy, now);
}

/* What is open for a reason that is not rspamd's refusal, or a user's own: it stays, whatever
 * the policy. */
static bool is_open(enum outcome o)
{
	return o == OUTCOME_NONE || o == OUTCOME_HELD || o == OUTCOME_UNREAD ||
	       o == OUTCOME_UNANSWERED || o == OUTCOME_UNREADABLE || o == OUTCOME_UNDECIDED;
}

/* Settled and on the server, or refused by rspamd itself: nothing else ever goes. */
static bool can_ever_go(enum record_state s, enum outcome o)
{
	if (is_open(o))
		return false;
	if (s == STATE_MARKED || s == STATE_PURGING || s == STATE_COPIED)
		return true;
	return s == STATE_PENDING && o == OUTCOME_FAILED;
}

/* Every state with every outcome, a second before its age, at it, and long after. */
static void test_every_state_and_outcome(void **unused)
{
	(void)unused;
	for (int s = 0; s < STATES; s++)
		for (int o = 0; o < OUTCOMES; o++) {
			enum record_state state = (enum record_state)s;
			enum outcome outcome = (enum outcome)o;
			bool ever = can_ever_go(state, outcome);
			int64_t due = NOW - (age_of[o] == CONF_NEVER ? DAY : age_of[o]);

			assert_false(goes(state, outcome, due + 1, &each, NOW));
			assert_int_equal(goes(state, outcome, due, &each, NOW), ever);
			assert_int_equal(goes(state, outcome, due - 1, &each, NOW), ever);
			assert_int_equal(goes(state, outcome, 1, &each, NOW), ever);
		}
}

static void test_the_age_of_every_outcome(void **unused)
{
	(void)unused;
	for (int o = 0; o < OUTCOMES; o++) {
		struct record_message r = {.outcome = (enum outcome)o};

		assert_int_equal(retain_age(&r, &each), age_of[o]);
		assert_int_equal(retain_age(&r, &silent), CONF_NEVER);
	}
}

/* Nothing goes unless the administrator says so, however old it is. */
static void test_never_is_never(void **unused)
{
	(void)unused;
	for (int s = 0; s < STATES; s++)
		for (int o = 0; o < OUTCOMES; o++) {
			assert_false(
			    goes((enum record_state)s, (enum outcome)o, 1, &silent, NOW));
			assert_false(
			    goes((enum record_state)s, (enum outcome)o, 1, &silent, INT64_MAX));
		}
	assert_int_equal(retain_horizon(&silent, INT64_MAX), 0);
}

/* One age is never taken for another's. */
static void test_each_age_stands_alone(void **unused)
{
	static const enum outcome outcomes[] = {OUTCOME_LEARNED, OUTCOME_KNOWN, OUTCOME_SURE,
						OUTCOME_LARGE, OUTCOME_UNTRUSTED};

	(void)unused;
	for (size_t i = 0; i < COUNT(outcomes); i++) {
		struct conf_retention p = silent;
		enum outcome_group only = outcome_group(outcomes[i]);
		int64_t *age[GROUPS] = {[GROUP_LEARNED] = &p.learned,
					[GROUP_KNOWN] = &p.known,
					[GROUP_SKIPPED] = &p.skipped,
					[GROUP_UNTRUSTED] = &p.untrusted};

		*age[only] = 0;
		for (size_t j = 0; j < COUNT(outcomes); j++)
			assert_int_equal(goes(STATE_MARKED, outcomes[j], NOW, &p, NOW),
					 outcome_group(outcomes[j]) == only);
		assert_false(goes(STATE_PENDING, OUTCOME_FAILED, 1, &p, NOW));
	}
}

/* ---- clocks ---- */

static const struct {
	const char *what;
	int64_t settled, age, now;
	bool over;
} times[] = {
    {"a second too early", NOW, DAY, NOW + DAY - 1, false},
    {"exactly the age", NOW, DAY, NOW + DAY, true},
    {"at once", NOW, 0, NOW, true},
    {"at once, but the clock was set back by a second", NOW, 0, NOW - 1, false},
    {"the clock was set back to before 1970", NOW, 0, -1, false},
    {"the clock was set back far", NOW, DAY, INT64_MIN, false},
    {"a clock that stands at 1970", NOW, 0, 0, false},
    {"settled in the future", NOW + 1, 0, NOW, false},
    {"settled in the far future", INT64_MAX, 0, NOW, false},
    {"the future has come", INT64_MAX, 0, INT64_MAX, true},
    {"the future has come, with an age", INT64_MAX, 1, INT64_MAX, false},
    {"the clock jumped forward", NOW, DAY, NOW + 100LL * 365 * DAY, true},
    {"the clock jumped to its end", NOW, 3650LL * DAY, INT64_MAX, true},
    {"settled at no known time", 0, 0, NOW, false},
    {"settled at no known time, clock at its end", 0, 0, INT64_MAX, false},
    {"settled before time", -1, 0, NOW, false},
    {"settled before time, clock at its end", INT64_MIN, 0, INT64_MAX, false},
    {"an age that no clock reaches", 1, INT64_MAX, INT64_MAX, false},
    {"the longest age there is", 1, INT64_MAX - 1, INT64_MAX, true},
    {"the first second", 1, 0, 1, true},
    {"never", NOW, CONF_NEVER, INT64_MAX, false},
};

static void test_clocks(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT(times); i++) {
		struct conf_retention p = {times[i].age,    times[i].age, times[i].age,
					   times[i].age,    times[i].age, times[i].age,
					   .max_per_run = 1};
		int64_t then = times[i].settled, now = times[i].now;

		if (goes(STATE_MARKED, OUTCOME_LEARNED, then, &p, now) != times[i].over ||
		    goes(STATE_PURGING, OUTCOME_LARGE, then, &p, now) != times[i].over ||
		    goes(STATE_PENDING, OUTCOME_FAILED, then, &p, now) != times[i].over)
			fail_msg("%s", times[i].what);
	}
}

/* Time only ever lets more go: what may go now may go later. */
static void test_time_takes_nothing_back(void **unused)
{
	(void)unused;
	for (int64_t age = 0; age < 5; age++) {
		struct conf_retention p = {.learned = age};
		bool before = false;

		for (int64_t now = NOW - 5; now < NOW + 10; now++) {
			bool over = goes(STATE_MARKED, OUTCOME_LEARNED, NOW, &p, now);

			assert_true(over || !before);
			assert_int_equal(over, now >= NOW + age);
			before = over;
		}
	}
}

/* What is not settled stays even where everything goes at once. */
static void test_what_is_open_stays(void **unused)
{
	(void)unused;
	for (int o = 0; o < OUTCOMES; o++) {
		assert_false(goes(STATE_SUBMITTED, (enum outcome)o, 1, &at_once, NOW));
		assert_false(goes(STATE_SETTLED, (enum outcome)o, 1, &at_once, NOW));
		assert_int_equal(goes(STATE_PENDING, (enum outcome)o, 1, &at_once, NOW),
				 o == OUTCOME_FAILED);
	}
	for (int o = 0; o < OUTCOMES; o++)
		for (int s = 0; s < STATES; s++)
			if (is_open((enum outcome)o))
				assert_false(goes((enum record_state)s, (enum outcome)o, 1,
						  &at_once, NOW));
}

/*
 * A mark that only says "skipped" stands for any of three reasons: the longest of their ages
 * counts, whichever of them it is, and never is longer than every age.
 */
static void test_skipped_by_mark(void **unused)
{
	static const int64_t ages[] = {0, DAY, 2 * DAY, CONF_NEVER};

	(void)unused;
	for (size_t i = 0; i < 64; i++) {
		const int64_t known = ages[i % 4], skipped = ages[i / 4 % 4],
			      untrusted = ages[i / 16];
		const struct conf_retention p = {
		    .known = known, .skipped = skipped, .untrusted = untrusted};
		const struct record_message r = {.outcome = OUTCOME_SKIPPED};
		int64_t want = known > skipped ? known : skipped;

		want = untrusted > want ? untrusted : want;
		if (known == CONF_NEVER || skipped == CONF_NEVER || untrusted == CONF_NEVER)
			want = CONF_NEVER;
		assert_int_equal(retain_age(&r, &p), want);
	}
}

/* What the ledger forgets was touched before this; 0 is before everything. */
static void test_the_horizon(void **unused)
{
	(void)unused;
	assert_int_equal(retain_horizon(&each, NOW), NOW - 6 * DAY);
	assert_int_equal(retain_horizon(&each, 6 * DAY + 1), 1);
	assert_int_equal(retain_horizon(&each, 6 * DAY), 0);
	assert_int_equal(retain_horizon(&each, 0), 0);
	assert_int_equal(retain_horizon(&each, INT64_MIN), 0);
	assert_int_equal(retain_horizon(&each, INT64_MAX), INT64_MAX - 6 * DAY);
	assert_int_equal(retain_horizon(&at_once, NOW), NOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_state_and_outcome),
	    cmocka_unit_test(test_the_age_of_every_outcome),
	    cmocka_unit_test(test_never_is_never),
	    cmocka_unit_test(test_each_age_stands_alone),
	    cmocka_unit_test(test_clocks),
	    cmocka_unit_test(test_time_takes_nothing_back),
	    cmocka_unit_test(test_what_is_open_stays),
	    cmocka_unit_test(test_skipped_by_mark),
	    cmocka_unit_test(test_the_horizon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
