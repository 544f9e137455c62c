#include "command/cmd.h"

#include <string.h>

#include "base/user.h"

struct output cmd_output(const struct cmd_options *o, const char *command)
{
	return (struct output){
	    .ops = o->json ? &output_json : &output_text,
	    .quiet = o->quiet,
	    .verbose = o->verbose > 0,
	    .dry_run = o->dry_run,
	    .command = command,
	};
}

static bool has_account(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n_accounts; i++)
		if (strcmp(conf->accounts[i].name, name) == 0)
			return true;
	for (size_t i = 0; i < conf->n_spools; i++)
		if (strcmp(conf->spools[i].path, name) == 0)
			return true;
	for (size_t i = 0; i < conf->n_stalwarts; i++)
		if (strcmp(conf->stalwarts[i].name, name) == 0)
			return true;
	return false;
}

/* A command that lists users runs with the rights of the service's user. */
static int become_service(void *ctx, const struct conf *conf, struct err *e)
{
	const struct cmd_options *o = ctx;

	return user_become_owner(conf->ledger, o->class != CLASS_NONE, e);
}

static int read_conf(struct cmd_options *o, struct conf **conf, struct err *e)
{
	o->old.ready = become_service;
	o->old.ctx = o;
	if (o->old.any)
		return old_flags_load(&o->old, o->config, o->config_given,
				      !o->dry_run && !o->old.value[OLD_STATS], conf, e);
	return conf_load(o->config, become_service, o, conf, e);
}

int cmd_load(const struct cmd_options *o, struct conf **conf, struct err *e)
{
	struct cmd_options options = *o;

	/* Root works as the service's user, who owns the configuration or the ledger. */
	if (user_become_owner(o->config, o->class != CLASS_NONE, e) == -1 ||
	    read_conf(&options, conf, e) == -1)
		return -1;
	if (user_become_owner((*conf)->ledger, o->class != CLASS_NONE, e) == -1) {
		conf_free(*conf);
		*conf = NULL;
		return -1;
	}
	if (o->balance.more != -1)
		(*conf)->balance = o->balance;
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
