/*
 * watch.h - staying up: an idler listens to each account (source/idler.h), and what is new is
 * learned by runs over the account concerned, one at a time (runner.h). The caller waits, and
 * has it take its turns. Nothing in here waits for a server.
 *
 * No news is lost: an account is due from the moment that its idler has begun to listen, again
 * with everything that the idler tells from then on, also while its run goes on, and stays due
 * until a run over it has come to its end.
 */
#ifndef LS_WATCH_H
#define LS_WATCH_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/conf.h"
#include "output/output.h"

enum {
	WATCH_PATIENCE_MS = 10000, /* for a run that does not get on, while others wait */
	WATCH_SLICE = 1000,	   /* messages of one account, while others wait */
	WATCH_TURN_MAX_MS = 60000, /* from one turn to the next: clocks may jump */
	WATCH_STATUS_MAX = 256,
};

struct watch_options {
	const char *const *account; /* borrowed: only these accounts ... */
	size_t n_accounts;	    /* 0: all */
	const struct output_ops *ops;
	bool quiet, verbose;
};

struct watch;

/*
 * Watch what conf (owned from now on, also where this fails) says. Nothing is started before
 * the first turn. NULL with ERR_FATAL.
 */
struct watch *watch_open(struct conf *conf, const struct watch_options *o, struct err *e);

/* End the idlers, and the run that goes on: what is settled is recorded. NULL is fine. */
void watch_close(struct watch *w);

/*
 * Do what is to be done now: take what the idlers say, start those that are missing, begin and
 * end runs. Returns the milliseconds after which it wants its next turn, at most
 * WATCH_TURN_MAX_MS; it wants one also when something of watch_poll is ready, and at SIGCHLD.
 */
int watch_turn(struct watch *w);

/* What to wait for: *p is borrowed, valid until the next turn. Returns how many. */
size_t watch_poll(struct watch *w, struct pollfd **p);

/* Look at everything now, whatever failed before. */
void watch_now(struct watch *w);

/* One line for people: what it waits for, and what it has still to do. */
void watch_status(const struct watch *w, char text[WATCH_STATUS_MAX]);

#endif
