/*
 * stop.c: the first signal asks, the second kills. Each case is a process of its own, and the
 * clock is ours.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/stop.h"

static int64_t now = 1000000;

/* In place of clock.c's. */
int64_t clock_ms(void)
{
	return now;
}

static int status_of(void (*child)(void))
{
	int status;
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		alarm(60);
		setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failure here is abort() */
		stop_install();
		child();
		_exit(stop_exit_status());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void check_limit(int ms, int want)
{
	assert_int_equal(stop_limit(ms), want);
}

static void no_signal(void)
{
	assert_false(stop_requested());
	assert_int_equal(stop_exit_status(), 0);
	check_limit(0, 0);
	check_limit(60000, 60000);
	now += 60000;
	check_limit(60000, 60000);
}

static void interrupted(void)
{
	raise(SIGINT);
	assert_true(stop_requested());
}

static void terminated(void)
{
	raise(SIGTERM);
	assert_true(stop_requested());
	assert_true(stop_requested()); /* it stays so */
}

static void terminated_twice(void)
{
	raise(SIGTERM);
	raise(SIGTERM);
}

static void interrupted_twice(void)
{
	raise(SIGINT);
	raise(SIGINT);
}

static void test_signals(void **state)
{
	int status;

	(void)state;
	assert_int_equal(status_of(no_signal), 0);
	status = status_of(interrupted);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 130);
	status = status_of(terminated);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 143);
	status = status_of(terminated_twice);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
	status = status_of(interrupted_twice);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGINT);
}

/* From the moment that we see it on, all waits together have the time of grace. */
static void grace(void)
{
	now += 60000;
	raise(SIGTERM);
	check_limit(60000, STOP_GRACE_MS);
	check_limit(STOP_GRACE_MS + 1, STOP_GRACE_MS);
	check_limit(STOP_GRACE_MS - 1, STOP_GRACE_MS - 1);
	check_limit(10, 10);
	now += STOP_GRACE_MS - 10;
	check_limit(60000, 10);
	check_limit(11, 10);
	check_limit(3, 3);
	now += 10;
	check_limit(60000, 0);
	now += 1;
	check_limit(60000, 0);
	now += 60000;
	check_limit(60000, 0);
	check_limit(0, 0);
}

static void test_grace(void **state)
{
	int status = status_of(grace);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 143);
}

/* As a signal does, without one; and back, with its time of grace. */
static void requested(void)
{
	stop_request(SIGTERM);
	assert_true(stop_requested());
	assert_int_equal(stop_exit_status(), 143);
	check_limit(60000, STOP_GRACE_MS);
	now += STOP_GRACE_MS;
	check_limit(60000, 0);
	stop_request(SIGINT);
	check_limit(60000, STOP_GRACE_MS);
	stop_request(0);
	no_signal();
}

static void test_request(void **state)
{
	(void)state;
	assert_int_equal(status_of(requested), 0);
}

static void broken_pipe(void)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	assert_int_equal(write(fds[1], "x", 1), -1);
	assert_int_equal(errno, EPIPE);
}

static void test_broken_pipe(void **state)
{
	(void)state;
	assert_int_equal(status_of(broken_pipe), 0);
}

static void not_restarted(void)
{
	struct sigaction sa;
	static const int signals[] = {SIGINT, SIGTERM};

	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(sigaction(signals[i], NULL, &sa), 0);
		assert_int_equal(sa.sa_flags & SA_RESTART, 0);
		assert_int_equal(sigismember(&sa.sa_mask, signals[1 - i]), 0);
	}
}

static void test_not_restarted(void **state)
{
	(void)state;
	assert_int_equal(status_of(not_restarted), 0);
}

static void test_error(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(stop_error(&e), -1);
	assert_int_equal(e.scope, ERR_FATAL);
	assert_int_equal(e.kind, ERR_CANCELLED);
	assert_int_equal(stop_error(NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_signals),	cmocka_unit_test(test_grace),
	    cmocka_unit_test(test_broken_pipe), cmocka_unit_test(test_not_restarted),
	    cmocka_unit_test(test_error),	cmocka_unit_test(test_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
