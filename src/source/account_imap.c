/* An IMAP account: one session, which its mailboxes share one after the other. */
#include "source/account.h"

#include <stdlib.h>

#include "imap/imap.h"
#include "source/listen_imap.h"
#include "source/source_imap.h"

struct account_imap {
	struct account account;
	const struct conf_account *conf; /* borrowed */
	struct conf_account session;	 /* the same, with the time-out of the moment */
	struct imap *imap;		 /* owned; NULL while not connected */
};

static int imap_account_connect(struct account *account, struct err *e)
{
	struct account_imap *a = (struct account_imap *)account;

	a->session = *a->conf;
	a->session.timeout = account_timeout(account);
	a->imap = imap_open(&a->session, e);
	if (a->imap == NULL)
		return -1;
	a->session.timeout = a->conf->timeout;
	if (account->waiter)
		imap_set_waiter(a->imap, account->waiter);
	return 0;
}

static struct source *imap_account_source(struct account *account, size_t i)
{
	struct account_imap *a = (struct account_imap *)account;

	return source_imap(a->imap, account->ledger, a->conf, &a->conf->mailboxes[i]);
}

static void imap_account_disconnect(struct account *account)
{
	struct account_imap *a = (struct account_imap *)account;

	imap_close(a->imap);
	a->imap = NULL;
}

static void imap_account_free(struct account *account)
{
	free(account);
}

static int imap_account_listen(struct account *account, const struct account_listener *l,
			       struct err *e)
{
	return listen_imap(((struct account_imap *)account)->conf, l, e);
}

static const struct account_ops imap_account_ops = {
    .connect = imap_account_connect,
    .source = imap_account_source,
    .disconnect = imap_account_disconnect,
    .free = imap_account_free,
    .listen = imap_account_listen,
};

struct account *account_imap(const struct conf_account *conf)
{
	struct account_imap *a = calloc(1, sizeof *a);

	if (a == NULL)
		return NULL;
	a->account = (struct account){.ops = &imap_account_ops,
				      .name = conf->name,
				      .n = conf->n_mailboxes,
				      .timeout = conf->timeout};
	a->conf = conf;
	return &a->account;
}
