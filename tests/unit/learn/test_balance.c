/*
 * balance.c: how much of the larger class rspamd may still be taught.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "conf/conf_balance.h"
#include "learn/balance.h"

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		int more, less; /* -1: refused */
	} texts[] = {
	    {"2:1", 2, 1},  {"1:1", 1, 1},    {"3:2", 3, 2},   {"1000:1000", 1000, 1000},
	    {"off", 0, 0},  {"1:2", -1, 0},   {"0:0", -1, 0},  {"1001:1", -1, 0},
	    {"2:0", -1, 0}, {"2", -1, 0},     {"", -1, 0},     {"2:", -1, 0},
	    {":1", -1, 0},  {"2:1:1", -1, 0}, {"-2:1", -1, 0}, {"2 :1", -1, 0},
	    {"Off", -1, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct conf_balance b = {7, 7};
		bool ok = conf_balance_parse(texts[i].text, &b);

		assert_int_equal(ok, texts[i].more != -1);
		assert_int_equal(b.more, ok ? texts[i].more : 7);
		assert_int_equal(b.less, ok ? texts[i].less : 7);
	}
}

static void test_room(void **state)
{
	static const struct {
		struct conf_balance b;
		struct rspamd_stat before;
		uint64_t spam, ham, spam_back, ham_back; /* learned and taken back in the run */
		uint64_t spam_room, ham_room;
	} cases[] = {
	    {{0, 0}, {true, 1, 1000000}, 0, 0, 0, 0, UINT64_MAX, UINT64_MAX},
	    /* As many as rspamd needs to judge. */
	    {{2, 1}, {true, 0, 0}, 0, 0, 0, 0, 200, 200},
	    {{2, 1}, {true, 50, 0}, 10, 0, 0, 0, 140, 200},
	    {{2, 1}, {true, 1000, 0}, 0, 0, 0, 0, 0, 2000},
	    {{2, 1}, {true, 1000, 600}, 0, 0, 0, 0, 200, 1400},
	    {{2, 1}, {true, 1000, 600}, 200, 0, 0, 0, 0, 1800},
	    {{2, 1}, {true, 1000, 600}, 199, 1, 0, 0, 3, 1797},
	    {{3, 2}, {true, 301, 300}, 0, 0, 0, 0, 149, 151},
	    {{1, 1}, {true, 300, 301}, 0, 0, 0, 0, 1, 0},
	    /* Ten spam were ham before. */
	    {{1, 1}, {true, 300, 300}, 10, 0, 0, 10, 0, 20},
	    /* rspamd forgot: there is less than was taken back. */
	    {{1, 1}, {true, 0, 3}, 10, 0, 0, 10, 190, 200},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct tally t = {
		    .learned = {0, cases[i].spam, cases[i].ham},
		    .taken_back = {0, cases[i].spam_back, cases[i].ham_back}};

		assert_int_equal(balance_room(&cases[i].b, &cases[i].before, &t, CLASS_SPAM),
				 cases[i].spam_room);
		assert_int_equal(balance_room(&cases[i].b, &cases[i].before, &t, CLASS_HAM),
				 cases[i].ham_room);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
