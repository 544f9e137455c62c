#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fault.h"

/* A short text goes in one write, or there is no room for it. */
static int write_all(int fd, const char *text, size_t len)
{
	ssize_t n = write(fd, text, len);

	if (n >= 0 && (size_t)n < len)
		errno = ENOSPC;
	return n == (ssize_t)len ? 0 : -1;
}

int file_replace(int dir, const char *name, const char *text, size_t len)
{
	char fresh[PATH_MAX];
	int fd, rc, why;

	if ((size_t)snprintf(fresh, sizeof fresh, "%s.new", name) >= sizeof fresh) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = openat(dir, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	rc = write_all(fd, text, len);
	if (rc == 0)
		rc = fsync(fd);
	why = errno;
	if (close(fd) == -1 && rc == 0)
		return -1;
	errno = why;
	if (rc == -1)
		return -1;
	fault_step("file-replace");
	return renameat(dir, fresh, dir, name);
}
