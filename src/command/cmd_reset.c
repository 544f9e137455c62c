/*
 * reset: forget what was learned. The ledger is set aside, not destroyed; what rspamd learned
 * stays learned, and the marks on the server are not changed. The next run believes them,
 * unless it is to teach everything again (--retrain). With --import-state nothing is forgotten:
 * what the old script trained is added.
 */
#include "command/cmd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "command/import_state.h"
#include "ledger/ledger.h"

static bool confirmed(const struct conf *conf, bool retrain)
{
	char answer[16] = "";

	printf("Forget what was learned, by setting the ledger in %s aside?\n"
	       "rspamd keeps what it learned; the next run %s.\nType yes: ",
	       conf->ledger,
	       retrain ? "has it learn every message again, whatever marks it has"
		       : "leaves marked messages alone, and has it learn the others again");
	fflush(stdout);
	return isatty(STDIN_FILENO) && fgets(answer, sizeof answer, stdin) &&
	       strcmp(answer, "yes\n") == 0;
}

static bool has_ledger(const struct conf *conf)
{
	char path[1024];

	snprintf(path, sizeof path, "%s/data.mdb", conf->ledger);
	return access(path, F_OK) == 0 || errno != ENOENT;
}

static int set_aside(const struct conf *conf, struct err *e)
{
	char from[1024], to[1024], now[21];

	clock_iso(clock_now(), now);
	if (snprintf(from, sizeof from, "%s/data.mdb", conf->ledger) >= (int)sizeof from ||
	    snprintf(to, sizeof to, "%s/data.mdb.%s", conf->ledger, now) >= (int)sizeof to)
		return err_set(e, ERR_FATAL, ERR_CONFIG,
			       "the path of the ledger is too long: %s", conf->ledger);
	if (!has_ledger(conf))
		return 0;
	for (int n = 1; access(to, F_OK) == 0; n++)
		if (snprintf(to, sizeof to, "%s/data.mdb.%s.%d", conf->ledger, now, n) >=
		    (int)sizeof to)
			break;
	if (rename(from, to) == -1)
		return err_set(e, ERR_FATAL, ERR_LOCAL,
			       "ledger %s: cannot set it aside as %s: %s", conf->ledger, to,
			       strerror(errno));
	printf("the old ledger is now %s; remove it when you no longer need it\n", to);
	return 0;
}

/* Create an empty ledger that makes runs ignore all marks. It takes over the run lock. */
static int begin_anew(const struct conf *conf, bool retrain, int *lock, struct err *e)
{
	struct ledger *l;
	int rc;

	if (!retrain)
		return 0;
	lock_release(*lock);
	*lock = -1;
	l = ledger_open(conf->ledger, LEDGER_WRITE, "reset", e);
	if (l == NULL)
		return -1;
	rc = ledger_distrust_marks(l, e);
	if (rc == 0)
		rc = ledger_commit(l, e);
	ledger_close(l);
	return rc;
}

int cmd_reset(const struct cmd_options *o)
{
	struct output output = cmd_output(o, "reset");
	struct conf *conf = NULL;
	struct err e;
	int lock = -1;

	if (o->import_state && o->retrain)
		return cmd_usage("--import-state forgets nothing; leave out ", "--retrain");
	if (o->import_state == NULL && o->n_accounts > 0)
		return cmd_usage("reset takes no --account without --import-state", "");
	if (cmd_load(o, &conf, &e) == -1)
		return output_fail(&output, NULL, &e);
	if (o->import_state) {
		if (import_state(o, conf, &e) == -1)
			output_fail(&output, NULL, &e);
		goto out;
	}
	if (!has_ledger(conf) && !o->retrain) {
		printf("there is nothing to forget\n");
		goto out;
	}
	if (!o->yes && !confirmed(conf, o->retrain))
		err_set(
		    &e, ERR_FATAL, ERR_USAGE,
		    "reset: not confirmed, and nothing was changed; type yes, or give --yes");
	else if ((lock = lock_take(conf->ledger, "reset", &e)) != -1 &&
		 set_aside(conf, &e) == 0 && begin_anew(conf, o->retrain, &lock, &e) == 0)
		goto out;
	output_fail(&output, NULL, &e);
out:
	lock_release(lock);
	conf_free(conf);
	return output.status;
}
