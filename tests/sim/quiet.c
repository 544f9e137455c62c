/* Histories with watch, when nothing fails any more: is all learned, and in time? */
#include "sim.h"

#include <signal.h>

#include "base/daily.h"
#include "stalwart.h"

enum {
	BACK_OFF_MS = 3720000, /* the longest wait after a failure is over, with what follows */
	SOON_MS = 30000,       /* what was told is learned within this ... */
	BESIDE_MS = 45000,     /* ... or this, while another account hangs or floods */
};

static void heal(struct sim *s)
{
	struct watching *w = &s->watching;

	w->no_fork = w->disk_full = w->blind = w->bad_conf = false;
	w->next = NULL;
	for (int i = 0; i < MAX_ACCOUNTS; i++) {
		struct ear *x = &w->ear[i];

		x->away = x->refused = x->deaf = x->floods = false;
		x->hangs = 0;
		task_wake(s, x->idler);
	}
	watching_pass_run(s, HANG_S); /* with the faults that it has */
	world_heal(s);
	spamd_heal(&s->spamd);
}

/*
 * Does a run over it find so many messages that fail each time that it may take nothing else?
 * With the program's own WATCH_SLICE that takes a thousand of them. Or is it a Stalwart that
 * does not say whether a message is gone or may not be read? That is tried again ever more
 * seldom.
 */
static bool is_clogged(const struct sim *s, int account)
{
	int n = 0;

	for (int i = 0; i < s->world.n_mail; i++) {
		const struct mail *m = &s->world.mail[i];

		if (m->there && stalwart_is(s, m) && s->setup->silent &&
		    s->setup->box[m->box].account == account && m->trouble == TROUBLE_OMITTED)
			return true;
		n += m->there && s->setup->box[m->box].account == account &&
		     (m->trouble != TROUBLE_NONE ||
		      s->setup->temper[m->content] == TEMPER_REFUSED);
	}
	return n >= SLICE / 2;
}

/*
 * Is anything left of what came before this time; told_only: of what was told until then? Not
 * in account `but`.
 */
static void check_left(struct sim *s, const char *what, int64_t until, bool told_only, int but)
{
	const struct setup *h = s->setup;
	int64_t ripe = (h->hold + h->poll) * 1000 + BACK_OFF_MS;

	watching_pass_run(s, SOON_MS / 1000 / 2);
	/* What waits for its time, or for another report, is looked at when it is polled. */
	if (told_only && (h->hold > 0 || h->quorum > 1))
		return;
	for (int i = 0; i < s->world.n_mail && !s->broken && !s->model.restored; i++) {
		const struct mail *m = &s->world.mail[i];

		/* A sample that comes late may be hidden by one that vanished, for a day. */
		if (m->skewed || h->box[m->box].account == but ||
		    is_clogged(s, h->box[m->box].account) ||
		    (told_only && (m->told < 0 || m->told > until)) ||
		    (h->hold > 0 && (s->watching.jumped || s->now - m->date < ripe / 1000 ||
				     s->ms - until < ripe)))
			continue;
		if (model_is_left(s, i))
			sim_fail(s, what, "message %d, account %d", i, h->box[m->box].account);
	}
}

/* While one account hangs, or tells of news all the time, the others are served. */
static void check_beside(struct sim *s)
{
	int account = (int)(s->history->seed % (unsigned)s->setup->n_accounts);
	struct ear *x = &s->watching.ear[account];
	int64_t told;

	if (s->history->seed / 8 % 3 == 2)
		x->floods = true;
	else
		x->hangs = 1 + (int)(s->history->seed / 8 % 3);
	task_wake(s, x->idler);
	sim_trace(s, "%.3f s: account %d %s", (double)s->ms / 1000, account,
		  x->floods ? "floods" : "hangs");
	if (s->setup->n_accounts > 1)
		world_grows(s);
	watching_pass(s, s->history->seed / 64 % 2 * 1000);
	told = s->ms + LATE_MS;
	s->watching.fair = x->floods;
	if (x->floods)
		watching_many(s, &s->history->event[0]);
	world_grows(s);
	watching_pass(s, LATE_MS + BESIDE_MS);
	s->watching.fair = false;
	check_left(s, "an account waits for another one", told, true, account);
	heal(s);
	watching_pass(s, BACK_OFF_MS);
	check_left(s, "what was told is not learned", told, true, -1);
}

/* Nobody tells of a message, but SIGUSR1 asks for a look at everything. */
static void check_asked(struct sim *s)
{
	for (int i = 0; i < MAX_ACCOUNTS; i++)
		s->watching.ear[i].deaf = true;
	world_grows(s);
	watching_pass(s, 1000);
	heal(s);
	for (int i = 0; i < s->world.n_mail; i++)
		s->world.mail[i].told = s->ms;
	sim_trace(s, "%.3f s: SIGUSR1", (double)s->ms / 1000);
	watching_ask(s, SIGUSR1);
	watching_pass(s, SOON_MS);
	check_left(s, "SIGUSR1 does not help", s->ms, true, -1);
}

static void check_day(struct sim *s)
{
	struct watching *w = &s->watching;
	unsigned before[MAX_ACCOUNTS];

	for (int i = 0; i < s->setup->n_accounts; i++)
		before[i] = w->ear[i].expiries;
	watching_pass(s, DAY * 1000 + BACK_OFF_MS);
	watching_pass_run(s, HANG_S);
	if (!w->recorded ||
	    watching_day(s, w->expired_at) < watching_day(s, s->now - BACK_OFF_MS / 1000))
		sim_fail(s, "a day passes without expiry", "last at %lld, now %lld",
			 (long long)w->expired_at, (long long)s->now);
	for (int i = 0; i < s->setup->n_accounts; i++)
		if (w->ear[i].expiries - before[i] > 2)
			sim_fail(s, "a day is expired twice", "account %d: %u times", i,
				 w->ear[i].expiries - before[i]);
}

/* By a signal, now and then in the middle of a run that hangs. */
static void end_watch(struct sim *s)
{
	struct watching *w = &s->watching;

	for (int i = 0; i < MAX_ACCOUNTS && s->history->seed % 4 == 1; i++)
		w->ear[i].hangs = 1 + (int)(s->history->seed / 4 % 2);
	watching_ask(s, SIGUSR1);
	watching_pass(s, 500);
	watching_ask(s, SIGTERM);
	w->start_at = INT64_MAX;
	for (int i = 0; i < 40 && w->task && !s->broken; i++)
		watching_pass(s, 1000);
	heal(s);
	w->on = false;
}

void watching_quiet(struct sim *s)
{
	const struct setup *h = s->setup;
	int64_t begun;

	sim_trace(s, "nothing fails any more");
	heal(s);
	if (h->hold > 0) /* something that waits for its time, while nothing comes */
		world_grows(s);
	begun = s->ms;
	watching_pass(s, BACK_OFF_MS);
	check_left(s, "what was told is not learned", begun, true, -1);
	watching_pass(s,
		      (h->hold + h->poll > h->rescan ? h->hold + h->poll : h->rescan) * 1000 +
			  BACK_OFF_MS);
	check_left(s, "what was not told is not learned", begun, false, -1);
	sim_trace(s, "one message for each mailbox");
	begun = s->ms + LATE_MS;
	world_grows(s);
	watching_pass(s, LATE_MS + SOON_MS);
	check_left(s, "what was told is not learned soon", begun, true, -1);
	if (!s->broken)
		check_asked(s);
	if (!s->broken)
		check_beside(s);
	if (!s->broken && s->setup->expire_at != DAILY_NEVER && s->history->seed % 3 == 0)
		check_day(s);
	end_watch(s);
}
