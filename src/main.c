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

#include "cmd.h"
#include "log.h"
#include "stop.h"
#include "text.h"

#ifndef LEARNSPOOL_VERSION
#define LEARNSPOOL_VERSION "unknown"
#endif
#ifndef LEARNSPOOL_CONF
#define LEARNSPOOL_CONF "/etc/learnspool/learnspool.conf"
#endif

enum { CMD_RUN_FLAGS = CMD_DRY_RUN | CMD_JSON | CMD_ACCOUNT | CMD_MAX };

static const struct cmd commands[] = {
    {"run", cmd_run, CMD_RUN_FLAGS, "learn, then expire: the nightly job"},
    {"learn", cmd_learn, CMD_RUN_FLAGS, "learn what is new in every source"},
    {"expire", cmd_expire, CMD_RUN_FLAGS, "remove what the retention policy lets go"},
    {"stats", cmd_stats, CMD_JSON, "what was learned, what rspamd says, what is missing"},
    {"check", cmd_check, CMD_ACCOUNT, "configuration, logins, mailboxes, rspamd, ledger"},
    {"reset", cmd_reset, CMD_YES, "forget what was learned"},
    {"ledger", cmd_ledger, CMD_JSON | CMD_ARGS,
     "list | messages | show DIGEST | backup FILE | verify"},
};

enum {
	OPT_CONFIG = 256,
	OPT_LOG,
	OPT_DRY_RUN,
	OPT_JSON,
	OPT_ACCOUNT,
	OPT_MAX,
	OPT_YES,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option options[] = {
    {"config", required_argument, NULL, OPT_CONFIG},
    {"log", required_argument, NULL, OPT_LOG},
    {"dry-run", no_argument, NULL, OPT_DRY_RUN},
    {"json", no_argument, NULL, OPT_JSON},
    {"account", required_argument, NULL, OPT_ACCOUNT},
    {"max", required_argument, NULL, OPT_MAX},
    {"yes", no_argument, NULL, OPT_YES},
    {"verbose", no_argument, NULL, 'v'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

static void print_usage(FILE *f)
{
	fprintf(f, "usage: learnspool [--config FILE] [-v | -q] [--log stderr|syslog|journal] "
		   "COMMAND [options]\n\ncommands:\n");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		fprintf(f, "  %-8s %s\n", commands[i].name, commands[i].summary);
	fprintf(f, "\noptions:\n"
		   "  --dry-run        say what would be done, line by line; change nothing\n"
		   "  --json           the same facts as JSON lines\n"
		   "  --account NAME   only this account; may be repeated\n"
		   "  --max N          at most N messages\n"
		   "  --yes            reset without asking\n"
		   "  --version, --help\n");
}

static int usage_error(const char *what, const char *value)
{
	fprintf(stderr, "learnspool: %s%s; see learnspool --help\n", what, value);
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

/* One option; flags collects which of the special ones were given. 0, or an exit status. */
static int take_option(int c, const char *value, struct cmd_options *o, unsigned *flags)
{
	uint64_t n;

	switch (c) {
	case OPT_CONFIG:
		o->config = value;
		return 0;
	case OPT_LOG:
		return parse_log(value, &o->log) ? 0
						 : usage_error("--log does not know ", value);
	case OPT_DRY_RUN:
		o->dry_run = true;
		*flags |= CMD_DRY_RUN;
		return 0;
	case OPT_JSON:
		o->json = true;
		*flags |= CMD_JSON;
		return 0;
	case OPT_ACCOUNT:
		if (o->n_accounts == CMD_ACCOUNTS_MAX)
			return usage_error("too many times --account ", value);
		o->account[o->n_accounts++] = value;
		*flags |= CMD_ACCOUNT;
		return 0;
	case OPT_MAX:
		if (!text_number(value, strlen(value), INT32_MAX, &n))
			return usage_error("--max wants a number, not ", value);
		o->max = (int64_t)n;
		*flags |= CMD_MAX;
		return 0;
	case OPT_YES:
		o->yes = true;
		*flags |= CMD_YES;
		return 0;
	case 'v':
		o->verbose++;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	default:
		return EX_USAGE; /* getopt has said why */
	}
}

static const struct cmd *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* Secrets are in our memory: no core files, no tracing by others of the same user. */
static void harden(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	umask(077);
	/* Large messages come and go: give their memory back instead of letting the heap grow.
	 */
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	mallopt(M_TRIM_THRESHOLD, 512 * 1024);
}

/* What could not be written was not said. */
static int flush_output(int status)
{
	bool lost = fflush(stdout) == EOF || ferror(stdout);

	return lost && status == EXIT_DONE ? EX_IOERR : status;
}

/* With a standard stream closed the ledger would get its number, and be printed into. */
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
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return EX_SOFTWARE;
	status = cmd->run(o);
	curl_global_cleanup();
	return flush_output(status);
}

int main(int argc, char **argv)
{
	static struct cmd_options o = {.config = LEARNSPOOL_CONF, .max = -1};
	const struct cmd *cmd;
	unsigned flags = 0;
	int c, status;

	fill_streams();
	harden();
	setlocale(LC_CTYPE, "C.UTF-8");
	while ((c = getopt_long(argc, argv, "vq", options, NULL)) != -1) {
		if (c == OPT_HELP) {
			print_usage(stdout);
			return flush_output(EXIT_DONE);
		}
		if (c == OPT_VERSION) {
			printf("learnspool %s\n", LEARNSPOOL_VERSION);
			return flush_output(EXIT_DONE);
		}
		if ((status = take_option(c, optarg, &o, &flags)) != 0)
			return status;
	}
	if (optind == argc) {
		print_usage(stderr);
		return EX_USAGE;
	}
	cmd = find_command(argv[optind]);
	if (cmd == NULL)
		return usage_error("no such command: ", argv[optind]);
	o.args = argv + optind + 1;
	o.n_args = argc - optind - 1;
	if (o.n_args > 0 && !(cmd->flags & CMD_ARGS))
		return usage_error("what is this for: ", o.args[0]);
	if (flags & ~cmd->flags)
		return usage_error("an option that does not belong to ", cmd->name);
	return run_command(cmd, &o);
}
