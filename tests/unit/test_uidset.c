/*
 * uidset.c against a bitmap that is too simple to be wrong, and at the edges of 32 bits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "uidset.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { MODEL = 300 }; /* UIDs 1..MODEL */

static uint32_t seed;

static uint32_t pick(uint32_t below)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % below;
}

/* The whole set in its shortest form. */
static void write_set(const struct uidset *s, char *out, size_t size)
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < s->n && n < size; i++) {
		uint32_t a = s->range[i].first, b = s->range[i].last;

		n += (size_t)snprintf(out + n, size - n, a == b ? "%s%u" : "%s%u:%u",
				      i ? "," : "", a, b);
	}
}

static void check_text(const struct uidset *s, const char *want)
{
	char got[4096];

	write_set(s, got, sizeof got);
	assert_string_equal(got, want);
}

/* Sorted, apart from each other, and the same UIDs as the model has. */
static void check_model(const struct uidset *s, const bool *model)
{
	uint64_t n = 0;

	for (uint32_t uid = 1; uid <= MODEL; uid++) {
		assert_int_equal(uidset_has(s, uid), model[uid]);
		n += model[uid];
	}
	assert_int_equal(uidset_count(s), n);
	for (size_t i = 0; i < s->n; i++) {
		assert_true(s->range[i].first <= s->range[i].last);
		assert_true(i == 0 || (uint64_t)s->range[i - 1].last + 1 < s->range[i].first);
	}
}

static void test_add_model(void **state)
{
	(void)state;
	for (seed = 0; seed < 1000;) {
		uint32_t round = seed;
		bool model[MODEL + 1] = {false};
		struct uidset s = {0};

		for (int adds = 0; adds < 40; adds++) {
			uint32_t first = 1 + pick(MODEL), len = pick(pick(4) ? 4 : 40);
			uint32_t last = first + len > MODEL ? MODEL : first + len;

			assert_int_equal(uidset_add(&s, first, last), 0);
			for (uint32_t u = first; u <= last; u++)
				model[u] = true;
			check_model(&s, model);
		}
		uidset_free(&s);
		seed = round + 1;
	}
}

/* Two sets: one with the other, one without the other. */
static void test_two_models(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 1000; round++) {
		bool model[2][MODEL + 1] = {{false}}, both[MODEL + 1], rest[MODEL + 1];
		struct uidset s[2] = {{0}}, out = {0};

		seed = round;
		for (int adds = 0; adds < 60; adds++) {
			uint32_t which = pick(2), first = 1 + pick(MODEL),
				 last = first + pick(12);

			last = last > MODEL ? MODEL : last;
			assert_int_equal(uidset_add(&s[which], first, last), 0);
			for (uint32_t u = first; u <= last; u++)
				model[which][u] = true;
		}
		for (int u = 0; u <= MODEL; u++) {
			both[u] = model[0][u] || model[1][u];
			rest[u] = model[0][u] && !model[1][u];
		}
		assert_int_equal(uidset_minus(&s[0], &s[1], &out), 0);
		check_model(&out, rest);
		check_model(&s[0], model[0]);
		assert_int_equal(uidset_union(&s[0], &s[1]), 0);
		check_model(&s[0], both);
		check_model(&s[1], model[1]);
		uidset_free(&s[0]);
		uidset_free(&s[1]);
		uidset_free(&out);
	}
}

static void test_minus_edges(void **state)
{
	struct uidset all = {0}, some = {0}, out = {0};

	(void)state;
	assert_int_equal(uidset_add(&all, 1, UINT32_MAX), 0);
	assert_int_equal(uidset_minus(&all, &all, &out), 0);
	assert_int_equal(out.n, 0);
	assert_int_equal(uidset_add_text(&some, "1,5,4294967295", 14), 0);
	assert_int_equal(uidset_minus(&all, &some, &out), 0);
	check_text(&out, "2:4,6:4294967294");
	uidset_clear(&out);
	assert_int_equal(uidset_minus(&some, &all, &out), 0);
	assert_int_equal(out.n, 0);
	uidset_clear(&all);
	assert_int_equal(uidset_minus(&some, &all, &out), 0);
	check_text(&out, "1,5,4294967295");
	uidset_free(&all);
	uidset_free(&some);
	uidset_free(&out);
}

/* Take a set apart: what was written is what is gone, the lowest first. */
static void test_take_model(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 1000; round++) {
		bool model[MODEL + 1] = {false};
		struct uidset s = {0}, taken = {0}, read = {0};
		char text[64];

		seed = round;
		for (int adds = 0; adds < 60; adds++) {
			uint32_t first = 1 + pick(MODEL), last = first + pick(5);

			last = last > MODEL ? MODEL : last;
			assert_int_equal(uidset_add(&s, first, last), 0);
			for (uint32_t u = first; u <= last; u++)
				model[u] = true;
		}
		while (s.n > 0) {
			size_t max = 1 + pick(30), size = 8 + pick(sizeof text - 7);
			uint64_t before = uidset_count(&s);
			uint32_t lowest = s.range[0].first;
			size_t n = uidset_take(&s, max, text, size, &taken);

			assert_in_range(n, 1, max);
			assert_true(strlen(text) < size);
			assert_int_equal(uidset_count(&s), before - n);
			assert_int_equal(uidset_add_text(&read, text, strlen(text)), 0);
			assert_int_equal(uidset_count(&read), uidset_count(&taken));
			assert_false(uidset_has(&s, lowest));
			assert_true(s.n == 0 ||
				    taken.range[taken.n - 1].last < s.range[0].first);
		}
		check_model(&taken, model);
		check_model(&read, model);
		assert_int_equal(uidset_take(&s, 1, text, sizeof text, NULL), 0);
		assert_string_equal(text, "");
		uidset_free(&s);
		uidset_free(&taken);
		uidset_free(&read);
	}
}

static void test_take(void **state)
{
	struct uidset s = {0};
	char text[32];

	(void)state;
	assert_int_equal(uidset_add_text(&s, "1:500,502,1000:1001", 19), 0);
	assert_int_equal(uidset_take(&s, 1000, text, 6, NULL), 500); /* "1:500" just fits */
	assert_string_equal(text, "1:500");
	assert_int_equal(uidset_take(&s, 1000, text, 4, NULL), 1);
	assert_string_equal(text, "502");
	assert_int_equal(uidset_take(&s, 1000, text, 9, NULL), 0); /* no room for one range */
	check_text(&s, "1000:1001");
	assert_int_equal(uidset_take(&s, 0, text, sizeof text, NULL), 0);
	assert_int_equal(uidset_take(&s, 1, text, sizeof text, NULL), 1);
	assert_string_equal(text, "1000");
	assert_int_equal(uidset_take(&s, 1, text, sizeof text, NULL), 1);
	assert_string_equal(text, "1001");
	assert_int_equal(uidset_take(&s, 1, text, sizeof text, NULL), 0);
	uidset_free(&s);
}

static void test_edges(void **state)
{
	struct uidset s = {0};
	char text[64];

	(void)state;
	assert_int_equal(uidset_add(&s, 0, 5), -1);
	assert_int_equal(uidset_add(&s, 0, 0), -1);
	assert_int_equal(s.n, 0);
	assert_int_equal(uidset_add(&s, UINT32_MAX, UINT32_MAX), 0);
	assert_int_equal(uidset_add(&s, 1, 1), 0);
	assert_int_equal(uidset_add(&s, UINT32_MAX - 1, UINT32_MAX - 1), 0);
	check_text(&s, "1,4294967294:4294967295");
	assert_true(uidset_has(&s, UINT32_MAX));
	assert_false(uidset_has(&s, UINT32_MAX - 2));
	assert_false(uidset_has(&s, 0));
	assert_int_equal(uidset_add(&s, 2, UINT32_MAX), 0);
	check_text(&s, "1:4294967295");
	assert_int_equal(uidset_count(&s), UINT32_MAX);
	assert_int_equal(uidset_take(&s, 10, text, sizeof text, NULL), 10);
	assert_string_equal(text, "1:10");
	assert_int_equal(uidset_take(&s, SIZE_MAX, text, sizeof text, NULL), UINT32_MAX - 10);
	assert_string_equal(text, "11:4294967295");
	assert_int_equal(uidset_add(&s, 9, 3), 0); /* either way round */
	check_text(&s, "3:9");
	assert_int_equal(uidset_add(&s, 5, 0), -1);
	uidset_clear(&s);
	assert_int_equal(uidset_count(&s), 0);
	assert_true(s.size > 0);
	uidset_free(&s);
	assert_int_equal(s.size, 0);
}

static const struct {
	const char *text, *set;
} texts[] = {
    {"1", "1"},
    {"1:5,9,20:12", "1:5,9,12:20"},
    {"5,4,3,2,1", "1:5"},
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
		struct uidset s = {0};

		assert_int_equal(uidset_add_text(&s, texts[i].text, strlen(texts[i].text)), 0);
		check_text(&s, texts[i].set);
		uidset_free(&s);
	}
	for (size_t i = 0; i < COUNT(garbage); i++) {
		struct uidset s = {0};

		if (uidset_add_text(&s, garbage[i], strlen(garbage[i])) != -1)
			fail_msg("\"%s\" was taken for a set", garbage[i]);
		uidset_free(&s);
	}
}

/* A set that needs more ranges than we allow is refused, and stays as it is. */
static void test_limit(void **state)
{
	struct uidset s = {0};

	(void)state;
	for (uint32_t i = 0; i < UIDSET_MAX_RANGES; i++)
		assert_int_equal(uidset_add(&s, 3 * i + 1, 3 * i + 1), 0);
	assert_int_equal(s.n, UIDSET_MAX_RANGES);
	assert_int_equal(uidset_add(&s, UINT32_MAX, UINT32_MAX), -1);
	assert_int_equal(uidset_add(&s, 3, 3), 0); /* touches 4: no range more */
	assert_int_equal(s.n, UIDSET_MAX_RANGES);
	assert_int_equal(uidset_add(&s, 2, 2), 0); /* closes a gap */
	assert_int_equal(s.n, UIDSET_MAX_RANGES - 1);
	assert_int_equal(uidset_count(&s), UIDSET_MAX_RANGES + 2);
	assert_int_equal(uidset_add(&s, 1, UINT32_MAX), 0);
	check_text(&s, "1:4294967295");
	uidset_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_add_model),	cmocka_unit_test(test_two_models),
	    cmocka_unit_test(test_minus_edges), cmocka_unit_test(test_take_model),
	    cmocka_unit_test(test_take),	cmocka_unit_test(test_edges),
	    cmocka_unit_test(test_text),	cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
