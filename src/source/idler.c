#include "source/idler.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/process.h"

/*
 * What goes through the pipe: any number of READY and NEWS, and at the end FAILED, a byte for
 * the kind of the error and one for its scope, and its text.
 */
enum { READY = 'r', NEWS = 'n', FAILED = 'e', HEAD = 2 };

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

struct listening {
	struct account *account;
	const struct account_listener *times;
};

static void listen_to(const void *ctx, int fd)
{
	const struct listening l = *(const struct listening *)ctx;
	const struct account_listener to = {.ready = say_ready,
					    .news = say_news,
					    .ctx = &fd,
					    .poll_ms = l.times->poll_ms,
					    .renew_ms = l.times->renew_ms};
	struct err e = {.scope = ERR_NONE};

	(void)l.account->ops->listen(l.account, &to, &e);
	say_failed(fd, &e);
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

int idler_start(struct idler *i, struct account *a, const struct account_listener *l,
		struct err *e)
{
	const struct listening what = {a, l};
	const struct process p = {"learnspool-idle", listen_to, &what};
	pid_t pid = process_start(&p, &i->fd);

	if (pid == -1)
		return cannot_start(a, e);
	i->pid = pid;
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
	if (i->pid > 0)
		process_kill(i->pid); /* it holds nothing that could be left in between */
	i->fd = -1;
	i->pid = 0;
	i->ready = false;
	buf_free(&i->last_words);
}
