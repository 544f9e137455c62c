/*
 * sim.h - one simulation: a world that learnspool works in, the program's own code in it, and
 * what is known to be true. Everything hangs on struct sim; nothing in it outlives a history.
 *
 *   history.c  what happens, drawn from a seed         world.c   mailboxes, and what people do
 *   server.c   the mail server, as the program sees it spamd.c   rspamd, likewise
 *   disk.c     the store below the ledger              time.c    the clock
 *   model.c    the truth, and what must hold           play.c    runs of the program in between
 *   watching.c watch, and what must hold of it         quiet.c   ... where nothing fails
 *   process.c  the processes that it has       folder_watch.c   the folders that it watches
 *   stalwart.c a server of another kind, and what happens to it
 *   shrink.c   makes a history that fails short        main.c    seeds, on all processors
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/conf.h"
#include "disk.h"
#include "history.h"
#include "ledger/reporter.h"
#include "model.h"
#include "process.h"
#include "rng.h"
#include "spamd.h"
#include "watching.h"
#include "world.h"

enum { FAILURE_MAX = 400 };

struct run;

/* The program's own, in the place of which the simulator's are linked (Makefile). */
void __real_run_close(struct run *r);

struct sim {
	const struct history *history;
	const struct setup *setup;
	bool trace; /* print what happens */
	struct conf conf;
	struct reporter_key key;
	char names[MAX_ACCOUNTS][24], owners[USERS + 1][32];

	int64_t now, ms, latest; /* the clocks; the latest date that there ever was */
	struct world world;
	struct spamd spamd;
	struct disk disk;
	struct model model;
	struct tasks tasks;
	struct watching watching;

	/* of the run at work */
	bool locked;	      /* there is one, and has the lock of the ledger */
	struct task *at_work; /* its process; NULL: it has none of its own */
	const struct faults *faults;
	uint64_t fault_seed;
	unsigned step;
	bool orderly; /* everything comes in order, so that two runs do the same */
	bool dead;    /* killed: nothing has an effect any more */
	const struct event *due[MAX_EVENTS]; /* what happens in the middle of it */
	int n_due;

	const char *broken;	   /* the first check that failed; static text */
	char failure[FAILURE_MAX]; /* and how */
};

/*
 * Every call of the program into the world, and each half of a change, is a step. False when
 * the program is killed here, or was before.
 */
bool sim_step(struct sim *s);

/* A check has failed. what is static text and names the check. */
void sim_fail(struct sim *s, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

void sim_trace(const struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The error of a program that was killed. Returns -1. */
int sim_killed(struct err *e);

/*
 * A run begins, with these faults: open r, as run_open does. -1 with an error, also where
 * another run has the lock; only in that case it is not to be closed.
 */
int sim_open_run(struct sim *s, struct run *r, const struct faults *f, uint64_t seed,
		 struct err *e);

/* It ends. complete: it came to its end, without a limit, and nothing failed. */
void sim_close_run(struct sim *s, struct run *r, bool complete);

extern const struct output_ops sim_watch_ops;

/* The run of the program that the event says. */
void sim_run(struct sim *s, const struct event *ev);

/* Play the whole history; s->broken says whether something failed. */
void sim_play(struct sim *s, const struct history *h, bool trace);

/* Drop events and faults of h as long as the same check fails. */
void history_shorten(struct history *h, const char *broken);

/* ---- time.c ---- */

/* The run at work waits. */
void sim_wait(struct sim *s, int64_t ms);

/* The program's clock is that of this simulation (NULL: the machine's). */
void time_of(struct sim *s);

#endif
