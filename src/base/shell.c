#include "base/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/stop.h"

enum { TICK = 10 }; /* milliseconds between two looks at the child */

#define BAD(e, ...) err_set(e, ERR_FATAL, ERR_CONFIG, __VA_ARGS__)

/* It has its own process group, so that all of it can be killed. */
struct child {
	pid_t pid;
	int out;    /* our end of its standard output, non-blocking; -1 after its end */
	int status; /* from waitpid, after exited is set */
	bool exited;
	bool too_much; /* it prints more than it may */
};

static int spawn(const char *command, int out, pid_t *pid)
{
	char *argv[] = {"sh", "-c", NULL, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	argv[2] = (char *)(uintptr_t)command; /* execve's prototype: it does not write there */
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	/* Not everything that a library opens is close-on-exec. */
	posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	/* The command must not inherit our handlers, ignored signals and mask. */
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
					    POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setsigmask(&attr, &none);
	rc = posix_spawn(pid, "/bin/sh", &files, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

static int child_start(struct child *c, const struct shell *shell, struct err *e)
{
	int fds[2], rc;

	*c = (struct child){.out = -1};
	if (pipe2(fds, O_CLOEXEC) == -1)
		return err_set(e, ERR_FATAL, ERR_LOCAL, "%s: pipe: %s", shell->what,
			       strerror(errno));
	fcntl(fds[0], F_SETFL, O_NONBLOCK); /* cannot fail on a pipe's descriptor */
	rc = spawn(shell->command, fds[1], &c->pid);
	close(fds[1]);
	if (rc != 0) {
		close(fds[0]);
		return err_set(e, ERR_FATAL, ERR_LOCAL, "%s cannot be started: %s", shell->what,
			       strerror(rc));
	}
	c->out = fds[0];
	return 0;
}

/*
 * Read what is there, at most one pipe's capacity, so that a command that prints for ever still
 * meets its deadline.
 */
static void child_read(struct child *c, const struct shell *shell)
{
	char piece[1024];

	for (int i = 0; i < 64 && c->out != -1 && !c->too_much; i++) {
		ssize_t n = read(c->out, piece, sizeof piece);

		if (n == -1)
			break;
		if (n == 0) {
			close(c->out);
			c->out = -1;
		} else {
			c->too_much = !shell->take(shell->ctx, piece, (size_t)n);
		}
	}
	explicit_bzero(piece, sizeof piece);
}

/*
 * Run until the shell has ended, the time is over, or a stop is requested. The end of the pipe
 * is not enough: a command may close its output and continue, or leave a process in the
 * background that keeps it open.
 */
static int child_wait(struct child *c, const struct shell *shell)
{
	int64_t deadline = clock_ms() + shell->timeout_ms;

	while (!c->exited && !c->too_much && clock_ms() < deadline && !stop_requested()) {
		struct pollfd p = {.fd = c->out, .events = POLLIN};

		poll(&p, 1, TICK);
		child_read(c, shell);
		c->exited = waitpid(c->pid, &c->status, WNOHANG) == c->pid;
	}
	child_read(c, shell);
	if (c->exited)
		return 0;
	kill(-c->pid, SIGKILL);
	waitpid(c->pid, &c->status, 0);
	return -1;
}

int shell_run(const struct shell *shell, struct err *e)
{
	struct child c;
	int rc;

	if (child_start(&c, shell, e) == -1)
		return -1;
	rc = child_wait(&c, shell);
	if (c.out != -1)
		close(c.out);
	if (rc == -1 && stop_requested())
		return stop_error(e);
	if (c.too_much)
		return BAD(e, "%s prints more than it may; run it by hand", shell->what);
	if (rc == -1)
		return BAD(
		    e, "%s did not end within %d s and was killed; it must not wait for input",
		    shell->what, (shell->timeout_ms + 999) / 1000);
	if (WIFSIGNALED(c.status))
		return BAD(e, "%s was ended by signal %d; run it by hand", shell->what,
			   WTERMSIG(c.status));
	if (WEXITSTATUS(c.status) != 0)
		return BAD(e, "%s failed with exit status %d; run it by hand", shell->what,
			   WEXITSTATUS(c.status));
	return 0;
}
