#include "source/account.h"

#include <stdlib.h>

#include "base/clock.h"

/* Is this password known to be wrong? */
static bool is_given_up(const struct login *l)
{
	return l && !l->accepted && l->refused >= LOGIN_REFUSED_MAX;
}

static bool is_hasty(const struct account *a)
{
	return a->patience > 0 && a->patience < a->timeout;
}

int account_timeout(const struct account *a)
{
	return is_hasty(a) ? a->patience : a->timeout;
}

int account_connect(struct account *a, struct err *e)
{
	int64_t begun;

	if (a->connected)
		return 0;
	a->slow = false;
	if (is_given_up(a->login)) {
		a->refused = true;
		return err_set(e, ERR_SERVER, ERR_AUTH,
			       "account %s: not tried: the password was refused for the first "
			       "%d users; correct it in the impersonate block",
			       a->name, LOGIN_REFUSED_MAX);
	}
	begun = clock_ms();
	if (a->ops->connect(a, e) == -1) {
		a->slow = is_hasty(a) && e->scope == ERR_SERVER && e->kind != ERR_AUTH &&
			  clock_ms() - begun >= (int64_t)a->patience * 1000;
		a->refused = e->kind == ERR_AUTH;
		if (a->login)
			a->login->refused += a->refused;
		return -1;
	}
	if (a->login)
		a->login->accepted = true;
	a->connected = true;
	return 0;
}

struct source *account_source(struct account *a, size_t i)
{
	return a->ops->source(a, i);
}

void account_disconnect(struct account *a)
{
	if (a->connected)
		a->ops->disconnect(a);
	a->connected = false;
}

void account_free(struct account *a)
{
	if (a == NULL)
		return;
	account_disconnect(a);
	a->ops->free(a);
}

/* ---- the kinds of account ---- */

static size_t count_imap(const struct conf *conf)
{
	return conf->n_accounts;
}

static struct account *make_imap(const struct conf *conf, size_t i)
{
	return account_imap(&conf->accounts[i]);
}

/* The accounts of an impersonate block share a log-in. IMAP accounts come first. */
static int share_logins(const struct conf *conf, struct accounts *out, struct err *e)
{
	unsigned blocks = 0;

	for (size_t i = 0; i < conf->n_accounts; i++)
		if (conf->accounts[i].impersonate > blocks)
			blocks = conf->accounts[i].impersonate;
	out->login = calloc(blocks + 1, sizeof *out->login);
	if (out->login == NULL)
		return err_no_memory(e);
	for (size_t i = 0; i < conf->n_accounts; i++)
		if (conf->accounts[i].impersonate > 0)
			out->account[i]->login = &out->login[conf->accounts[i].impersonate];
	return 0;
}

static size_t count_spools(const struct conf *conf)
{
	return conf->n_spools;
}

static struct account *make_spool(const struct conf *conf, size_t i)
{
	return account_spool(&conf->spools[i], &conf->reports);
}

static size_t count_stalwarts(const struct conf *conf)
{
	return conf->n_stalwarts;
}

static struct account *make_stalwart(const struct conf *conf, size_t i)
{
	return account_stalwart(&conf->stalwarts[i], &conf->reports);
}

/* A new kind of source is a line here, and a file that knows it. */
static const struct {
	size_t (*count)(const struct conf *conf);
	struct account *(*make)(const struct conf *conf, size_t i);
} kinds[] = {
    {count_imap, make_imap},
    {count_spools, make_spool},
    {count_stalwarts, make_stalwart},
};

enum { KINDS = sizeof kinds / sizeof *kinds };

int accounts_open(const struct conf *conf, struct accounts *out, struct err *e)
{
	size_t total = 0;

	for (size_t k = 0; k < KINDS; k++)
		total += kinds[k].count(conf);
	*out = (struct accounts){.account = calloc(total + 1, sizeof *out->account)};
	if (out->account == NULL)
		return err_no_memory(e);
	for (size_t k = 0; k < KINDS; k++)
		for (size_t i = 0; i < kinds[k].count(conf); i++) {
			struct account *a = kinds[k].make(conf, i);

			if (a == NULL) {
				accounts_free(out);
				return err_no_memory(e);
			}
			out->account[out->n++] = a;
		}
	if (share_logins(conf, out, e) == 0)
		return 0;
	accounts_free(out);
	return -1;
}

int accounts_of_one(struct account *account, struct accounts *out, struct err *e)
{
	*out = (struct accounts){.account = calloc(1, sizeof *out->account)};
	if (account && out->account) {
		out->account[out->n++] = account;
		return 0;
	}
	account_free(account);
	return err_no_memory(e);
}

void accounts_free(struct accounts *a)
{
	for (size_t i = 0; i < a->n; i++)
		account_free(a->account[i]);
	free(a->account);
	free(a->login);
	*a = (struct accounts){0};
}
