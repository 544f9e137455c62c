/*
 * conf_edit.c: what the command line changes of a configuration.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf_edit.h"
#include "fake/memory.h"

static struct conf *with_accounts(const char *const *names, size_t n)
{
	struct conf *c = conf_default();

	for (size_t i = 0; c && i < n; i++) {
		struct conf_account *a = conf_add_account(c, names[i]);

		if (a == NULL || conf_set_text(&a->url, "imaps://localhost") == -1 ||
		    conf_set_source(&a->password, SECRET_TEXT, "secret") == -1 ||
		    conf_set_mailbox(a, CLASS_SPAM, "Junk Mail") == -1 ||
		    conf_set_mailbox(a, CLASS_HAM, "INBOX") == -1) {
			conf_free(c);
			return NULL;
		}
	}
	return c;
}

static const char *const abc[] = {"a", "b", "c"};

/* An account that was added passes the checks, and nothing of it is ever expired. */
static void test_add(void **state)
{
	struct conf *c = with_accounts(abc, 1);
	struct err e;

	(void)state;
	assert_non_null(c);
	assert_int_equal(conf_check(c, &e), 0);
	assert_string_equal(c->accounts[0].user, "a");
	assert_int_equal(c->accounts[0].timeout, CONF_TIMEOUT);
	for (size_t i = 0; i < 2; i++) {
		assert_false(c->accounts[0].mailboxes[i].expire);
		assert_false(c->accounts[0].mailboxes[i].proof);
		assert_int_equal(c->accounts[0].mailboxes[i].keep, CONF_KEEP_YES);
	}
	conf_free(c);
}

static void test_keep(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct conf *c = with_accounts(abc, 3);

		assert_non_null(c);
		c->spools = calloc(1, sizeof *c->spools);
		assert_non_null(c->spools);
		c->spools[c->n_spools++].path = strdup("/spool");
		assert_int_equal(conf_keep_account(c, i), 0);
		assert_int_equal(c->n_accounts, 1);
		assert_int_equal(c->n_spools, 0);
		assert_string_equal(c->accounts[0].name, abc[i]);
		conf_free(c);
	}
}

/* A folder takes over what the one before was; others of its class go. */
static void test_mailbox(void **state)
{
	struct conf *c = with_accounts(abc, 1);
	struct conf_account *a;

	(void)state;
	assert_non_null(c);
	a = &c->accounts[0];
	a->mailboxes[0].expire = true;
	a->mailboxes[0].keep = CONF_KEEP_NO;
	a->mailboxes[1].class = CLASS_SPAM;
	assert_int_equal(conf_set_mailbox(a, CLASS_SPAM, "\\Junk"), 0);
	assert_int_equal(a->n_mailboxes, 1);
	assert_string_equal(a->mailboxes[0].name, "\\Junk");
	assert_true(a->mailboxes[0].special_use);
	assert_true(a->mailboxes[0].expire);
	assert_int_equal(conf_set_mailbox(a, CLASS_SPAM, NULL), 0);
	assert_int_equal(a->n_mailboxes, 0);
	conf_free(c);
}

/* Another source takes the place of a secret, whose text is overwritten. */
static void test_source(void **state)
{
	struct secret_source s = {0};

	(void)state;
	assert_int_equal(conf_set_source(&s, SECRET_TEXT, "secret"), 0);
	assert_int_equal(conf_set_source(&s, SECRET_ENV, "NAME"), 0);
	assert_int_equal(s.kind, SECRET_ENV);
	assert_string_equal(s.where, "NAME");
	secret_forget(&s);
	assert_int_equal(s.kind, SECRET_NONE);
	assert_null(s.where);
	secret_forget(&s);
}

/* Without memory nothing is lost or freed twice; sanitizers see to that. */
static void test_no_memory(void **state)
{
	bool failed = true;

	(void)state;
	for (unsigned n = 1; failed; n++) {
		struct conf *c;
		int rc;

		fake_memory_fails(n);
		c = with_accounts(abc, 2);
		rc = c ? conf_keep_account(c, 1) : -1;
		failed = fake_memory_failed();
		fake_memory_fails(0);
		assert_int_equal(rc, failed ? -1 : 0);
		conf_free(c);
		assert_true(n < 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_add),	      cmocka_unit_test(test_keep),
	    cmocka_unit_test(test_mailbox),   cmocka_unit_test(test_source),
	    cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
