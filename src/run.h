/*
 * run.h - what learn, expire and run have in common: everything that is open in a run, and the
 * way through the accounts and mailboxes, with connections that break.
 */
#ifndef LS_RUN_H
#define LS_RUN_H

#include "cmd.h"
#include "err.h"
#include "expire.h"
#include "ledger.h"
#include "pipeline.h"
#include "report.h"
#include "rspamd.h"
#include "source.h"

enum { RUN_RECONNECTS = 3 }; /* to one account, after a connection broke */

struct run {
	const struct cmd_options *options; /* borrowed */
	struct conf *conf;		   /* owned, as all below */
	struct ledger *ledger;
	struct rspamd *rspamd;	   /* NULL in a run that learns nothing */
	struct pipeline *pipeline; /* likewise */
	struct trust *trust;	   /* likewise */
	struct reporter_key reporter_key;
	struct expire expire; /* not owned: what run_expire works with */
	struct report report;
	int status; /* exit status of the first error; later ones are only said */
};

/*
 * Open what the run needs, in this order: configuration, ledger and, where report.learns is
 * set, rspamd, which must be able to learn. The caller has set options and report. 0, or -1
 * with an error; run_close in both cases.
 */
int run_open(struct run *r, struct err *e);
void run_close(struct run *r);

/* Do something to one mailbox. 0, or -1 with an error. */
typedef int run_fn(struct run *r, struct source *s, struct err *e);

/*
 * Call fn for each mailbox of the accounts that are wanted, as far as want (NULL: all) says so.
 * An error of a mailbox or an account is said and noted, and the others go on; a connection
 * that breaks is made again, with pauses, RUN_RECONNECTS times. Returns 0, or -1 with an
 * ERR_FATAL error.
 */
int run_visit(struct run *r, bool (*want)(const struct conf_mailbox *), run_fn *fn,
	      struct err *e);

/* Say the error and note its exit status. */
void run_fail(struct run *r, const struct err *e);

/* The two jobs. 0, or -1 with an ERR_FATAL error. */
int run_learn(struct run *r, struct err *e);
int run_expire(struct run *r, struct err *e);

#endif
