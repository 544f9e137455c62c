#include "source/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

void files_leave_out(struct files *f, const char *why)
{
	f->left_out++;
	if (!f->quiet && f->left_out <= FILES_SAID)
		log_warn("%s: %s; left out", f->path, why);
}

/* Whose is the folder of this name? */
static bool is_folder(DIR *dir, const char *name, uid_t *owner)
{
	struct stat st;

	if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) == -1 || !S_ISDIR(st.st_mode))
		return false;
	*owner = st.st_uid;
	return true;
}

/* Enter the folder at f->path, which is open (taken, or closed). 0, or -1 with errno. */
static int enter(struct files *f, int fd)
{
	DIR *dir = NULL;
	uid_t owner = 0;

	if (f->depth == FILES_DEPTH)
		errno = EMLINK;
	else
		dir = fdopendir(fd);
	if (dir == NULL) {
		int why = errno;

		close(fd);
		errno = why;
		return -1;
	}
	f->level[f->depth].dir = dir;
	f->level[f->depth].len = strlen(f->path);
	f->level[f->depth].maildir =
	    is_folder(dir, "cur", &owner) && is_folder(dir, "new", &owner);
	f->level[f->depth].owner = owner;
	f->depth++;
	return 0;
}

int files_begin(struct files *f, const char *path, bool quiet, struct err *e)
{
	struct stat st = {0};
	size_t len = strlen(path);
	int fd;

	f->depth = 0;
	f->single = -1;
	f->quiet = quiet;
	f->shared = NULL;
	f->left_out = 0;
	while (len > 1 && path[len - 1] == '/')
		len--;
	if (len >= sizeof f->path)
		return err_set(e, ERR_MAILBOX, ERR_CONFIG, "%.60s...: path too long", path);
	memcpy(f->path, path, len);
	f->path[len] = '\0';
	fd = open(f->path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1)
		return err_set(e, ERR_MAILBOX, ERR_CONFIG, "%s: %s", f->path, strerror(errno));
	if (S_ISREG(st.st_mode))
		f->single = fd;
	else if (!S_ISDIR(st.st_mode))
		close(fd);
	else if (enter(f, fd) == -1)
		return err_set(e, ERR_MAILBOX, ERR_CONFIG, "%s: %s", f->path, strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return err_set(e, ERR_MAILBOX, ERR_CONFIG, "%s: neither a file nor a folder",
			       f->path);
	return 0;
}

/* Does this entry of the folder count? Then its path is f->path. */
static bool take_name(struct files *f, const char *name)
{
	size_t at = f->level[f->depth - 1].len, len = strlen(name);

	if (name[0] == '.')
		return false;
	if (at + 1 + len >= sizeof f->path) {
		f->path[at] = '\0';
		files_leave_out(f, "a path below it is too long");
		return false;
	}
	f->path[at] = '/';
	memcpy(f->path + at + 1, name, len + 1);
	return true;
}

/* Does it lie in a Maildir, and is none of its messages? */
static bool is_beside(const struct files *f, const char *name, const struct stat *st)
{
	if (!f->level[f->depth - 1].maildir || strcmp(name, "new") == 0 ||
	    strcmp(name, "cur") == 0)
		return false;
	if (S_ISDIR(st->st_mode) && strcmp(name, "tmp") == 0)
		return true;
	return f->depth > 1 || f->shared == NULL ||
	       (st->st_uid == f->level[0].owner && !text_ends_in(name, f->shared));
}

/*
 * 1: it is a file, and open, or it cannot be opened (-1 with errno), nor may a folder; 0: it is
 * none, or a folder that was entered.
 */
static int take_entry(struct files *f, DIR *dir, const char *name, int *fd)
{
	struct stat st;

	if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) == -1) {
		if (errno != ENOENT) /* else it is gone by now */
			files_leave_out(f, strerror(errno));
		return 0;
	}
	if (is_beside(f, name, &st))
		return 0;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		files_leave_out(f,
				S_ISLNK(st.st_mode) ? "a symbolic link" : "not a regular file");
		return 0;
	}
	*fd = openat(dirfd(dir), name,
		     O_RDONLY | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC |
			 (S_ISDIR(st.st_mode) ? O_DIRECTORY : 0));
	if (S_ISREG(st.st_mode))
		return 1;
	if (*fd != -1 && enter(f, *fd) == 0)
		return 0;
	*fd = -1;
	if (errno != EMLINK)
		return 1; /* nobody knows what is in it: that is a failure, not a choice */
	files_leave_out(f, "too many folders inside each other");
	return 0;
}

int files_next(struct files *f, const char **path, int *fd)
{
	*path = f->path;
	*fd = f->single;
	f->single = -1;
	if (*fd != -1)
		return 1;
	while (f->depth > 0) {
		DIR *dir = f->level[f->depth - 1].dir;
		struct dirent *d;

		errno = 0;
		d = readdir(dir);
		if (d && take_name(f, d->d_name) && take_entry(f, dir, d->d_name, fd) == 1)
			return 1;
		if (d)
			continue;
		f->path[f->level[f->depth - 1].len] = '\0';
		if (errno != 0)
			files_leave_out(f, strerror(errno));
		closedir(dir);
		f->depth--;
	}
	if (!f->quiet && f->left_out > FILES_SAID)
		log_warn("%s: %lu more files were left out", f->path, f->left_out - FILES_SAID);
	f->quiet = true;
	return 0;
}

int files_folder(const struct files *f)
{
	return f->depth > 0 ? dirfd(f->level[f->depth - 1].dir) : -1;
}

const char *files_name(const struct files *f)
{
	return f->depth > 0 ? f->path + f->level[f->depth - 1].len + 1 : f->path;
}

bool files_in_maildir(const struct files *f)
{
	return f->depth > 1 && f->level[f->depth - 2].maildir;
}

void files_end(struct files *f)
{
	if (f->single != -1)
		close(f->single);
	f->single = -1;
	while (f->depth > 0)
		closedir(f->level[--f->depth].dir);
}

int files_read(int fd, uint64_t size, struct buf *body, const char **why, struct err *e)
{
	if (buf_reserve(body, size) == -1)
		return err_no_memory(e);
	while (body->len < size) {
		char piece[65536];
		uint64_t left = size - body->len;
		ssize_t n = pread(fd, piece, left < sizeof piece ? left : sizeof piece,
				  (off_t)body->len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			*why = n == 0 ? "it got shorter as it was read" : strerror(errno);
			return 0;
		}
		if (buf_add(body, piece, (size_t)n) == -1)
			return err_no_memory(e);
	}
	return 1;
}
