/*
 * sequence.c: what is written is read again as the same set, and nothing else is read as one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake/model.h"
#include "imap/sequence.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct err e;

static void read_text(struct ranges *s, const char *text)
{
	assert_int_equal(sequence_read(s, text, strlen(text), &e), 0);
	ranges_sort(s);
}

static size_t take(struct ranges *s, size_t max, char *text, size_t size, struct ranges *taken)
{
	size_t n = SIZE_MAX;

	assert_int_equal(sequence_take(s, max, text, size, taken, &n, &e), 0);
	return n;
}

/* Take a set apart: what was written is what is gone, the lowest first. */
static void test_take_model(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 1000; round++) {
		bool model[MODEL + 1] = {false};
		struct ranges s = {0}, taken = {0}, read = {0};
		char text[64];

		model_seed(round);
		for (int adds = 0; adds < 60; adds++) {
			uint32_t first = 1 + model_pick(MODEL), last = first + model_pick(5);

			last = last > MODEL ? MODEL : last;
			assert_int_equal(ranges_add(&s, first, last, &e), 0);
			for (uint32_t u = first; u <= last; u++)
				model[u] = true;
		}
		while (s.n > 0) {
			size_t max = 1 + model_pick(30), size = 8 + model_pick(sizeof text - 7),
			       n;
			uint64_t before = ranges_count(&s);
			uint32_t lowest = s.range[0].first;

			n = take(&s, max, text, size, &taken);
			assert_in_range(n, 1, max);
			assert_true(strlen(text) < size);
			assert_int_equal(ranges_count(&s), before - n);
			read_text(&read, text);
			assert_int_equal(ranges_count(&read), ranges_count(&taken));
			assert_false(ranges_has(&s, lowest));
			assert_true(s.n == 0 ||
				    taken.range[taken.n - 1].last < s.range[0].first);
		}
		model_check(&taken, model);
		model_check(&read, model);
		assert_int_equal(take(&s, 1, text, sizeof text, NULL), 0);
		assert_string_equal(text, "");
		ranges_free(&s);
		ranges_free(&taken);
		ranges_free(&read);
	}
}

static void test_take(void **state)
{
	struct ranges s = {0};
	char text[32];

	(void)state;
	read_text(&s, "1:500,502,1000:1001");
	assert_int_equal(take(&s, 1000, text, 6, NULL), 500); /* "1:500" just fits */
	assert_string_equal(text, "1:500");
	assert_int_equal(take(&s, 1000, text, 4, NULL), 1);
	assert_string_equal(text, "502");
	assert_int_equal(take(&s, 1000, text, 9, NULL), 0); /* no room for one range */
	model_check_text(&s, "1000:1001");
	assert_int_equal(take(&s, 0, text, sizeof text, NULL), 0);
	assert_int_equal(take(&s, 1, text, sizeof text, NULL), 1);
	assert_string_equal(text, "1000");
	assert_int_equal(take(&s, 1, text, sizeof text, NULL), 1);
	assert_string_equal(text, "1001");
	assert_int_equal(take(&s, 1, text, sizeof text, NULL), 0);
	read_text(&s, "1:4294967295");
	assert_int_equal(take(&s, 10, text, sizeof text, NULL), 10);
	assert_string_equal(text, "1:10");
	assert_int_equal(take(&s, SIZE_MAX, text, sizeof text, NULL), UINT32_MAX - 10);
	assert_string_equal(text, "11:4294967295");
	ranges_free(&s);
}

static const struct {
	const char *text, *set;
} texts[] = {
    {"1", "1"},
    {"1:5,9,20:12", "1:5,9,12:20"},
    {"5,4,3,2,1", "1:5"},
    {"30:20,9,7:8,1", "1,7:9,20:30"},
    {"1,1,1", "1"},
    {"2:2", "2"},
    {"4294967295", "4294967295"},
    {"4294967295:4294967294,1", "1,4294967294:4294967295"},
    {"1:4294967295", "1:4294967295"},
    {"007", "7"},
    {"10:20,15,18:30,31", "10:31"},
};

static const char *const garbage[] = {
    "*",   "1:*",	   "*:1", "",	   ",",	  "1,",	   ",1",    "1,,2",
    ":",   "1:",	   ":1",  "0",	   "0:5", "5:0",   "1:2:3", "4294967296",
    "-1",  "+1",	   "1 2", " 1",	   "1 ",  "1;2",   "a",	    "1:b",
    "0x1", "1:4294967296", "1.5", "1\r\n", "$",	  "1,2,*", "\xB2"};

static void test_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct ranges s = {0};

		read_text(&s, texts[i].text);
		model_check_text(&s, texts[i].set);
		ranges_free(&s);
	}
	for (size_t i = 0; i < COUNT(garbage); i++) {
		struct ranges s = {0};

		if (sequence_read(&s, garbage[i], strlen(garbage[i]), &e) != -1)
			fail_msg("\"%s\" was taken for a set", garbage[i]);
		assert_int_equal(e.kind, ERR_PROTOCOL);
		ranges_free(&s);
	}
}

/* Only len bytes are read: what stands behind them is another's. */
static void test_length(void **state)
{
	static const char text[] = {'7', ':', '9', '9', ',', '1'};
	char *copy = malloc(3);
	struct ranges s = {0};

	(void)state;
	assert_non_null(copy);
	memcpy(copy, text, 3);
	assert_int_equal(sequence_read(&s, copy, 3, &e), 0);
	model_check_text(&s, "7:9");
	assert_int_equal(sequence_read(&s, copy, 2, &e), -1);
	assert_int_equal(sequence_read(&s, copy, 0, &e), -1);
	free(copy);
	ranges_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_take_model),
	    cmocka_unit_test(test_take),
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
