/* A disk that is full, for LD_PRELOAD: the files below ENOSPC_FOLDER may grow by ENOSPC_BYTES
 * in all, then what would make one grow fails with ENOSPC. Bytes that are overwritten need no
 * room. With ENOSPC_WHILE only as long as there is a file of that name. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_llong used;

/* Whether there is room for a file of that size; errno is set if not. */
static bool fits(int fd, long long size)
{
	const char *folder = getenv("ENOSPC_FOLDER"), *limit = getenv("ENOSPC_BYTES");
	const char *only = getenv("ENOSPC_WHILE");
	char link[64], path[PATH_MAX];
	struct stat st;
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof path - 1);
	if (folder == NULL || limit == NULL || n == -1 || fstat(fd, &st) == -1)
		return true;
	path[n] = '\0';
	if (only && access(only, F_OK) == -1)
		return true;
	if (strncmp(path, folder, strlen(folder)) != 0 || size <= st.st_size)
		return true;
	if (atomic_fetch_add(&used, size - st.st_size) + size - st.st_size <= atoll(limit))
		return true;
	errno = ENOSPC;
	return false;
}

static long long total(const struct iovec *iov, int count)
{
	long long sum = 0;

	for (int i = 0; i < count; i++)
		sum += (long long)iov[i].iov_len;
	return sum;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *from, size_t n)
{
	off_t at = lseek(fd, 0, SEEK_CUR);

	return fits(fd, at + (long long)n) ? REAL(write)(fd, from, n) : -1;
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
	off_t at = lseek(fd, 0, SEEK_CUR);

	return fits(fd, at + total(iov, count)) ? REAL(writev)(fd, iov, count) : -1;
}

ssize_t pwrite(int fd, const void *from, size_t n, off_t at)
{
	return fits(fd, at + (long long)n) ? REAL(pwrite)(fd, from, n, at) : -1;
}

ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at)
{
	return fits(fd, at + (long long)n) ? REAL(pwrite64)(fd, from, n, at) : -1;
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t at)
{
	return fits(fd, at + total(iov, count)) ? REAL(pwritev)(fd, iov, count, at) : -1;
}
