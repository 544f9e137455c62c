#include "base/signals.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/stop.h"

static volatile sig_atomic_t reload, now, child;

static void note(int sig)
{
	if (sig == SIGHUP)
		reload = 1;
	else if (sig == SIGUSR1)
		now = 1;
	else
		child = 1;
}

static void handle(int sig, void (*handler)(int))
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sigemptyset(&sa.sa_mask);
	sa.sa_handler = handler;
	sigaction(sig, &sa, NULL);
}

void signals_install(void)
{
	handle(SIGHUP, note);
	handle(SIGUSR1, note);
	handle(SIGCHLD, note);
}

static bool take(volatile sig_atomic_t *flag)
{
	bool was = *flag;

	*flag = 0;
	return was;
}

bool signals_reload(void)
{
	return take(&reload);
}

bool signals_now(void)
{
	return take(&now);
}

static bool something_came(void)
{
	bool ended = take(&child);

	return ended || reload || now || stop_requested();
}

/* A signal between a look at the flags and the wait would be overslept: only within ppoll(2)
 * they are let in. */
void signals_wait(struct pollfd *p, nfds_t n, int ms)
{
	const struct timespec limit = {ms / 1000, ms % 1000 * 1000000L}, none = {0, 0};
	sigset_t held, before;

	sigemptyset(&held);
	sigaddset(&held, SIGHUP);
	sigaddset(&held, SIGUSR1);
	sigaddset(&held, SIGCHLD);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGTERM);
	sigprocmask(SIG_BLOCK, &held, &before);
	if (ppoll(p, n, something_came() ? &none : &limit, &before) == -1)
		for (nfds_t i = 0; i < n; i++)
			p[i].revents = 0;
	(void)take(&child);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

void signals_default(void)
{
	static const int all[] = {SIGHUP, SIGUSR1, SIGCHLD, SIGINT, SIGTERM};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		handle(all[i], SIG_DFL);
}

void signals_worker(void)
{
	handle(SIGTERM, stop_request);
	handle(SIGINT, SIG_IGN);
	handle(SIGHUP, SIG_IGN);
	handle(SIGUSR1, SIG_IGN);
	handle(SIGCHLD, SIG_DFL);
}

bool signals_end_with(long parent)
{
	return prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == (pid_t)parent;
}
