/*
 * ranges.c against a bitmap that is too simple to be wrong, and at the edges of 32 bits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/ranges.h"
#include "fake/model.h"

static struct err e;

/* Add first and the len that follow, to the set and to the model. */
static void add_both(struct ranges *s, bool *model, uint32_t first, uint32_t len)
{
	uint32_t last = first + len > MODEL ? MODEL : first + len;

	assert_int_equal(ranges_add(s, first, last, &e), 0);
	for (uint32_t u = first; u <= last; u++)
		model[u] = true;
}

static void test_add_model(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 1000; round++) {
		bool model[MODEL + 1] = {false};
		struct ranges s = {0};

		model_seed(round);
		for (int adds = 0; adds < 40; adds++) {
			uint32_t first = 1 + model_pick(MODEL);

			add_both(&s, model, first, model_pick(model_pick(4) ? 4 : 40));
			model_check(&s, model);
		}
		ranges_free(&s);
	}
}

/* Two sets: one with the other, one without the other. */
static void test_two_models(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 1000; round++) {
		bool model[2][MODEL + 1] = {{false}}, both[MODEL + 1], rest[MODEL + 1];
		struct ranges s[2] = {{0}}, out = {0};

		model_seed(round);
		for (int adds = 0; adds < 60; adds++) {
			uint32_t which = model_pick(2), first = 1 + model_pick(MODEL);

			add_both(&s[which], model[which], first, model_pick(12));
		}
		for (int u = 0; u <= MODEL; u++) {
			both[u] = model[0][u] || model[1][u];
			rest[u] = model[0][u] && !model[1][u];
		}
		assert_int_equal(ranges_minus(&s[0], &s[1], &out, &e), 0);
		model_check(&out, rest);
		model_check(&s[0], model[0]);
		assert_int_equal(ranges_union(&s[0], &s[1], &e), 0);
		model_check(&s[0], both);
		model_check(&s[1], model[1]);
		ranges_free(&s[0]);
		ranges_free(&s[1]);
		ranges_free(&out);
	}
}

static void test_minus_edges(void **state)
{
	struct ranges all = {0}, some = {0}, out = {0};

	(void)state;
	assert_int_equal(ranges_add(&all, 1, UINT32_MAX, &e), 0);
	assert_int_equal(ranges_minus(&all, &all, &out, &e), 0);
	assert_int_equal(out.n, 0);
	assert_int_equal(ranges_add(&some, 1, 1, &e), 0);
	assert_int_equal(ranges_add(&some, 5, 5, &e), 0);
	assert_int_equal(ranges_add(&some, UINT32_MAX, UINT32_MAX, &e), 0);
	assert_int_equal(ranges_minus(&all, &some, &out, &e), 0);
	model_check_text(&out, "2:4,6:4294967294");
	ranges_clear(&out);
	assert_int_equal(ranges_minus(&some, &all, &out, &e), 0);
	assert_int_equal(out.n, 0);
	ranges_clear(&all);
	assert_int_equal(ranges_minus(&some, &all, &out, &e), 0);
	model_check_text(&out, "1,5,4294967295");
	ranges_free(&all);
	ranges_free(&some);
	ranges_free(&out);
}

/* Take a set apart, the lowest first, however many at a time. */
static void test_take_model(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 1000; round++) {
		bool model[MODEL + 1] = {false};
		struct ranges s = {0}, taken = {0};

		model_seed(round);
		for (int adds = 0; adds < 60; adds++)
			add_both(&s, model, 1 + model_pick(MODEL), model_pick(5));
		while (s.n > 0) {
			uint64_t max = 1 + model_pick(30), before = ranges_count(&s);
			uint64_t had = ranges_count(&taken);
			uint64_t n = max < before ? max : before;

			assert_int_equal(ranges_take(&s, max, &taken, &e), 0);
			assert_int_equal(ranges_count(&s), before - n);
			assert_int_equal(ranges_count(&taken), had + n);
			assert_true(s.n == 0 ||
				    taken.range[taken.n - 1].last < s.range[0].first);
		}
		model_check(&taken, model);
		assert_int_equal(ranges_take(&s, 1, &taken, &e), 0);
		model_check(&taken, model);
		ranges_free(&s);
		ranges_free(&taken);
	}
}

/* In any order, any way round, and sorted afterwards: the same as added one by one. */
static void test_append_model(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 1000; round++) {
		bool model[MODEL + 1] = {false};
		struct ranges s = {0};

		model_seed(round);
		for (int appends = 0; appends < 60; appends++) {
			uint32_t first = 1 + model_pick(MODEL), last = first + model_pick(6);

			last = last > MODEL ? MODEL : last;
			assert_int_equal(model_pick(2) ? ranges_append(&s, first, last, &e)
						       : ranges_append(&s, last, first, &e),
					 0);
			for (uint32_t u = first; u <= last; u++)
				model[u] = true;
			if (model_pick(20) == 0) {
				ranges_sort(&s);
				model_check(&s, model);
			}
		}
		ranges_sort(&s);
		model_check(&s, model);
		ranges_sort(&s);
		model_check(&s, model);
		ranges_free(&s);
	}
}

/*
 * 300,000 numbers in descending order: each goes to the end and none that is there is moved,
 * and the memory grows a few times only.
 */
static void test_append_descending(void **state)
{
	enum { N = 300000 };
	struct ranges s = {0};
	size_t grown = 0, size = 0;

	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		uint32_t number = 2 * (N - i);

		assert_int_equal(ranges_append(&s, number, number, &e), 0);
		assert_int_equal(s.n, i + 1);
		grown += s.size != size;
		size = s.size;
	}
	assert_in_range(grown, 1, 20);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(s.range[i].first, 2 * (N - i));
	ranges_sort(&s);
	assert_int_equal(s.n, N);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(s.range[i].first, 2 * (i + 1));
	ranges_clear(&s);
	for (uint32_t i = N; i > 0; i--)
		assert_int_equal(ranges_append(&s, i, i, &e), 0);
	model_check_text(&s, "1:300000"); /* neighbours need no sorting */
	ranges_free(&s);
}

/* As a folder of a million files lists them: in no order, and no gap between them. */
static void test_append_a_million(void **state)
{
	const uint64_t all = RANGES_MAX + RANGES_MAX / 2, step = 999983; /* a prime */
	struct ranges s = {0};

	(void)state;
	for (uint64_t i = 0; i < all; i++) {
		uint32_t number = (uint32_t)(i * step % all) + 1;

		assert_int_equal(ranges_append(&s, number, number, &e), 0);
	}
	ranges_sort(&s);
	assert_int_equal(s.n, 1);
	assert_int_equal(ranges_count(&s), all);
	ranges_free(&s);
}

static void test_append_edges(void **state)
{
	struct ranges s = {0};

	(void)state;
	ranges_sort(&s);
	assert_int_equal(s.n, 0);
	assert_int_equal(ranges_append(&s, UINT32_MAX, UINT32_MAX, &e), 0);
	assert_int_equal(ranges_append(&s, 1, 1, &e), 0);
	assert_int_equal(ranges_append(&s, UINT32_MAX - 1, 5, &e), 0);
	assert_int_equal(ranges_append(&s, UINT32_MAX, UINT32_MAX, &e), 0);
	assert_int_equal(ranges_append(&s, 1, 2, &e), 0);
	ranges_sort(&s);
	model_check_text(&s, "1:2,5:4294967295");
	ranges_clear(&s);
	assert_int_equal(ranges_append(&s, 7, 9, &e), 0);
	assert_int_equal(ranges_append(&s, 1, UINT32_MAX, &e), 0);
	assert_int_equal(ranges_append(&s, 3, 3, &e), 0);
	ranges_sort(&s);
	model_check_text(&s, "1:4294967295");
	ranges_free(&s);
}

/* One after the other, and none behind them. */
static void next_are(const struct ranges *s, size_t n, const uint32_t *number)
{
	uint32_t at = 0;

	for (size_t i = 0; i < n; i++) {
		assert_true(ranges_next(s, &at));
		assert_int_equal(at, number[i]);
	}
	assert_false(ranges_next(s, &at));
}

static void test_edges(void **state)
{
	struct ranges s = {0}, low = {0}, high = {0};
	uint32_t between = 77;

	(void)state;
	next_are(&s, 0, NULL);
	assert_int_equal(ranges_add(&s, UINT32_MAX, UINT32_MAX, &e), 0);
	assert_int_equal(ranges_add(&s, 1, 1, &e), 0);
	assert_int_equal(ranges_add(&s, UINT32_MAX - 1, UINT32_MAX - 1, &e), 0);
	model_check_text(&s, "1,4294967294:4294967295");
	assert_true(ranges_has(&s, UINT32_MAX));
	assert_false(ranges_has(&s, UINT32_MAX - 2));
	assert_false(ranges_has(&s, 0));
	next_are(&s, 3, (const uint32_t[]){1, UINT32_MAX - 1, UINT32_MAX});
	assert_true(ranges_next(&s, &between));
	assert_int_equal(between, UINT32_MAX - 1);
	assert_int_equal(ranges_add(&s, 2, UINT32_MAX, &e), 0);
	model_check_text(&s, "1:4294967295");
	assert_int_equal(ranges_count(&s), UINT32_MAX);
	assert_int_equal(ranges_take(&s, 0, &low, &e), 0);
	assert_int_equal(low.n, 0);
	assert_int_equal(ranges_take(&s, 10, &low, &e), 0);
	model_check_text(&low, "1:10");
	model_check_text(&s, "11:4294967295");
	assert_int_equal(ranges_take(&s, UINT64_MAX, &high, &e), 0);
	model_check_text(&high, "11:4294967295");
	assert_int_equal(s.n, 0);
	assert_int_equal(ranges_add(&s, 9, 3, &e), 0); /* either way round */
	model_check_text(&s, "3:9");
	next_are(&s, 7, (const uint32_t[]){3, 4, 5, 6, 7, 8, 9});
	ranges_clear(&s);
	assert_int_equal(ranges_count(&s), 0);
	assert_true(s.size > 0);
	ranges_free(&s);
	assert_int_equal(s.size, 0);
	ranges_free(&low);
	ranges_free(&high);
}

/* A set that needs more ranges than we allow is refused, and stays as it is. */
static void test_limit(void **state)
{
	struct ranges s = {0};

	(void)state;
	for (uint32_t i = 0; i < RANGES_MAX; i++)
		assert_int_equal(ranges_add(&s, 3 * i + 1, 3 * i + 1, &e), 0);
	assert_int_equal(s.n, RANGES_MAX);
	assert_int_equal(ranges_add(&s, UINT32_MAX, UINT32_MAX, &e), -1);
	assert_int_equal(e.scope, ERR_FATAL);
	assert_int_equal(ranges_append(&s, UINT32_MAX, UINT32_MAX, &e), -1);
	assert_int_equal(s.n, RANGES_MAX);
	assert_int_equal(ranges_add(&s, 3, 3, &e), 0); /* touches 4: no range more */
	assert_int_equal(s.n, RANGES_MAX);
	assert_int_equal(ranges_add(&s, 2, 2, &e), 0); /* closes a gap */
	assert_int_equal(s.n, RANGES_MAX - 1);
	assert_int_equal(ranges_count(&s), RANGES_MAX + 2);
	assert_int_equal(ranges_add(&s, 1, UINT32_MAX, &e), 0);
	model_check_text(&s, "1:4294967295");
	ranges_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_add_model),
	    cmocka_unit_test(test_two_models),
	    cmocka_unit_test(test_minus_edges),
	    cmocka_unit_test(test_take_model),
	    cmocka_unit_test(test_append_model),
	    cmocka_unit_test(test_append_descending),
	    cmocka_unit_test(test_append_a_million),
	    cmocka_unit_test(test_append_edges),
	    cmocka_unit_test(test_edges),
	    cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
