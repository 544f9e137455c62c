/*
 * conf.h - the configuration: read by libconfuse, checked as a whole, then constant.
 * learnspool.conf(5) says what each key means; conf.c holds the defaults.
 */
#ifndef LS_CONF_H
#define LS_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "class.h"
#include "err.h"
#include "secret.h"

enum { CONF_NEVER = -1 }; /* a duration that never comes */

enum {
	CONF_MAX_FILE = 1 << 20,      /* bytes of a configuration */
	CONF_MAX_MESSAGE = 100 << 20, /* bytes, the largest max-size */
	CONF_MAX_ACCOUNTS = 10000,
	CONF_MAX_MAILBOXES = 1000, /* of one account */
	CONF_MAX_NAME = 240,	   /* bytes; two such names fit into one key of LMDB (511) */
};

/* keep = true: the mail is its user's own and retention never touches it. */
enum conf_keep { CONF_KEEP_UNSAID = 0, CONF_KEEP_NO, CONF_KEEP_YES };

/* One mailbox of an account, or one special use. */
struct conf_mailbox {
	char *name;	  /* UTF-8; "\\Junk" for a special use (RFC 6154) */
	bool special_use; /* name is a special-use attribute, backslash and all */
	enum mail_class class;
	bool seen_only;		/* learn only what its user has read (\Seen) */
	enum conf_keep keep;	/* as written here or for the whole account */
	bool expire;		/* retention applies: a collection mailbox, not a user's own */
	enum conf_keep trusted; /* as written here or for the whole account */
	bool proof;   /* mail here must prove that it is a report (struct conf_reports) */
	int64_t hold; /* seconds; struct conf_reports' unless said here */
};

enum conf_auth {
	CONF_AUTH_PASSWORD, /* SASL PLAIN or LOGIN, whichever the server offers */
	CONF_AUTH_OAUTHBEARER,
	CONF_AUTH_XOAUTH2,
};

struct conf_account {
	char *name;    /* what logs and the ledger call it; unique */
	char *url;     /* imaps://host[:port] or imap://host[:port], nothing behind it */
	char *user;    /* login name; the account's name by default */
	bool insecure; /* imap:// may go on without STARTTLS */
	char *ca_file; /* PEM; NULL: the system's */
	enum conf_auth auth;
	struct secret_source password; /* the access token with the OAuth mechanisms */
	int timeout;		       /* seconds that a server may be silent */
	enum conf_keep keep, trusted;  /* for every mailbox that does not say it itself */
	struct conf_mailbox *mailboxes;
	size_t n_mailboxes; /* at least 1 */
};

struct conf_spool {
	char *path; /* absolute; holds spam/ and ham/ */
};

struct conf_rspamd {
	char *url;     /* http:// or https://, a path prefix allowed, no trailing slash */
	bool insecure; /* the password may cross a network over http:// */
	struct secret_source password;
	char *ca_file;	  /* PEM; NULL: the system's */
	int connections;  /* requests in flight, 1..64 */
	int timeout;	  /* seconds for one request */
	int tries;	  /* how often a message is sent before it counts as failed this run */
	bool bulk;	  /* Learn-Type: bulk (skips rspamd's "already sure" guard) */
	char *classifier; /* Classifier header; NULL: every classifier */
	char *deliver_to; /* Deliver-To header; NULL: none */
	bool deliver_to_reporter; /* deliver-to = reporter: the address of who reported */
};

/* Which reports count. */
struct conf_reports {
	struct secret_source token; /* what the Sieve scripts put into X-Learnspool-Report */
	char *senders;	/* allowed envelope senders: addresses and @domains; NULL: any */
	char *received; /* allowed addresses in Received above the marker; NULL: loopback */
	int quorum;	/* different reporters that must agree; 1: off */
	int64_t quorum_within; /* seconds after which a report without a quorum is settled */
	int64_t hold;	       /* seconds that a report lies before it counts; 0: off */
};

/* \Deleted and UID EXPUNGE, or a move to retention.move_to. */
enum conf_action { CONF_DELETE, CONF_MOVE };

/* Ages since settling, in seconds, or CONF_NEVER, which is their default but for forget. */
struct conf_retention {
	int64_t learned;
	int64_t known;	   /* as learned, unless said */
	int64_t skipped;   /* unlearnable, oversized, encrypted, overruled */
	int64_t untrusted; /* as skipped, unless said */
	int64_t failed;	   /* never, unless the administrator says so */
	int64_t forget;	   /* ledger records of what was not touched for so long */
	enum conf_action action;
	char *move_to;	      /* CONF_MOVE: a mailbox name, UTF-8 */
	int max_per_run;      /* messages, all accounts together */
	bool without_uidplus; /* a plain EXPUNGE where the server has no UIDPLUS */
};

struct conf {
	struct conf_rspamd rspamd;
	char *ledger; /* directory */
	struct conf_account *accounts;
	size_t n_accounts;
	struct conf_spool *spools;
	size_t n_spools;
	struct conf_reports reports;
	struct conf_retention retention;
	uint32_t max_size;   /* bytes; a larger message is skipped */
	bool skip_encrypted; /* PGP/MIME, S/MIME enveloped and inline PGP are not learned */
};

/*
 * Read and check path. On success *out is owned by the caller (conf_free). Every secret_source
 * has passed secret_check; an account without one has IMAP_PASSWORD of the environment, rspamd
 * RSPAMD_PASSWORD, where these are set. Returns 0, or -1 with an ERR_FATAL/ERR_CONFIG error of
 * the form "FILE:LINE: what is wrong; the cure". For what is missing in a block LINE is where
 * the block ends, for what is missing in the whole file its last line. Nothing is contacted,
 * nothing is printed. Not for two threads at a time: libconfuse's lexer is one for the process.
 */
int conf_load(const char *path, struct conf **out, struct err *e);

/* Does the policy ever remove anything? */
bool conf_retention_active(const struct conf_retention *r);

/*
 * A configuration of defaults with no account, for the old command line: localhost:993,
 * http://localhost:11334. NULL only without memory.
 */
struct conf *conf_default(void);

/* The same cross-checks that conf_load makes, for a conf that was put together by hand. */
int conf_check(const struct conf *c, struct err *e);

void conf_free(struct conf *c);

#endif
