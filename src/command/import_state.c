#include "command/import_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command/old_state.h"
#include "learn/take_over.h"
#include "ledger/ledger.h"
#include "source/account.h"

/* The account that the state is of: the only one, or the one that is named. NULL with *e set.
 */
static const struct conf_account *choose(const struct cmd_options *o, const struct conf *c,
					 struct err *e)
{
	for (size_t i = 0; i < c->n_accounts; i++)
		if (o->n_accounts == 1 ? strcmp(c->accounts[i].name, o->account[0]) == 0
				       : c->n_accounts == 1)
			return &c->accounts[i];
	err_set(e, ERR_FATAL, ERR_USAGE,
		"a state file is of one IMAP account, and does not say which; give one "
		"--account");
	return NULL;
}

/* Nor does it say of which folder. */
static int check_mailboxes(const struct conf_account *a, struct err *e)
{
	size_t n[CLASS_HAM + 1] = {0};

	for (size_t i = 0; i < a->n_mailboxes; i++)
		if (++n[a->mailboxes[i].class] > 1)
			return err_set(
			    e, ERR_FATAL, ERR_CONFIG,
			    "account %s has several mailboxes of %s, and a state file "
			    "is of one; import it with a configuration that has only "
			    "the one that the script read",
			    a->name, class_name(a->mailboxes[i].class));
	return 0;
}

static int take_source(struct ledger *l, struct source *s, const struct ranges *uids,
		       struct err *e)
{
	uint64_t settled, gone;

	if (take_over(l, s, uids, &settled, &gone, e) == -1)
		return -1;
	printf("%s %s: of %" PRIu64 " messages that the script had trained %" PRIu64
	       " are known now, %" PRIu64 " were recorded already, %" PRIu64
	       " are no longer there\n",
	       s->account, s->mailbox, ranges_count(uids), settled,
	       ranges_count(uids) - settled - gone, gone);
	return 0;
}

static int take_all(struct account *a, const struct old_state *state, struct err *e)
{
	int rc = account_connect(a, e);

	for (size_t i = 0; rc == 0 && i < a->n; i++) {
		struct source *s = account_source(a, i);

		if (s == NULL)
			rc = err_no_memory(e);
		else if (state->uids[s->class].n > 0)
			rc = take_source(a->ledger, s, &state->uids[s->class], e);
		source_close(s);
	}
	return rc;
}

int import_state(const struct cmd_options *o, const struct conf *conf, struct err *e)
{
	const struct conf_account *chosen = choose(o, conf, e);
	struct accounts accounts = {0};
	struct old_state state = {0};
	struct ledger *ledger = NULL;
	int rc = -1;

	if (chosen && check_mailboxes(chosen, e) == 0 &&
	    old_state_read(o->import_state, &state, e) == 0 &&
	    (ledger = ledger_open(conf->ledger, LEDGER_WRITE, "reset", e)) != NULL &&
	    accounts_of_one(account_imap(chosen), &accounts, e) == 0) {
		accounts.account[0]->ledger = ledger;
		rc = take_all(accounts.account[0], &state, e);
	}
	accounts_free(&accounts);
	ledger_close(ledger);
	old_state_free(&state);
	return rc;
}
