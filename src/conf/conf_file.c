#include "conf/conf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BAD(e, ...) err_set(e, ERR_FATAL, ERR_CONFIG, __VA_ARGS__)

/* The file has no secret, so others may read it; it names commands, or whose mail is read, so
 * they must not write it. */
static int file_trusted(const struct stat *st, const char *what, size_t max, struct err *e)
{
	if (!S_ISREG(st->st_mode))
		return BAD(e, "not a regular file; name %s file", what);
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return BAD(e, "belongs to another user (uid %lu); chown it to root",
			   (unsigned long)st->st_uid);
	if (st->st_mode & 022)
		return BAD(e, "can be changed by others (mode %04o); chmod go-w it",
			   (unsigned)(st->st_mode & 07777));
	if ((size_t)st->st_size > max)
		return BAD(e, "larger than %zu bytes; is this %s file?", max, what);
	return 0;
}

static char *read_all(int fd, const char *what, size_t max, size_t *len, struct err *e)
{
	struct stat st;
	char *text;
	ssize_t n = 1;

	if (fstat(fd, &st) == -1) {
		BAD(e, "%s; check the file", strerror(errno));
		return NULL;
	}
	if (file_trusted(&st, what, max, e) == -1)
		return NULL;
	text = malloc((size_t)st.st_size + 1);
	if (text == NULL) {
		err_no_memory(e);
		return NULL;
	}
	for (*len = 0; n > 0 && *len<(size_t)st.st_size; *len += n> 0 ? (size_t)n : 0)
		n = read(fd, text + *len, (size_t)st.st_size - *len);
	text[*len] = '\0';
	if (n == -1) {
		BAD(e, "cannot read: %s; check the disk", strerror(errno));
		free(text);
		return NULL;
	}
	return text;
}

char *conf_file_read(const char *path, const char *what, size_t max, size_t *len, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text = NULL;

	if (fd == -1)
		BAD(e, "%s; name %s file that is there", strerror(errno), what);
	else
		text = read_all(fd, what, max, len, e);
	if (fd != -1)
		close(fd);
	if (text == NULL)
		err_prefix(e, "%s", path);
	return text;
}
