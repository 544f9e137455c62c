/*
 * signals.c: no signal is lost between two waits, a child's end ends a wait, and a child ends
 * with its parent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/signals.h"
#include "base/stop.h"

enum { LONG_MS = 30000, SHORT_MS = 10000 };

static int64_t waited(int ms)
{
	int64_t begun = clock_ms();

	signals_wait(NULL, 0, ms);
	return clock_ms() - begun;
}

/* What came before the wait ends it, until it is asked for. */
static void test_before_the_wait(void **state)
{
	(void)state;
	signals_install();
	assert_false(signals_reload() || signals_now());
	raise(SIGHUP);
	assert_in_range(waited(LONG_MS), 0, SHORT_MS);
	assert_false(signals_now());
	assert_true(signals_reload());
	assert_false(signals_reload());
	raise(SIGUSR1);
	assert_in_range(waited(LONG_MS), 0, SHORT_MS);
	assert_true(signals_now());
	assert_in_range(waited(50), 50, SHORT_MS);
}

static void test_within_the_wait(void **state)
{
	pid_t parent = getpid(), child = fork();

	(void)state;
	if (child == 0) {
		poll(NULL, 0, 100);
		kill(parent, SIGUSR1);
		poll(NULL, 0, 100);
		_exit(0);
	}
	assert_in_range(waited(LONG_MS), 0, SHORT_MS);
	assert_true(signals_now());
	assert_in_range(waited(LONG_MS), 0, SHORT_MS); /* the child's end */
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void test_stop(void **state)
{
	(void)state;
	stop_install();
	raise(SIGTERM);
	assert_in_range(waited(LONG_MS), 0, SHORT_MS);
	assert_true(stop_requested());
	stop_request(0);
}

static void test_ready_descriptor(void **state)
{
	int fd[2];
	struct pollfd p;

	(void)state;
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], "x", 1), 1);
	p = (struct pollfd){.fd = fd[0], .events = POLLIN};
	signals_wait(&p, 1, LONG_MS);
	assert_int_equal(p.revents, POLLIN);
	raise(SIGUSR1);
	p.fd = fd[1];
	p.events = 0;
	signals_wait(&p, 1, LONG_MS);
	assert_int_equal(p.revents, 0); /* interrupted: nothing is said of descriptors */
	assert_true(signals_now());
	close(fd[0]);
	close(fd[1]);
}

/* A worker stops at SIGTERM as often as it comes, and takes no order that is its parent's. */
static void test_worker(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		signals_worker();
		raise(SIGHUP);
		raise(SIGUSR1);
		raise(SIGINT);
		if (stop_requested())
			_exit(1);
		raise(SIGTERM);
		raise(SIGTERM);
		_exit(stop_exit_status() == 128 + SIGTERM ? 0 : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The parent is killed: its child, which waits for good, ends too. */
static void test_ends_with_its_parent(void **state)
{
	int fd[2];
	char c;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(fd), 0);
	child = fork();
	if (child == 0) {
		pid_t self = getpid();

		if (fork() == 0) {
			signals_default();
			if (!signals_end_with(self))
				_exit(1);
			(void)!write(fd[1], "r", 1);
			poll(NULL, 0, LONG_MS * 10);
			_exit(0);
		}
		poll(NULL, 0, LONG_MS * 10);
		_exit(0);
	}
	close(fd[1]);
	assert_int_equal(read(fd[0], &c, 1), 1);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(read(fd[0], &c, 1), 0); /* the last writer is gone */
	close(fd[0]);
	assert_false(signals_end_with(1 + (long)getppid()));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_before_the_wait),
	    cmocka_unit_test(test_within_the_wait),
	    cmocka_unit_test(test_stop),
	    cmocka_unit_test(test_ready_descriptor),
	    cmocka_unit_test(test_worker),
	    cmocka_unit_test(test_ends_with_its_parent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
