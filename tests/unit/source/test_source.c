/*
 * source.c and account.c: the contract at the door; and the contract's own suite, over the
 * source in memory in every way that it can behave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake/source.h"
#include "source/account.h"
#include "source/contract.h"

static struct fake_events events;
static struct fake_source src;
static struct err e;

/* ---- the contract ---- */

static int waits;
static bool backwards, no_sizes;
static uint64_t version;

static void add(void *ctx, const struct contract_message *m)
{
	struct fake_message *f = fake_deliver(ctx, m->body, m->date);

	f->seen = m->seen;
	f->flagged = m->flagged;
	f->deleted = m->deleted;
}

static struct source *make(void *ctx, const struct contract_message *m, size_t n)
{
	struct fake_source *s = ctx;

	fake_source_init(s, "a", "INBOX", CLASS_SPAM, NULL);
	s->waits = waits;
	s->backwards = backwards;
	s->no_sizes = no_sizes;
	s->version = version;
	for (size_t i = 0; i < n; i++)
		add(s, &m[i]);
	return &s->source;
}

static void expunge(void *ctx, uint32_t id)
{
	fake_expunge(ctx, id);
}

static bool has(void *ctx, uint32_t id)
{
	return fake_find(ctx, id) != NULL;
}

static void wait_for(void *ctx, const struct wait *w)
{
	(void)ctx;
	assert_true(w->ms >= 0);
}

static void drop(void *ctx, struct source *s)
{
	source_close(s);
	fake_source_free(ctx);
}

static void test_contract(void **state)
{
	const struct contract c = {.make = make,
				   .expunge = expunge,
				   .deliver = add,
				   .has = has,
				   .wait = wait_for,
				   .drop = drop,
				   .can_remove = true,
				   .one_class = false,
				   .ctx = &src};

	(void)state;
	for (int i = 0; i < 24; i++) {
		waits = i % 3;
		backwards = i / 3 & 1;
		no_sizes = i / 6 & 1;
		version = i / 12 & 1 ? 9 : 0;
		contract_check(&c);
	}
}

/* ---- source.c ---- */

static int setup(void **state)
{
	(void)state;
	fake_events_clear(&events);
	fake_source_init(&src, "a", "INBOX", CLASS_SPAM, &events);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_source_free(&src);
	return 0;
}

static void test_open(void **state)
{
	(void)state;
	fake_fail(&src, FAIL_OPEN, ERR_MAILBOX, ERR_CONFIG);
	assert_int_equal(source_open(&src.source, false, &e), -1);
	assert_false(src.source.is_open);
	assert_int_equal(source_open(&src.source, false, &e), 0);
	assert_true(src.source.is_open);
	assert_false(src.source.read_only);
	/* What was open and cannot be opened again is not open. */
	fake_fail(&src, FAIL_OPEN, ERR_MAILBOX, ERR_CONFIG);
	assert_int_equal(source_open(&src.source, false, &e), -1);
	assert_false(src.source.is_open);
	assert_int_equal(source_open(&src.source, true, &e), 0);
	assert_true(src.source.read_only);
	src.server_read_only = true;
	assert_int_equal(source_open(&src.source, false, &e), 0);
	assert_true(src.source.read_only);
	source_close(NULL);
}

static int never(void *ctx, const struct source_sight *sight, struct err *err)
{
	(void)ctx, (void)sight, (void)err;
	fail();
	return -1;
}

/* Nothing to ask for: the source is not asked. */
static void test_empty_sets(void **state)
{
	const struct source_removal how = {.move_to = NULL};
	struct ranges none = {0};

	(void)state;
	assert_int_equal(source_open(&src.source, false, &e), 0);
	fake_events_clear(&events);
	assert_int_equal(source_look(&src.source, &none, never, NULL, &e), 0);
	assert_int_equal(source_remove(&src.source, &none, &how, &e), 0);
	fake_events_are(&events, "");
}

static void test_marks_nowhere(void **state)
{
	struct ranges ids = {0};
	bool held = true;

	(void)state;
	src.can_mark = false;
	assert_int_equal(source_open(&src.source, false, &e), 0);
	assert_int_equal(ranges_add(&ids, 1, 3, &e), 0);
	assert_int_equal(source_mark(&src.source, &ids, CLASS_SPAM, OUTCOME_LEARNED, &held, &e),
			 0);
	assert_false(held);
	fake_events_lack(&events, "mark");
	ranges_free(&ids);
}

/* Where a message is moved in one step, and where it is not moved, nothing is asked. */
static void test_target(void **state)
{
	struct source_ops ops = *src.source.ops;
	struct source_removal how = {.move_to = NULL};
	struct ranges ids = {0}, copied = {0};
	uint64_t end = 7;

	(void)state;
	src.target = 42;
	assert_int_equal(source_open(&src.source, false, &e), 0);
	fake_events_clear(&events);
	assert_int_equal(source_target(&src.source, &how, &end, &e), 0);
	assert_true(end == 0);
	fake_events_are(&events, "");
	how.move_to = "Archive";
	assert_int_equal(source_target(&src.source, &how, &end, &e), 0);
	assert_true(end == 42);
	fake_events_clear(&events);
	assert_int_equal(source_copied(&src.source, &ids, &how, end, &copied, &e), 0);
	fake_events_are(&events, "");
	ops.target = NULL;
	ops.copied = NULL;
	src.source.ops = &ops;
	assert_int_equal(source_target(&src.source, &how, &end, &e), 0);
	assert_true(end == 0);
	assert_int_equal(ranges_add(&ids, 1, 1, &e), 0);
	assert_int_equal(source_copied(&src.source, &ids, &how, 42, &copied, &e), 0);
	assert_int_equal(copied.n, 0);
	ranges_free(&ids);
}

/* A failure of each call is passed on as it is. */
static void test_failures(void **state)
{
	const struct source_filter f = {.max_size = 1000, .newest = INT64_MAX};
	const struct source_removal how = {.move_to = NULL};
	struct ranges ids = {0};
	bool held;

	(void)state;
	assert_int_equal(source_open(&src.source, false, &e), 0);
	assert_int_equal(ranges_add(&ids, 1, 3, &e), 0);
	fake_fail(&src, FAIL_LOOK, ERR_SERVER, ERR_PROTOCOL);
	assert_int_equal(source_look(&src.source, &ids, never, NULL, &e), -1);
	fake_fail(&src, FAIL_MARK, ERR_SERVER, ERR_PROTOCOL);
	assert_int_equal(source_mark(&src.source, &ids, CLASS_HAM, OUTCOME_KNOWN, &held, &e),
			 -1);
	fake_fail(&src, FAIL_REMOVE, ERR_SERVER, ERR_PROTOCOL);
	assert_int_equal(source_remove(&src.source, &ids, &how, &e), -1);
	fake_fail(&src, FAIL_WANT, ERR_SERVER, ERR_PROTOCOL);
	assert_int_equal(source_want(&src.source, &ids, &f, false, &e), -1);
	src.cannot = true;
	assert_int_equal(source_can_remove(&src.source, &how, &e), -1);
	ranges_clear(&ids);
	fake_fail(&src, FAIL_LIST, ERR_MAILBOX, ERR_TEMPORARY);
	assert_int_equal(source_list(&src.source, 1, 2, &ids, &e), -1);
	assert_int_equal(e.scope, ERR_MAILBOX);
	ranges_free(&ids);
}

/* ---- account.c ---- */

static enum err_kind refusal;
static int connects, disconnects, frees;

static int connect_it(struct account *a, struct err *err)
{
	(void)a;
	connects++;
	return refusal == ERR_OK ? 0 : err_set(err, ERR_SERVER, refusal, "no");
}

static struct source *source_of(struct account *a, size_t i)
{
	(void)a;
	return i == 7 ? &src.source : NULL;
}

static void disconnect_it(struct account *a)
{
	(void)a;
	disconnects++;
}

static void free_it(struct account *a)
{
	(void)a;
	frees++;
}

static const struct account_ops account_ops = {
    .connect = connect_it,
    .source = source_of,
    .disconnect = disconnect_it,
    .free = free_it,
};

static int reset_account(void **state)
{
	refusal = ERR_OK;
	connects = disconnects = frees = 0;
	return setup(state);
}

static void test_account(void **state)
{
	struct account a = {.ops = &account_ops, .name = "a", .n = 8};

	(void)state;
	assert_int_equal(account_connect(&a, &e), 0);
	assert_int_equal(account_connect(&a, &e), 0); /* it is already */
	assert_int_equal(connects, 1);
	assert_ptr_equal(account_source(&a, 7), &src.source);
	assert_null(account_source(&a, 0));
	account_disconnect(&a);
	account_disconnect(&a);
	assert_int_equal(disconnects, 1);
	assert_false(a.connected);
	assert_int_equal(account_connect(&a, &e), 0);
	account_free(&a); /* disconnects it */
	assert_int_equal(disconnects, 2);
	assert_int_equal(frees, 1);
	account_free(NULL);
}

/* Only a log-in that was refused is not tried again: no ban, and no second error. */
static void test_account_refused(void **state)
{
	static const enum err_kind kinds[] = {ERR_TEMPORARY, ERR_UNREACHABLE, ERR_CONFIG,
					      ERR_PROTOCOL, ERR_AUTH};

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		struct account a = {.ops = &account_ops, .name = "a"};

		refusal = kinds[i];
		assert_int_equal(account_connect(&a, &e), -1);
		assert_int_equal(e.kind, kinds[i]);
		assert_false(a.connected);
		assert_int_equal(a.refused, kinds[i] == ERR_AUTH);
		account_disconnect(&a);
	}
	assert_int_equal(disconnects, 0);
}

/* Those of the configuration, in its order; nothing is contacted. */
static void test_accounts(void **state)
{
	struct conf_mailbox boxes[2] = {{.name = strdup("INBOX")}, {.name = strdup("Junk")}};
	struct conf_account two[2] = {{.name = strdup("spam@x"), .mailboxes = boxes},
				      {.name = strdup("ham@x"), .mailboxes = boxes}};
	const struct conf conf = {.accounts = two, .n_accounts = 2};
	struct accounts all;

	(void)state;
	two[0].n_mailboxes = 2;
	two[1].n_mailboxes = 1;
	assert_int_equal(accounts_open(&conf, &all, &e), 0);
	assert_int_equal(all.n, 2);
	assert_string_equal(all.account[0]->name, "spam@x");
	assert_string_equal(all.account[1]->name, "ham@x");
	assert_int_equal(all.account[0]->n, 2);
	assert_int_equal(all.account[1]->n, 1);
	assert_false(all.account[0]->connected);
	accounts_free(&all);
	assert_int_equal(all.n, 0);
	accounts_free(&all); /* zeroed: fine */
	for (int i = 0; i < 2; i++) {
		free(boxes[i].name);
		free(two[i].name);
	}
}

static void test_no_accounts(void **state)
{
	const struct conf conf = {.accounts = NULL};
	struct accounts all;

	(void)state;
	assert_int_equal(accounts_open(&conf, &all, &e), 0);
	assert_int_equal(all.n, 0);
	accounts_free(&all);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define ACC(f)	cmocka_unit_test_setup_teardown(f, reset_account, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_contract),
	    TEST(test_open),
	    TEST(test_empty_sets),
	    TEST(test_marks_nowhere),
	    TEST(test_target),
	    TEST(test_failures),
	    ACC(test_account),
	    ACC(test_account_refused),
	    ACC(test_accounts),
	    ACC(test_no_accounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
