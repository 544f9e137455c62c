/*
 * process.h - the processes of a simulation, in the place of base/process.c: each has a stack
 * of its own, and they take turns where one of them waits. Only then time passes.
 */
#ifndef SIM_PROCESS_H
#define SIM_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <ucontext.h>

#include "base/process.h"

enum { MAX_TASKS = 24, SHARED_MAX = 2048, MAX_SHARES = 200 };

struct sim;

struct task {
	ucontext_t at;
	pid_t pid; /* 0: this slot is free */
	struct process what;
	int to;		     /* owned: the end of a pipe that it writes to; -1 */
	struct task *parent; /* NULL: nobody waits for it */
	bool ended;
	bool killed;		  /* nothing that it does has an effect any more */
	int stop;		  /* the signal that asks it to end */
	bool child, reload, look; /* SIGCHLD, SIGHUP and SIGUSR1 came */
	int64_t beyond;		  /* time that passes for it alone, for it was killed */
	int64_t wake_at;
	uint64_t since;		/* of those with the same time the smallest goes first */
	unsigned step, kill_at; /* of watch: its calls into the world */
	void *shared;		/* borrowed: the memory that it has with its parent */
	size_t shared_size;
	char last[SHARED_MAX]; /* that memory, as it was when it was killed */
};

struct share {
	void *p; /* owned */
	size_t size;
	struct task *owner;
};

struct tasks {
	struct task task[MAX_TASKS];
	struct task *now; /* whose turn it is; NULL: nobody's, the history goes on */
	struct share share[MAX_SHARES];
	int n_shares;
	pid_t last_pid;
	uint64_t turns;
	int64_t until; /* when the history goes on */
};

/* Where a process of this simulation calls us, it is this one. */
void tasks_begin(struct sim *s);

/* Kill them all. */
void tasks_end(struct sim *s);

/* A process that nobody waits for begins at its next turn. NULL: there are too many. */
struct task *task_new(struct sim *s, const struct process *what);

/* Let milliseconds pass: of the process at work, or, where there is none, for all of them. */
void tasks_pass(struct sim *s, int64_t ms);

/* Something may have come for it. NULL is fine. */
void task_wake(struct sim *s, struct task *t);

/* Send it a signal, also to the one at work. */
void task_signal(struct sim *s, struct task *t, int sig);

/* The process at work is killed here. */
void task_dies(struct sim *s);

#endif
