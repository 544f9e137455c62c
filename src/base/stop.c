#include "base/stop.h"

#include <signal.h>
#include <string.h>

#include "base/clock.h"

static volatile sig_atomic_t stop_signal;
static int64_t asked; /* when stop_limit first saw that a stop was requested; 0: not yet */

static void stop_handler(int sig)
{
	stop_signal = sig;
}

void stop_install(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sigemptyset(&sa.sa_mask);
	sa.sa_handler = stop_handler;
	sa.sa_flags = (int)SA_RESETHAND;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sa.sa_flags = 0;
	sigaction(SIGPIPE, &sa, NULL);
}

void stop_request(int sig)
{
	stop_signal = sig;
	asked = 0;
}

bool stop_requested(void)
{
	return stop_signal != 0;
}

int stop_exit_status(void)
{
	return stop_signal ? 128 + stop_signal : 0;
}

int stop_limit(int ms)
{
	int64_t left;

	if (!stop_requested())
		return ms;
	if (asked == 0)
		asked = clock_ms();
	left = asked + STOP_GRACE_MS - clock_ms();
	if (left < 0)
		left = 0;
	return ms < left ? ms : (int)left;
}

int stop_error(struct err *e)
{
	return err_set(e, ERR_FATAL, ERR_CANCELLED, "stopped by a signal");
}
