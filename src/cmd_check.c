/* check: configuration, ledger, rspamd, logins and mailboxes; each with its cure. Changes
 * nothing. */
#include "cmd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imap.h"
#include "ledger.h"
#include "rspamd.h"
#include "source.h"
#include "store.h"
#include "trust.h"

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
	int status = cmd_exit_status(e);

	printf("WRONG %s\n", e->text);
	if (k->status == EXIT_DONE)
		k->status = status;
}

/* Not wrong, but to be known. */
static void say_note(const struct check *k, const char *what)
{
	if (!k->options->quiet)
		printf("note  %s\n", what);
}

/* The first run makes the directory; could it? */
static void check_new_ledger(struct check *k, const char *dir)
{
	char *parent = strdup(dir), *slash = parent ? strrchr(parent, '/') : NULL;
	struct err e;

	if (slash)
		slash[slash == parent] = '\0';
	if (slash && access(parent, W_OK | X_OK) == 0) {
		say_good(k, "ledger (the first run makes it)");
	} else {
		err_set(&e, ERR_FATAL, ERR_CONFIG,
			"ledger %s: is not there and cannot be made: %s; make the directory "
			"for the "
			"user that runs learnspool",
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

/* Can the token be read that reports are to bear? */
static void check_token(struct check *k)
{
	struct err e;
	struct trust *t = trust_open(&k->conf->reports, &e);

	if (t == NULL)
		say_bad(k, &e);
	else if (k->conf->reports.token.kind != SECRET_NONE)
		say_good(k, "token of reports");
	trust_close(t);
}

/* Can somebody outside teach rspamd that spam is welcome? */
static void check_proof(const struct check *k)
{
	const struct conf_reports *r = &k->conf->reports;
	bool asked = r->token.kind != SECRET_NONE || r->senders || r->received;

	for (size_t i = 0; i < k->conf->n_accounts && !asked; i++)
		for (size_t j = 0; j < k->conf->accounts[i].n_mailboxes; j++)
			if (k->conf->accounts[i].mailboxes[j].proof) {
				say_note(
				    k, "reports need no proof: whoever can send mail to a "
				       "collection account trains rspamd, ham included; set a "
				       "token in the reports block (learnspool.conf(5)), or "
				       "trusted = true where nobody outside can deliver");
				return;
			}
}

static void check_rspamd(struct check *k)
{
	struct rspamd_stat stat;
	struct err e;
	struct rspamd *r = rspamd_open(&k->conf->rspamd, &e);

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

static void check_mailbox(struct check *k, struct imap *imap, const struct conf_account *a,
			  const struct conf_mailbox *m)
{
	const struct conf_retention *retention = &k->conf->retention;
	struct source *s = source_imap(imap, a, m);
	char what[2 * ERR_TEXT_MAX];
	struct err e;

	if (s == NULL || s->ops->open(s, true, &e) == -1) {
		if (s == NULL)
			err_set(&e, ERR_FATAL, ERR_LOCAL, "out of memory");
		say_bad(k, &e);
	} else {
		snprintf(what, sizeof what, "account %s: mailbox %s: %u messages", a->name,
			 m->name, s->exists);
		say_good(k, what);
		if (m->expire && conf_retention_active(retention) &&
		    s->ops->can_purge(s, retention, &e) == -1)
			say_bad(k, &e);
	}
	if (s)
		s->ops->close(s);
}

static void check_account(struct check *k, const struct conf_account *a)
{
	struct err e;
	struct imap *imap = imap_open(a, &e);

	if (imap == NULL) {
		say_bad(k, &e);
		return;
	}
	for (size_t i = 0; i < a->n_mailboxes; i++)
		check_mailbox(k, imap, a, &a->mailboxes[i]);
	imap_close(imap);
}

int cmd_check(const struct cmd_options *o)
{
	struct check k = {.options = o};
	struct conf *conf = NULL;
	struct err e;

	if (cmd_load(o, &conf, &e) == -1)
		return cmd_fail(o, &e);
	k.conf = conf;
	say_good(&k, "configuration");
	check_token(&k);
	check_proof(&k);
	check_ledger(&k);
	check_rspamd(&k);
	for (size_t i = 0; i < conf->n_accounts; i++)
		if (cmd_wants_account(o, conf->accounts[i].name))
			check_account(&k, &conf->accounts[i]);
	conf_free(conf);
	return k.status;
}
