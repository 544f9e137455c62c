/*
 * reset: forget what was learned. The ledger is set aside, not destroyed; what rspamd learned
 * stays learned, and the marks on the server stay where they are.
 */
#include "cmd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "lock.h"

static bool confirmed(const struct conf *conf)
{
	char answer[16] = "";

	printf("Forget what was learned, by setting the ledger in %s aside?\n"
	       "rspamd keeps what it learned, and messages that bear a mark stay done; the "
	       "others are "
	       "learned again.\nType yes: ",
	       conf->ledger);
	fflush(stdout);
	return isatty(STDIN_FILENO) && fgets(answer, sizeof answer, stdin) &&
	       strcmp(answer, "yes\n") == 0;
}

static int set_aside(const struct conf *conf, struct err *e)
{
	char from[1024], to[1024], now[21];

	clock_iso(clock_now(), now);
	if (snprintf(from, sizeof from, "%s/data.mdb", conf->ledger) >= (int)sizeof from ||
	    snprintf(to, sizeof to, "%s/data.mdb.%s", conf->ledger, now) >= (int)sizeof to)
		return err_set(e, ERR_FATAL, ERR_CONFIG, "ledger %s: too long a path",
			       conf->ledger);
	if (access(to, F_OK) == 0 || rename(from, to) == -1)
		return err_set(e, ERR_FATAL, ERR_LOCAL,
			       "ledger %s: cannot set it aside as %s: %s", conf->ledger, to,
			       strerror(errno));
	printf("the ledger is now %s; remove it when it is not needed\n", to);
	return 0;
}

static bool has_ledger(const struct conf *conf)
{
	char path[1024];

	snprintf(path, sizeof path, "%s/data.mdb", conf->ledger);
	return access(path, F_OK) == 0 || errno != ENOENT;
}

int cmd_reset(const struct cmd_options *o)
{
	struct conf *conf = NULL;
	struct err e;
	int status = EXIT_DONE, lock = -1;

	if (cmd_load(o, &conf, &e) == -1)
		return cmd_fail(o, &e);
	if (!has_ledger(conf)) {
		printf("there is nothing to forget\n");
		goto out;
	}
	if (!o->yes && !confirmed(conf))
		err_set(&e, ERR_FATAL, ERR_USAGE, "reset: not confirmed; nothing was changed");
	else if ((lock = lock_take(conf->ledger, "reset", &e)) != -1 &&
		 set_aside(conf, &e) == 0)
		goto out;
	status = cmd_fail(o, &e);
out:
	lock_release(lock);
	conf_free(conf);
	return status;
}
