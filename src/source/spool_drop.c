#include "source/spool_drop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/stop.h"
#include "base/text.h"
#include "mail/mbox.h"

enum { HEAD = 200 }; /* bytes of a file that show whether it is a mbox */

/* ---- what may be taken ---- */

int spool_drop_begin(struct spool_drop *d, const char *spool, enum mail_class class, bool quiet,
		     struct err *e)
{
	char path[PATH_MAX];

	d->class = class;
	d->files.single = -1;
	d->files.depth = 0;
	if (!spool_drop_path(spool, class, path, sizeof path))
		return err_set(e, ERR_MAILBOX, ERR_CONFIG, "spool %.60s...: path too long",
			       spool);
	if (files_begin(&d->files, path, quiet, e) == -1)
		return -1;
	d->files.shared = SPOOL_REPORT;
	return 0;
}

void spool_drop_end(struct spool_drop *d)
{
	files_end(&d->files);
}

const char *spool_refuses(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "not a regular file";
	if (st->st_nlink != 1)
		return "it has another name (a hard link)";
	return NULL;
}

static bool is_mbox(int fd)
{
	char head[HEAD];
	ssize_t n = pread(fd, head, sizeof head, 0);

	return n > 0 && mbox_is_separator(head, (size_t)n);
}

/* Why is this file not taken? NULL: it is. "": not yet. */
static const char *judge(const struct spool_drop *d, struct spool_file *f)
{
	const char *why;

	if (f->fd == -1)
		return errno == EACCES ? "not readable by the user that runs learnspool; make "
					 "it so (chmod a+r), or remove it"
				       : strerror(errno);
	if (fstat(f->fd, &f->st) == -1)
		return strerror(errno);
	why = spool_refuses(&f->st);
	if (why)
		return why;
	f->report = text_ends_in(files_name(&d->files), SPOOL_REPORT);
	if (f->report || files_in_maildir(&d->files))
		return NULL;
	/* A clock that was set back makes nothing young for ever. */
	if (f->st.st_ctime <= clock_now() && clock_now() - f->st.st_ctime < SPOOL_QUIET)
		return "";
	if (is_mbox(f->fd))
		return d->class == CLASS_SPAM
			   ? "a mbox; learn it with learnspool learn --class spam"
			   : "a mbox; learn it with learnspool learn --class ham";
	return NULL;
}

int spool_drop_next(struct spool_drop *d, struct spool_file *f)
{
	const char *why;

	for (;;) {
		*f = (struct spool_file){.fd = -1};
		if (stop_requested() || !files_next(&d->files, &f->path, &f->fd))
			return 0;
		why = judge(d, f);
		if (why == NULL)
			return 1;
		if (why[0])
			files_leave_out(&d->files, why);
		else
			log_info("still being written file=%s", f->path);
		if (f->fd != -1)
			close(f->fd);
	}
}

/* ---- the taking ---- */

int64_t spool_file_date(const struct spool_file *f)
{
	if (!f->report)
		return clock_now(); /* it may be older than that it is here */
	return f->st.st_uid == 0 || f->st.st_uid == geteuid() ? 0 : f->st.st_ctime;
}

/*
 * Its old name, for people, and its date. A link that is left without a message does no harm,
 * but where numbers begin anew after a loss, one may be left of another message.
 */
static int keep_name(const struct spool *s, const char *name, const char *link, int64_t date)
{
	const struct timespec times[2] = {{date, 0}, {date, 0}};

	(void)unlinkat(s->names, link, 0);
	if (date == 0)
		return 0;
	if (symlinkat(name, s->names, link) == -1)
		return -1;
	/* Where links have no date to be set it is that of now. */
	(void)utimensat(s->names, link, times, AT_SYMLINK_NOFOLLOW);
	return 0;
}

/* 1: it is taken; 0: it stays, which was logged; -1. */
static int take(struct spool *s, struct spool_drop *d, const struct spool_file *f, int to,
		struct err *e)
{
	const char *name = files_name(&d->files);
	char number[SPOOL_NAME_MAX], link[SPOOL_NAME_MAX];
	uint32_t n;
	int why;

	if (spool_state_take(s->taken, &s->state, &n, e) == -1)
		return err_prefix(e, "spool %s", s->path);
	spool_number(n, number);
	spool_link(d->class, n, link);
	if (keep_name(s, name, link, spool_file_date(f)) == -1)
		return err_set(e, ERR_SERVER, ERR_LOCAL, "spool %s: taken/name: %s", s->path,
			       strerror(errno));
	fault_step("spool-claim");
	if (renameat(files_folder(&d->files), name, to, number) == 0) {
		log_info("taken file=%s number=%s", f->path, number);
		return 1;
	}
	why = errno;
	(void)unlinkat(s->names, link, 0);
	s->state.next--;
	if (why != ENOENT) /* else somebody took it away meanwhile */
		files_leave_out(&d->files,
				why == EACCES || why == EPERM
				    ? "its folder belongs to somebody else, and it cannot be "
				      "taken out of it"
				    : strerror(why));
	return 0;
}

/* Remove what a `submit` that was killed has left; nobody else can see it. */
static void sweep(const struct spool_drop *d)
{
	int fd = dup(files_folder(&d->files));
	DIR *dir = fd == -1 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	struct stat st;

	if (dir == NULL && fd != -1)
		close(fd);
	while (dir && (entry = readdir(dir)) != NULL)
		if (strncmp(entry->d_name, SPOOL_FRESH, sizeof SPOOL_FRESH - 1) == 0 &&
		    fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    clock_now() - st.st_ctime > SPOOL_STALE)
			(void)unlinkat(fd, entry->d_name, 0);
	if (dir) {
		rewinddir(dir); /* the descriptors share their place */
		closedir(dir);
	}
}

/* Nothing could be renamed from one file system to another. */
static int check_device(const struct spool *s, const struct spool_drop *d, int to,
			struct err *e)
{
	struct stat from, there;

	if (fstat(files_folder(&d->files), &from) == -1 || fstat(to, &there) == -1)
		return err_set(e, ERR_MAILBOX, ERR_LOCAL, "spool %s: %s", s->path,
			       strerror(errno));
	if (from.st_dev == there.st_dev)
		return 0;
	return err_set(
	    e, ERR_MAILBOX, ERR_CONFIG,
	    "spool %s: %s and taken are on different file systems, so nothing can be "
	    "taken; have the whole spool on one",
	    s->path, class_name(d->class));
}

int spool_claim(struct spool *s, enum mail_class class, int to, uint32_t *taken, struct err *e)
{
	struct spool_drop d;
	struct spool_file f;
	int rc = spool_drop_begin(&d, s->path, class, false, e);

	*taken = 0;
	if (rc == 0)
		rc = check_device(s, &d, to, e);
	if (rc == 0)
		sweep(&d);
	while (rc == 0 && spool_drop_next(&d, &f) == 1) {
		rc = take(s, &d, &f, to, e);
		close(f.fd);
		if (rc == 1) {
			++*taken;
			rc = 0;
		}
	}
	spool_drop_end(&d);
	if (rc == 0 && *taken > 0 && fsync(to) == -1)
		rc =
		    err_set(e, ERR_SERVER, ERR_LOCAL, "spool %s: %s", s->path, strerror(errno));
	if (rc == 0)
		rc = spool_state_save(s->taken, &s->state, e);
	return rc == 0 && stop_requested() ? stop_error(e) : rc;
}
