#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "base/signals.h"

enum {
	PIPE_FD = 3,
	SPARE = 64, /* descriptors that are left to the processes, which inherit ours */
};

/* ---- the process ---- */

/* Nothing of the parent's is ours but the pipe: no log, no other pipe, no output. */
static void keep_pipe(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	log_open(LOG_TO_STDERR, LOG_LEVEL_NONE);
	closelog();
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(fd, PIPE_FD);
	close_range(PIPE_FD + 1, ~0U, 0);
	(void)fcntl(PIPE_FD, F_SETFD, FD_CLOEXEC);
	(void)fcntl(PIPE_FD, F_SETFL, O_NONBLOCK);
}

static _Noreturn void live(const struct process *p, int to, long parent)
{
	if (to == -1)
		signals_worker();
	else
		signals_default();
	if (!signals_end_with(parent))
		_exit(0);
	if (to != -1)
		keep_pipe(to);
	prctl(PR_SET_NAME, p->name);
	p->work(p->ctx, to == -1 ? -1 : PIPE_FD);
	_exit(0);
}

/* ---- its parent ---- */

/* Is there room behind this descriptor? */
static bool is_room_behind(int fd)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)fd + SPARE < limit.rlim_cur)
		return true;
	errno = EMFILE;
	return false;
}

/* A pipe, unless nothing would be left for the processes. 0, or -1 with errno. */
static int make_pipe(int fd[2])
{
	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) == -1)
		return -1;
	if (is_room_behind(fd[1]))
		return 0;
	close(fd[0]);
	close(fd[1]);
	return -1;
}

pid_t process_start(const struct process *p, int *from)
{
	long parent = getpid();
	int fd[2] = {-1, -1};
	pid_t pid;

	if (from && make_pipe(fd) == -1)
		return -1;
	fflush(NULL); /* or the child would have what is not yet printed, too */
	pid = fork();
	if (pid == 0)
		live(p, fd[1], parent);
	if (from == NULL)
		return pid;
	close(fd[1]);
	if (pid == -1)
		close(fd[0]);
	else
		*from = fd[0];
	return pid;
}

bool process_ended(pid_t pid, int *status)
{
	return waitpid(pid, status, WNOHANG) == pid;
}

void process_signal(pid_t pid, int sig)
{
	kill(pid, sig);
}

void process_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		;
}

void *process_share(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void process_unshare(void *p, size_t size)
{
	munmap(p, size);
}
