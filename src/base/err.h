/*
 * err.h - an error is a value: what it affects, what kind it is, and one line of text that
 * names the problem and the cure. It is set where the facts are known, and printed only by
 * cmd_*.c and output.
 */
#ifndef LS_ERR_H
#define LS_ERR_H

/* The blast radius: what cannot continue. A wider scope has a larger number. */
enum err_scope {
	ERR_NONE = 0,
	ERR_MESSAGE, /* this message; the next one may be fine */
	ERR_MAILBOX, /* this mailbox of the account */
	ERR_SERVER,  /* this account or this rspamd */
	ERR_FATAL,   /* the whole run */
};

/* Why; cmd.c maps it to the exit status of learnspool(1). */
enum err_kind {
	ERR_OK = 0,
	ERR_TEMPORARY,	 /* try again later: 75 */
	ERR_UNREACHABLE, /* a server could not be reached, or cannot do its job: 69 */
	ERR_AUTH,	 /* a login or password was refused: 77 */
	ERR_PROTOCOL,	 /* a server violated the protocol: 69 */
	ERR_DATA,	 /* a message that cannot be processed: 1 */
	ERR_CONFIG,	 /* the configuration, or a file that it names: 78 */
	ERR_USAGE,	 /* the command line: 64 */
	ERR_LOCAL,	 /* a local problem: memory, disk, a bug: 70 */
	ERR_CANCELLED,	 /* stopped by a signal: 130 or 143 */
};

enum { ERR_TEXT_MAX = 1024 };

struct err {
	enum err_scope scope;
	enum err_kind kind;
	char text[ERR_TEXT_MAX]; /* one line, no newline, printable (err_set ensures it) */
};

/*
 * Set *e (may be NULL) and return -1, so that a caller can `return err_set(...)`. The text is
 * cut at ERR_TEXT_MAX - 1 bytes. Control characters in it become visible escapes (\x1b),
 * because parts of it come from mail and servers. errno is not changed.
 */
int err_set(struct err *e, enum err_scope scope, enum err_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Set "out of memory", ERR_FATAL/ERR_LOCAL. Returns -1, for chaining. */
int err_no_memory(struct err *e);

/* Put "PREFIX: " before the text of *e, made visible as well. Returns -1, for chaining. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Set *e to "no error". */
void err_clear(struct err *e);

#endif
