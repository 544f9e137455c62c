/*
 * account.h - one log-in, and the sources behind it. An account is connected when it is needed
 * and stays so until it breaks or is closed.
 */
#ifndef LS_ACCOUNT_H
#define LS_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/waiter.h"
#include "conf/conf.h"
#include "ledger/ledger.h"
#include "source/source.h"

struct account;

/* Whom an account that is listened to tells of news, and how it is to wait for them. */
struct account_listener {
	void (*ready)(void *ctx); /* from now on everything that is new is told */
	void (*news)(void *ctx);  /* there may be something new */
	void *ctx;		  /* borrowed */
	int poll_ms;		  /* between two looks, where the server tells of nothing */
	int renew_ms;		  /* after which waiting begins anew, for a server's patience */
};

typedef void account_note_fn(void *ctx, const char *text);

/* A kind of account. Every int is 0, or -1 with an error. */
struct account_ops {
	/*
	 * Connect and log in. ERR_SERVER: ERR_AUTH, ERR_UNREACHABLE, ERR_TEMPORARY or
	 * ERR_CONFIG, with the cure; ERR_FATAL.
	 */
	int (*connect)(struct account *a, struct err *e);

	/* Source number i (below n), to be closed before the account. NULL if there is no
	 * memory. */
	struct source *(*source)(struct account *a, size_t i);

	void (*disconnect)(struct account *a); /* its sources are closed */
	void (*free)(struct account *a);       /* it is disconnected */

	/*
	 * How watch learns of what is new; both may be NULL, and then it only looks at the
	 * account again and again.
	 *
	 * listen: log in and tell of news until that fails: it returns -1, with the errors of
	 * connect, or ERR_MAILBOX where there is nothing to listen to. It runs in a process of
	 * its own, so it may block, and on an account that is not connected.
	 *
	 * folder: the ith folder in which new things appear, an absolute path (borrowed); NULL
	 * after the last. It need not be there yet.
	 */
	int (*listen)(struct account *a, const struct account_listener *l, struct err *e);
	const char *(*folder)(const struct account *a, size_t i);

	/*
	 * For check: what is worth knowing of the account, which is connected, each a line to
	 * note; -1 with an error where a run could not do its work. NULL: nothing.
	 */
	int (*advise)(struct account *a, account_note_fn *note, void *ctx, struct err *e);
	int whole_ms; /* what is new in a folder may be only a part for so long: look again */
};

/*
 * Accounts that one password opens, an administrator's. A wrong one is not tried for all of
 * them: mail servers shut out who does that.
 */
struct login {
	unsigned refused;
	bool accepted; /* once: then it is right, and who is refused is one user */
};

enum { LOGIN_REFUSED_MAX = 25 };

struct account {
	const struct account_ops *ops;
	const char *name;	     /* borrowed */
	size_t n;		     /* sources */
	struct login *login;	     /* borrowed; NULL: it has a password of its own */
	const struct waiter *waiter; /* borrowed: what to wait through; set by the caller */
	struct ledger *ledger; /* borrowed: what is known of its messages; set by the caller */
	int timeout;	 /* seconds that the server may be silent; 0: there is no server */
	int patience;	 /* the same until the log-in is done; set by the caller; 0: as long as
			  * timeout says */
	bool by_request; /* each request stands for itself: to connect again is no cure */
	bool connected;
	bool slow;    /* connect failed, and with more patience it might not have */
	bool refused; /* the log-in was refused: it is not tried again */
};

/* How long the server may be silent while it is connected to, in seconds. */
int account_timeout(const struct account *a);

/* As the slots say; connecting twice is no error. */
int account_connect(struct account *a, struct err *e);
struct source *account_source(struct account *a, size_t i);
void account_disconnect(struct account *a);

/* Disconnects; NULL is fine. */
void account_free(struct account *a);

/*
 * The accounts of the configuration, of every kind, in its order. *out is owned by the caller
 * (accounts_free), conf is borrowed for their life. Nothing is contacted. Returns 0, or -1
 * without memory.
 */
struct accounts {
	struct account **account;
	size_t n;
	struct login *login; /* of each impersonate block */
};
int accounts_open(const struct conf *conf, struct accounts *out, struct err *e);

/* The same with only this one (owned from now on; NULL is "no memory"). */
int accounts_of_one(struct account *account, struct accounts *out, struct err *e);
void accounts_free(struct accounts *a);

/* An IMAP account. NULL if there is no memory. */
struct account *account_imap(const struct conf_account *conf);

/*
 * The training samples of a Stalwart. Both are borrowed. NULL if there is no memory.
 */
struct account *account_stalwart(const struct conf_stalwart *conf,
				 const struct conf_reports *reports);

/*
 * The folders of a spool (spool.h); its name is their path. reports is what holds for all
 * reports. Both are borrowed. NULL if there is no memory.
 */
struct account *account_spool(const struct conf_spool *conf,
			      const struct conf_reports *reports);

#endif
