/*
 * files.h - the regular files below some path, one after the other, in the order in which the
 * system lists them, without holding their names: a folder may have a million.
 */
#ifndef LS_FILES_H
#define LS_FILES_H

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

enum {
	FILES_DEPTH = 32, /* folders inside each other; what is deeper is left out, and said */
	FILES_SAID = 20, /* files that are left out and named; of the rest the number is said */
};

/* A walk. To be left to this file. */
struct files {
	char path[PATH_MAX]; /* of the file at hand */
	struct {
		DIR *dir;
		size_t len;   /* of the folder's own path */
		bool maildir; /* only its new and cur are messages */
		uid_t owner;  /* ... and who made it one */
	} level[FILES_DEPTH];
	size_t depth;
	int single; /* the path is itself a file, which comes next; or -1 */
	bool quiet; /* what is left out was said by an earlier walk */
	/*
	 * To be set after files_begin() where anybody may put files into the path: who makes a
	 * Maildir of it does so for their own files. Others' count as before, and of theirs
	 * names that end in this. NULL: it is one person's.
	 */
	const char *shared;
	unsigned long left_out;
};

/*
 * Begin at a path: a file, or a folder. In a Maildir only new/ and cur/ count; elsewhere a
 * folder's own folders count too. Names that begin with a dot, symbolic links, devices and
 * the like are left out. quiet: do not log what is. Returns 0, or -1 with ERR_MAILBOX/
 * ERR_CONFIG (the path is missing, or cannot be read). files_end() in both cases.
 */
int files_begin(struct files *f, const char *path, bool quiet, struct err *e);

/*
 * 1 and the next file, open for reading (owned by the caller), or -1 with errno; and its path
 * (valid until the next call). 0 after the last. A folder that cannot be opened comes like a
 * file that cannot; one that is too deep is logged, and left out. Nobody can make it read what
 * lies elsewhere by replacing a folder meanwhile.
 */
int files_next(struct files *f, const char **path, int *fd);

/*
 * Of the file at hand: the folder that it is in, open and borrowed (-1: the path was a file),
 * its name there, and whether that folder is the new or cur of a Maildir.
 */
int files_folder(const struct files *f);
const char *files_name(const struct files *f);
bool files_in_maildir(const struct files *f);

/* The file at hand is left out: log it, as the walk does with what it leaves out itself. */
void files_leave_out(struct files *f, const char *why);

void files_end(struct files *f);

/*
 * Read a file from its beginning into body (empty), as much as it had when its size was looked
 * at, since somebody may be writing to it. 1; 0 where that much is not to be had, and why
 * (until the next call); -1 without memory.
 */
int files_read(int fd, uint64_t size, struct buf *body, const char **why, struct err *e);

#endif
