#include "conf/secret.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/shell.h"

enum {
	RAW_MAX = SECRET_MAX + 3,    /* room for "\r\n", and for one byte too many */
	COMMAND_TIMEOUT = 30 * 1000, /* milliseconds */
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

/* The first line that the command prints; the rest is dropped. */
struct first_line {
	struct raw *raw;
	bool over;
};

static bool take_output(void *ctx, const char *data, size_t len)
{
	struct first_line *first = ctx;
	struct raw *raw = first->raw;
	const char *end = memchr(data, '\n', len);
	size_t n = end ? (size_t)(end - data) : len, room = RAW_MAX - raw->len;

	if (first->over)
		return true; /* a closed pipe would kill it */
	first->over = end != NULL;
	n = n < room ? n : room;
	memcpy(raw->data + raw->len, data, n);
	raw->len += n;
	return true;
}

static int command_read(const char *command, const char *what, int timeout_ms, struct raw *raw,
			struct err *e)
{
	char subject[ERR_TEXT_MAX];
	struct first_line first = {.raw = raw};

	snprintf(subject, sizeof subject, "%s: the password command", what);
	return shell_run(&(struct shell){command, subject, timeout_ms, take_output, &first}, e);
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

char *secret_line(const struct secret_source *src, const char *what, const char *prefix,
		  struct err *e)
{
	struct secret secret = {0};
	size_t n = strlen(prefix);
	char *line;

	if (secret_load(src, what, &secret, e) == -1)
		return NULL;
	assert(secret.text);
	line = malloc(n + secret.len + 1);
	if (line) {
		memcpy(line, prefix, n);
		memcpy(line + n, secret.text, secret.len + 1);
	} else {
		err_no_memory(e);
	}
	secret_wipe(&secret);
	return line;
}

void secret_wipe(struct secret *s)
{
	if (s->text != NULL)
		OPENSSL_cleanse(s->text, s->len);
	free(s->text);
	*s = (struct secret){0};
}
