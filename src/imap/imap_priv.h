/*
 * imap_priv.h - the session that imap.c (what we say) and imap_read.c (what the server says)
 * share. Private to them, and to the tests of imap_read.c.
 */
#ifndef LS_IMAP_PRIV_H
#define LS_IMAP_PRIV_H

#include "imap/imap.h"
#include "imap/imap_conn.h"
#include "imap/imap_response.h"

enum { IMAP_NAME_MAX = 1024 }; /* bytes of a mailbox name */

/* Capabilities that only logging in needs. */
enum {
	IMAP_CAP_AUTH_PLAIN = 1 << 16,
	IMAP_CAP_AUTH_LOGIN = 1 << 17,
	IMAP_CAP_OAUTHBEARER = 1 << 18, /* RFC 7628 */
	IMAP_CAP_XOAUTH2 = 1 << 19,
	IMAP_CAP_LOGINDISABLED = 1 << 20,
};

/* What LIST responses are for. */
struct imap_lister {
	const char *use; /* a special use that the mailbox must have; NULL: any or none */
	void (*each)(void *ctx, const char *name); /* NULL: responses are ignored */
	void *ctx;
};

struct imap {
	const struct conf_account *account; /* borrowed */
	struct imap_conn *conn;		    /* owned */
	struct imap_response response;
	unsigned caps;
	struct imap_mailbox mailbox;
	char name[IMAP_NAME_MAX]; /* of the selected mailbox, for messages; "" if none is */
	char verb[32];		  /* of the last command: "UID EXPUNGE" */
	char tag;      /* first letter of tags: 'A' until we are logged in, then 'L' */
	unsigned last; /* number of the last command */
	unsigned outstanding[IMAP_PIPELINE]; /* commands without their end; 0: a free place */
	bool broken;			     /* the stream's state is unknown: no LOGOUT */
	uint32_t body_max; /* of the last imap_poll: bodies on their way may be that large */

	bool expecting;	   /* the clock runs for the response that comes next or is coming */
	bool begun;	   /* its first bytes are there */
	uint64_t credited; /* bytes of it for which the clock started anew */
	int64_t waited;	   /* for first bytes since the last tagged response, in milliseconds */
	uint32_t untagged; /* responses since then */

	/* of imap_idle.c */
	unsigned idling;     /* the IDLE that is outstanding; 0: none */
	bool listening;	     /* what the server says of its own accord is looked at ... */
	bool flags_are_news; /* ... also that a message was read ... */
	bool news;	     /* ... and there was something new */
	bool patient;	     /* silence is no fault now */
	bool overflow;	     /* the server has ended NOTIFY */

	/* Where answers go, as long as somebody asks; all borrowed. */
	struct imap_lister lister;
	char *rights; /* of MYRIGHTS; NULL: ignored */
	size_t rights_size;
	struct imap_mailbox *status; /* of STATUS; NULL: ignored */
};

/* Send these bytes; where that fails the session is broken. 0, or -1 as imap_conn_write. */
int imap_write(struct imap *s, const char *data, size_t len, struct err *e);

/* Send a command that is not to be logged, without CR LF. 0, or -1. */
int imap_send_secret(struct imap *s, const char *command, struct err *e);

/*
 * Log in, by the best way that the server offers (s->caps). 0, or -1 with ERR_SERVER: ERR_AUTH
 * (refused, no way), ERR_TEMPORARY where the server says so, or as imap_next.
 */
int imap_login(struct imap *s, const struct secret *secret, struct err *e);

/* The session cannot go on: *e, which is set, gets the message that was coming. Returns -1. */
int imap_broken(struct imap *s, struct err *e);

/* ERR_PROTOCOL: the server sent what it must not. Returns -1. */
int imap_protocol_error(struct imap *s, const char *why, struct err *e);

/*
 * Understand the complete response in s->response; no I/O. 1 where it is an event (*ev, and
 * *m for a FETCH), 0 where it was taken note of, -1 with an error as imap_poll.
 */
int imap_understand(struct imap *s, struct imap_event *ev, struct imap_message *m,
		    struct err *e);

#endif
