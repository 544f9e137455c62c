#include "source/idler.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "base/signals.h"

/*
 * What goes through the pipe: any number of READY and NEWS, and at the end FAILED, a byte for
 * the kind of the error and one for its scope, and its text.
 */
enum { READY = 'r', NEWS = 'n', FAILED = 'e', HEAD = 2, PIPE_FD = 3 };

enum { SPARE = 64 }; /* descriptors that are left to the runs, which inherit ours */

/* ---- the idler ---- */

static void say(void *ctx, char what)
{
	int fd = *(const int *)ctx;

	/* Where the pipe is full there is news enough in it. Where its reader is gone, so are
	 * we. */
	if (write(fd, &what, 1) == -1 && errno != EAGAIN && errno != EINTR)
		_exit(0);
}

static void say_ready(void *ctx)
{
	say(ctx, READY);
}

static void say_news(void *ctx)
{
	say(ctx, NEWS);
}

static void say_failed(int fd, const struct err *e)
{
	char line[1 + HEAD + ERR_TEXT_MAX];
	size_t n = strlen(e->text);

	line[0] = FAILED;
	line[1] = (char)e->kind;
	line[2] = (char)e->scope;
	memcpy(line + 1 + HEAD, e->text, n);
	(void)fcntl(fd, F_SETFL, 0);
	(void)!write(fd, line, 1 + HEAD + n);
}

/* Nothing of the parent's is ours but the pipe: no log, no other pipe, no output. */
static void become_idler(int fd)
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
	prctl(PR_SET_NAME, "learnspool-idle");
}

static _Noreturn void be_idler(struct account *a, const struct account_listener *l, int fd,
			       long parent)
{
	int pipe_fd = PIPE_FD;
	const struct account_listener to = {.ready = say_ready,
					    .news = say_news,
					    .ctx = &pipe_fd,
					    .poll_ms = l->poll_ms,
					    .renew_ms = l->renew_ms};
	struct err e = {.scope = ERR_NONE};

	signals_default();
	if (!signals_end_with(parent))
		_exit(0);
	become_idler(fd);
	(void)a->ops->listen(a, &to, &e);
	say_failed(pipe_fd, &e);
	_exit(0);
}

/* ---- its parent ---- */

void idler_init(struct idler *i)
{
	*i = (struct idler){.fd = -1};
	buf_init(&i->last_words, HEAD + ERR_TEXT_MAX);
}

static int cannot_start(const struct account *a, struct err *e)
{
	return err_set(e, ERR_SERVER, ERR_LOCAL,
		       "account %s: no process can be started to wait for its mail: %s",
		       a->name, strerror(errno));
}

/* Is there room behind this descriptor? */
static bool is_room_behind(int fd)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)fd + SPARE < limit.rlim_cur)
		return true;
	errno = EMFILE;
	return false;
}

int idler_start(struct idler *i, struct account *a, const struct account_listener *l,
		struct err *e)
{
	long parent = getpid();
	int fd[2];

	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) == -1)
		return cannot_start(a, e);
	if (!is_room_behind(fd[1])) {
		cannot_start(a, e);
		close(fd[0]);
		close(fd[1]);
		return -1;
	}
	fflush(NULL); /* or the child would have what is not yet printed, too */
	i->pid = fork();
	if (i->pid == 0)
		be_idler(a, l, fd[1], parent);
	close(fd[1]);
	if (i->pid == -1) {
		i->pid = 0;
		close(fd[0]);
		return cannot_start(a, e);
	}
	i->fd = fd[0];
	i->ready = i->failing = false;
	buf_clear(&i->last_words);
	return 0;
}

/* What of its words is to be understood; true where something may be new. */
static bool understand(struct idler *i, const char *data, size_t len)
{
	bool news = false;
	size_t at = 0;

	for (; at < len && !i->failing; at++) {
		i->failing = data[at] == FAILED;
		i->ready = i->ready || data[at] == READY;
		news = news || !i->failing;
	}
	(void)buf_add(&i->last_words, data + at, len - at); /* longer words are nobody's */
	return news;
}

static int ended(struct idler *i, struct err *e)
{
	const struct buf *w = &i->last_words;

	if (w->len > HEAD)
		err_set(e, (enum err_scope)w->data[1], (enum err_kind)w->data[0], "%s",
			w->data + HEAD);
	else
		err_set(e, ERR_SERVER, ERR_LOCAL, "the process that waits for mail has died");
	idler_stop(i);
	return -1;
}

int idler_take(struct idler *i, struct err *e)
{
	char data[4096];
	bool news = false;
	ssize_t n;

	if (i->fd == -1)
		return 0;
	while ((n = read(i->fd, data, sizeof data)) > 0)
		news = understand(i, data, (size_t)n) || news;
	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		return ended(i, e);
	return news;
}

void idler_stop(struct idler *i)
{
	if (i->fd != -1)
		close(i->fd);
	if (i->pid > 0) {
		kill(i->pid, SIGKILL); /* it holds nothing that could be left in between */
		while (waitpid(i->pid, NULL, 0) == -1 && errno == EINTR)
			;
	}
	i->fd = -1;
	i->pid = 0;
	i->ready = false;
	buf_free(&i->last_words);
}
