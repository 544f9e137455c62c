/*
 * idler.c with accounts that only pretend: what they say comes through, how they end is told,
 * and none outlives its parent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "source/idler.h"

enum { PATIENT_MS = 30000 };

static struct idler idler;
static struct err e;

static void hang(void)
{
	poll(NULL, 0, PATIENT_MS * 10);
}

/* Each is the whole life of an idler. */
static int tells(struct account *a, const struct account_listener *l, struct err *err)
{
	(void)a, (void)err;
	if (l->poll_ms != 7 || l->renew_ms != 8)
		return -1;
	l->ready(l->ctx);
	poll(NULL, 0, 50);
	l->news(l->ctx);
	hang();
	return -1;
}

static int fails(struct account *a, const struct account_listener *l, struct err *err)
{
	l->ready(l->ctx);
	l->news(l->ctx);
	return err_set(err, ERR_SERVER, ERR_AUTH, "account %s: refused", a->name);
}

static int fails_at_length(struct account *a, const struct account_listener *l, struct err *err)
{
	(void)a, (void)l;
	memset(err->text, 'x', sizeof err->text - 1);
	err->text[sizeof err->text - 1] = '\0';
	err->scope = ERR_MAILBOX;
	err->kind = ERR_CONFIG;
	return -1;
}

static int dies(struct account *a, const struct account_listener *l, struct err *err)
{
	(void)a, (void)l, (void)err;
	raise(SIGKILL);
	return -1;
}

/* More than a pipe holds: it must not block, nor be an error. */
static int floods(struct account *a, const struct account_listener *l, struct err *err)
{
	(void)a;
	for (int i = 0; i < 200000; i++)
		l->news(l->ctx);
	return err_set(err, ERR_SERVER, ERR_TEMPORARY, "that was all");
}

/* What it has inherited: nothing but the standard streams and its pipe. */
static int counts_descriptors(struct account *a, const struct account_listener *l,
			      struct err *err)
{
	int n = 0;

	(void)a, (void)l;
	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return err_set(err, ERR_SERVER, ERR_DATA, "%d", n);
}

static void start(int (*listen)(struct account *, const struct account_listener *,
				struct err *))
{
	static struct account_ops ops;
	static struct account account = {.ops = &ops, .name = "a"};
	const struct account_listener times = {.poll_ms = 7, .renew_ms = 8};

	ops.listen = listen;
	idler_init(&idler);
	if (idler_start(&idler, &account, &times, &e) == -1)
		fail_msg("%s", e.text);
	assert_true(idler.pid > 0 && idler.fd != -1 && !idler.ready);
}

static void wait_for_it(void)
{
	struct pollfd p = {.fd = idler.fd, .events = POLLIN};

	assert_int_equal(poll(&p, 1, PATIENT_MS), 1);
}

/* Until it has ended. */
static void take_to_the_end(void)
{
	int rc;

	do {
		wait_for_it();
		rc = idler_take(&idler, &e);
	} while (rc != -1);
	assert_true(idler.pid == 0 && idler.fd == -1 && !idler.ready);
	assert_int_equal(idler_take(&idler, &e), 0);
}

static void test_tells(void **state)
{
	pid_t pid;

	(void)state;
	start(tells);
	pid = idler.pid;
	wait_for_it();
	assert_int_equal(idler_take(&idler, &e), 1);
	assert_true(idler.ready);
	wait_for_it();
	assert_int_equal(idler_take(&idler, &e), 1);
	assert_int_equal(idler_take(&idler, &e), 0);
	idler_stop(&idler);
	assert_true(idler.pid == 0 && idler.fd == -1);
	assert_int_equal(kill(pid, 0), -1); /* and no zombie is left */
	assert_int_equal(errno, ESRCH);
	idler_stop(&idler);
}

static void test_ends(void **state)
{
	(void)state;
	start(fails);
	take_to_the_end();
	assert_true(e.scope == ERR_SERVER && e.kind == ERR_AUTH);
	assert_string_equal(e.text, "account a: refused");
	start(fails_at_length);
	take_to_the_end();
	assert_true(e.scope == ERR_MAILBOX && e.kind == ERR_CONFIG);
	assert_int_equal(strspn(e.text, "x"), ERR_TEXT_MAX - 1);
	start(dies);
	take_to_the_end();
	assert_true(e.scope == ERR_SERVER && e.kind == ERR_LOCAL);
	assert_string_equal(e.text, "the process that waits for mail has died");
}

static void test_flood(void **state)
{
	(void)state;
	start(floods);
	poll(NULL, 0, 300); /* nobody reads */
	take_to_the_end();
	assert_string_equal(e.text, "that was all");
}

static void test_inherits_nothing(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	start(counts_descriptors);
	take_to_the_end();
	assert_string_equal(e.text, "4");
	close(fd[0]);
	close(fd[1]);
}

/* Its parent is killed: so is it, although it waits for something else. */
static void test_ends_with_its_parent(void **state)
{
	int fd[2];
	pid_t parent, child = 0;
	bool gone = false;

	(void)state;
	assert_int_equal(pipe(fd), 0);
	parent = fork();
	if (parent == 0) {
		start(tells);
		wait_for_it();
		(void)!write(fd[1], &idler.pid, sizeof idler.pid);
		hang();
		_exit(0);
	}
	assert_int_equal(read(fd[0], &child, sizeof child), sizeof child);
	assert_int_equal(kill(child, 0), 0);
	kill(parent, SIGKILL);
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	for (int64_t until = clock_ms() + PATIENT_MS; !gone && clock_ms() < until;) {
		char path[64], line[256] = "";
		FILE *f;

		snprintf(path, sizeof path, "/proc/%d/stat", (int)child);
		f = fopen(path, "r");
		if (f) {
			(void)!fgets(line, sizeof line, f);
			fclose(f);
		}
		/* A zombie, if nobody has taken note of its end yet. */
		gone = f == NULL || strstr(line, ") Z ");
		poll(NULL, 0, 10);
	}
	assert_true(gone);
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tells),
	    cmocka_unit_test(test_ends),
	    cmocka_unit_test(test_flood),
	    cmocka_unit_test(test_inherits_nothing),
	    cmocka_unit_test(test_ends_with_its_parent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
