#include "cmd.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "progress.h"
#include "stop.h"

int cmd_exit_status(const struct err *e)
{
	switch (e->kind) {
	case ERR_OK:
		return EXIT_DONE;
	case ERR_TEMPORARY:
		return EX_TEMPFAIL;
	case ERR_UNREACHABLE:
	case ERR_PROTOCOL:
		return EX_UNAVAILABLE;
	case ERR_AUTH:
		return EX_NOPERM;
	case ERR_DATA:
		return EXIT_MESSAGES;
	case ERR_CONFIG:
		return EX_CONFIG;
	case ERR_USAGE:
		return EX_USAGE;
	case ERR_CANCELLED:
		return stop_exit_status();
	case ERR_LOCAL:
		break;
	}
	return EX_SOFTWARE;
}

int cmd_fail(const struct cmd_options *o, const struct err *e)
{
	int status = cmd_exit_status(e);

	progress_end();
	if (o->json)
		report_error(e->text, status);
	log_error("%s", e->text);
	return status;
}

bool cmd_wants_account(const struct cmd_options *o, const char *name)
{
	for (size_t i = 0; i < o->n_accounts; i++)
		if (strcmp(o->account[i], name) == 0)
			return true;
	return o->n_accounts == 0;
}

static bool has_account(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n_accounts; i++)
		if (strcmp(conf->accounts[i].name, name) == 0)
			return true;
	return false;
}

int cmd_load(const struct cmd_options *o, struct conf **conf, struct err *e)
{
	if (conf_load(o->config, conf, e) == -1)
		return -1;
	for (size_t i = 0; i < o->n_accounts; i++)
		if (!has_account(*conf, o->account[i])) {
			conf_free(*conf);
			*conf = NULL;
			return err_set(e, ERR_FATAL, ERR_USAGE,
				       "--account %s: %s has no account of that name",
				       o->account[i], o->config);
		}
	return 0;
}
