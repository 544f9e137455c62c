/*
 * secret.h - passwords and tokens: reading them, and wiping them from memory. The text of a
 * secret is never part of an error, a log line, the ledger or an argument list.
 */
#ifndef LS_SECRET_H
#define LS_SECRET_H

#include <stddef.h>

#include "base/err.h"

enum { SECRET_MAX = 16 * 1024 }; /* bytes; OAuth access tokens are the longest in use */

enum secret_kind {
	SECRET_NONE = 0,
	SECRET_FILE,	   /* a path; see secret_check for its owner and mode */
	SECRET_ENV,	   /* the name of an environment variable */
	SECRET_COMMAND,	   /* run by /bin/sh -c; its first line of output */
	SECRET_CREDENTIAL, /* a name below $CREDENTIALS_DIRECTORY (systemd.exec(5)) */
	SECRET_TEXT, /* the secret itself: from the command line or a terminal, never in a file
		      */
};

/* Where a secret comes from. Part of the configuration; not secret itself. */
struct secret_source {
	enum secret_kind kind;
	char *where; /* owned by the owner of the configuration; NULL for SECRET_NONE */
};

struct secret {
	char *text; /* owned; NUL-terminated, one newline (or CR LF) at the end removed */
	size_t len; /* 0, and text NULL, if there is none */
};

/*
 * Check for anything that would make secret_load fail, without reading the secret or running a
 * command: a missing file, a file that others may read or write (mode & 077; a group that is
 * root's or our own may read it, because 0640 is usual for daemons on Debian), one that belongs
 * neither to us nor to root (if we are root, to anybody), one that is not a regular file
 * (symbolic links are followed), a variable that is not set or empty, a credential that does
 * not exist. SECRET_NONE is allowed. what names the purpose in the error: "account
 * spam@example.org". Returns 0, or -1 with an ERR_FATAL/ERR_CONFIG error that names the cure.
 */
int secret_check(const struct secret_source *src, const char *what, struct err *e);

/*
 * Read the secret into *out (which must be empty). Refused are SECRET_NONE, and a secret that
 * is empty, longer than SECRET_MAX, or has a NUL or newline inside. A command has no input
 * (/dev/null), our standard error, its own process group and 30 seconds; its first line counts,
 * the rest is dropped. Returns 0, or -1 with an error as above (for a command that fails,
 * ERR_FATAL/ERR_CONFIG with its exit status, never with its output).
 */
int secret_load(const struct secret_source *src, const char *what, struct secret *out,
		struct err *e);

/* The same with another time limit for SECRET_COMMAND, in milliseconds. */
int secret_load_within(const struct secret_source *src, const char *what, int timeout_ms,
		       struct secret *out, struct err *e);

/* Free where, and overwrite it if it is the secret itself. *src is SECRET_NONE then. */
void secret_forget(struct secret_source *src);

/*
 * Read the secret into one line behind prefix, as a header field has it. Owned by the caller,
 * who wipes it. NULL with an error as above, or ERR_FATAL/ERR_LOCAL.
 */
char *secret_line(const struct secret_source *src, const char *what, const char *prefix,
		  struct err *e);

/* Overwrite and free the secret, which may be empty. */
void secret_wipe(struct secret *s);

#endif
