#include "base/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/stop.h"

/* What may end or stop us while there is no echo. */
static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};

enum { SIGNALS = sizeof signals / sizeof *signals };

/* How the process took these signals before, and which of them came. */
struct signals_before {
	struct sigaction action[SIGNALS];
	sigset_t mask;
};

static volatile sig_atomic_t caught;

static void note_signal(int sig)
{
	caught = sig;
}

/* Note these signals from now on, and only while ppoll(2) waits. One that is ignored stays so.
 */
static void hold_signals(struct signals_before *before)
{
	struct sigaction note = {.sa_handler = note_signal};
	sigset_t held;

	sigemptyset(&held);
	sigemptyset(&note.sa_mask);
	for (int i = 0; i < SIGNALS; i++)
		sigaddset(&held, signals[i]);
	sigprocmask(SIG_BLOCK, &held, &before->mask);
	for (int i = 0; i < SIGNALS; i++) {
		sigaction(signals[i], NULL, &before->action[i]);
		if (before->action[i].sa_handler != SIG_IGN)
			sigaction(signals[i], &note, NULL);
	}
}

/* As before; the signal that came does now what it would have done. */
static void release_signals(const struct signals_before *before)
{
	for (int i = 0; i < SIGNALS; i++)
		sigaction(signals[i], &before->action[i], NULL);
	if (caught)
		raise(caught);
	sigprocmask(SIG_SETMASK, &before->mask, NULL);
}

static void say(int tty, const char *text)
{
	(void)!write(tty, text, strlen(text));
}

/* How many bytes were read; -1 with errno. EINTR: a signal came, and has had its effect. */
static ssize_t ask(int tty, const char *question, char *answer, size_t size)
{
	struct pollfd wait = {.fd = tty, .events = POLLIN};
	struct signals_before before;
	struct termios echo, silent;
	ssize_t n = -1;
	int error;

	if (tcgetattr(tty, &echo) == -1)
		return -1;
	silent = echo;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	caught = 0;
	hold_signals(&before);
	tcsetattr(tty, TCSAFLUSH, &silent);
	say(tty, question);
	if (ppoll(&wait, 1, NULL, &before.mask) == 1)
		n = read(tty, answer, size);
	error = errno;
	tcsetattr(tty, TCSANOW, &echo);
	say(tty, "\n");
	release_signals(&before);
	errno = error;
	return n;
}

int prompt_hidden(const char *question, char *answer, size_t size, struct err *e)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	ssize_t n;
	int error;

	if (tty == -1)
		return 0;
	do
		n = ask(tty, question, answer, size - 1);
	while (n == -1 && errno == EINTR && !stop_requested());
	error = errno;
	close(tty);
	if (stop_requested())
		return stop_error(e);
	if (n == -1)
		return err_set(e, ERR_FATAL, ERR_LOCAL, "cannot read from the terminal: %s",
			       strerror(error));
	if (n > 0 && answer[n - 1] == '\n')
		n--;
	answer[n] = '\0';
	return 1;
}
