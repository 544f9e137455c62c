/*
 * imap.h - one IMAP session (RFC 3501, with the extensions of enum imap_cap where the server
 * has them). Mailbox names are modified UTF-7 (utf7.h), in errors UTF-8. Commands may be
 * pipelined; answers are taken one at a time by imap_next(), in whatever order the server gives
 * them. UIDs only, never sequence numbers.
 */
#ifndef LS_IMAP_H
#define LS_IMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ranges.h"
#include "base/waiter.h"
#include "conf/conf.h"
#include "imap/imap_message.h"

struct imap;

enum imap_cap {
	IMAP_CAP_UIDPLUS = 1 << 0,	 /* RFC 4315 */
	IMAP_CAP_MOVE = 1 << 1,		 /* RFC 6851 */
	IMAP_CAP_ESEARCH = 1 << 2,	 /* RFC 4731 */
	IMAP_CAP_CONDSTORE = 1 << 3,	 /* RFC 7162 */
	IMAP_CAP_SPECIAL_USE = 1 << 4,	 /* RFC 6154 */
	IMAP_CAP_LIST_EXTENDED = 1 << 5, /* RFC 5258 */
	IMAP_CAP_ACL = 1 << 6,		 /* RFC 4314 */
	IMAP_CAP_IDLE = 1 << 7,		 /* RFC 2177; imap_idle.h */
	IMAP_CAP_NOTIFY = 1 << 8,	 /* RFC 5465 */
};

/* The selected mailbox, kept up to date by what the server says on its own. */
struct imap_mailbox {
	uint32_t uidvalidity;
	uint32_t uidnext; /* 0: the server did not say */
	uint32_t exists;
	uint64_t modseq; /* HIGHESTMODSEQ; 0: the server keeps none */
	bool read_only;
	/* From PERMANENTFLAGS; without it every flag can be set (RFC 3501). After EXAMINE most
	 * servers name none, whatever SELECT would give. */
	bool permanent_known;
	bool can_delete;   /* \Deleted can be set */
	unsigned keywords; /* those of IMAP_KEYWORDS that can be set */
	uint32_t recent;   /* messages that are \Recent: SELECT takes that away */
	uint32_t unseen;   /* of STATUS only */
};

/*
 * Connect, log in, ask for the capabilities. The password is loaded for this moment only. NULL
 * with the errors of imap_conn_open, imap_login and secret_load.
 */
struct imap *imap_open(const struct conf_account *account, struct err *e);

/* Close; a session without error says LOGOUT first. NULL is fine. */
void imap_close(struct imap *s);

void imap_set_waiter(struct imap *s, const struct waiter *w);
bool imap_has(const struct imap *s, enum imap_cap cap);

/*
 * The mailbox that has this special use, "\\Junk", written to name as the server said it. It is
 * asked in every way that servers understand. Returns 0; -1 with ERR_MAILBOX/ERR_CONFIG where
 * there is none, or ERR_SERVER.
 */
int imap_find_special_use(struct imap *s, const char *use, char *name, size_t size,
			  struct err *e);

/* Call each for every mailbox that can be selected. 0, or -1 as imap_command. */
int imap_list_names(struct imap *s, void (*each)(void *ctx, const char *utf7_name), void *ctx,
		    struct err *e);

/*
 * What we may do in this mailbox, as the letters of RFC 4314 ("lrswit..."): only with
 * IMAP_CAP_ACL. 0, or -1 as imap_command, and ERR_MAILBOX where the server gives none.
 */
int imap_my_rights(struct imap *s, const char *name, char *rights, size_t size, struct err *e);

/* Of a mailbox that is not selected: UIDVALIDITY and UIDNEXT, 0 where the server gives none. 0,
 * or -1 as imap_command. */
int imap_status(struct imap *s, const char *name, uint32_t *uidvalidity, uint32_t *uidnext,
		struct err *e);

/* A mailbox name as a quoted string, "*" and "%" being characters like others in it. 0, or -1:
 * too long, empty, a newline. */
int imap_quote(const char *name, char *out, size_t size);

/*
 * SELECT, or EXAMINE where nothing may be changed, not even \Recent. Returns 0, or -1:
 * ERR_MAILBOX (no such mailbox, no access, no UIDVALIDITY) or ERR_SERVER.
 */
int imap_select(struct imap *s, const char *name, bool read_only, struct err *e);
const struct imap_mailbox *imap_selected(const struct imap *s);

/*
 * UID SEARCH by these criteria; found receives the UIDs (emptied first). Returns 0, or -1:
 * ERR_MAILBOX (refused) or ERR_SERVER. Nothing may be outstanding.
 */
int imap_search(struct imap *s, const char *criteria, struct ranges *found, struct err *e);

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
	/* CONTINUE comes only while imap_open logs in, and when IDLE begins. */
	enum { IMAP_EVENT_FETCH, IMAP_EVENT_DONE, IMAP_EVENT_CONTINUE } kind;
	unsigned command;	 /* DONE: the number that imap_send gave */
	enum imap_status status; /* DONE */
	char text[256];		 /* DONE: the server's words, made visible */
};

/*
 * The next FETCH response or end of a command, as far as the server has sent it: never waits.
 * A FETCH response is put into *message, emptied first; bodies above body_max are read and
 * thrown away (IMAP_HAS_LARGE). Everything else the server says is taken note of. Returns 1
 * and the event; 0 where more has to come first, *wait then says what to wait for before the
 * next call; -1: ERR_SERVER (connection, time-out, protocol, BYE), ERR_FATAL (memory, a
 * signal).
 */
int imap_poll(struct imap *s, uint32_t body_max, struct imap_event *ev,
	      struct imap_message *message, struct wait *wait, struct err *e);

/* The same, but wait for the event, through the waiter. 0, or -1. */
int imap_next(struct imap *s, uint32_t body_max, struct imap_event *ev,
	      struct imap_message *message, struct err *e);

/* Send a command and wait for its end; FETCH responses are dropped. As imap_next, and
 * ERR_MAILBOX where the server answers NO or BAD. Nothing may be outstanding. */
int imap_command(struct imap *s, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
