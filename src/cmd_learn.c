#include "cmd.h"

#include <stdio.h>
#include <stdlib.h>

#include "imap.h"
#include "ledger.h"
#include "mime.h"
#include "pipeline.h"
#include "progress.h"
#include "rspamd.h"
#include "source.h"
#include "stop.h"

/* A learn run and what it has open. */
struct run {
	const struct cmd_options *options;
	struct conf *conf;
	struct ledger *ledger;
	struct rspamd *rspamd;
	struct pipeline *pipeline;
	struct report report;
	int status; /* of the first error; later ones are only said */
};

static void note_error(struct run *r, const struct err *e)
{
	int status = cmd_fail(r->options, e);

	if (r->status == EXIT_DONE)
		r->status = status;
}

/* Before any mail is touched: can rspamd learn at all? */
static int check_rspamd(struct run *r, struct err *e)
{
	struct rspamd_stat stat;

	if (rspamd_stat(r->rspamd, &stat, e) == -1)
		return -1;
	if (stat.bayes)
		return 0;
	return err_set(e, ERR_FATAL, ERR_UNREACHABLE,
		       "rspamd %s: has no working Bayes classifier (no statfiles in /stat), so it "
		       "would learn nothing; set servers in its redis.conf or "
		       "classifier-bayes.conf and see that Redis runs; no mail was touched",
		       r->conf->rspamd.url);
}

static int open_run(struct run *r, struct err *e)
{
	const struct cmd_options *o = r->options;
	enum ledger_mode mode = o->dry_run ? LEDGER_DRY : LEDGER_WRITE;

	if (cmd_load(o, &r->conf, e) == -1)
		return -1;
	r->ledger = ledger_open(r->conf->ledger, mode, "learn", e);
	if (r->ledger == NULL || ledger_run_begin(r->ledger, e) == -1)
		return -1;
	r->rspamd = rspamd_open(&r->conf->rspamd, e);
	if (r->rspamd == NULL || check_rspamd(r, e) == -1)
		return -1;
	r->pipeline =
	    pipeline_new(r->conf, r->ledger, r->rspamd, &r->report, o->dry_run, o->max);
	if (r->pipeline == NULL)
		return err_set(e, ERR_FATAL, ERR_LOCAL, "out of memory");
	return 0;
}

static void close_run(struct run *r)
{
	pipeline_free(r->pipeline);
	rspamd_close(r->rspamd);
	ledger_close(r->ledger);
	conf_free(r->conf);
}

static int learn_mailbox(struct run *r, struct imap *imap, const struct conf_account *account,
			 const struct conf_mailbox *mailbox, struct err *e)
{
	struct source *s = source_imap(imap, account, mailbox);
	int rc;

	if (s == NULL)
		return err_set(e, ERR_FATAL, ERR_LOCAL, "out of memory");
	rc = pipeline_learn(r->pipeline, s, e);
	s->ops->close(s);
	return rc;
}

/* Every mailbox of an account. Errors of a mailbox or of the account are said here. */
static int learn_account(struct run *r, const struct conf_account *account, struct err *e)
{
	struct waiter w = pipeline_waiter(r->pipeline);
	struct imap *imap = imap_open(account, e);
	int rc = imap ? 0 : -1;

	if (imap)
		imap_set_waiter(imap, &w);
	for (size_t i = 0; rc == 0 && i < account->n_mailboxes; i++) {
		if (pipeline_is_full(r->pipeline))
			break;
		rc = learn_mailbox(r, imap, account, &account->mailboxes[i], e);
		if (rc == -1 && e->scope <= ERR_MAILBOX) {
			note_error(r, e);
			rc = 0;
		}
	}
	imap_close(imap);
	if (rc == -1 && e->scope == ERR_SERVER) {
		note_error(r, e);
		rc = 0;
	}
	return rc;
}

static int learn_all(struct run *r, struct err *e)
{
	for (size_t i = 0; i < r->conf->n_accounts; i++) {
		const struct conf_account *account = &r->conf->accounts[i];

		if (!cmd_wants_account(r->options, account->name) ||
		    pipeline_is_full(r->pipeline))
			continue;
		if (learn_account(r, account, e) == -1)
			return -1;
		if (stop_requested())
			return stop_error(e);
	}
	if (ledger_run_end(r->ledger, e) == -1)
		return -1;
	return ledger_commit(r->ledger, e);
}

static void say_rspamd(struct run *r)
{
	struct rspamd_stat stat;
	struct err e;

	if (rspamd_stat(r->rspamd, &stat, &e) == 0 && stat.bayes)
		report_rspamd(&r->report, stat.spam, stat.ham);
}

int cmd_learn(const struct cmd_options *o)
{
	struct run r = {
	    .options = o,
	    .report =
		{
		    .format = o->json ? REPORT_JSON : REPORT_TEXT,
		    .quiet = o->quiet,
		    .verbose = o->verbose > 0,
		    .dry_run = o->dry_run,
		    .command = "learn",
		},
	};
	struct err e;

	mime_init();
	progress_allow(!o->quiet && !o->json && !o->dry_run);
	report_start(&r.report);
	if (open_run(&r, &e) == -1) {
		note_error(&r, &e);
	} else {
		if (learn_all(&r, &e) == -1)
			note_error(&r, &e);
		report_summary(&r.report);
		if (!o->dry_run && !stop_requested())
			say_rspamd(&r);
	}
	if (r.status == EXIT_DONE && r.report.total.outcome[OUTCOME_FAILED] > 0)
		r.status = EXIT_MESSAGES;
	close_run(&r);
	mime_shutdown();
	return r.status;
}
