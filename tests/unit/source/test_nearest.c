/*
 * nearest.c: what is like what, in which order, and the bounds of names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "source/nearest.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct nearest n;

static void want(const char *wanted)
{
	n = (struct nearest){.wanted = wanted};
}

/* How far this one is from what is wanted; too far is -1. */
static int distance(const char *wanted, const char *name)
{
	want(wanted);
	nearest_offer(&n, name);
	if (n.n == 0)
		return -1;
	assert_int_equal(n.n, 1);
	assert_string_equal(n.best[0].name, name);
	return (int)n.best[0].distance;
}

static void test_distance(void **state)
{
	static const struct {
		const char *wanted, *name;
		int distance;
	} pairs[] = {
	    {"Spam", "Spam", 0},
	    {"Spam", "SPAM", 0}, /* case is no difference */
	    {"Spam", "Spams", 1},
	    {"Spam", "Spa", 1},
	    {"Spam", "xSpam", 1},
	    {"Spam", "pam", 1},
	    {"Spam", "Spxm", 1},
	    {"Spam", "Sapm", 2},
	    {"Spam", "Sxxm", 2},
	    {"Spam", "xxxm", -1}, /* 3 of 4 is too far; 1 and a quarter of the length is not */
	    {"abc", "abcd", 1},
	    {"abc", "abcde", -1},
	    {"abcdefgh", "abcdefghxyz", 3},
	    {"abcdefgh", "abcdefghwxyz", -1},
	    {"abcdefg", "abcdefgxy", 2},
	    {"abcdefg", "abcdefgxyz", -1},
	    {"kitten", "sitting", -1},
	    {"Intention", "Execution", -1},
	    {"", "a", 1},
	    {"a", "", 1},
	    {"", "", 0},
	    /* One that lies elsewhere is as near as its last part, and one further. */
	    {"Spam", "INBOX.Spam", 1},
	    {"Spam", "INBOX/Spam", 1},
	    {"INBOX.Spam", "Spam", 1},
	    {"INBOX/Spam", "INBOX.Spam", 1},
	    {"a/b/Spam", "x.y.Spam", 1},
	    {"Spam", "INBOX.Spams", 2},
	    {"Spam", "Spam/", 1}, /* nothing comes behind it */
	    {"x", "a/b", -1},
	    {"wxyz", "abcd/vxyz", 2},
	    {"xyz", "abcd/xyz/", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		int d = distance(pairs[i].wanted, pairs[i].name);

		if (d != pairs[i].distance)
			fail_msg("%s, %s: %d", pairs[i].wanted, pairs[i].name, d);
	}
}

/* The text of so many bytes: "aaa...", and the last one as given. */
static const char *text(size_t len, char last)
{
	static char texts[4][300];
	static unsigned next;
	char *s = texts[next++ % 4];

	memset(s, 'a', len);
	s[len - 1] = last;
	s[len] = '\0';
	return s;
}

static void test_long(void **state)
{
	char below[300];

	(void)state;
	assert_int_equal(distance(text(64, 'a'), text(64, 'b')), 1);
	assert_int_equal(distance(text(64, 'a'), text(64, 'a')), 0);
	assert_int_equal(distance(text(64, 'a'), text(63, 'a')), 1);
	assert_int_equal(distance(text(65, 'a'), text(65, 'a')), -1);
	assert_int_equal(distance(text(64, 'a'), text(65, 'a')), -1);
	assert_int_equal(distance(text(65, 'a'), text(64, 'a')), -1);
	/* A long name with a short last part; and the longest one that can be kept. */
	for (size_t len = 254; len < 258; len++) {
		snprintf(below, sizeof below, "%s/Spam", text(len - 5, 'a'));
		assert_int_equal(distance("Spam", below), len < NEAREST_SIZE ? 1 : -1);
	}
}

static void test_is_there(void **state)
{
	(void)state;
	want("Spam");
	nearest_offer(&n, "SPAM");
	nearest_offer(&n, "Spams");
	assert_false(n.is_there);
	nearest_offer(&n, "Spam");
	assert_true(n.is_there);
	nearest_offer(&n, "other");
	assert_true(n.is_there);
}

static void are(const char *a, const char *b, const char *c)
{
	const char *const names[] = {a, b, c};

	assert_int_equal(n.n, NEAREST_NAMES);
	for (size_t i = 0; i < COUNT(names); i++)
		if (strcmp(n.best[i].name, names[i]) != 0)
			fail_msg("%zu: %s, not %s", i, n.best[i].name, names[i]);
}

/* Only the nearest stay, in order; of those that are as near the first. */
static void test_order(void **state)
{
	(void)state;
	want("abcdefgh");
	nearest_offer(&n, "abcdefgh123"); /* 3 */
	assert_int_equal(n.n, 1);
	nearest_offer(&n, "abcdefgh1"); /* 1 */
	assert_int_equal(n.n, 2);
	assert_string_equal(n.best[0].name, "abcdefgh1");
	nearest_offer(&n, "abcdefgh12"); /* 2 */
	are("abcdefgh1", "abcdefgh12", "abcdefgh123");
	nearest_offer(&n, "abcdefgh456"); /* 3 again: there are three */
	are("abcdefgh1", "abcdefgh12", "abcdefgh123");
	nearest_offer(&n, "abcdefgh45"); /* 2 again */
	are("abcdefgh1", "abcdefgh12", "abcdefgh45");
	nearest_offer(&n, "abcdefgh"); /* 0 */
	are("abcdefgh", "abcdefgh1", "abcdefgh12");
	nearest_offer(&n, "nothing like it");
	are("abcdefgh", "abcdefgh1", "abcdefgh12");
	assert_int_equal(n.best[0].distance, 0);
	assert_int_equal(n.best[1].distance, 1);
	assert_int_equal(n.best[2].distance, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_distance),
	    cmocka_unit_test(test_long),
	    cmocka_unit_test(test_is_there),
	    cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
