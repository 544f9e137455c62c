#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"

int lock_take(const char *dir, const char *command, struct err *e)
{
	char path[1024], holder[256] = "", since[21];
	int fd, n;

	if (snprintf(path, sizeof path, "%s/run.lock", dir) >= (int)sizeof path)
		return err_set(e, ERR_FATAL, ERR_CONFIG,
			       "the path of the ledger is too long: %s", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd == -1)
		return err_set(
		    e, ERR_FATAL, ERR_CONFIG,
		    "ledger %s: cannot open run.lock: %s; run as the user that owns it", dir,
		    strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		ssize_t got = read(fd, holder, sizeof holder - 1);

		close(fd);
		if (got > 0 && holder[got - 1] == '\n')
			holder[got - 1] = '\0';
		return err_set(
		    e, ERR_FATAL, ERR_TEMPORARY,
		    "ledger %s: in use by %s; one run at a time, try again when it is done",
		    dir, got > 0 ? holder : "another process");
	}
	clock_iso(clock_now(), since);
	n = snprintf(holder, sizeof holder, "process %ld (learnspool %s) since %s\n",
		     (long)getpid(), command, since);
	/* Only for information: a run does not depend on it. */
	if (ftruncate(fd, 0) == 0 && n > 0)
		(void)!write(fd, holder, (size_t)n);
	return fd;
}

void lock_release(int fd)
{
	if (fd == -1)
		return;
	(void)!ftruncate(fd, 0);
	close(fd);
}
