/*
 * imapd.h - a small IMAP server in a thread of its own, on a loopback socket: two mailboxes in
 * memory, one client at a time, the commands that learnspool uses, and every bad habit that
 * servers have. It keeps to RFC 3501 where it is not told otherwise.
 *
 * Functions and fields are for the thread of the test, at moments when the client waits for no
 * answer.
 */
#ifndef FAKE_IMAPD_H
#define FAKE_IMAPD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "fake/events.h"

enum { IMAPD_MESSAGES = 4096, IMAPD_ABSENT = 4000000 /* a UID that no message has */ };

/* Flags, as bits. */
enum {
	IMAPD_SEEN = 1 << 0,
	IMAPD_FLAGGED = 1 << 1,
	IMAPD_DELETED = 1 << 2,
	IMAPD_SPAM = 1 << 3,
	IMAPD_HAM = 1 << 4,
	IMAPD_SKIPPED = 1 << 5,
};

struct imapd_message {
	uint32_t uid;
	const char *body; /* borrowed */
	uint32_t size;	  /* as RFC822.SIZE gives it */
	int64_t date;	  /* 0: the server gives one that is none */
	unsigned flags;
	uint64_t modseq;
	enum {
		IMAPD_GIVE,
		IMAPD_REFUSE, /* a FETCH of its body ends with NO at this message */
		IMAPD_OMIT,   /* ... ends with OK and without it */
		IMAPD_NIL,    /* its body is NIL */
		IMAPD_EMPTY,  /* ... is "" */
		IMAPD_SHORT,  /* ... is a placeholder of four bytes */
		IMAPD_QUOTED, /* ... comes as a quoted string (it may hold no line end) */
		IMAPD_CUT,    /* the connection ends within its body, once */
	} how;
};

struct imapd_box {
	const char *name; /* borrowed; as on the wire */
	const char *use;  /* borrowed; "\\Junk" or NULL */
	struct imapd_message message[IMAPD_MESSAGES];
	size_t n;
	uint32_t uidvalidity, uidnext;
	uint64_t modseq; /* HIGHESTMODSEQ */
};

struct imapd {
	/* what it lacks and does; all false is a good server */
	bool no_uidplus, no_move, no_condstore, no_esearch;
	bool auth_plain;   /* AUTHENTICATE PLAIN; else LOGIN */
	bool backwards;	   /* the highest UID first, and attributes in reverse order */
	bool drip;	   /* one byte a packet */
	bool chatty;	   /* responses that nobody asked for, in between */
	bool twice;	   /* every response to a FETCH two times */
	bool read_only;	   /* SELECT opens read-only */
	bool few_keywords; /* PERMANENTFLAGS without \* */
	bool no_delete;	   /* ... without \Deleted */
	bool jealous;	   /* nothing is changed where one of the messages is gone (mox) */
	bool strict;	   /* no keyword is taken off a message that does not bear it */
	bool no_validity, no_uidnext;
	bool search_lies;    /* SEARCH finds a million */
	const char *rights;  /* ACL: what MYRIGHTS answers; NULL: no ACL; "": NO */
	const char *refuse;  /* commands that begin so are refused; NULL: none */
	const char *cut;     /* the connection ends at the next command that begins so, once: */
	bool cut_late;	     /* ... when it was done, instead of before */
	unsigned cut_nth;    /* the same at this one of the commands to come; 0: none */
	unsigned refuse_nth; /* this one of them is refused; 0: none */
	size_t cut_bytes; /* the connection ends when so many bytes more were sent; 0: never */
	uint32_t recent;  /* what SELECT and EXAMINE say of \Recent */
	uint32_t meddle;  /* when the client sets \Deleted, somebody else does on this UID, too
			   */

	struct imapd_box inbox, trash;
	char url[64];

	/* private */
	int listener, fd;
	bool running;
	pthread_t thread;
	pthread_mutex_t lock;
	struct fake_events log;
	struct buf in, out, news;
	struct imapd_box *selected;
	bool examined, condstore, over;
};

/* A good server with an INBOX and an empty "Trash", not started. The user is "user", the
 * password "pass". */
void imapd_init(struct imapd *d);
void imapd_start(struct imapd *d);

/* An account there, with this one mailbox; d has been started. Both are borrowed. */
struct conf_account imapd_account(const struct imapd *d, struct conf_mailbox *mailbox);

/* Stop it and free everything; one that does not run is no error. */
void imapd_stop(struct imapd *d);

/* A message with the next UID in INBOX. */
struct imapd_message *imapd_deliver(struct imapd *d, const char *body, int64_t date,
				    unsigned flags);

/* Somebody else takes it out of INBOX. */
void imapd_expunge(struct imapd *d, uint32_t uid);

/* NULL where it is not there. */
struct imapd_message *imapd_find(struct imapd_box *b, uint32_t uid);

/*
 * The commands after the log-in that the server was given so far, without tags: "UID STORE 1:3
 * +FLAGS ($LearnedSpam); ". Long ones are cut. In a copy that the next call overwrites.
 */
const struct fake_events *imapd_log(struct imapd *d);
void imapd_log_clear(struct imapd *d);

#endif
