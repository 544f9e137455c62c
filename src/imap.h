/*
 * imap.h - one IMAP session (RFC 3501, with UIDPLUS, MOVE, ESEARCH, CONDSTORE and SPECIAL-USE
 * where the server has them). Commands may be pipelined; answers are taken one at a time by
 * imap_next(), in whatever order the server gives them. UIDs only, never sequence numbers.
 */
#ifndef LS_IMAP_H
#define LS_IMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "conf.h"
#include "err.h"
#include "uidset.h"
#include "waiter.h"

struct imap;

enum imap_cap {
	IMAP_CAP_UIDPLUS = 1 << 0,     /* RFC 4315 */
	IMAP_CAP_MOVE = 1 << 1,	       /* RFC 6851 */
	IMAP_CAP_ESEARCH = 1 << 2,     /* RFC 4731 */
	IMAP_CAP_CONDSTORE = 1 << 3,   /* RFC 7162 */
	IMAP_CAP_SPECIAL_USE = 1 << 4, /* RFC 6154 */
};

/* Flags and keywords of a message that mean something to us. */
enum imap_flag {
	IMAP_SEEN = 1 << 0,
	IMAP_FLAGGED = 1 << 1,
	IMAP_DELETED = 1 << 2,
	IMAP_LEARNED_SPAM = 1 << 3,  /* $LearnedSpam */
	IMAP_LEARNED_HAM = 1 << 4,   /* $LearnedHam */
	IMAP_LEARN_SKIPPED = 1 << 5, /* $LearnSkipped */
};

enum { IMAP_KEYWORDS = IMAP_LEARNED_SPAM | IMAP_LEARNED_HAM | IMAP_LEARN_SKIPPED };

/* The selected mailbox, kept up to date by what the server says on its own. */
struct imap_mailbox {
	uint32_t uidvalidity;
	uint32_t uidnext; /* 0: the server did not say */
	uint32_t exists;
	uint64_t modseq; /* HIGHESTMODSEQ; 0: the server keeps none */
	bool read_only;
	unsigned keywords; /* those of IMAP_KEYWORDS that can be set here */
};

/* One FETCH response. What it did not hold is 0 and not in has. */
struct imap_message {
	uint32_t uid;
	uint32_t size;	 /* RFC822.SIZE */
	int64_t date;	 /* INTERNALDATE, seconds since 1970 */
	unsigned flags;	 /* enum imap_flag */
	struct buf body; /* BODY[]: owned by the message */
	enum {
		IMAP_HAS_UID = 1 << 0,
		IMAP_HAS_SIZE = 1 << 1,
		IMAP_HAS_DATE = 1 << 2,
		IMAP_HAS_FLAGS = 1 << 3,
		IMAP_HAS_BODY = 1 << 4,
		IMAP_HAS_LARGE = 1 << 5, /* the body was larger than allowed and thrown away */
		IMAP_HAS_NIL = 1 << 6,	 /* the body is NIL: the server cannot read it */
	} has;
};

void imap_message_free(struct imap_message *m);

/*
 * Connect, log in, ask for the capabilities. The password is loaded for this moment only. NULL
 * with the errors of imap_conn_open and secret_load.
 */
struct imap *imap_open(const struct conf_account *account, struct err *e);

/* Close; a session without error says LOGOUT first. NULL is fine. */
void imap_close(struct imap *s);

void imap_set_waiter(struct imap *s, const struct waiter *w);
bool imap_has(const struct imap *s, enum imap_cap cap);

/*
 * The mailbox that has this special use, "\\Junk", written to name as modified UTF-7 (what the
 * server said). Returns 0; -1 with ERR_MAILBOX/ERR_CONFIG where there is none, or ERR_SERVER.
 */
int imap_find_special_use(struct imap *s, const char *use, char *name, size_t size,
			  struct err *e);

/* A mailbox name as a quoted string (RFC 3501, section 9). 0, or -1: too long, empty, a
 * newline. */
int imap_quote(const char *name, char *out, size_t size);

/*
 * SELECT, or EXAMINE where nothing may be changed, not even \Recent. name as modified UTF-7
 * (utf7.h). Returns 0, or -1: ERR_MAILBOX (no such mailbox, no access, no UIDVALIDITY) or
 * ERR_SERVER.
 */
int imap_select(struct imap *s, const char *name, bool read_only, struct err *e);
const struct imap_mailbox *imap_selected(const struct imap *s);

/*
 * UID SEARCH by these criteria; found receives the UIDs (emptied first). Returns 0, or -1:
 * ERR_MAILBOX (refused) or ERR_SERVER. Nothing may be outstanding.
 */
int imap_search(struct imap *s, const char *criteria, struct uidset *found, struct err *e);

/*
 * Send a command without waiting for its end. Returns its number, above 0, or 0 with an
 * ERR_SERVER error. At most IMAP_PIPELINE commands may be outstanding.
 */
enum { IMAP_PIPELINE = 8 };
unsigned imap_send(struct imap *s, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

enum imap_status { IMAP_OK, IMAP_NO, IMAP_BAD_COMMAND };

/* What imap_next has to tell. */
struct imap_event {
	enum { IMAP_EVENT_FETCH, IMAP_EVENT_DONE } kind;
	unsigned command;	 /* DONE: the number that imap_send gave */
	enum imap_status status; /* DONE */
	char text[256];		 /* DONE: the server's words, made visible */
};

/*
 * Wait for the next FETCH response or the end of a command. A FETCH response is put into
 * *message, emptied first; bodies above body_max are read and thrown away (IMAP_HAS_LARGE).
 * Everything else the server says is taken note of. Returns 0, or -1: ERR_SERVER (connection,
 * protocol, BYE), ERR_FATAL (memory, a signal).
 */
int imap_next(struct imap *s, uint32_t body_max, struct imap_event *ev,
	      struct imap_message *message, struct err *e);

/* Send a command and wait for its end; FETCH responses are dropped. As imap_next, and
 * ERR_MAILBOX where the server answers NO or BAD. Nothing may be outstanding. */
int imap_run(struct imap *s, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
