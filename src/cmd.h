/*
 * cmd.h - what the commands share: the options, opening what they need, and the exit status.
 * The cmd_*.c files are the only ones that print for people or choose an exit status.
 */
#ifndef LS_CMD_H
#define LS_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "class.h"
#include "conf.h"
#include "err.h"
#include "log.h"
#include "report.h"

enum {
	CMD_ACCOUNTS_MAX = 1000,
	EXIT_DONE = 0,
	EXIT_MESSAGES = 1, /* done, but some messages failed */
};

/* What the command line says. */
struct cmd_options {
	const char *config;
	int verbose;
	bool quiet, dry_run, json, yes;
	int64_t max; /* -1: no limit */
	const char *account[CMD_ACCOUNTS_MAX];
	size_t n_accounts;
	enum log_target log;
	enum mail_class class;
	char **args; /* what stands behind the options */
	int n_args;
};

/* Which options a command takes beside the common ones. */
enum cmd_flags {
	CMD_DRY_RUN = 1 << 0,
	CMD_JSON = 1 << 1,
	CMD_ACCOUNT = 1 << 2,
	CMD_MAX = 1 << 3,
	CMD_YES = 1 << 4,
	CMD_ARGS = 1 << 5, /* and takes words behind them */
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
int cmd_stats(const struct cmd_options *o);
int cmd_check(const struct cmd_options *o);
int cmd_reset(const struct cmd_options *o);
int cmd_ledger(const struct cmd_options *o);

/* The exit status that stands for this error (learnspool(1)). */
int cmd_exit_status(const struct err *e);

/* Say the error, as a line on standard error or as JSON. Returns its exit status. */
int cmd_fail(const struct cmd_options *o, const struct err *e);

/* Read the configuration and see that every --account is in it. 0, or -1 with an error. */
int cmd_load(const struct cmd_options *o, struct conf **conf, struct err *e);

/* Is this account to be looked at? */
bool cmd_wants_account(const struct cmd_options *o, const char *name);

#endif
