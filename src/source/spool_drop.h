/*
 * spool_drop.h - what users have put into a spool: whole messages that may be taken, and the
 * taking. Files: our own (`learnspool submit`), those of Maildirs, and any that are put in.
 */
#ifndef LS_SPOOL_DROP_H
#define LS_SPOOL_DROP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"
#include "mail/class.h"
#include "source/files.h"
#include "source/spool.h"

enum {
	SPOOL_QUIET = 3,     /* seconds without a change after which a plain file is whole */
	SPOOL_STALE = 86400, /* seconds after which what `submit` left is a torso */
};

/* A walk through the messages that may be taken. To be left to this file. */
struct spool_drop {
	struct files files;
	enum mail_class class;
};

/* A file that may be taken. */
struct spool_file {
	int fd;		  /* open for reading; the caller's */
	const char *path; /* valid until the next call */
	bool report;	  /* `submit` wrote it: its first line is a report field */
	struct stat st;
};

/* Every int is 0, or -1 with an error, where nothing else is said. */

/* Begin; quiet: what is left out was said before. ERR_MAILBOX. spool_drop_end() in any case. */
int spool_drop_begin(struct spool_drop *d, const char *spool, enum mail_class class, bool quiet,
		     struct err *e);

/*
 * 1 and the next file, 0 after the last, or where a stop was requested. What cannot be taken
 * stays where it is, and is logged with the cure: symbolic links, devices, what others own and
 * we cannot read, mboxes. What is still being written is passed over: a later run takes it.
 */
int spool_drop_next(struct spool_drop *d, struct spool_file *f);

void spool_drop_end(struct spool_drop *d);

/*
 * Take all of it: rename each into the folder to, under the next number, so that the numbers
 * have no gaps. s is entered. *taken: how many. ERR_MAILBOX, ERR_SERVER, or ERR_CANCELLED after
 * a stop, for there may be a million; what was taken until then is taken.
 */
int spool_claim(struct spool *s, enum mail_class class, int to, uint32_t *taken, struct err *e);

/* Why a file is no message that may be read: no regular file, hard links; NULL: it is one. */
const char *spool_refuses(const struct stat *st);

/*
 * When it was put in, as the kernel says: the owner of a file can give it any other date. 0: by
 * its own date (mtime), for it is root's or the service's.
 */
int64_t spool_file_date(const struct spool_file *f);

#endif
