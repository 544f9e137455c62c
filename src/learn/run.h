/*
 * run.h - what learn, expire and run have in common: everything that is open in a run, and the
 * way through accounts and sources, with connections that break.
 */
#ifndef LS_RUN_H
#define LS_RUN_H

#include "base/err.h"
#include "conf/conf.h"
#include "learn/backend.h"
#include "learn/expire.h"
#include "learn/pipeline.h"
#include "learn/trust.h"
#include "ledger/ledger.h"
#include "ledger/reporter.h"
#include "output/output.h"
#include "rspamd/rspamd.h"
#include "source/account.h"

enum {
	RUN_PATIENCE = 10,     /* seconds for a log-in, as long as other accounts wait */
	RUN_RECONNECTS = 3,    /* to one account in a row, without a message between */
	RUN_BREAKS = 20,       /* of one account's connection in a run */
	RUN_OPEN_MAX = 64,     /* accounts that stay connected between two passes */
	RUN_UNTRUSTED_MIN = 3, /* untrusted reports that are an alarm, if they are the most */
};

/* What a run is asked to do. */
struct run_options {
	bool dry_run;
	int64_t max;		    /* messages at most; -1: no limit */
	const char *const *account; /* borrowed: only these accounts ... */
	size_t n_accounts;	    /* 0: all */
	const char *const *path;    /* borrowed: instead, these files ... */
	size_t n_paths;		    /* 0: none */
	enum mail_class class;	    /* ... as this */
};

struct run {
	struct run_options options;
	const struct conf *conf; /* borrowed */
	struct output *output;	 /* borrowed; output->status is that of the first error */
	struct ledger *ledger;	 /* owned, as all below */
	struct accounts accounts;

	/* in a run that learns */
	struct rspamd *rspamd;
	struct backend backend;
	struct rspamd_stat before; /* what rspamd said of itself at the start */
	struct pipeline *pipeline;
	struct trust *trust;
	struct reporter_key reporter_key;

	struct expire expire;
};

/*
 * Open what the run needs, in this order: ledger and, where output->learns is set, rspamd,
 * which must be able to learn. The caller has set options, conf and output. 0, or -1 with an
 * error; run_close in both cases.
 */
int run_open(struct run *r, struct err *e);

/*
 * The part of run_open that comes after ledger, accounts, rspamd and reporter_key are there:
 * for a simulator, which brings its own. run_close as above.
 */
int run_begin(struct run *r, struct err *e);
void run_close(struct run *r);

/*
 * Learn and expire, as the output says. An error of a source or an account is printed and
 * noted, and the others go on; a connection that breaks is made again, with pauses. Returns 0,
 * or -1 with an ERR_FATAL error, after which nothing is expired.
 */
int run_all(struct run *r, struct err *e);

/* Is this account one of those that are asked for? */
bool run_wants(const struct run_options *o, const char *account);

#endif
