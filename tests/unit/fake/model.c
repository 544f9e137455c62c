#include "fake/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static uint32_t last_pick;

void model_seed(uint32_t seed)
{
	last_pick = seed;
}

uint32_t model_pick(uint32_t below)
{
	last_pick = last_pick * 1103515245 + 12345;
	return (last_pick >> 8) % below;
}

void model_check(const struct ranges *s, const bool *model)
{
	uint64_t n = 0;

	for (uint32_t uid = 1; uid <= MODEL; uid++) {
		assert_int_equal(ranges_has(s, uid), model[uid]);
		n += model[uid];
	}
	assert_int_equal(ranges_count(s), n);
	for (size_t i = 0; i < s->n; i++) {
		assert_true(s->range[i].first <= s->range[i].last);
		assert_true(i == 0 || (uint64_t)s->range[i - 1].last + 1 < s->range[i].first);
	}
}

void model_check_text(const struct ranges *s, const char *want)
{
	char got[4096];
	size_t n = 0;

	got[0] = '\0';
	for (size_t i = 0; i < s->n && n < sizeof got; i++) {
		uint32_t a = s->range[i].first, b = s->range[i].last;

		n += (size_t)snprintf(got + n, sizeof got - n, a == b ? "%s%u" : "%s%u:%u",
				      i ? "," : "", a, b);
	}
	assert_string_equal(got, want);
}
