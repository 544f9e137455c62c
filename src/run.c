#include "run.h"

#include <poll.h>
#include <stdlib.h>

#include "clock.h"
#include "expire.h"
#include "imap.h"
#include "log.h"
#include "stop.h"

enum { PAUSE_FIRST_MS = 500 };

void run_fail(struct run *r, const struct err *e)
{
	int status = cmd_fail(r->options, e);

	if (r->status == EXIT_DONE)
		r->status = status;
}

/* ---- open and close ---- */

/* Before any mail is touched: can rspamd learn at all? */
static int check_rspamd(struct run *r, struct err *e)
{
	struct rspamd_stat stat;

	if (rspamd_stat(r->rspamd, &stat, e) == -1)
		return -1;
	if (stat.bayes)
		return 0;
	return err_set(
	    e, ERR_FATAL, ERR_UNREACHABLE,
	    "rspamd %s: has no working Bayes classifier (no statfiles in /stat), so it "
	    "would learn nothing; set servers in its redis.conf or "
	    "classifier-bayes.conf and see that Redis runs; no mail was touched",
	    r->conf->rspamd.url);
}

int run_open(struct run *r, struct err *e)
{
	const struct cmd_options *o = r->options;

	if (cmd_load(o, &r->conf, e) == -1)
		return -1;
	if (r->conf->n_spools > 0)
		return err_set(
		    e, ERR_FATAL, ERR_CONFIG,
		    "spool %s: this version reads no spool folders; take the block out",
		    r->conf->spools[0].path);
	r->ledger = ledger_open(r->conf->ledger, o->dry_run ? LEDGER_DRY : LEDGER_WRITE,
				r->report.command, e);
	if (r->ledger == NULL)
		return -1;
	if (!r->report.learns)
		return 0;
	r->rspamd = rspamd_open(&r->conf->rspamd, e);
	if (r->rspamd == NULL || check_rspamd(r, e) == -1)
		return -1;
	r->trust = trust_open(&r->conf->reports, e);
	if (r->trust == NULL ||
	    reporter_key_load(r->conf->ledger, !o->dry_run, &r->reporter_key, e) == -1)
		return -1;
	r->pipeline =
	    pipeline_new(&(struct pipeline_parts){r->conf, r->ledger, r->rspamd, &r->report,
						  r->trust, &r->reporter_key},
			 o->dry_run, o->max);
	if (r->pipeline == NULL)
		return err_set(e, ERR_FATAL, ERR_LOCAL, "out of memory");
	return 0;
}

void run_close(struct run *r)
{
	pipeline_free(r->pipeline);
	trust_close(r->trust);
	rspamd_close(r->rspamd);
	ledger_close(r->ledger);
	conf_free(r->conf);
}

/* ---- through the accounts ---- */

/* How far a visit to an account has come, over several connections. */
struct visit {
	struct run *run;
	const struct conf_account *account;
	bool (*want)(const struct conf_mailbox *);
	run_fn *fn;
	size_t next; /* the mailbox that comes next */
};

static int visit_mailbox(struct visit *v, struct imap *imap, struct err *e)
{
	const struct conf_mailbox *mailbox = &v->account->mailboxes[v->next];
	struct source *s;
	int rc;

	if (v->want && !v->want(mailbox))
		return 0;
	s = source_imap(imap, v->account, mailbox);
	if (s == NULL)
		return err_set(e, ERR_FATAL, ERR_LOCAL, "out of memory");
	rc = v->fn(v->run, s, e);
	s->ops->close(s);
	if (rc == -1 && e->scope <= ERR_MAILBOX) {
		run_fail(v->run, e);
		rc = 0;
	}
	return rc;
}

/* One connection's worth: from v->next on. -1 with ERR_SERVER or ERR_FATAL. */
static int visit_once(struct visit *v, bool *connected, struct err *e)
{
	struct imap *imap = imap_open(v->account, e);
	int rc = imap ? 0 : -1;

	*connected = imap != NULL;
	if (imap && v->run->pipeline) {
		struct waiter w = pipeline_waiter(v->run->pipeline);

		imap_set_waiter(imap, &w);
	}
	for (; rc == 0 && v->next < v->account->n_mailboxes; v->next += rc == 0) {
		if (stop_requested())
			rc = stop_error(e);
		else
			rc = visit_mailbox(v, imap, e);
	}
	imap_close(imap);
	return rc;
}

/* Wait before the nth reconnect: twice as long each time, half of it by chance. */
static void pause_before(int n)
{
	static unsigned seed;
	int ms = PAUSE_FIRST_MS << n;

	if (seed == 0)
		seed = (unsigned)clock_ms();
	poll(NULL, 0, ms / 2 + rand_r(&seed) % (ms / 2 + 1));
}

static int visit_account(struct visit *v, struct err *e)
{
	bool connected, ever = false;
	int rc;

	for (int n = 0;; n++) {
		rc = visit_once(v, &connected, e);
		ever = ever || connected;
		if (rc == 0 || e->scope == ERR_FATAL)
			return rc;
		/* What never worked will not work now; what broke may. */
		if (!ever || e->kind == ERR_AUTH || e->kind == ERR_PROTOCOL ||
		    n == RUN_RECONNECTS)
			break;
		log_warn("%s; connecting again", e->text);
		pause_before(n);
	}
	if (ever && e->kind == ERR_UNREACHABLE)
		e->kind = ERR_TEMPORARY;
	run_fail(v->run, e);
	return 0;
}

int run_visit(struct run *r, bool (*want)(const struct conf_mailbox *), run_fn *fn,
	      struct err *e)
{
	for (size_t i = 0; i < r->conf->n_accounts; i++) {
		struct visit v = {r, &r->conf->accounts[i], want, fn, 0};

		if (!cmd_wants_account(r->options, v.account->name))
			continue;
		if (visit_account(&v, e) == -1)
			return -1;
	}
	return 0;
}

/* ---- the two jobs ---- */

static int learn_mailbox(struct run *r, struct source *s, struct err *e)
{
	return pipeline_is_full(r->pipeline) ? 0 : pipeline_learn(r->pipeline, s, e);
}

int run_learn(struct run *r, struct err *e)
{
	if (ledger_run_begin(r->ledger, e) == -1)
		return -1;
	if (r->conf->reports.quorum > 1) {
		pipeline_only_note(r->pipeline, true);
		if (run_visit(r, NULL, learn_mailbox, e) == -1)
			return -1;
		pipeline_only_note(r->pipeline, false);
	}
	if (run_visit(r, NULL, learn_mailbox, e) == -1 || ledger_run_end(r->ledger, e) == -1)
		return -1;
	return ledger_commit(r->ledger, e);
}

static bool wants_expiry(const struct conf_mailbox *m)
{
	return m->expire;
}

static int expire_one(struct run *r, struct source *s, struct err *e)
{
	return expire_mailbox(&r->expire, s, e);
}

int run_expire(struct run *r, struct err *e)
{
	struct expire *x = &r->expire;

	*x = (struct expire){
	    .policy = &r->conf->retention,
	    .ledger = r->ledger,
	    .report = &r->report,
	    .dry_run = r->options->dry_run,
	    .now = clock_now(),
	    .left = r->conf->retention.max_per_run,
	};
	if (r->options->max >= 0 && r->options->max < x->left)
		x->left = r->options->max;
	if (conf_retention_active(&r->conf->retention) &&
	    run_visit(r, wants_expiry, expire_one, e) == -1)
		return -1;
	return expire_ledger(x, e);
}
