/* check: test configuration, ledger, rspamd, logins and mailboxes; each problem is printed with
 * its cure. Changes nothing. */
#include "command/cmd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ledger/ledger.h"
#include "ledger/samples.h"
#include "rspamd/rspamd.h"
#include "source/account.h"
#include "ledger/store.h"
#include "learn/run.h"
#include "learn/wrappers.h"
#include "learn/trust.h"

struct check {
	const struct cmd_options *options;
	const struct conf *conf;
	int status; /* of the first thing that is wrong */
};

static void say_good(const struct check *k, const char *what)
{
	if (!k->options->quiet)
		printf("ok    %s\n", what);
}

static void say_bad(struct check *k, const struct err *e)
{
	int status = output_exit_status(e);

	printf("WRONG %s\n", e->text);
	if (k->status == EXIT_DONE)
		k->status = status;
}

/* Not an error, but worth knowing. */
static void say_note(const struct check *k, const char *what)
{
	if (!k->options->quiet)
		printf("note  %s\n", what);
}

/* The first run creates the directory: will it be able to? */
static void check_new_ledger(struct check *k, const char *dir)
{
	char *parent = strdup(dir), *slash = parent ? strrchr(parent, '/') : NULL;
	struct err e;

	if (slash)
		slash[slash == parent] = '\0';
	if (slash && access(parent, W_OK | X_OK) == 0 && geteuid() == 0) {
		say_note(k,
			 "the ledger's directory does not exist; create it for the user that "
			 "runs learnspool, who may not be allowed to");
	} else if (slash && access(parent, W_OK | X_OK) == 0) {
		say_good(k, "ledger (the first run creates it)");
	} else {
		err_set(&e, ERR_FATAL, ERR_CONFIG,
			"ledger %s: does not exist and cannot be created: %s; create the "
			"directory for the user that runs learnspool",
			dir, strerror(errno));
		say_bad(k, &e);
	}
	free(parent);
}

static void check_ledger(struct check *k)
{
	const char *dir = k->conf->ledger;
	struct ledger *l = NULL;
	struct err e;

	if (access(dir, F_OK) == -1 && errno == ENOENT) {
		check_new_ledger(k, dir);
		return;
	}
	if (store_lmdb_check_dir(dir, false, &e) == 0)
		l = ledger_open(dir, LEDGER_READ, "check", &e);
	if (l)
		say_good(k, "ledger");
	else
		say_bad(k, &e);
	ledger_close(l);
}

/* Is there a mailbox in which a message must prove that it is a report? */
static bool has_collection(const struct conf *c)
{
	for (size_t i = 0; i < c->n_accounts; i++)
		for (size_t j = 0; j < c->accounts[i].n_mailboxes; j++)
			if (c->accounts[i].mailboxes[j].proof)
				return true;
	return false;
}

/*
 * Can the token that reports must have be read, and if there is none: can somebody outside
 * teach rspamd that spam is ham?
 */
static void check_reports(struct check *k)
{
	struct err e;
	struct trust *t = trust_open(&k->conf->reports, &e);

	if (t == NULL)
		say_bad(k, &e);
	else if (k->conf->reports.token.kind != SECRET_NONE)
		say_good(k, "token of reports");
	if (t && !trust_is_asked(t) && has_collection(k->conf))
		say_note(k, "reports need no proof: whoever can send mail to a collection "
			    "account trains rspamd, ham included; set a token in the reports "
			    "block (learnspool.conf(5)), or trusted = true where nobody "
			    "outside can deliver");
	trust_close(t);
}

static void check_rspamd(struct check *k)
{
	struct rspamd_stat stat;
	struct err e;
	struct rspamd *r = rspamd_http(&k->conf->rspamd, &e);

	if (r == NULL || rspamd_stat(r, &stat, &e) == -1) {
		say_bad(k, &e);
	} else if (!stat.bayes) {
		err_set(
		    &e, ERR_FATAL, ERR_UNREACHABLE,
		    "rspamd %s: no working Bayes classifier; set servers in its redis.conf or "
		    "classifier-bayes.conf and see that Redis runs",
		    k->conf->rspamd.url);
		say_bad(k, &e);
	} else {
		say_good(k, "rspamd answers and has a Bayes classifier");
	}
	rspamd_close(r);
}

static void check_source(struct check *k, struct source *s)
{
	const struct conf_retention *policy = &k->conf->retention;
	const struct source_removal how = {
	    .move_to = policy->action == CONF_MOVE ? policy->move_to : NULL,
	    .imprecise = policy->without_uidplus,
	};
	struct wrappers wrappers = {0};
	char what[ERR_TEXT_MAX];
	struct err e;

	if (source_open(s, true, &e) == -1) {
		say_bad(k, &e);
		return;
	}
	snprintf(what, sizeof what, "account %s: mailbox %s%s%s%s: %u messages", s->account,
		 s->mailbox, s->folder ? ", which is \"" : "", s->folder ? s->folder : "",
		 s->folder ? "\"" : "", s->count);
	say_good(k, what);
	if (s->expires && conf_retention_active(policy) && source_can_remove(s, &how, &e) == -1)
		say_bad(k, &e);
	if (wrappers_read(&wrappers, s, &e) == -1)
		say_bad(k, &e);
	else if (wrappers_are_many(&wrappers, s->account, s->mailbox, what, sizeof what))
		say_note(k, what);
}

/* Of a server whose messages the ledger knows by name: how many has no run met yet? */
static void check_samples(struct check *k, const struct account *a)
{
	struct samples here;
	struct ledger *real = NULL;
	char what[ERR_TEXT_MAX];
	uint64_t n;
	struct err e;

	if (samples_load(&here, a->ledger, a->name, &e) == -1 || samples_total(&here) == 0)
		return;
	real = ledger_open(k->conf->ledger, LEDGER_READ, "check", &e);
	if (real && samples_waiting(&here, real, &n, &e) == 0) {
		snprintf(what, sizeof what,
			 "account %s: %llu decisions of users wait for a run", a->name,
			 (unsigned long long)n);
		say_good(k, what);
	}
	ledger_close(real); /* what is wrong with it was said */
}

static void note(void *ctx, const char *text)
{
	say_note(ctx, text);
}

static void check_account(struct check *k, struct account *a)
{
	struct err e;

	if (account_connect(a, &e) == -1) {
		say_bad(k, &e);
		return;
	}
	if (a->ops->advise && a->ops->advise(a, note, k, &e) == -1)
		say_bad(k, &e);
	for (size_t i = 0; i < a->n; i++) {
		struct source *s = account_source(a, i);

		if (s)
			check_source(k, s);
		else if (err_no_memory(&e) == -1)
			say_bad(k, &e);
		source_close(s);
	}
	check_samples(k, a);
	account_disconnect(a);
}

static void check_accounts(struct check *k)
{
	const struct run_options wanted = {.account = k->options->account,
					   .n_accounts = k->options->n_accounts};
	/* What is learned of messages here is forgotten: a run that is at work has the ledger.
	 */
	struct err e;
	struct store *store = store_mem_open(&e);
	struct ledger *ledger = store ? ledger_over(store, LEDGER_DRY, &e) : NULL;
	struct accounts accounts = {0};

	if (ledger == NULL || accounts_open(k->conf, &accounts, &e) == -1)
		say_bad(k, &e);
	for (size_t i = 0; i < accounts.n; i++) {
		accounts.account[i]->ledger = ledger;
		if (run_wants(&wanted, accounts.account[i]->name))
			check_account(k, accounts.account[i]);
	}
	accounts_free(&accounts);
	ledger_close(ledger);
}

int cmd_check(const struct cmd_options *o)
{
	struct check k = {.options = o};
	struct conf *conf = NULL;
	struct err e;

	if (cmd_load(o, &conf, &e) == -1) {
		struct output output = cmd_output(o, "check");

		return output_fail(&output, NULL, &e);
	}
	k.conf = conf;
	say_good(&k, "configuration");
	check_reports(&k);
	check_ledger(&k);
	check_rspamd(&k);
	check_accounts(&k);
	conf_free(conf);
	return k.status;
}
