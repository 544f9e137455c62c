#include "learn/run.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "source/source_files.h"

enum { PAUSE_FIRST_MS = 500 };

bool run_wants(const struct run_options *o, const char *account)
{
	for (size_t i = 0; i < o->n_accounts; i++)
		if (strcmp(o->account[i], account) == 0)
			return true;
	return o->n_accounts == 0;
}

/* ---- open and close ---- */

static int begin_learning(struct run *r, struct err *e)
{
	struct pipeline_parts parts;
	int believe = ledger_believes_marks(r->ledger, e);

	if (believe == -1)
		return -1;
	/* Before any mail is touched: can rspamd learn at all? */
	r->backend = (struct backend){.rspamd = r->rspamd};
	if (backend_check(&r->backend, &r->before, e) == -1)
		return -1;
	r->backend.good_at = 0; /* an answer that leaves it open is asked about after it came */
	r->trust = trust_open(&r->conf->reports, e);
	if (r->trust == NULL)
		return -1;
	parts = (struct pipeline_parts){
	    .conf = r->conf,
	    .ledger = r->ledger,
	    .rspamd = r->rspamd,
	    .backend = &r->backend,
	    .output = r->output,
	    .trust = r->trust,
	    .reporter_key = &r->reporter_key,
	    .before = &r->before,
	    .believe_marks = believe == 1,
	};
	r->pipeline = pipeline_new(&parts, r->options.dry_run);
	return r->pipeline ? 0 : err_no_memory(e);
}

int run_begin(struct run *r, struct err *e)
{
	r->expire = (struct expire){
	    .policy = &r->conf->retention,
	    .ledger = r->ledger,
	    .output = r->output,
	    .dry_run = r->options.dry_run,
	    .left = r->conf->retention.max_per_run,
	};
	if (r->options.max >= 0 && r->options.max < r->expire.left)
		r->expire.left = r->options.max;
	return r->output->learns ? begin_learning(r, e) : 0;
}

static int open_rspamd(struct run *r, struct err *e)
{
	r->rspamd = rspamd_http(&r->conf->rspamd, e);
	return r->rspamd ? reporter_key_load(r->conf->ledger, !r->options.dry_run,
					     &r->reporter_key, e)
			 : -1;
}

static int open_accounts(struct run *r, struct err *e)
{
	const struct run_options *o = &r->options;

	if (o->n_paths == 0)
		return accounts_open(r->conf, &r->accounts, e);
	if (r->conf->rspamd.deliver_to_reporter)
		return err_set(e, ERR_FATAL, ERR_CONFIG,
			       "rspamd: deliver-to = reporter, and files have no reporter; "
			       "learn them with a copy of the configuration that names the "
			       "user: deliver-to = \"user@example.org\"");
	return accounts_of_one(account_files(o->path, o->n_paths, o->class), &r->accounts, e);
}

int run_open(struct run *r, struct err *e)
{
	r->ledger = ledger_open(r->conf->ledger, r->options.dry_run ? LEDGER_DRY : LEDGER_WRITE,
				r->output->command, e);
	if (r->ledger == NULL || open_accounts(r, e) == -1)
		return -1;
	if (r->output->learns && open_rspamd(r, e) == -1)
		return -1;
	return run_begin(r, e);
}

void run_close(struct run *r)
{
	accounts_free(&r->accounts);
	pipeline_free(r->pipeline);
	trust_close(r->trust);
	rspamd_close(r->rspamd);
	ledger_close(r->ledger);
}

/* ---- through the accounts ---- */

/* A pass through all accounts: what is done in it, and how much. */
struct pass {
	struct run *run;
	bool learns, only_note, expires;
	int64_t left; /* messages that may still be taken; -1: no limit */
	size_t boxes; /* sources that are still to come, and share what is left */
};

/* How far a visit to an account has come, over several connections. */
struct visit {
	struct pass *pass;
	struct account *account;
	size_t next; /* the source that comes next */
};

/* What this source may take: its share; what it does not use is the later ones'. */
static int64_t share(const struct pass *p)
{
	int64_t boxes = p->boxes > 0 ? (int64_t)p->boxes : 1;

	return p->left < 0 ? -1 : (p->left + boxes - 1) / boxes;
}

static int do_source(struct visit *v, struct source *s, struct err *e)
{
	struct pass *p = v->pass;
	struct run *r = p->run;
	int64_t taken = 0;
	int rc = 0;

	if (p->learns)
		rc = pipeline_learn(r->pipeline, s, share(p), p->only_note, &taken, e);
	if (p->left >= 0)
		p->left -= taken;
	r->expire.now = clock_now(); /* what was settled just now may be due */
	if (rc == 0 && p->expires && s->expires)
		rc = expire_source(&r->expire, s, e);
	return rc;
}

/* A pass that only notes is silent: the next one meets the same error, if it lasts. */
static void tell(const struct visit *v, const struct err *e)
{
	if (v->pass->only_note && !v->account->refused)
		log_info("%s", e->text);
	else
		output_fail(v->pass->run->output, v->account->name, e);
}

static int visit_source(struct visit *v, struct err *e)
{
	struct source *s = account_source(v->account, v->next);
	int rc = s ? do_source(v, s, e) : err_no_memory(e);

	source_close(s);
	if (rc == -1 && e->scope <= ERR_MAILBOX) {
		tell(v, e);
		rc = 0;
	}
	return rc;
}

/* One connection's worth: from v->next on. -1 with ERR_SERVER or ERR_FATAL. */
static int visit_once(struct visit *v, struct err *e)
{
	if (account_connect(v->account, e) == -1)
		return -1;
	while (v->next < v->account->n) {
		if (stop_requested())
			return stop_error(e);
		if (visit_source(v, e) == -1)
			return -1;
		v->next++;
		v->pass->boxes--;
	}
	return 0;
}

/* Wait before the nth reconnect: twice as long each time, half of it by chance. */
static void pause_before(int n)
{
	unsigned seed = (unsigned)clock_ms();
	int ms = PAUSE_FIRST_MS << n;

	clock_pause(ms / 2 + rand_r(&seed) % (ms / 2 + 1));
}

static uint64_t steps(const struct run *r)
{
	return r->pipeline ? pipeline_steps(r->pipeline) : 0;
}

/*
 * What never worked will not work now; what broke may. A server that breaks the protocol does
 * so again, unless it was one message's fault, which is set aside now (got_on); and where there
 * is no connection to speak of, nothing is cured by making another.
 */
static bool is_worth_another(const struct account *a, const struct err *e, bool ever,
			     bool got_on)
{
	return ever && !a->by_request && e->kind != ERR_AUTH && e->kind != ERR_CONFIG &&
	       (e->kind != ERR_PROTOCOL || got_on);
}

/* 0, or -1 with ERR_FATAL; other errors are printed. account->slow: it was not visited. */
static int visit_account(struct visit *v, struct err *e)
{
	struct run *r = v->pass->run;
	bool ever = false;

	for (int breaks = 0, in_vain = 0;; breaks++, in_vain++) {
		uint64_t before = steps(r);

		if (visit_once(v, e) == 0)
			return 0;
		if (v->account->slow)
			return 0; /* its turn comes again, with patience */
		ever = ever || v->account->connected;
		v->account->patience = 0;
		account_disconnect(v->account);
		if (e->scope == ERR_FATAL)
			return -1;
		if (steps(r) != before)
			in_vain = 0;
		if (!is_worth_another(v->account, e, ever, steps(r) != before) ||
		    in_vain >= RUN_RECONNECTS || breaks >= RUN_BREAKS)
			break;
		log_warn("%s; connecting again", e->text);
		pause_before(in_vain);
	}
	if (r->pipeline)
		pipeline_abandon(r->pipeline);
	if (ever && e->kind == ERR_UNREACHABLE)
		e->kind = ERR_TEMPORARY;
	tell(v, e);
	/*
	 * Sources that were not looked at: nobody knows how much is left there. After a pass
	 * that only notes there is another one, but not for who was refused.
	 */
	if (v->pass->learns && (!ever || v->next + 1 < v->account->n) &&
	    (!v->pass->only_note || v->account->refused))
		r->output->total.left_or_more = true;
	return 0;
}

static bool is_wanted(const struct run *r, const struct account *a)
{
	return run_wants(&r->options, a->name) && !a->refused;
}

/* One account's turn; hasty: while others wait a log-in has little time. 0, or -1. */
static int take_turn(struct pass *p, struct account *a, bool hasty, struct err *e)
{
	struct run *r = p->run;
	struct visit v = {p, a, 0};
	size_t after = p->boxes - a->n;
	int rc;

	if (r->pipeline)
		a->waiter = pipeline_waiter(r->pipeline);
	a->ledger = r->ledger;
	a->patience = hasty && after > 0 ? RUN_PATIENCE : 0;
	a->slow = false;
	rc = visit_account(&v, e);
	/*
	 * With a quorum there is a second pass over the same connections, unless they are too
	 * many to stay open.
	 */
	if (!p->only_note || r->accounts.n > RUN_OPEN_MAX)
		account_disconnect(a);
	if (rc == 0 && !a->slow)
		p->boxes = after;
	return rc;
}

static int go_through(struct pass *p, struct err *e)
{
	struct run *r = p->run;

	p->left = r->options.max;
	p->boxes = 0;
	for (size_t i = 0; i < r->accounts.n; i++)
		if (is_wanted(r, r->accounts.account[i]))
			p->boxes += r->accounts.account[i]->n;
	/* Where a log-in hangs the others come first: then there is time to wait for it. */
	for (size_t i = 0; i < r->accounts.n; i++)
		if (is_wanted(r, r->accounts.account[i]) &&
		    take_turn(p, r->accounts.account[i], true, e) == -1)
			return -1;
	for (size_t i = 0; i < r->accounts.n; i++)
		if (r->accounts.account[i]->slow &&
		    take_turn(p, r->accounts.account[i], false, e) == -1)
			return -1;
	return 0;
}

/* A wrong or stolen token, or a forged flood: most of what came proves nothing. */
static void look_at_trust(struct run *r)
{
	const struct tally *t = &r->output->total;
	uint64_t untrusted = tally_group(t, GROUP_UNTRUSTED), all = t->asked;
	struct err e;

	if (untrusted < RUN_UNTRUSTED_MIN || untrusted * 2 <= all)
		return;
	err_set(
	    &e, ERR_SERVER, ERR_DATA,
	    "%llu of %llu reports do not prove that they come from users, and were not "
	    "learned; if users sent them, compare the token of the Sieve scripts with that of "
	    "the reports block",
	    (unsigned long long)untrusted, (unsigned long long)all);
	output_fail(r->output, NULL, &e);
}

/*
 * What was learned of files is known by its content; their numbers mean nothing later. Where
 * the run has failed (rc is -1) that error stays the one that is told.
 */
static int forget_files(struct run *r, int rc, struct err *e)
{
	struct err ignored;

	return ledger_forget_account(r->ledger, CONF_FILES, rc == 0 ? e : &ignored) == 0 ? rc
											 : -1;
}

int run_all(struct run *r, struct err *e)
{
	const bool learns = r->output->learns;
	struct pass note = {.run = r, .learns = true, .only_note = true};
	struct pass all = {
	    .run = r,
	    .learns = learns,
	    .expires = r->output->expires && conf_retention_active(&r->conf->retention),
	};
	int rc = learns ? forget_files(r, 0, e) : 0; /* of a run that was killed */

	if (rc == 0 && learns && r->conf->reports.quorum > 1)
		rc = go_through(&note, e);
	if (rc == 0 && (learns || all.expires))
		rc = go_through(&all, e);
	if (r->pipeline)
		pipeline_abandon(r->pipeline);
	/* What comes behind a fatal error was not looked at. */
	if (rc == -1 && learns && (note.boxes > 1 || all.boxes > 1))
		r->output->total.left_or_more = true;
	r->expire.now = clock_now();
	if (rc == 0 && r->output->expires)
		rc = expire_ledger(&r->expire, e);
	if (r->options.n_paths > 0)
		rc = forget_files(r, rc, e);
	if (rc == 0)
		rc = ledger_commit(r->ledger, e);
	else if (r->options.n_paths > 0)
		(void)ledger_commit(r->ledger, &(struct err){0});
	if (learns)
		look_at_trust(r);
	return rc;
}
