/*
 * waiter.c: a wait that ends when its descriptor is ready or its time is over, not before.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/waiter.h"

enum { SHORT = 50, LONG = 60000 };

static int64_t waited(int fd, short events, int ms)
{
	int64_t begun = clock_ms();

	waiter_poll.wait(waiter_poll.ctx, fd, events, ms);
	return clock_ms() - begun;
}

static void test_wait(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	/* It can be written to, and nothing is there to be read. */
	assert_in_range(waited(fds[0], POLLIN, SHORT), SHORT, LONG / 2);
	assert_in_range(waited(fds[0], POLLOUT, LONG), 0, LONG / 2);
	assert_in_range(waited(fds[0], POLLIN | POLLOUT, LONG), 0, LONG / 2);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_in_range(waited(fds[0], POLLIN, LONG), 0, LONG / 2);
	close(fds[0]);
	/* The other end is gone: reading will find that out. */
	assert_in_range(waited(fds[1], POLLIN, LONG), 0, LONG / 2);
	close(fds[1]);
	assert_in_range(waited(fds[1], POLLIN, LONG), 0, LONG / 2); /* none at all */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_wait)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
