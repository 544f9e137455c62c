/*
 * secret.h - passwords and tokens: where they come from, and that they leave no trace. The
 * text of a secret is never part of an error, a log line, the ledger or an argument list.
 */
#ifndef LS_SECRET_H
#define LS_SECRET_H

#include <stddef.h>

#include "err.h"

enum { SECRET_MAX = 16 * 1024 }; /* bytes; OAuth access tokens are the longest in use */

enum secret_kind {
	SECRET_NONE = 0,
	SECRET_FILE,	   /* a path; must not be readable or writable by group or others */
	SECRET_ENV,	   /* the name of an environment variable */
	SECRET_COMMAND,	   /* run by /bin/sh -c; the first line that it prints */
	SECRET_CREDENTIAL, /* a name below $CREDENTIALS_DIRECTORY (systemd.exec(5)) */
	SECRET_TEXT,	   /* the secret itself: only from the old command line, never a file */
};

/* Where a secret is to be had. Part of the configuration; says nothing secret by itself. */
struct secret_source {
	enum secret_kind kind;
	char *where; /* owned by whoever owns the configuration; NULL for SECRET_NONE */
};

struct secret {
	char *text; /* owned; NUL-terminated, one newline (or CR LF) at the end removed */
	size_t len; /* 0, and text NULL, when there is none */
};

/*
 * Look for what would make secret_load fail, without reading the secret or running anything:
 * a missing file, a file that others may read or write (mode & 077; a group that is root's or
 * our own may read, since 0640 is usual for daemons on Debian), that belongs to neither us nor
 * root, that is no regular file (symbolic links are followed), a variable that is not set or
 * empty, a credential that is not there. SECRET_NONE is fine. what names the purpose in the
 * error: "account spam@example.org". Returns 0, or -1 with an ERR_FATAL/ERR_CONFIG error that
 * names the cure.
 */
int secret_check(const struct secret_source *src, const char *what, struct err *e);

/*
 * Read the secret into *out (which must be empty). Refused: SECRET_NONE, empty, longer than
 * SECRET_MAX, NUL or newline inside. A command has no input (/dev/null), our standard error,
 * a process group of its own and 30 seconds; its first line counts, the rest is dropped.
 * Returns 0, or -1 with an error as above (a command that fails is ERR_FATAL/ERR_CONFIG and
 * names its exit status, never its output).
 */
int secret_load(const struct secret_source *src, const char *what, struct secret *out,
		struct err *e);

/* The same with another time for SECRET_COMMAND, in milliseconds. */
int secret_load_within(const struct secret_source *src, const char *what, int timeout_ms,
		       struct secret *out, struct err *e);

/* Overwrite and free. Safe on an empty one. */
void secret_wipe(struct secret *s);

#endif
