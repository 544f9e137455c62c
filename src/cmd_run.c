/* learn, expire and run: the same program with one job or both. */
#include "cmd.h"

#include "mime.h"
#include "progress.h"
#include "run.h"
#include "stop.h"

static void say_rspamd(struct run *r)
{
	struct rspamd_stat stat;
	struct err e;

	if (rspamd_stat(r->rspamd, &stat, &e) == 0 && stat.bayes)
		report_rspamd(&r->report, stat.spam, stat.ham);
}

static void do_jobs(struct run *r)
{
	struct err e;
	int rc = 0;

	if (r->report.learns)
		rc = run_learn(r, &e);
	/* When nothing can be learned any more, something is wrong: mail stays where it is. */
	if (rc == 0 && r->report.expires)
		rc = run_expire(r, &e);
	if (rc == -1)
		run_fail(r, &e);
	report_summary(&r->report);
	if (r->report.learns && !r->options->dry_run && !stop_requested())
		say_rspamd(r);
}

static int run_command(const struct cmd_options *o, const char *name, bool learns, bool expires)
{
	struct run r = {
	    .options = o,
	    .report = {.format = o->json ? REPORT_JSON : REPORT_TEXT,
		       .quiet = o->quiet,
		       .verbose = o->verbose > 0,
		       .dry_run = o->dry_run,
		       .learns = learns,
		       .expires = expires,
		       .command = name},
	};
	struct err e;

	mime_init();
	progress_allow(!o->quiet && !o->json && !o->dry_run);
	report_start(&r.report);
	if (run_open(&r, &e) == -1)
		run_fail(&r, &e);
	else
		do_jobs(&r);
	if (r.status == EXIT_DONE && r.report.total.outcome[OUTCOME_FAILED] > 0)
		r.status = EXIT_MESSAGES;
	run_close(&r);
	mime_shutdown();
	return r.status;
}

int cmd_learn(const struct cmd_options *o)
{
	return run_command(o, "learn", true, false);
}

int cmd_expire(const struct cmd_options *o)
{
	return run_command(o, "expire", false, true);
}

int cmd_run(const struct cmd_options *o)
{
	return run_command(o, "run", true, true);
}
