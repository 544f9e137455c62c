/*
 * watching.h - histories in which watch does the runs: what it hears, what goes wrong around
 * it, and what must hold. It is the program's own, from the command on (cmd_watch.c), as a
 * process of process.h.
 *
 * Beyond what must hold of every run (model.h): what arrived is learned in time, once nothing
 * fails any more, and soon where it was told; no account waits for another that hangs or
 * floods; there are no more runs and turns than what happens is worth; no account has two
 * idlers, and there is one run at a time; each day's expiry is done once, and recorded when it
 * was; a signal ends it in time, and nothing else does.
 */
#ifndef SIM_WATCHING_H
#define SIM_WATCHING_H

#include <stdbool.h>
#include <stdint.h>

#include "history.h"
#include "source/account.h"

enum {
	SIM_WHOLE_MS = 3000,
	LATE_MS = 20000, /* some news come so late */
	HANG_S = 200,	 /* a run with a server that hangs has ended */
	SLICE = 4,	 /* messages, where watch says WATCH_SLICE: a small world */
};

struct sim;
struct task;
struct run;
struct faults;

/* So many are allowed, and more as time passes. */
struct allowance {
	int64_t ms; /* what is left, in the time that it takes to get it back */
	int64_t at;
};

/* An account, as watch hears and finds it. */
struct ear {
	bool away, refused, deaf, floods, breaks;
	int hangs;	    /* 1; 2: and does not stop when it is asked to */
	struct task *idler; /* borrowed: who listens to it; NULL */
	int64_t news_at;    /* when the next news are to be told; INT64_MAX: there are none */
	int news;	    /* ... how often */
	bool expired;	    /* since it was recorded last that all were */
	unsigned expiries;  /* runs that did */
	bool waits;	    /* it was told, and has had no run since ... */
	int passed[MAX_ACCOUNTS]; /* ... and these have had so many */
	struct allowance runs, logins;
};

struct watched_folder {
	char path[2]; /* its account's number */
	bool news;    /* that are to be told at the next look */
};

struct watching {
	bool on;	   /* this history has a watch */
	struct task *task; /* its process; NULL: there is none now */
	int64_t start_at;  /* ... and it is started again then */
	int64_t asked_at;  /* to end, by a signal; 0: it was not */
	bool fair;	   /* one account floods, and none fails: each has its turn */
	bool no_fork, disk_full, blind, bad_conf;
	struct ear ear[MAX_ACCOUNTS];
	struct watched_folder folder[MAX_ACCOUNTS];
	int event_fd;		   /* of the folder watch that is open; -1 */
	const struct faults *next; /* of the next run */
	struct run *run;	   /* the one that has the lock */
	unsigned runs;
	struct allowance turns;
	bool jumped;   /* the clock on the wall did ... */
	bool set_back; /* ... since it expired last */
	bool recorded; /* when it expired last; and when that was */
	int64_t expired_at;
};

void watching_new(struct sim *s);

/* What the folders of this one have is what folder_watch.c tells. */
void folder_watch_of(struct watching *w);

/* ---- the history ---- */

/* Time passes before this event. */
void watching_before(struct sim *s, const struct event *ev);

/* An EVENT_WATCH, and an EVENT_RUN, which is a run beside it. */
void watching_event(struct sim *s, const struct event *ev);
void watching_run(struct sim *s, const struct event *ev);

/* Nothing fails any more: is all learned, and in time? In the end there is no watch (quiet.c).
 */
void watching_quiet(struct sim *s);

/* Time passes; watch is started where there is none. */
void watching_pass(struct sim *s, int64_t ms);

/* Until there is no run at work, but for so long at most: it may hang. */
void watching_pass_run(struct sim *s, int seconds);

/* Send it a signal. */
void watching_ask(struct sim *s, int sig);

/* Many reports come at once. */
void watching_many(struct sim *s, const struct event *ev);

/* The day that begins with the time of the day of expire-at; the simulation is in UTC. */
int64_t watching_day(const struct sim *s, int64_t when);

/* ---- what the world says ---- */

void watching_arrives(struct sim *s, int mail);

/* After this event no server tells of what is to be done again. */
void watching_loses(struct sim *s, const struct event *ev);

/* ---- what watch does ---- */

/* A call of watch into the world, at which it may be killed: false when it was. */
bool watching_step(struct sim *s);

/* It starts a process: a run, or an idler. */
void watching_starts(struct sim *s, bool run);

/* It has had a turn. */
void watching_turned(struct sim *s);

/* ---- the server, as it is for this account ---- */

/* Wait as long as it hangs. 0, or -1 when the program, or its patience, ended. */
int watching_hangs(struct sim *s, int account, struct err *e);
int watching_refuses(struct sim *s, int account, struct err *e);

/* The life of an idler (struct account_ops' listen). */
int watching_listen(struct sim *s, int account, const struct account_listener *l,
		    struct err *e);

#endif
