/* learn, expire and run: the same code with one job or both. */
#include "command/cmd.h"

#include <stdio.h>
#include <sysexits.h>

#include "base/progress.h"
#include "base/stop.h"
#include "learn/run.h"
#include "mail/mime.h"

static uint64_t plus(uint64_t before, uint64_t learned, uint64_t taken_back)
{
	return before + learned > taken_back ? before + learned - taken_back : 0;
}

/*
 * rspamd's own count lags; its answers in this run do not. The count at the start plus these
 * answers is at least what it has learned by now.
 */
static void show_rspamd(struct run *r)
{
	const struct tally *t = &r->output->total;
	struct output_rspamd o;
	struct rspamd_stat now;
	struct err e;

	if (rspamd_stat(r->rspamd, &now, &e) == -1 || !now.bayes)
		return;
	o = (struct output_rspamd){
	    .spam = now.spam,
	    .ham = now.ham,
	    .spam_true =
		plus(r->before.spam, t->learned[CLASS_SPAM], t->taken_back[CLASS_SPAM]),
	    .ham_true = plus(r->before.ham, t->learned[CLASS_HAM], t->taken_back[CLASS_HAM]),
	};
	/* Others may have trained it in the meantime. */
	if (o.spam > o.spam_true && t->taken_back[CLASS_SPAM] == 0)
		o.spam_true = o.spam;
	if (o.ham > o.ham_true && t->taken_back[CLASS_HAM] == 0)
		o.ham_true = o.ham;
	r->output->ops->rspamd(r->output, &o);
}

/*
 * Files are an administrator's word, on old mail: it counts at once, and rspamd is to learn it
 * although it may be sure already (docs/rspamd.md).
 */
static void prepare_files(const struct cmd_options *o, struct conf *conf)
{
	conf->reports.quorum = 1;
	conf->rspamd.bulk = !o->guard;
}

static int run_command(const struct cmd_options *o, const char *name, bool learns, bool expires)
{
	struct output output = cmd_output(o, name);
	struct run r = {
	    .options = {.dry_run = o->dry_run,
			.max = o->max,
			.account = o->account,
			.n_accounts = o->n_accounts,
			.path = (const char *const *)o->args,
			.n_paths = (size_t)o->n_args,
			.class = o->class},
	    .output = &output,
	};
	struct conf *conf = NULL;
	struct err e;
	bool opened;

	output.learns = learns;
	output.expires = expires;
	mime_init();
	progress_allow(!o->quiet && !o->json && !o->dry_run);
	output_start(&output);
	opened = cmd_load(o, &conf, &e) == 0;
	if (opened && r.options.n_paths > 0)
		prepare_files(o, conf);
	r.conf = conf;
	opened = opened && run_open(&r, &e) == 0;
	if (!opened || run_all(&r, &e) == -1)
		output_fail(&output, NULL, &e);
	if (output.status == EXIT_DONE && tally_group(&output.total, GROUP_FAILED) > 0)
		output.status = EXIT_MESSAGES;
	if (opened || o->json)
		output_summary(&output);
	if (opened && learns && !o->dry_run && !stop_requested())
		show_rspamd(&r);
	run_close(&r);
	conf_free(conf);
	mime_shutdown();
	return output.status;
}

int cmd_learn(const struct cmd_options *o)
{
	if (o->n_args > 0 && o->class == CLASS_NONE)
		return cmd_usage("--class spam or --class ham is needed to learn ", o->args[0]);
	if (o->n_args == 0 && (o->class != CLASS_NONE || o->guard))
		return cmd_usage("--class needs a file or folder to learn", "");
	if (o->n_args > 0 && o->n_accounts > 0)
		return cmd_usage("--account or a file, not both: ", o->args[0]);
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
