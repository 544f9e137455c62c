#include "source/spool_submit.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/stop.h"
#include "mail/mbox.h"

enum { RANDOM = 16, NAME = sizeof SPOOL_FRESH + 2 * RANDOM + sizeof SPOOL_REPORT };

/* A message on its way into the folder. */
struct submission {
	const char *spool;
	int dir, fd;
	char fresh[NAME], name[NAME];
	size_t size; /* of the message so far */
};

static int failed(const struct submission *s, struct err *e)
{
	if (errno == ENOENT)
		return err_set(
		    e, ERR_FATAL, ERR_TEMPORARY,
		    "spool %s: it is not there, or has no folder for this class; the "
		    "first learnspool run with a spool block creates it",
		    s->spool);
	return err_set(e, ERR_FATAL, ERR_TEMPORARY, "spool %s: %s", s->spool, strerror(errno));
}

/* The field is parsed at semicolons, and an address has neither blanks nor controls. */
static int check_reporter(const char *reporter, struct err *e)
{
	size_t len = strlen(reporter);

	for (size_t i = 0; i < len; i++)
		if (isspace((unsigned char)reporter[i]) ||
		    iscntrl((unsigned char)reporter[i]) || reporter[i] == ';')
			len = 0;
	if (len > 0 && len <= SPOOL_REPORTER_MAX)
		return 0;
	return err_set(e, ERR_FATAL, ERR_USAGE,
		       "--reporter %.60s: not an address (at most %d bytes, no blanks)",
		       reporter, SPOOL_REPORTER_MAX);
}

static int make_names(struct submission *s, struct err *e)
{
	unsigned char chance[RANDOM];
	char hex[2 * RANDOM + 1];

	if (getrandom(chance, sizeof chance, 0) != sizeof chance)
		return failed(s, e);
	for (int i = 0; i < RANDOM; i++)
		snprintf(hex + 2 * i, 3, "%02x", chance[i]);
	snprintf(s->fresh, sizeof s->fresh, SPOOL_FRESH "%s", hex);
	snprintf(s->name, sizeof s->name, "%s" SPOOL_REPORT, hex);
	return 0;
}

static int begin(struct submission *s, enum mail_class class, struct err *e)
{
	char path[PATH_MAX];

	if (!spool_drop_path(s->spool, class, path, sizeof path)) {
		errno = ENAMETOOLONG;
		return failed(s, e);
	}
	s->dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->dir == -1 || make_names(s, e) == -1)
		return failed(s, e);
	s->fd = openat(s->dir, s->fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		       0600);
	/* The service is another user, and has to read it. */
	return s->fd == -1 || fchmod(s->fd, 0644) == -1 ? failed(s, e) : 0;
}

static int put(struct submission *s, const char *data, size_t len, struct err *e)
{
	while (len > 0) {
		ssize_t n = write(s->fd, data, len);

		if (n == -1 && errno == EINTR && !stop_requested())
			continue;
		if (n == -1)
			return failed(s, e);
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int put_field(struct submission *s, enum mail_class class, const char *reporter,
		     struct err *e)
{
	char field[SPOOL_LINE_MAX];
	int n = snprintf(field, sizeof field, SPOOL_FIELD "%s%s%s\n", class_name(class),
			 reporter ? "; user=" : "", reporter ? reporter : "");

	return put(s, field, (size_t)n, e);
}

/* How long the line is that a mbox has before a message; 0: there is none. */
static size_t separator(const char *data, size_t len)
{
	const char *end = memchr(data, '\n', len);

	return end && mbox_is_separator(data, len) ? (size_t)(end - data) + 1 : 0;
}

/* As much as fits, or all that there is. -1 with errno. */
static ssize_t read_full(int in, char *data, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(in, data + len, size - len);

		if (n == -1 && errno == EINTR && !stop_requested())
			continue;
		if (n == -1)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static int copy(struct submission *s, int in, struct err *e)
{
	char data[65536];
	ssize_t n;

	while ((n = read_full(in, data, sizeof data)) > 0) {
		size_t skip = s->size == 0 ? separator(data, (size_t)n) : 0;

		s->size += (size_t)n - skip;
		if (s->size > SPOOL_BYTES_MAX)
			return err_set(e, ERR_FATAL, ERR_DATA,
				       "the message is larger than %d MiB; it is not taken",
				       SPOOL_BYTES_MAX >> 20);
		if (put(s, data + skip, (size_t)n - skip, e) == -1)
			return -1;
	}
	if (n == -1)
		return err_set(e, ERR_FATAL, ERR_TEMPORARY, "standard input: %s",
			       strerror(errno));
	if (s->size == 0)
		return err_set(e, ERR_FATAL, ERR_DATA,
			       "no message: standard input is empty; give one message on it");
	return 0;
}

/*
 * Its new name has to be on the disk too. Who may not list the folder may not open it to say
 * so; to make the file durable once more includes its name there (ext4, XFS, Btrfs).
 */
static int finish(struct submission *s, struct err *e)
{
	int dir, rc;

	if (fsync(s->fd) == -1)
		return failed(s, e);
	fault_step("submit-rename");
	if (renameat(s->dir, s->fresh, s->dir, s->name) == -1)
		return failed(s, e);
	s->fresh[0] = '\0';
	dir = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = fsync(dir == -1 ? s->fd : dir);
	if (rc == -1)
		failed(s, e);
	if (dir != -1)
		close(dir);
	return rc;
}

int spool_submit(const char *spool, enum mail_class class, const char *reporter, int in,
		 struct err *e)
{
	struct submission s = {.spool = spool, .dir = -1, .fd = -1};
	int rc = reporter ? check_reporter(reporter, e) : 0;

	if (rc == 0)
		rc = begin(&s, class, e);
	if (rc == 0)
		rc = put_field(&s, class, reporter, e);
	if (rc == 0)
		rc = copy(&s, in, e);
	if (rc == 0)
		rc = finish(&s, e);
	if (s.fd != -1 && rc == -1 && s.fresh[0])
		(void)unlinkat(s.dir, s.fresh, 0);
	if (s.fd != -1)
		close(s.fd);
	if (s.dir != -1)
		close(s.dir);
	return rc;
}
