/*
 * cmd.h - what the commands share: the options and the loading of the configuration. Only the
 * commands and output print, or choose an exit status.
 */
#ifndef LS_CMD_H
#define LS_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mail/class.h"
#include "conf/conf.h"
#include "base/err.h"
#include "base/log.h"
#include "command/old_flags.h"
#include "output/output.h"

enum { CMD_ACCOUNTS_MAX = 1000 };

/* The command line. */
struct cmd_options {
	const char *config;
	bool config_given;
	int verbose;
	bool quiet, dry_run, json, yes, retrain;
	int64_t max;		      /* -1: no limit */
	enum mail_class class;	      /* of the files to learn; NONE: not said */
	struct conf_balance balance;  /* more is -1: not said */
	const char *reporter, *spool; /* of submit; NULL: not said */
	bool guard;		      /* rspamd may be "already sure" of these files */
	const char *import_state;     /* of reset: the file; NULL: not said */
	const char *account[CMD_ACCOUNTS_MAX];
	size_t n_accounts;
	enum log_target log;
	struct old_flags old; /* in the place of a command */
	char **args;	      /* the arguments after the command */
	int n_args;
};

/* Which options a command takes in addition to the common ones. */
enum cmd_flags {
	CMD_DRY_RUN = 1 << 0,
	CMD_JSON = 1 << 1,
	CMD_ACCOUNT = 1 << 2,
	CMD_MAX = 1 << 3,
	CMD_YES = 1 << 4,
	CMD_ARGS = 1 << 5, /* it takes arguments */
	CMD_RETRAIN = 1 << 6,
	CMD_CLASS = 1 << 7,
	CMD_GUARD = 1 << 8,
	CMD_BALANCE = 1 << 9,
	CMD_REPORTER = 1 << 10,
	CMD_SPOOL = 1 << 11,
	CMD_ALONE = 1 << 12, /* no option: it contacts nobody */
	CMD_IMPORT = 1 << 13,
};

struct cmd {
	const char *name;
	int (*run)(const struct cmd_options *o); /* returns the exit status */
	unsigned flags;
	const char *summary;
};

int cmd_run(const struct cmd_options *o);
int cmd_learn(const struct cmd_options *o);
int cmd_expire(const struct cmd_options *o);
int cmd_watch(const struct cmd_options *o);
int cmd_submit(const struct cmd_options *o);
int cmd_stats(const struct cmd_options *o);
int cmd_check(const struct cmd_options *o);
int cmd_reset(const struct cmd_options *o);
int cmd_ledger(const struct cmd_options *o);

/* Print one line: what is wrong with the command line, and the value at fault. Returns
 * EX_USAGE. */
int cmd_usage(const char *what, const char *value);

/* The output of this command, with the form and verbosity that the options choose. */
struct output cmd_output(const struct cmd_options *o, const char *command);

/*
 * Read the configuration and check that every --account is in it. On success *conf is owned by
 * the caller. Returns 0, or -1 with an error.
 */
int cmd_load(const struct cmd_options *o, struct conf **conf, struct err *e);

#endif
