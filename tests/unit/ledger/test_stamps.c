/* stamps.c: where messages were seen by earlier runs, byte for byte, and how they are
 * forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ledger/samples.h"
#include "ledger/stamps.h"

enum { NOW = 1700000000 };

static struct store *store;
static struct ledger *ledger;
static struct err e;

static const struct record_stamp one = {3519, 1699999999}, two = {3519, 1699999998};

static void ok(int rc)
{
	if (rc != 0)
		fail_msg("%s", e.text);
}

static int setup(void **state)
{
	(void)state;
	store = store_mem_open(&e);
	ledger = store ? ledger_over(store, LEDGER_WRITE, &e) : NULL;
	return ledger ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	ledger_close(ledger);
	return 0;
}

/* A copy of what is committed, under another run. */
static void next_run(void)
{
	struct store *next = store_mem_open(&e);
	struct store_value key = {"", 0}, v;
	struct ledger *l;
	int rc;

	assert_non_null(next);
	l = ledger_over(next, LEDGER_WRITE, &e);
	assert_non_null(l);
	for (rc = store->ops->seek(store, STORE_SAMPLE, &key, &v, &e); rc == 1;
	     rc = store->ops->next(store, STORE_SAMPLE, &key, &v, &e))
		ok(next->ops->put(next, STORE_SAMPLE, key, v, &e));
	ledger_close(ledger);
	ledger = l;
	store = next;
}

static unsigned seen(const char *account, const struct record_stamp *stamp)
{
	unsigned got = 99;

	ok(stamps_get(ledger, account, stamp, &got, &e));
	return got;
}

static void note(const struct record_stamp *stamp, unsigned where, int64_t now)
{
	ok(stamps_note(ledger, "a@b", stamp, where, now, &e));
}

/* What this run saw for the first time it does not know; each side for itself. */
static void test_runs(void **state)
{
	(void)state;
	assert_int_equal(seen("a@b", &one), 0);
	note(&one, STAMP_IN_SPAM, NOW);
	assert_int_equal(seen("a@b", &one), 0);
	next_run();
	assert_int_equal(seen("a@b", &one), STAMP_IN_SPAM);
	assert_int_equal(seen("a@b", &two), 0);
	assert_int_equal(seen("a@", &one), 0);
	note(&one, STAMP_IN_SPAM, NOW); /* again: it was known before */
	note(&one, STAMP_IN_HAM, NOW);
	assert_int_equal(seen("a@b", &one), STAMP_IN_SPAM);
	next_run();
	assert_int_equal(seen("a@b", &one), STAMP_IN_SPAM | STAMP_IN_HAM);
}

/* A message without a size is like any other of the kind. */
static void test_no_size(void **state)
{
	const struct record_stamp none = {0, NOW};

	(void)state;
	note(&none, STAMP_IN_SPAM, NOW);
	next_run();
	assert_int_equal(seen("a@b", &none), 0);
}

static void test_filter(void **state)
{
	bool files = true;

	(void)state;
	ok(stamps_filter_files(ledger, "a@b", &files, &e));
	assert_false(files);
	ok(stamps_note_filter(ledger, "a@b", NOW, &e));
	ok(stamps_filter_files(ledger, "a@b", &files, &e));
	assert_true(files); /* at once */
	ok(stamps_filter_files(ledger, "a@c", &files, &e));
	assert_false(files);
	assert_int_equal(seen("a@b", &(struct record_stamp){0, 0}), 0);
}

/* The record of docs/ledger.md, but for the number of the run. */
static void test_bytes(void **state)
{
	static const unsigned char key[] = "a@b\0s\0\0\x0d\xbf\0\0\0\0\x65\x53\xf0\xff";
	static const unsigned char value[] = "\1\1\0\0\0\0\x65\x53\xf1\0";
	struct store_value k = {"", 0}, v;

	(void)state;
	note(&one, STAMP_IN_SPAM, NOW);
	assert_int_equal(store->ops->seek(store, STORE_SAMPLE, &k, &v, &e), 1);
	assert_int_equal(k.len, sizeof key - 1);
	assert_memory_equal(k.data, key, sizeof key - 1);
	assert_int_equal(v.len, 18);
	assert_memory_equal(v.data, value, 10);
	assert_memory_equal((const char *)v.data + 14, "\0\0\0\0", 4);
}

static void test_damaged(void **state)
{
	static const char key[] = "a@b\0s\0\0\x0d\xbf\0\0\0\0\x65\x53\xf0\xff";
	unsigned got;

	(void)state;
	ok(store->ops->put(store, STORE_SAMPLE, (struct store_value){key, sizeof key - 1},
			   (struct store_value){"\2\1", 2}, &e));
	assert_int_equal(stamps_get(ledger, "a@b", &one, &got, &e), -1);
	assert_int_equal(e.kind, ERR_LOCAL);
	assert_non_null(strstr(e.text, "a stamp record cannot be read"));
	assert_int_equal(stamps_note(ledger, "a@b", &one, 1, NOW, &e), -1);
	assert_int_equal(stamps_forget(ledger, NOW, 10, &e), -1);
}

/* A few at a time; what was seen again stays, and so does what is no stamp. */
static void test_forget(void **state)
{
	struct samples s;
	struct sample sample = {
	    .name = "s", .account = "s", .blob = "blob", .class = CLASS_SPAM};
	unsigned left = 0;

	(void)state;
	ok(samples_load(&s, ledger, "a@b", &e));
	ok(samples_add(&s, &sample, false, &e));
	for (uint32_t n = 1; n <= 10; n++)
		note(&(struct record_stamp){n, 5}, STAMP_IN_SPAM, NOW + n);
	note(&(struct record_stamp){2, 5}, STAMP_IN_HAM, NOW + 20);
	for (int i = 0; i < 20; i++)
		ok(stamps_forget(ledger, NOW + 6, 3, &e));
	next_run();
	for (uint32_t n = 1; n <= 10; n++) {
		unsigned was = seen("a@b", &(struct record_stamp){n, 5});

		assert_int_equal(was != 0, n == 2 || n >= 6);
		left += was != 0;
	}
	assert_int_equal(left, 6);
	ok(samples_load(&s, ledger, "a@b", &e));
	assert_int_equal(samples_total(&s), 1);
	assert_int_equal(samples_get(&s, 1, &sample, &e), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_runs, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_no_size, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_filter, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_forget, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
