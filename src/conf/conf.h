/*
 * conf.h - the configuration: read by libconfuse, checked as a whole, then constant.
 * learnspool.conf(5) says what each key means; conf.c holds the defaults.
 */
#ifndef LS_CONF_H
#define LS_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mail/class.h"
#include "base/err.h"
#include "conf/conf_balance.h"
#include "conf/conf_retention.h"
#include "conf/conf_rspamd.h"
#include "conf/conf_stalwart.h"
#include "conf/conf_watch.h"
#include "conf/secret.h"

#define CONF_FILES "files" /* the account that learn --class has; no other has this name */

enum {
	CONF_NEVER = -1,	      /* a duration that never ends */
	CONF_MAX_FILE = 1 << 20,      /* bytes of a configuration */
	CONF_MAX_MESSAGE = 100 << 20, /* bytes, the largest max-size */
	CONF_MAX_ACCOUNTS = 10000,
	CONF_MAX_MAILBOXES = 1000, /* of one account */
	CONF_MAX_QUORUM = 32,	   /* reporters */
	CONF_TIMEOUT = 60,	   /* seconds, of an account */
	CONF_MAX_NAME = 240,	   /* bytes; two such names fit into one key of LMDB (511) */
};

/* keep = true: the mail is a user's own and retention never touches it. */
enum conf_keep { CONF_KEEP_UNSAID = 0, CONF_KEEP_NO, CONF_KEEP_YES };

/* One mailbox of an account, or one special use. */
struct conf_mailbox {
	char *name;	  /* UTF-8; "\\Junk" for a special use (RFC 6154) */
	bool special_use; /* name is a special-use attribute, including the backslash */
	enum mail_class class;
	bool seen_only;		/* learn only messages that were read (\Seen) */
	enum conf_keep keep;	/* as set here or for the whole account */
	bool expire;		/* retention applies: a collection mailbox, not a user's own */
	enum conf_keep trusted; /* as set here or for the whole account */
	enum conf_keep mark;	/* NO: no keywords are set here; as set here or for all */
	enum conf_keep decided; /* YES: learn only what a person decided; as mark */
	bool proof;   /* mail here must prove that it is a report (struct conf_reports) */
	int64_t hold; /* seconds; struct conf_reports' unless set here */
};

enum conf_auth {
	CONF_AUTH_PASSWORD, /* SASL PLAIN or LOGIN, whichever the server offers */
	CONF_AUTH_OAUTHBEARER,
	CONF_AUTH_XOAUTH2,
};

struct conf_account {
	char *name;	/* what logs and the ledger call it; unique */
	char *url;	/* imaps://host[:port] or imap://host[:port], nothing after it */
	char *user;	/* login name; the account's name by default */
	char *reporter; /* who reports by their own mailboxes here; NULL: the account's name */
	bool insecure;	/* imap:// may continue without STARTTLS */
	char *ca_file;	/* PEM; NULL: the system's */
	enum conf_auth auth;
	struct secret_source password; /* the access token with the OAuth mechanisms */
	int timeout;		       /* seconds that a server may be silent */
	enum conf_keep unwrap;	       /* its messages are forwards: learn what is attached */
	/* For every mailbox that does not set them itself: */
	enum conf_keep keep, trusted, mark, decided;
	struct conf_mailbox *mailboxes;
	size_t n_mailboxes;   /* at least 1 */
	unsigned impersonate; /* the impersonate block it comes from, from 1 on; 0: none */
};

struct conf_spool {
	char *path;	       /* absolute; has spam/ and ham/ */
	char *trust;	       /* logins that may report for others; NULL: root and ourselves */
	enum conf_keep unwrap; /* as an account's */
};

/* Which reports count. */
struct conf_reports {
	struct secret_source token; /* what the Sieve scripts put into X-Learnspool-Report */
	char *senders;	 /* allowed envelope senders: addresses and @domains; NULL: any */
	char *delimiter; /* what separates an extension from a local part: "+"; "": nothing */
	char *received;	 /* allowed addresses in Received above the field; NULL: loopback */
	int quorum;	 /* different reporters that must agree; 1: off */
	int64_t quorum_within; /* seconds after which a report without a quorum is settled */
	int64_t hold;	       /* seconds that a report waits before it counts; 0: off */
};

struct conf {
	struct conf_rspamd rspamd;
	char *ledger; /* directory */
	struct conf_account *accounts;
	size_t n_accounts;
	struct conf_spool *spools;
	size_t n_spools;
	struct conf_stalwart *stalwarts;
	size_t n_stalwarts;
	struct conf_reports reports;
	struct conf_retention retention;
	struct conf_watch watch;
	uint32_t max_size; /* bytes; a larger message is skipped */
	struct conf_balance balance;
	bool skip_encrypted; /* PGP/MIME, S/MIME enveloped and inline PGP are not learned */
};

/*
 * Read and check path. On success *out is owned by the caller (conf_free). Every secret_source
 * has passed secret_check; an account without one uses IMAP_PASSWORD of the environment, rspamd
 * RSPAMD_PASSWORD, if these are set. Returns 0, or -1 with an ERR_FATAL/ERR_CONFIG error of
 * the form "FILE:LINE: what is wrong; the cure". If something is missing in a block, LINE is
 * where the block ends; if it is missing in the whole file, LINE is the last line. Contacts no
 * server and prints nothing. Not thread-safe: the process has only one libconfuse lexer.
 *
 * Lists of users (conf_users.h) are read, and commands that print them run. ready (NULL:
 * nobody) is called before that, with what is read so far (its ledger, say); -1 with an error
 * refuses it.
 */
typedef int conf_ready_fn(void *ctx, const struct conf *conf, struct err *e);
int conf_load(const char *path, conf_ready_fn *ready, void *ctx, struct conf **out,
	      struct err *e);

/* The same without the cross-checks: it is to be changed before them (conf_edit.h). */
int conf_read(const char *path, conf_ready_fn *ready, void *ctx, struct conf **out,
	      struct err *e);

/*
 * A configuration of defaults, without accounts. Owned by the caller (conf_free); NULL only if
 * there is no memory.
 */
struct conf *conf_default(void);

/* The same cross-checks that conf_load makes, for a conf that was built by hand. */
int conf_check(const struct conf *c, struct err *e);

/* Those that do not concern what is learned from. */
int conf_check_base(const struct conf *c, struct err *e);

void conf_free(struct conf *c);

#endif
