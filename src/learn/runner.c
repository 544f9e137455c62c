#include "learn/runner.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/process.h"
#include "base/stop.h"
#include "learn/run.h"

enum {
	STOP_MS = 2 * STOP_GRACE_MS, /* it may take to stop; then it is killed */
	STEP_MS = 10,		     /* between two looks whether it has ended */
};

/* Shared between the two processes; everything but the beats is read when it has ended. */
struct runner_facts {
	atomic_uint_least64_t beats; /* 0: the ledger and rspamd are not there yet */
	bool done;
	struct runner_end end;
};

/* ---- its output ---- */

/* Passes on what is printed, and tells the parent that the run gets on. */
struct beating {
	struct output output;
	struct runner_facts *facts;
	const struct output_ops *ops;
	bool terse; /* without what is the same each time */
};

static struct beating *beating_of(struct output *o)
{
	return (struct beating *)o;
}

static uint64_t settled_in(const struct tally *t)
{
	uint64_t n = 0;

	for (int g = 0; g < GROUPS; g++)
		if (g != GROUP_HELD && g != GROUP_FAILED)
			n += tally_group(t, (enum outcome_group)g);
	return n;
}

/* What would be said again in each run, as long as nothing happens. */
static bool is_idle_talk(const struct tally *t)
{
	return settled_in(t) == 0 &&
	       tally_group(t, GROUP_FAILED) == t->outcome[OUTCOME_UNANSWERED];
}

/* Returns where it is printed. */
static const struct output_ops *beat(struct output *o)
{
	atomic_fetch_add(&beating_of(o)->facts->beats, 1);
	return beating_of(o)->ops;
}

static void start(struct output *o)
{
	if (!beating_of(o)->terse)
		beating_of(o)->ops->start(o);
}

static void mailbox(struct output *o, struct output_place p, uint64_t n)
{
	beat(o)->mailbox(o, p, n);
}

static void message(struct output *o, const struct output_message *m)
{
	const struct output_ops *to = beat(o);

	/* That is tried again and again, and watch says once that it is. */
	if (!beating_of(o)->terse || o->verbose || m->outcome != OUTCOME_UNANSWERED)
		to->message(o, m);
}

static void marked(struct output *o, struct output_place p, uint64_t n, const char *mark)
{
	beat(o)->marked(o, p, n, mark);
}

static void mailbox_end(struct output *o, struct output_place p, const struct tally *t,
			const char *why)
{
	const struct output_ops *to = beat(o);

	if (!beating_of(o)->terse || !is_idle_talk(t))
		to->mailbox_end(o, p, t, why);
}

static void expired(struct output *o, struct output_place p, uint32_t id,
		    const struct record_message *what, int64_t age)
{
	beat(o)->expired(o, p, id, what, age);
}

static void expire_end(struct output *o, struct output_place p, const struct tally *t)
{
	beat(o)->expire_end(o, p, t);
}

static void rspamd(struct output *o, const struct output_rspamd *r)
{
	beating_of(o)->ops->rspamd(o, r);
}

static void summary(struct output *o, double seconds)
{
	if (!beating_of(o)->terse)
		beating_of(o)->ops->summary(o, seconds);
}

static void error(struct output *o, const char *account, const char *text, int exit_status)
{
	beating_of(o)->ops->error(o, account, text, exit_status);
}

static const struct output_ops beating_ops = {
    start, mailbox, message, marked, mailbox_end, expired, expire_end, rspamd, summary, error,
};

/* ---- the process ---- */

static void sum_up(const struct output *o, struct runner_end *end)
{
	const struct tally *t = &o->total;
	uint64_t settled = settled_in(t);

	end->settled = settled > 0 || tally_expired(t) > 0;
	end->more = (t->left > 0 || t->left_or_more) && settled > 0;
	end->held = tally_group(t, GROUP_HELD) > 0;
	end->unanswered = t->outcome[OUTCOME_UNANSWERED] > 0;
	end->learned = t->outcome[OUTCOME_LEARNED];
}

static void do_run(const struct runner_job *job, struct runner_facts *facts)
{
	struct runner_end *end = &facts->end;
	struct beating beating = {
	    .output = {.ops = &beating_ops,
		       .quiet = job->quiet,
		       .verbose = job->verbose,
		       .learns = true,
		       .expires = job->expires,
		       .first_error = &end->error,
		       .command = "watch"},
	    .facts = facts,
	    .ops = job->ops,
	    .terse = job->ops == &output_text,
	};
	struct output *o = &beating.output;
	struct run r = {
	    .options = {.max = job->max, .account = &job->account, .n_accounts = 1},
	    .conf = job->conf,
	    .output = o,
	};
	struct err e;

	output_start(o);
	if (run_open(&r, &e) == -1) {
		output_fail(o, NULL, &e);
	} else {
		(void)beat(o);
		/* Once a day, as in any run. */
		r.expire.left = r.conf->retention.max_per_run;
		if (run_all(&r, &e) == -1)
			output_fail(o, NULL, &e);
	}
	sum_up(o, end);
	if (!beating.terse || end->settled)
		output_summary(o);
	run_close(&r);
}

struct running {
	struct runner_job job;
	struct runner_facts *facts;
};

static void work(const void *ctx, int to)
{
	const struct running r = *(const struct running *)ctx;

	(void)to;
	do_run(&r.job, r.facts);
	fflush(stdout);
	r.facts->done = true;
}

/* ---- its parent ---- */

static int cannot_start(struct err *e)
{
	return err_set(e, ERR_FATAL, ERR_LOCAL, "no process can be started for a run: %s",
		       strerror(errno));
}

int runner_start(struct runner *r, const struct runner_job *job, struct err *e)
{
	struct running what = {.job = *job};
	const struct process p = {"learnspool-run", work, &what};
	pid_t pid;

	if (r->facts == NULL && (r->facts = process_share(sizeof *r->facts)) == NULL)
		return cannot_start(e);
	memset(r->facts, 0, sizeof *r->facts);
	what.facts = r->facts;
	pid = process_start(&p, NULL);
	if (pid == -1)
		return cannot_start(e);
	r->pid = pid;
	r->beats = 0;
	r->beat_at = clock_ms();
	r->stopped = 0;
	return 0;
}

static void take_end(const struct runner *r, int status, struct runner_end *end)
{
	*end = r->facts->end;
	if (r->facts->done)
		return;
	*end = (struct runner_end){.more = true};
	if (r->stopped)
		stop_error(&end->error);
	else
		err_set(&end->error, r->beats > 0 ? ERR_SERVER : ERR_FATAL, ERR_LOCAL,
			"a run was ended by signal %d; the next one takes up what it left",
			WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

bool runner_ended(struct runner *r, struct runner_end *end)
{
	int status;

	if (r->pid == 0)
		return false;
	(void)runner_stuck_ms(r);
	if (!process_ended(r->pid, &status))
		return false;
	r->pid = 0;
	take_end(r, status, end);
	return true;
}

int64_t runner_stuck_ms(struct runner *r)
{
	uint64_t beats = r->pid ? atomic_load(&r->facts->beats) : 0;

	if (beats != r->beats || beats == 0)
		r->beat_at = clock_ms();
	r->beats = beats;
	return clock_ms() - r->beat_at;
}

void runner_stop(struct runner *r)
{
	int64_t now = clock_ms();

	if (r->pid == 0)
		return;
	if (r->stopped == 0)
		process_signal(r->pid, SIGTERM);
	else if (now - r->stopped > STOP_MS)
		process_signal(r->pid, SIGKILL);
	if (r->stopped == 0)
		r->stopped = now;
}

void runner_close(struct runner *r)
{
	struct runner_end ignored;

	while (r->pid != 0 && !runner_ended(r, &ignored)) {
		runner_stop(r);
		clock_pause(STEP_MS);
	}
	if (r->facts)
		process_unshare(r->facts, sizeof *r->facts);
	r->facts = NULL;
}
