/*
 * err.h - an error is a value: how much it hits, what kind it is, and one line of text that
 * names the thing and the cure. Made where the facts are known, printed only by cmd_*.c.
 */
#ifndef LS_ERR_H
#define LS_ERR_H

/* The blast radius: what cannot go on. A wider scope has a larger number. */
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
	ERR_PROTOCOL,	 /* a server said what the protocol does not allow: 69 */
	ERR_DATA,	 /* a message that cannot be processed: 1 */
	ERR_CONFIG,	 /* the configuration, or a file that it names: 78 */
	ERR_USAGE,	 /* the command line: 64 */
	ERR_LOCAL,	 /* our own side: memory, disk, a bug: 70 */
	ERR_CANCELLED,	 /* stopped by a signal: 130 or 143 */
};

enum { ERR_TEXT_MAX = 1024 };

struct err {
	enum err_scope scope;
	enum err_kind kind;
	char text[ERR_TEXT_MAX]; /* one line, no newline, printable (err_set sees to it) */
};

/*
 * Set *e (may be NULL) and return -1, so that a caller can `return err_set(...)`. The text is
 * cut at ERR_TEXT_MAX - 1 bytes; control characters in it become visible escapes (\x1b),
 * because parts of it come from mail and servers. errno is left as it was.
 */
int err_set(struct err *e, enum err_scope scope, enum err_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Put "PREFIX: " in front of the text of *e, made visible likewise. Returns -1, for chaining.
 */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Make *e say "no error". */
void err_clear(struct err *e);

#endif
