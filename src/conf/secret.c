#include "conf/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/stop.h"

enum {
	RAW_MAX = SECRET_MAX + 3,    /* room for "\r\n", and for one byte too many */
	COMMAND_TIMEOUT = 30 * 1000, /* milliseconds */
	COMMAND_TICK = 10,	     /* milliseconds between two looks at the child */
	PATH_BYTES = 4096,
};

/* What was read, before it goes into a struct secret: on the stack, wiped by secret_load. */
struct raw {
	char data[RAW_MAX];
	size_t len; /* RAW_MAX: too long */
};

#define BAD(e, ...) err_set(e, ERR_FATAL, ERR_CONFIG, __VA_ARGS__)

/* ---- files and credentials ---- */

/*
 * Only its owner may read a secret, and the owner must be us or root (for root: anybody). One
 * exception, usual for daemons on Debian: a group may read it if it is root's or our own.
 */
static int file_check(const struct stat *st, const char *path, const char *what, struct err *e)
{
	bool trusted_group = st->st_gid == 0 || st->st_gid == getegid();
	mode_t refused = trusted_group ? 037 : 077;

	if (!S_ISREG(st->st_mode))
		return BAD(e,
			   "%s: %s is not a regular file; name the file that holds the secret",
			   what, path);
	/* Root may see files of the service's user, and becomes that user before it reads them.
	 */
	if (st->st_uid != 0 && st->st_uid != geteuid() && geteuid() != 0)
		return BAD(e, "%s: %s belongs to another user (uid %lu); chown it to uid %lu",
			   what, path, (unsigned long)st->st_uid, (unsigned long)geteuid());
	if (st->st_mode & refused)
		return BAD(e,
			   "%s: %s can be read or changed by others (mode %04o); chmod 600 it",
			   what, path, (unsigned)(st->st_mode & 07777));
	return 0;
}

/*
 * Symbolic links are followed (secrets managers create them): the file that was opened is
 * checked. O_NONBLOCK keeps a FIFO from blocking us before it is refused.
 */
static int file_open(const char *path, const char *what, struct err *e)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd == -1)
		return BAD(e, "%s: cannot open %s: %s; create it, or correct its name", what,
			   path, strerror(errno));
	if (fstat(fd, &st) == -1) {
		BAD(e, "%s: cannot stat %s: %s", what, path, strerror(errno));
		close(fd);
		return -1;
	}
	if (file_check(&st, path, what, e) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Uses read(2) instead of stdio, whose buffers would keep a copy. */
static int file_read(const char *path, const char *what, struct raw *raw, struct err *e)
{
	int fd = file_open(path, what, e);
	ssize_t n;

	if (fd == -1)
		return -1;
	do {
		n = read(fd, raw->data + raw->len, RAW_MAX - raw->len);
		if (n > 0)
			raw->len += (size_t)n;
	} while (raw->len < RAW_MAX && (n > 0 || (n == -1 && errno == EINTR)));
	if (n == -1)
		BAD(e, "%s: cannot read %s: %s", what, path, strerror(errno));
	close(fd);
	return n == -1 ? -1 : 0;
}

static int credential_path(const char *name, const char *what, char *path, size_t size,
			   struct err *e)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	int n;

	if (strchr(name, '/') != NULL || name[0] == '.')
		return BAD(e,
			   "%s: credential \"%s\" is not a plain name; give the name that "
			   "LoadCredential= has in the unit",
			   what, name);
	if (dir == NULL || dir[0] != '/')
		return BAD(e,
			   "%s: credential \"%s\" is not there: not started by systemd with "
			   "credentials; add LoadCredential=%s:/path to the unit",
			   what, name, name);
	n = snprintf(path, size, "%s/%s", dir, name);
	if (n < 0 || (size_t)n >= size)
		return BAD(e, "%s: $CREDENTIALS_DIRECTORY is too long", what);
	return 0;
}

/* ---- environment ---- */

static const char *env_value(const char *name, const char *what, struct err *e)
{
	const char *value = getenv(name);

	if (value == NULL || value[0] == '\0') {
		BAD(e, "%s: the environment variable %s is %s; set it", what, name,
		    value == NULL ? "not set" : "empty");
		return NULL;
	}
	return value;
}

static int text_read(const char *text, struct raw *raw)
{
	raw->len = strnlen(text, RAW_MAX);
	memcpy(raw->data, text, raw->len);
	return 0;
}

/* ---- commands ---- */

/* The command that prints the secret; it has its own process group, so that all of it can be
 * killed. */
struct child {
	pid_t pid;
	int out;    /* our end of its standard output, non-blocking; -1 after its end */
	int status; /* from waitpid, after exited is set */
	bool exited;
	bool first_line_over;
};

static int spawn_shell(const char *command, int out, pid_t *pid)
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

static int child_start(struct child *c, const char *command, const char *what, struct err *e)
{
	int fds[2], rc;

	*c = (struct child){.out = -1};
	if (pipe2(fds, O_CLOEXEC) == -1)
		return err_set(e, ERR_FATAL, ERR_LOCAL, "%s: pipe: %s", what, strerror(errno));
	fcntl(fds[0], F_SETFL, O_NONBLOCK); /* cannot fail on a pipe's descriptor */
	rc = spawn_shell(command, fds[1], &c->pid);
	close(fds[1]);
	if (rc != 0) {
		close(fds[0]);
		return err_set(e, ERR_FATAL, ERR_LOCAL, "%s: cannot start the command: %s",
			       what, strerror(rc));
	}
	c->out = fds[0];
	return 0;
}

/*
 * Read what is there, at most one pipe's capacity, so that a command that prints for ever still
 * meets its deadline. Output after the first line is read and dropped: a closed pipe would kill
 * the command.
 */
static void child_read(struct child *c, struct raw *raw)
{
	char piece[1024], *end;

	for (int i = 0; i < 64 && c->out != -1; i++) {
		ssize_t n = read(c->out, piece, sizeof piece);
		size_t len = n > 0 ? (size_t)n : 0, room = RAW_MAX - raw->len;

		if (n == -1)
			break;
		if (n == 0) {
			close(c->out);
			c->out = -1;
		}
		if (c->first_line_over)
			continue;
		end = memchr(piece, '\n', len);
		if (end != NULL) {
			c->first_line_over = true;
			len = (size_t)(end - piece);
		}
		len = len < room ? len : room;
		memcpy(raw->data + raw->len, piece, len);
		raw->len += len;
	}
	OPENSSL_cleanse(piece, sizeof piece);
}

/*
 * Run until the shell has ended, the time is over, or a stop is requested. The end of the pipe
 * is not enough: a command may close its output and continue, or leave a process in the
 * background that keeps it open.
 */
static int child_wait(struct child *c, struct raw *raw, int timeout_ms)
{
	int64_t deadline = clock_ms() + timeout_ms;

	while (!c->exited && clock_ms() < deadline && !stop_requested()) {
		struct pollfd p = {.fd = c->out, .events = POLLIN};

		poll(&p, 1, COMMAND_TICK);
		child_read(c, raw);
		c->exited = waitpid(c->pid, &c->status, WNOHANG) == c->pid;
	}
	child_read(c, raw);
	if (c->exited)
		return 0;
	kill(-c->pid, SIGKILL);
	waitpid(c->pid, &c->status, 0);
	return -1;
}

static int command_read(const char *command, const char *what, int timeout_ms, struct raw *raw,
			struct err *e)
{
	struct child c;
	int rc;

	if (child_start(&c, command, what, e) == -1)
		return -1;
	rc = child_wait(&c, raw, timeout_ms);
	if (c.out != -1)
		close(c.out);
	if (rc == -1 && stop_requested())
		return stop_error(e);
	if (rc == -1)
		return BAD(
		    e,
		    "%s: the password command did not end within %d s and was killed; it "
		    "must not wait for input",
		    what, (timeout_ms + 999) / 1000);
	if (WIFSIGNALED(c.status))
		return BAD(e, "%s: the password command was ended by signal %d; run it by hand",
			   what, WTERMSIG(c.status));
	if (WEXITSTATUS(c.status) != 0)
		return BAD(
		    e, "%s: the password command failed with exit status %d; run it by hand",
		    what, WEXITSTATUS(c.status));
	return 0;
}

/* ---- all kinds ---- */

static int source_read(const struct secret_source *src, const char *what, int timeout_ms,
		       struct raw *raw, struct err *e)
{
	char path[PATH_BYTES];
	const char *value;

	switch (src->kind) {
	case SECRET_FILE:
		return file_read(src->where, what, raw, e);
	case SECRET_CREDENTIAL:
		if (credential_path(src->where, what, path, sizeof path, e) == -1)
			return -1;
		return file_read(path, what, raw, e);
	case SECRET_ENV:
		value = env_value(src->where, what, e);
		return value == NULL ? -1 : text_read(value, raw);
	case SECRET_TEXT:
		return text_read(src->where, raw);
	case SECRET_COMMAND:
		return command_read(src->where, what, timeout_ms, raw, e);
	case SECRET_NONE:
		break;
	}
	return BAD(e, "%s: no password is configured; add password-file", what);
}

static int raw_take(struct raw *raw, const char *what, struct secret *out, struct err *e)
{
	char *end = memchr(raw->data, '\n', raw->len);

	if (end != NULL && end + 1 == raw->data + raw->len)
		raw->len--; /* text files end with a newline */
	if (raw->len > 0 && raw->data[raw->len - 1] == '\r')
		raw->len--;
	if (raw->len == 0)
		return BAD(e, "%s: the password is empty; write it into its source", what);
	if (raw->len > SECRET_MAX)
		return BAD(e,
			   "%s: the password is longer than %d bytes; is this the right file?",
			   what, SECRET_MAX);
	if (memchr(raw->data, '\n', raw->len) != NULL ||
	    memchr(raw->data, '\0', raw->len) != NULL)
		return BAD(e, "%s: the password has a newline or NUL inside; leave one line",
			   what);
	out->text = malloc(raw->len + 1);
	if (out->text == NULL)
		return err_set(e, ERR_FATAL, ERR_LOCAL, "%s: out of memory", what);
	memcpy(out->text, raw->data, raw->len);
	out->text[raw->len] = '\0';
	out->len = raw->len;
	return 0;
}

int secret_check(const struct secret_source *src, const char *what, struct err *e)
{
	char path[PATH_BYTES];
	const char *where = src->where;
	int fd;

	if (src->kind == SECRET_NONE)
		return 0;
	if (where == NULL || where[0] == '\0')
		return BAD(e, "%s: the source of the password is empty; name it", what);
	if (src->kind == SECRET_ENV)
		return env_value(where, what, e) == NULL ? -1 : 0;
	if (src->kind == SECRET_CREDENTIAL) {
		if (credential_path(where, what, path, sizeof path, e) == -1)
			return -1;
		where = path;
	} else if (src->kind != SECRET_FILE) {
		return 0;
	}
	fd = file_open(where, what, e);
	if (fd == -1)
		return -1;
	close(fd);
	return 0;
}

int secret_load_within(const struct secret_source *src, const char *what, int timeout_ms,
		       struct secret *out, struct err *e)
{
	struct raw raw = {.len = 0};
	int rc = source_read(src, what, timeout_ms, &raw, e);

	if (rc == 0)
		rc = raw_take(&raw, what, out, e);
	OPENSSL_cleanse(&raw, sizeof raw);
	return rc;
}

int secret_load(const struct secret_source *src, const char *what, struct secret *out,
		struct err *e)
{
	return secret_load_within(src, what, COMMAND_TIMEOUT, out, e);
}

void secret_forget(struct secret_source *src)
{
	if (src->kind == SECRET_TEXT && src->where != NULL)
		OPENSSL_cleanse(src->where, strlen(src->where));
	free(src->where);
	*src = (struct secret_source){.kind = SECRET_NONE};
}

void secret_wipe(struct secret *s)
{
	if (s->text != NULL)
		OPENSSL_cleanse(s->text, s->len);
	free(s->text);
	*s = (struct secret){0};
}
