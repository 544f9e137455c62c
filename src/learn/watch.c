#include "learn/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/daily.h"
#include "base/log.h"
#include "imap/imap_idle.h"
#include "learn/expired_at.h"
#include "learn/folders.h"
#include "learn/run.h"
#include "learn/runner.h"
#include "learn/trouble.h"
#include "source/account.h"
#include "source/idler.h"

enum {
	AGAIN_MS = 1000,	  /* after the first failure ... */
	AGAIN_MAX_MS = 300000,	  /* ... and after many, of an account */
	REFUSED_MS = 60000,	  /* A password is not tried as often: Stalwart shuts out */
	REFUSED_MAX_MS = 3600000, /* for ever who tries a wrong one 100 times a day. */
	FATAL_MS = 500,		  /* the same of rspamd and the ledger */
	FATAL_MAX_MS = 30000,
	STEADY_MS = 60000, /* an idler that lived so long did not fail at its start */
	STARTS = 10,	   /* idlers at most ... */
	STARTS_MS = 100,   /* ... in so long, however many turns there are */
	IN_VAIN = 3,	   /* runs over news that were none; then they come slower */
	IN_VAIN_MS = 200,
};

struct watched {
	struct account *account; /* borrowed */
	struct idler idler;
	struct trouble listening, running;
	unsigned deaths; /* of idlers, in a row */
	int64_t ready_at, start_at;

	bool due, expire; /* a run is to be made; it is to expire, too */
	bool told;	  /* ... because there was news */
	bool unserved; /* its last run lacked rspamd or the ledger, for some messages or all */
	unsigned failures, in_vain;
	int64_t run_at;	 /* not before this */
	int64_t look_at; /* due then in any case */
	int64_t
	    whole_at; /* due then too: what was still being written is whole; 0: nothing is */
};

struct watch {
	struct conf *conf; /* owned, as all of these */
	struct watch_options options;
	struct accounts accounts;
	struct watched *of;
	struct pollfd *poll;
	size_t n;
	struct folders folders;
	int64_t starts_at; /* since then ... */
	int starts;	   /* ... so many idlers were started */

	struct runner runner;
	size_t at; /* the account of the run that goes on, or of the last */
	bool run_expires;
	struct trouble trouble; /* of rspamd or the ledger: nobody's run can work */
	unsigned failures;
	int64_t run_at; /* no run before this */
	int64_t expired_at;
	bool recorded; /* ... in its file */
	uint64_t learned;
	unsigned seed;
};

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static uint32_t dice(struct watch *w)
{
	return (uint32_t)rand_r(&w->seed);
}

static int64_t again_at(struct watch *w, unsigned failures, int64_t first, int64_t max)
{
	return clock_ms() + backoff_ms(failures, dice(w), first, max);
}

/* When an account is tried again that failed for this reason. */
static int64_t account_again_at(struct watch *w, unsigned failures, const struct err *e)
{
	return e->kind == ERR_AUTH ? again_at(w, failures, REFUSED_MS, REFUSED_MAX_MS)
				   : again_at(w, failures, AGAIN_MS, AGAIN_MAX_MS);
}

static bool is_listened_to(const struct watched *a)
{
	return a->account->ops->listen != NULL;
}

/* When an account is looked at although nothing was told: half of it by chance, or all would be
 * looked at in one moment. */
static int64_t next_look(struct watch *w, const struct watched *a, bool held)
{
	const struct conf_watch *c = &w->conf->watch;
	bool is_told = is_listened_to(a) || (a->account->ops->folder && w->folders.watch);
	int64_t ms = (int64_t)(is_told && !held ? c->rescan : c->poll) * 1000;

	return clock_ms() + ms / 2 + (int64_t)(dice(w) % (uint64_t)(ms / 2 + 1));
}

/* ---- idlers ---- */

static void start_idler(struct watch *w, struct watched *a)
{
	const struct account_listener times = {.poll_ms = w->conf->watch.poll * 1000,
					       .renew_ms = IMAP_RENEW_MS};
	struct err e;

	a->ready_at = 0;
	if (idler_start(&a->idler, a->account, &times, &e) == 0)
		return;
	trouble_begin(&a->listening, &e);
	a->start_at = again_at(w, ++a->deaths, AGAIN_MS, AGAIN_MAX_MS);
}

/* An idler has ended. Servers end sessions: only what cannot begin again is worth a line. */
static void bury_idler(struct watch *w, struct watched *a, const struct err *e)
{
	if (a->ready_at && clock_ms() - a->ready_at > STEADY_MS)
		a->deaths = 0;
	if (a->ready_at && a->deaths == 0)
		log_info("%s; listening again", e->text);
	else
		trouble_begin(&a->listening, e);
	a->start_at = account_again_at(w, ++a->deaths, e);
}

static void hear_idler(struct watch *w, struct watched *a)
{
	bool was_ready = a->idler.ready;
	struct err e;
	int rc = idler_take(&a->idler, &e);

	if (rc == -1) {
		if (e.kind == ERR_LOCAL)
			err_prefix(&e, "account %s", a->account->name);
		bury_idler(w, a, &e);
		return;
	}
	if (!was_ready && a->idler.ready) {
		a->ready_at = clock_ms();
		trouble_end(&a->listening, a->account->name);
	}
	if (rc == 1)
		a->due = a->told = true;
}

/* May an idler be started now? A server that was away is not to have all of them at once. */
static bool may_start(struct watch *w, int64_t now)
{
	if (now - w->starts_at >= STARTS_MS) {
		w->starts_at = now;
		w->starts = 0;
	}
	return w->starts++ < STARTS;
}

/* Returns when the next is to be started. */
static int64_t tend_idlers(struct watch *w)
{
	int64_t now = clock_ms(), next = INT64_MAX;

	for (size_t i = 0; i < w->n; i++) {
		struct watched *a = &w->of[i];

		if (!is_listened_to(a))
			continue;
		hear_idler(w, a);
		if (a->idler.pid != 0)
			continue;
		if (a->start_at <= now && may_start(w, now))
			start_idler(w, a);
		if (a->idler.pid == 0)
			next = earlier(next, a->start_at > now ? a->start_at
							       : w->starts_at + STARTS_MS);
	}
	return next;
}

/* ---- what is due ---- */

static void take_news(void *ctx, size_t account)
{
	struct watch *w = ctx;
	struct watched *a = &w->of[account];

	a->due = a->told = true;
	if (a->account->ops->whole_ms > 0)
		a->whole_at = clock_ms() + a->account->ops->whole_ms;
}

/* Of an account that cannot be listened to a run would fail, too: it waits for its idler. */
static bool can_run(const struct watched *a)
{
	return a->due && (!is_listened_to(a) || a->idler.ready);
}

/*
 * The first that is due of the n that come after the account of the last run, in turn; *next:
 * when there will be one.
 */
static bool choose(const struct watch *w, size_t n, size_t *chosen, int64_t *next)
{
	int64_t now = clock_ms();

	for (size_t k = 1; k <= n; k++) {
		size_t i = (w->at + k) % w->n;
		const struct watched *a = &w->of[i];

		if (!can_run(a))
			continue;
		if (a->run_at <= now) {
			*chosen = i;
			return true;
		}
		*next = earlier(*next, a->run_at);
	}
	return false;
}

static void mark_daily(struct watch *w)
{
	if (!daily_is_due(w->expired_at, clock_now(), w->conf->watch.expire_at))
		return;
	w->expired_at = clock_now();
	w->recorded = false;
	for (size_t i = 0; i < w->n; i++)
		w->of[i].due = w->of[i].expire = true;
}

/* Returns when the next one is due by time. */
static int64_t mark_due(struct watch *w)
{
	int64_t now = clock_ms(), next = INT64_MAX;

	mark_daily(w);
	for (size_t i = 0; i < w->n; i++) {
		struct watched *a = &w->of[i];

		if (a->look_at <= now) {
			a->due = true;
			a->look_at = next_look(w, a, false);
		}
		if (a->whole_at != 0 && a->whole_at <= now) {
			a->due = true;
			a->whole_at = 0;
		}
		next = earlier(next, a->look_at);
		if (a->whole_at != 0)
			next = earlier(next, a->whole_at);
	}
	return next;
}

/* ---- runs ---- */

static void begin_run(struct watch *w, size_t i)
{
	struct watched *a = &w->of[i];
	struct runner_job job = {
	    .conf = w->conf,
	    .account = a->account->name,
	    .expires = a->expire,
	    .max = WATCH_SLICE,
	    .ops = w->options.ops,
	    .quiet = w->options.quiet,
	    .verbose = w->options.verbose,
	};
	struct err e;

	w->at = i;
	if (runner_start(&w->runner, &job, &e) == -1) {
		trouble_begin(&w->trouble, &e);
		w->run_at = again_at(w, ++w->failures, FATAL_MS, FATAL_MAX_MS);
		return;
	}
	w->run_expires = a->expire;
	a->due = a->expire = false;
}

/*
 * It was done in all accounts: only now, or a day would be skipped where we are killed between.
 * An account that cannot be reached has it done with the others once more after a new start.
 */
static void record_daily(struct watch *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->of[i].expire)
			return;
	if (!w->recorded)
		w->recorded = expired_at_write(w->conf->ledger, w->expired_at);
}

/* A run went well. Where another account lacked them, it may have needed neither. */
static void end_trouble(struct watch *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->of[i].unserved && can_run(&w->of[i]))
			return;
	w->failures = 0;
	trouble_end(&w->trouble, "learning");
}

/*
 * rspamd did not answer some messages: as a rule it has lost its Redis. Only this account
 * waits, for it can be the fault of a message as well.
 */
static void end_unanswered_run(struct watch *w, struct watched *a)
{
	struct err e;

	err_set(&e, ERR_FATAL, ERR_UNREACHABLE,
		"rspamd %s: does not answer all messages; see whether it and its Redis run",
		w->conf->rspamd.url);
	trouble_begin(&w->trouble, &e);
	a->due = true;
	a->run_at = again_at(w, ++a->failures, AGAIN_MS, FATAL_MAX_MS);
}

/* Nothing was wrong with it, or nothing that another try would mend. */
static void end_good_run(struct watch *w, struct watched *a, const struct runner_end *end)
{
	end_trouble(w);
	record_daily(w);
	if (end->error.scope == ERR_NONE)
		trouble_end(&a->running, a->account->name);
	a->failures = 0;
	a->in_vain = !end->settled && a->told ? a->in_vain + 1 : 0;
	a->told = false;
	a->run_at = 0;
	if (a->in_vain > IN_VAIN)
		a->run_at = again_at(w, a->in_vain - IN_VAIN, IN_VAIN_MS,
				     (int64_t)w->conf->watch.poll * 1000);
	a->due = a->due || end->more;
	a->look_at = next_look(w, a, end->held);
}

static void end_run(struct watch *w, struct runner_end *end)
{
	struct watched *a = &w->of[w->at];
	struct err *e = &end->error;

	w->learned += end->learned;
	a->unserved = end->unanswered;
	if (e->scope == ERR_NONE || e->kind == ERR_DATA) {
		if (e->kind == ERR_DATA)
			trouble_begin(&a->running, e);
		if (end->unanswered)
			end_unanswered_run(w, a);
		else
			end_good_run(w, a, end);
		return;
	}
	a->due = true;
	a->expire = a->expire || w->run_expires;
	if (e->scope == ERR_FATAL && e->kind != ERR_CANCELLED) {
		a->unserved = true;
		trouble_begin(&w->trouble, e);
		w->run_at = again_at(w, ++w->failures, FATAL_MS, FATAL_MAX_MS);
		return;
	}
	if (e->kind == ERR_CANCELLED)
		err_set(e, ERR_SERVER, ERR_TEMPORARY,
			"account %s: its run did not get on and was stopped, for others wait",
			a->account->name);
	end_trouble(w);
	trouble_begin(&a->running, e);
	a->run_at = account_again_at(w, ++a->failures, e);
}

/* Have a run that hangs make room for others. Returns when to look at it again. */
static int64_t watch_over_run(struct watch *w)
{
	int64_t now = clock_ms(), stuck = runner_stuck_ms(&w->runner), next = INT64_MAX;
	size_t other;

	if (!choose(w, w->n - 1, &other, &next))
		return next;
	if (stuck < WATCH_PATIENCE_MS)
		return now + WATCH_PATIENCE_MS - stuck;
	runner_stop(&w->runner);
	return now + WATCH_PATIENCE_MS / 10;
}

static void take_end_of_run(struct watch *w)
{
	struct runner_end end;

	if (runner_ended(&w->runner, &end))
		end_run(w, &end);
}

static int64_t tend_runs(struct watch *w)
{
	int64_t next = INT64_MAX;
	size_t i;

	if (w->runner.pid == 0 && w->run_at <= clock_ms() && choose(w, w->n, &i, &next))
		begin_run(w, i);
	if (w->runner.pid != 0)
		return watch_over_run(w);
	return w->run_at > clock_ms() ? w->run_at : next;
}

/* ---- from outside ---- */

int watch_turn(struct watch *w)
{
	int64_t next = tend_idlers(w), ms;

	next = earlier(next, folders_take(&w->folders, take_news, w));
	take_end_of_run(w);
	next = earlier(next, mark_due(w));
	next = earlier(next, tend_runs(w));
	ms = next - clock_ms();
	return ms < 0 ? 0 : ms > WATCH_TURN_MAX_MS ? WATCH_TURN_MAX_MS : (int)ms;
}

size_t watch_poll(struct watch *w, struct pollfd **p)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n; i++)
		if (w->of[i].idler.fd != -1)
			w->poll[n++] = (struct pollfd){w->of[i].idler.fd, POLLIN, 0};
	if (folders_fd(&w->folders) != -1)
		w->poll[n++] = (struct pollfd){folders_fd(&w->folders), POLLIN, 0};
	*p = w->poll;
	return n;
}

void watch_now(struct watch *w)
{
	w->run_at = 0;
	for (size_t i = 0; i < w->n; i++) {
		w->of[i].due = true;
		w->of[i].run_at = w->of[i].start_at = 0;
	}
}

void watch_status(const struct watch *w, char text[WATCH_STATUS_MAX])
{
	size_t heard = 0, due = 0;

	for (size_t i = 0; i < w->n; i++) {
		heard += !is_listened_to(&w->of[i]) || w->of[i].idler.ready;
		due += w->of[i].due;
	}
	snprintf(text, WATCH_STATUS_MAX,
		 "%s%.100s; %zu of %zu accounts are listened to; %s%s; "
		 "%zu to be looked at; learned %llu",
		 w->trouble.lasts ? "Waiting: " : "Ready",
		 w->trouble.lasts ? w->trouble.text : "", heard, w->n,
		 w->runner.pid ? "busy with " : "idle",
		 w->runner.pid ? w->of[w->at].account->name : "", due,
		 (unsigned long long)w->learned);
}

static bool wants(const struct watch_options *o, const char *account)
{
	const struct run_options r = {.account = o->account, .n_accounts = o->n_accounts};

	return run_wants(&r, account);
}

static int open_all(struct watch *w, struct err *e)
{
	if (accounts_open(w->conf, &w->accounts, e) == -1)
		return -1;
	w->of = calloc(w->accounts.n + 1, sizeof *w->of);
	w->poll = calloc(w->accounts.n + 1, sizeof *w->poll); /* one is the folders' */
	if (w->of == NULL || w->poll == NULL)
		return err_no_memory(e);
	for (size_t i = 0; i < w->accounts.n; i++) {
		struct watched *a = &w->of[w->n];

		if (!wants(&w->options, w->accounts.account[i]->name))
			continue;
		a->account = w->accounts.account[i];
		a->due = true;
		a->look_at = next_look(w, a, false);
		idler_init(&a->idler);
		if (folders_add(&w->folders, a->account, w->n++, e) == -1)
			return -1;
	}
	/* Who is new expires when the time comes next; nothing is due yet. */
	w->expired_at = clock_now();
	w->recorded = expired_at_read(w->conf->ledger, &w->expired_at);
	return 0;
}

struct watch *watch_open(struct conf *conf, const struct watch_options *o, struct err *e)
{
	struct watch *w = calloc(1, sizeof *w);

	if (w == NULL) {
		conf_free(conf);
		err_no_memory(e);
		return NULL;
	}
	w->conf = conf;
	w->options = *o;
	w->seed = (unsigned)clock_ms() ^ (unsigned)clock_now();
	if (open_all(w, e) == 0)
		return w;
	watch_close(w);
	return NULL;
}

void watch_close(struct watch *w)
{
	if (w == NULL)
		return;
	for (size_t i = 0; i < w->n; i++)
		idler_stop(&w->of[i].idler);
	runner_close(&w->runner);
	folders_close(&w->folders);
	accounts_free(&w->accounts);
	free(w->of);
	free(w->poll);
	conf_free(w->conf);
	free(w);
}
