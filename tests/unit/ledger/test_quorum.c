/*
 * quorum.c: what several reporters say together, in whatever order they say it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ledger/quorum.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Reporter number n; 0 is nobody. */
static void note(struct record_digest *d, unsigned n, enum mail_class class, int64_t at)
{
	unsigned char who[RECORD_REPORTER_SIZE] = {0};

	who[0] = (unsigned char)(n >> 8);
	who[RECORD_REPORTER_SIZE - 1] = (unsigned char)n;
	quorum_note(d, who, class, at);
}

/*
 * A story: each report is a reporter's letter, upper case for spam and lower case for ham, and
 * "-" for nobody, at times 1, 2, 3 ...
 */
static struct record_digest tell(const char *story)
{
	struct record_digest d = {0};
	int64_t at = 1;

	for (; *story; story++, at++) {
		bool spam = *story >= 'A' && *story <= 'Z';
		unsigned n = *story == '-' ? 0 : (unsigned)*story & 0x1f;

		note(&d, n, spam ? CLASS_SPAM : CLASS_HAM, at);
	}
	return d;
}

static const struct {
	const char *story;
	size_t reporters;
	enum mail_class one, two, three; /* quorum_class with that quorum */
} stories[] = {
    {"", 0, CLASS_NONE, CLASS_NONE, CLASS_NONE},
    {"-", 0, CLASS_NONE, CLASS_NONE, CLASS_NONE},
    {"A", 1, CLASS_SPAM, CLASS_NONE, CLASS_NONE},
    {"a", 1, CLASS_HAM, CLASS_NONE, CLASS_NONE},
    {"AAAA", 1, CLASS_SPAM, CLASS_NONE, CLASS_NONE}, /* one, however loud */
    {"A-", 1, CLASS_SPAM, CLASS_NONE, CLASS_NONE},
    {"AB", 2, CLASS_SPAM, CLASS_SPAM, CLASS_NONE},
    {"ABA", 2, CLASS_SPAM, CLASS_SPAM, CLASS_NONE},
    {"ABC", 3, CLASS_SPAM, CLASS_SPAM, CLASS_SPAM},
    {"abc", 3, CLASS_HAM, CLASS_HAM, CLASS_HAM},

    /* The majority, whoever came last. */
    {"ABc", 3, CLASS_SPAM, CLASS_SPAM, CLASS_NONE},
    {"cAB", 3, CLASS_SPAM, CLASS_SPAM, CLASS_NONE},
    {"abC", 3, CLASS_HAM, CLASS_HAM, CLASS_NONE},
    {"ABCdefg", 7, CLASS_HAM, CLASS_HAM, CLASS_HAM},

    /* The newest on a tie. */
    {"Ab", 2, CLASS_HAM, CLASS_NONE, CLASS_NONE},
    {"aB", 2, CLASS_SPAM, CLASS_NONE, CLASS_NONE},
    {"ABcd", 4, CLASS_HAM, CLASS_HAM, CLASS_NONE},
    {"abCD", 4, CLASS_SPAM, CLASS_SPAM, CLASS_NONE},
    {"AcBd", 4, CLASS_HAM, CLASS_HAM, CLASS_NONE},
    {"ABcdA", 4, CLASS_SPAM, CLASS_SPAM, CLASS_NONE}, /* who says it again says it newest */

    /* A change of mind. */
    {"Aa", 1, CLASS_HAM, CLASS_NONE, CLASS_NONE},
    {"ABa", 2, CLASS_HAM, CLASS_NONE, CLASS_NONE},
    {"ABab", 2, CLASS_HAM, CLASS_HAM, CLASS_NONE},
    {"ABaA", 2, CLASS_SPAM, CLASS_SPAM, CLASS_NONE},
};

static void test_stories(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(stories); i++) {
		struct record_digest d = tell(stories[i].story);

		if (d.n_reporters != stories[i].reporters ||
		    quorum_class(&d, 1) != stories[i].one ||
		    quorum_class(&d, 2) != stories[i].two ||
		    quorum_class(&d, 3) != stories[i].three)
			fail_msg("%s: %zu reporters, %s, %s, %s", stories[i].story,
				 d.n_reporters, class_name(quorum_class(&d, 1)),
				 class_name(quorum_class(&d, 2)),
				 class_name(quorum_class(&d, 3)));
	}
}

/* Reports need not be read in the order in which they were made. */
static void test_older_after_newer(void **state)
{
	struct record_digest d = {0};

	(void)state;
	note(&d, 1, CLASS_HAM, 200);
	note(&d, 1, CLASS_SPAM, 100);
	assert_int_equal(d.n_reporters, 1);
	assert_int_equal(quorum_class(&d, 1), CLASS_HAM);
	assert_int_equal(d.reporter[0].at, 200);
	note(&d, 1, CLASS_SPAM, 200);
	assert_int_equal(quorum_class(&d, 1), CLASS_SPAM);
	note(&d, 2, CLASS_HAM, 150);
	assert_int_equal(quorum_class(&d, 1), CLASS_SPAM);
}

/* At the same second on both sides it is ham: the mistake that costs less. */
static void test_dead_heat(void **state)
{
	(void)state;
	for (int turned = 0; turned <= 1; turned++) {
		struct record_digest d = {0};

		note(&d, 1, turned ? CLASS_HAM : CLASS_SPAM, 100);
		note(&d, 2, turned ? CLASS_SPAM : CLASS_HAM, 100);
		assert_int_equal(quorum_class(&d, 1), CLASS_HAM);
	}
}

/* INTERNALDATE may be unknown, or from before 1970. */
static void test_odd_times(void **state)
{
	struct record_digest d = {0};

	(void)state;
	note(&d, 1, CLASS_SPAM, 0);
	note(&d, 2, CLASS_HAM, -5);
	assert_int_equal(quorum_class(&d, 1), CLASS_SPAM);
	note(&d, 2, CLASS_SPAM, INT64_MIN);
	assert_int_equal(quorum_class(&d, 2), CLASS_NONE);
}

/* The first to speak is forgotten when there are too many; a known one takes no new room. */
static void test_too_many(void **state)
{
	struct record_digest d = {0};

	(void)state;
	for (unsigned n = 1; n <= RECORD_REPORTERS_MAX; n++)
		note(&d, n, n == 1 ? CLASS_HAM : CLASS_SPAM, 1000 + n);
	assert_int_equal(d.n_reporters, RECORD_REPORTERS_MAX);
	assert_int_equal(quorum_class(&d, RECORD_REPORTERS_MAX - 1), CLASS_SPAM);
	assert_int_equal(quorum_class(&d, RECORD_REPORTERS_MAX), CLASS_NONE);

	note(&d, 1, CLASS_SPAM, 3000);
	assert_int_equal(quorum_class(&d, RECORD_REPORTERS_MAX), CLASS_SPAM);

	for (unsigned n = 501; n <= 600; n++) {
		note(&d, n, CLASS_HAM, 3500 + n);
		assert_int_equal(d.n_reporters, RECORD_REPORTERS_MAX);
	}
	assert_int_equal(quorum_class(&d, RECORD_REPORTERS_MAX), CLASS_HAM);
}

/* What quorum_note writes is what the ledger can keep. */
static void test_fits_a_record(void **state)
{
	unsigned char bytes[RECORD_VALUE_MAX];
	struct record_digest d = {.class = CLASS_SPAM, .outcome = OUTCOME_LEARNED}, back;

	(void)state;
	memset(d.answer, 'x', RECORD_ANSWER_MAX);
	for (unsigned n = 1; n <= 2 * RECORD_REPORTERS_MAX; n++)
		note(&d, n, n % 3 ? CLASS_SPAM : CLASS_HAM, 1000 + n);
	assert_true(record_digest_decode(bytes, record_digest_encode(&d, bytes), &back));
	assert_int_equal(back.n_reporters, RECORD_REPORTERS_MAX);
	for (int quorum = 1; quorum <= RECORD_REPORTERS_MAX; quorum++)
		assert_int_equal(quorum_class(&back, quorum), quorum_class(&d, quorum));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_stories),   cmocka_unit_test(test_older_after_newer),
	    cmocka_unit_test(test_dead_heat), cmocka_unit_test(test_odd_times),
	    cmocka_unit_test(test_too_many),  cmocka_unit_test(test_fits_a_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
