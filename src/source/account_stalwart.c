/* The samples of a Stalwart: an account with one source. */
#include "source/source_stalwart_priv.h"

#include <stdio.h>
#include <stdlib.h>

static struct account_stalwart *account_of(struct account *account)
{
	return (struct account_stalwart *)account;
}

static int stalwart_connect(struct account *account, struct err *e)
{
	struct account_stalwart *a = account_of(account);

	a->session = *a->conf;
	a->session.timeout = account_timeout(account);
	a->looked = false;
	a->broken = 0;
	a->server = stalwart_http(&a->session, account->waiter, e);
	return a->server ? 0 : -1;
}

static struct source *stalwart_source(struct account *account, size_t i)
{
	(void)i;
	return source_stalwart(account_of(account));
}

static void stalwart_disconnect(struct account *account)
{
	struct account_stalwart *a = account_of(account);

	a->server->ops->close(a->server);
	a->server = NULL;
}

static void stalwart_free(struct account *account)
{
	free(account);
}

static int stalwart_listen(struct account *account, const struct account_listener *l,
			   struct err *e)
{
	return listen_stalwart(account_of(account)->conf, l, e);
}

/* What the server does not tell, a run finds out. */
static int stalwart_advise(struct account *account, account_note_fn *note, void *ctx,
			   struct err *e)
{
	struct account_stalwart *a = account_of(account);
	struct stalwart *s = a->server;
	char text[ERR_TEXT_MAX];
	int may = s->ops->may(s, STALWART_MAY_READ, e), hurry, filters;

	if (may == 0)
		return stalwart_needs(a->conf, STALWART_MAY_READ,
				      "download other users' messages", e);
	hurry = may == -1 ? -1 : s->ops->may(s, STALWART_MAY_HURRY, e);
	filters = hurry == -1 ? -1 : stalwart_filters(s, e);
	if (filters == -1)
		return -1;
	snprintf(text, sizeof text,
		 "stalwart %s: has no permission unlimitedRequests; Stalwart then allows 1000 "
		 "requests a minute, and so messages, unless it is told otherwise",
		 a->conf->name);
	if (hurry == 0)
		note(ctx, text);
	snprintf(text, sizeof text,
		 "stalwart %s: its own spam filter is on (SpamSettings, enable), and so it "
		 "takes all that is appended to an INBOX for ham, as in a migration; where "
		 "rspamd is the filter, turn it off (docs/stalwart.md)",
		 a->conf->name);
	if (filters == 1)
		note(ctx, text);
	return 0;
}

static const struct account_ops account_stalwart_ops = {
    .connect = stalwart_connect,
    .source = stalwart_source,
    .disconnect = stalwart_disconnect,
    .free = stalwart_free,
    .listen = stalwart_listen,
    .advise = stalwart_advise,
};

struct account *account_stalwart(const struct conf_stalwart *conf,
				 const struct conf_reports *reports)
{
	struct account_stalwart *a = calloc(1, sizeof *a);

	if (a == NULL)
		return NULL;
	a->account = (struct account){.ops = &account_stalwart_ops,
				      .name = conf->name,
				      .n = 1,
				      .timeout = conf->timeout,
				      .by_request = true};
	a->conf = conf;
	a->reports = reports;
	return &a->account;
}
