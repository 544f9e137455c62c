/*
 * runner.h - a run over one account in a process of its own, for watch: what hangs in it holds
 * up nobody who waits here, and its memory goes with it. It does the same as the command run.
 */
#ifndef LS_RUNNER_H
#define LS_RUNNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "conf/conf.h"
#include "output/output.h"

/* What is to be done; all borrowed until the process has started. */
struct runner_job {
	const struct conf *conf;
	const char *account;
	bool expires; /* the old mail, too */
	int64_t max;  /* messages that are learned at most; -1: no limit */
	const struct output_ops
	    *ops; /* what is printed, as by run, but for what is idle talk */
	bool quiet, verbose;
};

/* What came of it. */
struct runner_end {
	bool settled;	 /* some messages were, or some were removed */
	bool more;	 /* messages are left, and some were settled: it is worth another run */
	bool held;	 /* messages wait for their time */
	bool unanswered; /* rspamd did not answer some, as when it has lost its Redis */
	uint64_t learned;
	struct err error; /* ERR_NONE; ERR_FATAL: nobody's run can work; else this account's */
};

struct runner_facts;

struct runner {
	pid_t pid;		    /* 0: none */
	struct runner_facts *facts; /* owned, shared with the process; NULL before the first */
	uint64_t beats;
	int64_t beat_at; /* clock_ms() when it was last seen getting on */
	int64_t stopped; /* ... when it was asked to stop; 0: it was not */
};

/* Start one. SIGCHLD comes when it has ended. 0, or -1 with ERR_FATAL/ERR_LOCAL. */
int runner_start(struct runner *r, const struct runner_job *job, struct err *e);

/* Has it ended? Then *end is what came of it. Never waits. */
bool runner_ended(struct runner *r, struct runner_end *end);

/*
 * Milliseconds for which the account that it works on has not got on, the ledger and rspamd
 * being there.
 */
int64_t runner_stuck_ms(struct runner *r);

/* Have it stop at once, with what is settled recorded; asked again much later: kill it. */
void runner_stop(struct runner *r);

/* The same, and wait for its end. None is fine. */
void runner_close(struct runner *r);

#endif
