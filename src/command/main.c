#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <curl/curl.h>
#include <locale.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "command/cmd.h"
#include "base/log.h"
#include "base/stop.h"
#include "base/text.h"
#include "source/spool_submit.h"

#ifndef LEARNSPOOL_VERSION
#define LEARNSPOOL_VERSION "unknown"
#endif
#ifndef LEARNSPOOL_CONF
#define LEARNSPOOL_CONF "/etc/learnspool/learnspool.conf"
#endif

enum { CMD_RUN_FLAGS = CMD_DRY_RUN | CMD_JSON | CMD_ACCOUNT | CMD_MAX };

static const struct cmd commands[] = {
    {"run", cmd_run, CMD_RUN_FLAGS | CMD_BALANCE, "learn, then expire: the nightly job"},
    {"learn", cmd_learn, CMD_RUN_FLAGS | CMD_BALANCE | CMD_CLASS | CMD_GUARD | CMD_ARGS,
     "learn what is new in every mailbox, or what is in files"},
    {"expire", cmd_expire, CMD_RUN_FLAGS,
     "remove mail that is old enough by the retention policy"},
    {"watch", cmd_watch, CMD_JSON | CMD_ACCOUNT | CMD_BALANCE,
     "stay up: learn what arrives at once, expire once a day"},
    {"submit", cmd_submit, CMD_CLASS | CMD_REPORTER | CMD_SPOOL | CMD_ALONE,
     "put the message on standard input into a spool"},
    {"stats", cmd_stats, CMD_JSON,
     "print what was learned, rspamd's counts, and what is missing"},
    {"check", cmd_check, CMD_ACCOUNT,
     "test configuration, logins, mailboxes, rspamd and ledger"},
    {"reset", cmd_reset, CMD_YES | CMD_RETRAIN | CMD_IMPORT | CMD_ACCOUNT,
     "forget what was learned"},
    {"ledger", cmd_ledger, CMD_JSON | CMD_ARGS,
     "list | messages | show DIGEST | backup FILE | verify"},
};

/* What getopt_long returns: for an option of some commands only, OPT_SOME and its flag. */
enum {
	OPT_CONFIG = 256,
	OPT_LOG,
	OPT_OLD = 1 << 9, /* and an enum old_flag: only without a command */
	OPT_SOME = 1 << 16,
};

static const struct option options[] = {
    {"config", required_argument, NULL, OPT_CONFIG},
    {"log", required_argument, NULL, OPT_LOG},
    {"dry-run", no_argument, NULL, OPT_SOME | CMD_DRY_RUN},
    {"json", no_argument, NULL, OPT_SOME | CMD_JSON},
    {"account", required_argument, NULL, OPT_SOME | CMD_ACCOUNT},
    {"max", required_argument, NULL, OPT_SOME | CMD_MAX},
    {"yes", no_argument, NULL, OPT_SOME | CMD_YES},
    {"retrain", no_argument, NULL, OPT_SOME | CMD_RETRAIN},
    {"import-state", required_argument, NULL, OPT_SOME | CMD_IMPORT},
    {"class", required_argument, NULL, OPT_SOME | CMD_CLASS},
    {"reporter", required_argument, NULL, OPT_SOME | CMD_REPORTER},
    {"spool", required_argument, NULL, OPT_SOME | CMD_SPOOL},
    {"guard", no_argument, NULL, OPT_SOME | CMD_GUARD},
    {"balance", required_argument, NULL, OPT_SOME | CMD_BALANCE},
    {"train", no_argument, NULL, OPT_OLD | OLD_TRAIN},
    {"stats", no_argument, NULL, OPT_OLD | OLD_STATS},
    {"reset", no_argument, NULL, OPT_OLD | OLD_RESET},
    {"imap-user", required_argument, NULL, OPT_OLD | OLD_USER},
    {"username", required_argument, NULL, OPT_OLD | OLD_USER},
    {"imap-password", required_argument, NULL, OPT_OLD | OLD_PASSWORD},
    {"password", required_argument, NULL, OPT_OLD | OLD_PASSWORD},
    {"spam-folder", required_argument, NULL, OPT_OLD | OLD_SPAM_FOLDER},
    {"ham-folder", required_argument, NULL, OPT_OLD | OLD_HAM_FOLDER},
    {"imap-host", required_argument, NULL, OPT_OLD | OLD_HOST},
    {"imap-port", required_argument, NULL, OPT_OLD | OLD_PORT},
    {"ca-file", required_argument, NULL, OPT_OLD | OLD_CA_FILE},
    {"rspamd-url", required_argument, NULL, OPT_OLD | OLD_RSPAMD_URL},
    {"verbose", no_argument, NULL, 'v'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static void print_usage(FILE *f)
{
	fprintf(f, "usage: learnspool [--config FILE] [-v | -q] [--log stderr|syslog|journal] "
		   "COMMAND [options]\n\ncommands:\n");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		fprintf(f, "  %-8s %s\n", commands[i].name, commands[i].summary);
	fprintf(
	    f,
	    "\noptions:\n"
	    "  --dry-run        print what would be done, line by line; change nothing\n"
	    "  --json           print JSON lines instead of text\n"
	    "  --account NAME   use only this account; may be repeated\n"
	    "  --max N          learn and expire at most N messages\n"
	    "  --yes            do not ask before reset\n"
	    "  --retrain        after reset, learn everything again and ignore marks\n"
	    "  --import-state FILE\n"
	    "                   reset: what the old script trained is known, and nothing "
	    "is "
	    "forgotten\n"
	    "  --class CLASS    learn --class spam|ham PATH...: files, folders, Maildirs "
	    "and mboxes\n"
	    "  --balance N:M    hold the larger class back, or off\n"
	    "  --guard          leave out the files of which rspamd is sure already\n"
	    "  --reporter ADDR  submit: who reported it\n"
	    "  --spool DIR      submit: the spool, else " SPOOL_DEFAULT "\n"
	    "  -h, --help       print this text\n"
	    "  -V, --version    print the version\n"
	    "\nin the place of a command, as with rspamd-spam-train.py; no configuration is "
	    "needed:\n"
	    "  --train, --stats, --reset     learn, stats, reset --retrain\n"
	    "  --imap-user, --username USER  whose mail; --imap-host, --imap-port: where\n"
	    "  --imap-password, --password PASSWORD, better in IMAP_PASSWORD; else it is asked "
	    "for\n"
	    "  --spam-folder NAME, --ham-folder NAME (else Junk Mail, and what was read in "
	    "INBOX)\n"
	    "  --ca-file FILE, --rspamd-url URL\n");
}

int cmd_usage(const char *what, const char *value)
{
	fprintf(stderr, "learnspool: %s%s; see learnspool --help\n", what, value);
	return EX_USAGE;
}

static bool is_old(int val)
{
	return val >= OPT_OLD && val < OPT_OLD + OLD_FLAGS;
}

/* Print the first of the options with these flags (at least one), which cmd does not take; 0:
 * of those that take the place of a command. */
static int wrong_option(const struct cmd *cmd, unsigned flags, const struct old_flags *old)
{
	const struct option *o = options;

	while (flags ? !(o->val & OPT_SOME) || !(o->val & flags)
		     : !is_old(o->val) || old->value[o->val & ~OPT_OLD] == NULL)
		o++;
	fprintf(stderr, "learnspool: %s takes no --%s; see learnspool --help\n", cmd->name,
		o->name);
	return EX_USAGE;
}

static bool parse_log(const char *name, enum log_target *out)
{
	static const char *const names[] = {"stderr", "syslog", "journal"};

	for (int i = 0; i < 3; i++)
		if (strcmp(name, names[i]) == 0) {
			*out = (enum log_target)i;
			return true;
		}
	return false;
}

/* Take the option c. Returns 0 or an exit status. */
static int take_option(int c, char *value, struct cmd_options *o)
{
	uint64_t n;

	if (is_old(c)) {
		old_flags_take(&o->old, (enum old_flag)(c & ~OPT_OLD), value);
		return 0;
	}
	switch (c) {
	case OPT_CONFIG:
		o->config = value;
		o->config_given = true;
		return 0;
	case OPT_LOG:
		return parse_log(value, &o->log) ? 0
						 : cmd_usage("unknown --log target: ", value);
	case OPT_SOME | CMD_DRY_RUN:
		o->dry_run = true;
		return 0;
	case OPT_SOME | CMD_JSON:
		o->json = true;
		return 0;
	case OPT_SOME | CMD_ACCOUNT:
		if (o->n_accounts == CMD_ACCOUNTS_MAX)
			return cmd_usage("too many --account options: ", value);
		o->account[o->n_accounts++] = value;
		return 0;
	case OPT_SOME | CMD_MAX:
		if (!text_number(value, strlen(value), INT32_MAX, &n))
			return cmd_usage("--max needs a number, not ", value);
		o->max = (int64_t)n;
		return 0;
	case OPT_SOME | CMD_YES:
		o->yes = true;
		return 0;
	case OPT_SOME | CMD_RETRAIN:
		o->retrain = true;
		return 0;
	case OPT_SOME | CMD_IMPORT:
		o->import_state = value;
		return 0;
	case OPT_SOME | CMD_CLASS:
		o->class = class_parse(value);
		if (o->class == CLASS_NONE)
			return cmd_usage("--class is spam or ham, not ", value);
		return 0;
	case OPT_SOME | CMD_BALANCE:
		if (!conf_balance_parse(value, &o->balance))
			return cmd_usage("--balance is like 2:1, or off, not ", value);
		return 0;
	case OPT_SOME | CMD_REPORTER:
		o->reporter = value;
		return 0;
	case OPT_SOME | CMD_SPOOL:
		o->spool = value;
		return 0;
	case OPT_SOME | CMD_GUARD:
		o->guard = true;
		return 0;
	case 'v':
		o->verbose++;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	default:
		return EX_USAGE; /* getopt has printed why */
	}
}

static const struct cmd *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* There are secrets in memory, so write no core files; new files are for their owner only. */
static void harden(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	umask(077);
	/* Return the memory of large messages to the system, so that the heap does not grow. */
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	mallopt(M_TRIM_THRESHOLD, 512 * 1024);
}

/* Lost output is an error of its own if there was no other. */
static int flush_output(int status)
{
	bool lost = fflush(stdout) == EOF || ferror(stdout);

	if (!lost)
		return status;
	log_error("standard output could not be written: %s; what was learned is recorded",
		  strerror(errno));
	return status == EXIT_DONE ? EX_IOERR : status;
}

/* If a standard stream is closed, the ledger could get its descriptor, and be printed into. */
static void fill_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1)
			(void)!open("/dev/null", O_RDWR); /* takes the lowest free number: fd */
}

static int run_command(const struct cmd *cmd, const struct cmd_options *o)
{
	enum log_level level = o->quiet			 ? LOG_LEVEL_ERROR
			       : o->verbose > 1		 ? LOG_LEVEL_DEBUG
			       : o->log == LOG_TO_STDERR ? LOG_LEVEL_WARNING
							 : LOG_LEVEL_INFO;
	int status;

	log_open(o->log, level);
	stop_install();
	if (cmd->flags & CMD_ALONE)
		return flush_output(cmd->run(o));
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return EX_SOFTWARE;
	status = cmd->run(o);
	curl_global_cleanup();
	return flush_output(status);
}

/* Take all options, and first of all: one of them may hide a password. Returns 0, 'h' or 'V',
 * or an exit status. */
static int take_options(int argc, char **argv, struct cmd_options *o, unsigned *flags)
{
	int c, status;

	while ((c = getopt_long(argc, argv, "vqhV", options, NULL)) != -1) {
		if (c == 'h' || c == 'V')
			return c;
		if ((status = take_option(c, optarg, o)) != 0)
			return status;
		if (c & OPT_SOME)
			*flags |= (unsigned)c & ~(unsigned)OPT_SOME;
	}
	return 0;
}

/* What the script's flags mean: one command, and its options. NULL: said what is wrong. */
static const struct cmd *old_command(struct cmd_options *o, unsigned *flags)
{
	const char *name = old_flags_command(&o->old);

	if (name == NULL) {
		cmd_usage("a command is needed, or one of --train, --stats and --reset", "");
		return NULL;
	}
	/* After its reset the script learned everything anew; it took --max with whatever else.
	 */
	o->retrain = o->old.value[OLD_RESET] && o->import_state == NULL;
	o->old.connects = o->old.value[OLD_TRAIN] || o->import_state;
	*flags &= ~(unsigned)CMD_MAX;
	return find_command(name);
}

int main(int argc, char **argv)
{
	static struct cmd_options o = {
	    .config = LEARNSPOOL_CONF, .max = -1, .balance = {-1, 0}};
	const struct cmd *cmd;
	const char *name;
	unsigned flags = 0;
	int status = take_options(argc, argv, &o, &flags);

	fill_streams();
	harden();
	setlocale(LC_CTYPE, "C.UTF-8");
	name = optind < argc ? argv[optind] : "";
	if (status == 'h' || (status == 0 && strcmp(name, "help") == 0)) {
		print_usage(stdout);
		return flush_output(EXIT_DONE);
	}
	if (status == 'V') {
		printf("learnspool %s\n", LEARNSPOOL_VERSION);
		return flush_output(EXIT_DONE);
	}
	if (status != 0)
		return status;
	if (optind == argc && !o.old.any) {
		print_usage(stderr);
		return EX_USAGE;
	}
	if (optind == argc)
		cmd = old_command(&o, &flags);
	else if ((cmd = find_command(name)) == NULL)
		cmd_usage("no such command: ", name);
	if (cmd == NULL)
		return EX_USAGE;
	if (optind < argc && o.old.any)
		return wrong_option(cmd, 0, &o.old);
	optind += optind < argc;
	o.args = argv + optind;
	o.n_args = argc - optind;
	if (o.n_args > 0 && !(cmd->flags & CMD_ARGS))
		return cmd_usage("unexpected argument: ", o.args[0]);
	if (flags & ~cmd->flags)
		return wrong_option(cmd, flags & ~cmd->flags, &o.old);
	return run_command(cmd, &o);
}
