#include "watching.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/service.h"
#include "base/stop.h"
#include "command/cmd.h"
#include "learn/expired_at.h"
#include "learn/run.h"
#include "learn/watch.h"
#include "server.h"
#include "sim.h"

enum {
	START_MS = 2000,      /* systemd starts it again after this */
	END_MS = 25000,	      /* a signal ends it within this, whatever hangs */
	PATIENCE_MS = 120000, /* of a run with a server that hangs */
	FLOOD_MS = 50,	      /* between two news that are none ... */
	FLOOD = 500,
	FLOOD_REST_MS = 3000, /* ... and after so many, to save time */
	LOGIN_MS = 29000,     /* a wrong password may be tried in this time ... */
	LOGINS = 4,	      /* ... and so often at once */
	RUN_MS = 15000,	      /* an account may have a run in this time ... */
	RUNS = 40,	      /* ... and so many at once */
	TURN_MS = 20,
	TURNS = 3000,
	MANY = 10,
};

static struct sim *playing;

static struct task *now(void)
{
	return playing->tasks.now;
}

/* ---- allowances ---- */

static void allow(struct sim *s, struct allowance *a, int64_t ms, int64_t most)
{
	a->ms += s->ms - a->at + ms;
	a->at = s->ms;
	if (a->ms > most)
		a->ms = most;
}

/* Something happened that is worth so many runs of this account. */
static void allow_runs(struct sim *s, int account, int n)
{
	allow(s, &s->watching.ear[account].runs, (int64_t)n * RUN_MS, RUNS * RUN_MS);
}

/* Somebody asked for it, or it is a new one: everything may be tried again. */
static void allow_all(struct sim *s)
{
	for (int i = 0; i < s->setup->n_accounts; i++) {
		allow_runs(s, i, 10);
		allow(s, &s->watching.ear[i].logins, LOGIN_MS, LOGINS * LOGIN_MS);
	}
}

static bool use(struct sim *s, struct allowance *a, int64_t ms, int64_t most)
{
	allow(s, a, -ms, most);
	return a->ms >= 0;
}

/* ---- the process ---- */

static void be_watch(const void *ctx, int to)
{
	static const struct cmd_options options = {.config = "sim", .max = -1};
	struct watching *w = &playing->watching;
	struct task *me = now();

	(void)ctx;
	(void)to;
	cmd_watch(&options);
	if (!me->killed && w->asked_at == 0)
		sim_fail(playing, "watch ends although nobody asked it to", "at %lld ms",
			 (long long)playing->ms);
	sim_trace(playing, "    watch has ended");
	w->task = NULL;
	w->asked_at = 0;
	w->start_at = playing->ms + START_MS;
	playing->tasks.until = playing->ms;
}

static void start_watch(struct sim *s)
{
	static const struct process what = {.work = be_watch};

	sim_trace(s, "    watch starts");
	allow_all(s);
	s->watching.bad_conf = false;
	s->watching.task = task_new(s, &what);
}

bool watching_step(struct sim *s)
{
	struct task *t = s->tasks.now;

	if (t->killed)
		return false;
	if (++t->step == t->kill_at) {
		sim_trace(s, "    watch is killed");
		task_dies(s);
	}
	return !t->killed;
}

void watching_starts(struct sim *s, bool run)
{
	for (int i = 0; run && i < MAX_TASKS; i++) {
		const struct task *t = &s->tasks.task[i];

		if (t->pid != 0 && !t->ended && t->parent == s->tasks.now && t->to == -1)
			sim_fail(s, "watch has two runs at once", "at %lld ms",
				 (long long)s->ms);
	}
}

void watching_turned(struct sim *s)
{
	if (!use(s, &s->watching.turns, TURN_MS, (int64_t)TURNS * TURN_MS))
		sim_fail(s, "watch turns without rest", "at %lld ms", (long long)s->ms);
	if (s->broken)
		task_dies(s);
}

/* ---- what the command has ---- */

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

int cmd_load(const struct cmd_options *o, struct conf **conf, struct err *e)
{
	struct watching *w = &playing->watching;

	(void)o;
	if (w->bad_conf) {
		w->bad_conf = false;
		return err_set(e, ERR_FATAL, ERR_CONFIG, "sim:1: bad");
	}
	*conf = malloc(sizeof **conf);
	**conf = playing->conf;
	(*conf)->reports.senders = copy(playing->conf.reports.senders);
	(*conf)->reports.delimiter = copy(playing->conf.reports.delimiter);
	(*conf)->retention.move_to = copy(playing->conf.retention.move_to);
	(*conf)->rspamd.url = copy("sim");
	return 0;
}

struct output cmd_output(const struct cmd_options *o, const char *command)
{
	(void)o;
	return (struct output){.ops = &sim_watch_ops, .command = command};
}

void service_ready(void)
{
}

void service_reloading(void)
{
}

void service_stopping(void)
{
}

void service_status(const char *text)
{
	(void)text;
}

int64_t service_alive(void)
{
	return INT64_MAX;
}

/* ---- when it expired ---- */

bool expired_at_read(const char *ledger, int64_t *when)
{
	struct watching *w = &playing->watching;

	(void)ledger;
	/* Who is new has to see to it that all are done. */
	for (int i = 0; i < MAX_ACCOUNTS; i++)
		w->ear[i].expired = false;
	if (w->recorded)
		*when = w->expired_at;
	return w->recorded;
}

int64_t watching_day(const struct sim *s, int64_t when)
{
	return (when - s->setup->expire_at * INT64_C(60)) / DAY;
}

bool expired_at_write(const char *ledger, int64_t when)
{
	struct sim *s = playing;
	struct watching *w = &s->watching;

	(void)ledger;
	if (!watching_step(s) || w->disk_full)
		return false;
	if (w->recorded && !w->set_back &&
	    (watching_day(s, when) == watching_day(s, w->expired_at) ||
	     watching_day(s, when) == watching_day(s, w->expired_at) - 1))
		sim_fail(s, "a day is expired twice", "at %lld", (long long)when);
	for (int i = 0; i < s->setup->n_accounts; i++) {
		if (w->recorded && !w->ear[i].expired) /* the first time is when it began */
			sim_fail(s, "it is recorded that all expired, and it is not so",
				 "account %d", i);
		w->ear[i].expired = false;
	}
	sim_trace(s, "    recorded: expired at %lld", (long long)when);
	w->recorded = true;
	w->expired_at = when;
	w->set_back = false;
	return watching_step(s);
}

/* ---- its runs ---- */

static int number_of(const struct sim *s, const char *account)
{
	for (int i = 0; i < s->setup->n_accounts; i++)
		if (account == s->names[i])
			return i;
	abort();
}

int __wrap_accounts_open(const struct conf *conf, struct accounts *out, struct err *e);
int __wrap_run_open(struct run *r, struct err *e);
void __wrap_run_close(struct run *r);

int __wrap_accounts_open(const struct conf *conf, struct accounts *out, struct err *e)
{
	(void)conf;
	(void)e;
	server_accounts(playing, out);
	return 0;
}

/* Nobody else has three runs while an account waits that has none. */
static void take_turn(struct sim *s, int account)
{
	struct watching *w = &s->watching;

	w->ear[account].waits = false;
	for (int i = 0; i < s->setup->n_accounts; i++)
		if (w->ear[i].waits && ++w->ear[i].passed[account] > 2)
			sim_fail(s, "an account waits for its turn", "account %d, for %d", i,
				 account);
}

int __wrap_run_open(struct run *r, struct err *e)
{
	static const struct faults no_faults;
	struct sim *s = playing;
	struct watching *w = &s->watching;
	int account = number_of(s, r->options.account[0]);
	struct ear *x = &w->ear[account];
	const struct faults *faults;

	sim_trace(s, "  %.3f s: run over account %d%s", (double)s->ms / 1000, account,
		  r->output->expires ? ", expires" : "");
	if (!use(s, &x->runs, RUN_MS, (int64_t)RUNS * RUN_MS))
		sim_fail(s, "watch runs again and again", "account %d", account);
	tasks_pass(s, 3);
	if (now()->killed)
		return sim_killed(e);
	if (r->options.max == WATCH_SLICE)
		r->options.max = SLICE;
	take_turn(s, account);
	x->expiries += r->output->expires;
	faults = w->next ? w->next : &no_faults;
	w->next = NULL;
	if (!s->locked)
		w->run = r;
	return sim_open_run(s, r, faults, rng_mix(s->history->seed, ++w->runs), e);
}

static bool settles(const struct tally *t)
{
	for (int g = 0; g < GROUPS; g++)
		if (g != GROUP_HELD && g != GROUP_FAILED &&
		    tally_group(t, (enum outcome_group)g) > 0)
			return true;
	return false;
}

void __wrap_run_close(struct run *r)
{
	struct sim *s = playing;
	struct output *o = r->output;
	int account;

	if (s->watching.run != r) {
		__real_run_close(r);
		return;
	}
	account = number_of(s, r->options.account[0]);
	if (!s->dead && o->expires &&
	    (o->first_error->scope < ERR_SERVER || o->first_error->kind == ERR_DATA))
		s->watching.ear[account].expired = true;
	if (settles(&o->total))
		allow_runs(s, account, 1);
	s->model.cuts += o->first_error->scope == ERR_FATAL;
	sim_trace(s, "  %.3f s: it ends%s%s", (double)s->ms / 1000, s->dead ? " by a kill" : "",
		  o->first_error->scope != ERR_NONE ? " with an error" : "");
	sim_close_run(s, r, o->status == EXIT_DONE && !o->total.left_or_more && !s->dead);
	s->watching.run = NULL;
}

/* ---- the server ---- */

int watching_hangs(struct sim *s, int account, struct err *e)
{
	struct ear *x = &s->watching.ear[account];
	int64_t begun = s->ms;

	if (now() == NULL)
		return 0;
	while (x->hangs && !now()->killed) {
		if (s->ms - begun > PATIENCE_MS)
			return err_set(e, ERR_SERVER, ERR_UNREACHABLE, "no answer in time");
		if (x->hangs == 1 && stop_requested())
			return stop_error(e);
		tasks_pass(s, 1000);
	}
	return now()->killed ? sim_killed(e) : 0;
}

int watching_refuses(struct sim *s, int account, struct err *e)
{
	struct ear *x = &s->watching.ear[account];

	if (x->away)
		return err_set(e, ERR_SERVER, ERR_UNREACHABLE, "nobody there");
	/* Where the run as a whole fails, too, it is tried as often as that. */
	if (x->refused && !s->watching.disk_full && now() &&
	    !use(s, &x->logins, LOGIN_MS, LOGINS * LOGIN_MS))
		sim_fail(s, "a wrong password is tried too often", "account %d", account);
	if (x->refused)
		return err_set(e, ERR_SERVER, ERR_AUTH, "wrong password");
	return 0;
}

static void tell(struct sim *s, const struct account_listener *l, void (*what)(void *ctx))
{
	what(l->ctx);
	task_wake(s, now()->parent);
}

/* Until the connection breaks, or it is killed. */
static void keep_listening(struct sim *s, struct ear *x, const struct account_listener *l)
{
	const struct task *me = now();
	int flood = 0;

	while (!me->killed && !x->breaks && !x->away) {
		int64_t wait = HOUR * 1000;

		if (x->news_at <= s->ms || x->floods) {
			if (s->watching.fair && !x->floods && !x->waits) {
				x->waits = true;
				memset(x->passed, 0, sizeof x->passed);
			}
			tell(s, l, l->news);
			flood = x->floods ? flood + 1 : 0;
			x->news_at = --x->news > 0 ? s->ms + 100 : INT64_MAX;
		}
		if (x->floods)
			wait = flood < FLOOD ? FLOOD_MS : FLOOD_REST_MS;
		if (x->news_at != INT64_MAX && x->news_at - s->ms < wait)
			wait = x->news_at - s->ms;
		tasks_pass(s, wait);
	}
}

int watching_listen(struct sim *s, int account, const struct account_listener *l, struct err *e)
{
	struct ear *x = &s->watching.ear[account];
	struct task *me = now();
	int rc = 0;

	if (x->idler && !x->idler->killed && x->idler->parent == me->parent)
		sim_fail(s, "an account has two idlers", "account %d", account);
	x->idler = me;
	tasks_pass(s, 20 + (int64_t)(rng_mix(s->history->seed, (uint64_t)s->ms) % 100));
	while (x->hangs && !me->killed)
		tasks_pass(s, 1000);
	if (!me->killed)
		rc = watching_refuses(s, account, e);
	if (rc == 0 && !me->killed) {
		x->breaks = false;
		x->news_at = INT64_MAX;
		tell(s, l, l->ready);
		keep_listening(s, x, l);
	}
	if (!me->killed && rc == 0)
		rc = err_set(e, ERR_SERVER, ERR_UNREACHABLE, "the connection broke");
	if (x->idler == me)
		x->idler = NULL;
	return rc;
}

void watching_arrives(struct sim *s, int mail)
{
	struct watching *w = &s->watching;
	struct mail *m = &s->world.mail[mail];
	const struct box_setup *box = &s->setup->box[m->box];
	struct ear *x = &w->ear[box->account];
	uint64_t chance = rng_mix(s->history->seed, 0x7e11u + (uint64_t)mail);

	m->told = -1;
	if (!w->on || m->trouble != TROUBLE_NONE)
		return;
	allow_runs(s, box->account, 3);
	if (box->spool) {
		m->told = s->ms;
		m->whole_at = chance % 3 == 0 ? s->ms + SIM_WHOLE_MS - 500 : 0;
		w->folder[box->account].news = true;
		/* Or it is seen only at the next look, as when the folder is another one. */
		if (w->event_fd != -1 && chance % 8 != 0) {
			(void)!write(w->event_fd, &(uint64_t){1}, sizeof(uint64_t));
			task_wake(s, w->task);
		}
	} else if (!x->deaf) {
		m->told = s->ms + (chance % 8 == 0 ? LATE_MS : 0);
		x->news = chance % 8 == 1 ? 2 : 1;
		if (m->told < x->news_at)
			x->news_at = m->told;
		task_wake(s, x->idler);
	}
}

void watching_loses(struct sim *s, const struct event *ev)
{
	bool lost = ev->kind == EVENT_FLAG || ev->kind == EVENT_KEYWORD ||
		    ev->kind == EVENT_TROUBLE || ev->kind == EVENT_VALIDITY ||
		    ev->kind == EVENT_RESTORE || ev->kind == EVENT_LEDGER ||
		    (ev->kind == EVENT_RSPAMD && ev->a % 4 == 3);

	if (ev->kind == EVENT_CLOCK)
		s->watching.set_back = s->watching.jumped = true;
	for (int i = 0; lost && i < s->world.n_mail; i++)
		s->world.mail[i].told = -1;
}

/* ---- the history ---- */

void watching_new(struct sim *s)
{
	struct watching *w = &s->watching;

	playing = s;
	folder_watch_of(w);
	*w = (struct watching){.on = s->setup->watch, .event_fd = -1};
	for (int i = 0; i < MAX_ACCOUNTS; i++) {
		w->ear[i] = (struct ear){.news_at = INT64_MAX};
		w->folder[i].path[0] = (char)('0' + i);
	}
	w->turns = (struct allowance){(int64_t)TURNS * TURN_MS, s->ms};
	for (int i = 0; i < MAX_ACCOUNTS; i++) {
		w->ear[i].runs = (struct allowance){(int64_t)RUNS * RUN_MS, s->ms};
		w->ear[i].logins = (struct allowance){(int64_t)LOGINS * LOGIN_MS, s->ms};
	}
}

void watching_pass(struct sim *s, int64_t ms)
{
	struct watching *w = &s->watching;
	int64_t end = s->ms + ms;

	do {
		int64_t next = end;

		if (w->task == NULL && w->start_at <= s->ms)
			start_watch(s);
		if (w->task == NULL && w->start_at < end)
			next = w->start_at;
		tasks_pass(s, next - s->ms);
		if (w->task && w->asked_at != 0 && s->ms - w->asked_at > END_MS)
			sim_fail(s, "watch does not end", "%lld ms after it was asked to",
				 (long long)(s->ms - w->asked_at));
	} while (s->ms < end && !s->broken);
}

void watching_pass_run(struct sim *s, int seconds)
{
	for (int i = 0; i < seconds && s->locked && !s->broken; i++)
		watching_pass(s, 1000);
}

void watching_before(struct sim *s, const struct event *ev)
{
	uint64_t chance = rng_mix(ev->seed, 0xbef0);

	watching_pass(s, (int64_t)(chance % 8 < 5 ? chance % 300 : 1000 + chance / 8 % 100000));
	if (ev->kind >= EVENT_BEGIN_IN_THE_BOX && ev->kind <= EVENT_CLOCK)
		watching_pass_run(s, HANG_S);
	if (ev->kind == EVENT_LEDGER)
		watching_pass_run(s, HANG_S);
}

void watching_ask(struct sim *s, int sig)
{
	struct watching *w = &s->watching;

	if (sig == SIGTERM && w->task && w->asked_at == 0)
		w->asked_at = s->ms;
	allow_all(s);
	task_signal(s, w->task, sig);
}

static void kill_run(struct sim *s)
{
	for (int i = 0; i < MAX_TASKS; i++) {
		struct task *t = &s->tasks.task[i];

		if (t->pid != 0 && t->parent && t->parent == s->watching.task && t->to == -1)
			task_signal(s, t, SIGKILL);
	}
}

void watching_many(struct sim *s, const struct event *ev)
{
	for (int i = 0; i < MANY; i++) {
		struct event one = {.kind = EVENT_REPORT, .a = ev->b, .seed = ev->seed};

		one.b = (uint32_t)rng_mix(ev->seed, (uint64_t)i);
		one.c = (uint32_t)rng_mix(ev->seed, (uint64_t)i + 100);
		world_event(s, &one);
	}
}

static void change_ear(struct sim *s, enum watch_what what, struct ear *x, uint64_t chance)
{
	switch (what) {
	case WATCH_LINE_BREAKS:
		x->breaks = x->idler != NULL;
		break;
	case WATCH_DEAF:
		x->deaf = !x->deaf;
		break;
	case WATCH_FLOODS:
		x->floods = !x->floods;
		break;
	case WATCH_HANGS:
		x->hangs = x->hangs ? 0 : 1 + (int)(chance & 1);
		break;
	case WATCH_AWAY:
		x->away = !x->away;
		break;
	default:
		x->refused = !x->refused;
	}
	task_wake(s, x->idler);
}

void watching_event(struct sim *s, const struct event *ev)
{
	struct watching *w = &s->watching;
	enum watch_what what = (enum watch_what)(ev->a % WATCH_WHATS);
	int account = (int)(ev->b % MAX_ACCOUNTS) % s->setup->n_accounts;

	w->next = &ev->faults;
	switch (what) {
	case WATCH_NOTHING:
	case WATCH_WHATS:
		break;
	case WATCH_KILLED:
		if (w->task)
			w->task->kill_at = w->task->step + 1 + (unsigned)(ev->seed % 8);
		break;
	case WATCH_ENDED:
		watching_ask(s, SIGTERM);
		break;
	case WATCH_MISLOADED:
	case WATCH_RELOADED:
		w->bad_conf = w->task && what == WATCH_MISLOADED;
		watching_ask(s, SIGHUP);
		break;
	case WATCH_ASKED:
		watching_ask(s, SIGUSR1);
		break;
	case WATCH_RUN_KILLED:
		kill_run(s);
		break;
	case WATCH_NO_FORK:
		w->no_fork = !w->no_fork;
		break;
	case WATCH_DISK_FULL:
		w->disk_full = !w->disk_full;
		break;
	case WATCH_BLIND:
		w->blind = !w->blind;
		break;
	case WATCH_MANY:
		watching_many(s, ev);
		break;
	default:
		change_ear(s, what, &w->ear[account], ev->seed);
	}
	watching_pass(s, watch_event_ms(ev));
}

static void be_run(const void *ctx, int to)
{
	(void)to;
	sim_run(playing, ctx);
}

void watching_run(struct sim *s, const struct event *ev)
{
	const struct process what = {.work = be_run, .ctx = ev};

	task_new(s, &what);
	watching_pass(s, 1000);
}
