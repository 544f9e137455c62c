#include "learn/expired_at.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

enum { PATH_SIZE = 1024, TEXT_MAX = 32 };

static bool path_of(char path[PATH_SIZE], const char *ledger)
{
	return snprintf(path, PATH_SIZE, "%s/expired-at", ledger) < PATH_SIZE;
}

bool expired_at_read(const char *ledger, int64_t *when)
{
	char path[PATH_SIZE], text[TEXT_MAX];
	uint64_t n = 0;
	ssize_t len;
	int fd;

	if (!path_of(path, ledger))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd == -1)
		return false;
	len = read(fd, text, sizeof text);
	close(fd);
	if (len < 2 || text[len - 1] != '\n' ||
	    !text_number(text, (size_t)len - 1, INT64_MAX, &n))
		return false;
	*when = (int64_t)n;
	return true;
}

bool expired_at_write(const char *ledger, int64_t when)
{
	char path[PATH_SIZE], text[TEXT_MAX];
	int len = snprintf(text, sizeof text, "%lld\n", (long long)when);

	return when >= 0 && path_of(path, ledger) &&
	       file_replace(AT_FDCWD, path, text, (size_t)len) == 0;
}
