/* Accounts, of whatever kind: who shares a password, and when it is taken for wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "source/account.h"

enum { USERS = 40 };

static struct err e;
static int tries;
static int good = -1; /* the user whose log-in is accepted */

static int try_to_connect(struct account *a, struct err *err)
{
	tries++;
	if (a->n == (size_t)good)
		return 0;
	return err_set(err, ERR_SERVER, ERR_AUTH, "account %s: refused", a->name);
}

static void disconnect(struct account *a)
{
	(void)a;
}

static const struct account_ops ops = {.connect = try_to_connect, .disconnect = disconnect};

/* Log in as each of them; how many were tried. */
static int connect_all(struct login *login)
{
	tries = 0;
	for (size_t i = 0; i < USERS; i++) {
		struct account a = {.ops = &ops, .name = "user", .n = i, .login = login};
		int rc = account_connect(&a, &e);

		assert_int_equal(rc, i == (size_t)good ? 0 : -1);
		if (rc == -1) {
			assert_int_equal(e.kind, ERR_AUTH);
			assert_true(a.refused);
		}
		account_disconnect(&a);
	}
	return tries;
}

static void test_a_wrong_password_is_not_tried_for_all(void **state)
{
	struct login login = {0};

	(void)state;
	good = -1;
	assert_int_equal(connect_all(&login), LOGIN_REFUSED_MAX);
	assert_non_null(strstr(e.text, "impersonate"));
}

/* One user who is let in shows that it is right: the others have been removed. */
static void test_a_right_password_is(void **state)
{
	struct login login = {0};

	(void)state;
	good = 3;
	assert_int_equal(connect_all(&login), USERS);
	good = -1;
	assert_int_equal(connect_all(&login), USERS);
	/* Who has a password of his own is nobody else's concern. */
	assert_int_equal(connect_all(NULL), USERS);
}

static void test_who_shares_one(void **state)
{
	struct conf_account account[] = {{.name = "own"},
					 {.name = "a", .impersonate = 2},
					 {.name = "b", .impersonate = 1},
					 {.name = "c", .impersonate = 2}};
	struct conf conf = {.accounts = account, .n_accounts = 4};
	struct accounts out;

	(void)state;
	assert_int_equal(accounts_open(&conf, &out, &e), 0);
	assert_int_equal(out.n, 4);
	assert_null(out.account[0]->login);
	assert_non_null(out.account[1]->login);
	assert_ptr_equal(out.account[1]->login, out.account[3]->login);
	assert_ptr_not_equal(out.account[1]->login, out.account[2]->login);
	accounts_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_wrong_password_is_not_tried_for_all),
	    cmocka_unit_test(test_a_right_password_is),
	    cmocka_unit_test(test_who_shares_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
