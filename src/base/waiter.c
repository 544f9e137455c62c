#include "base/waiter.h"

#include <poll.h>
#include <stddef.h>

static void wait_poll(void *ctx, int fd, short events, int ms)
{
	struct pollfd p = {.fd = fd, .events = events};

	(void)ctx;
	(void)poll(&p, 1, ms); /* the next read or write returns the error */
}

const struct waiter waiter_poll = {wait_poll, NULL};
