/* A spool: an account with two sources, spam and ham. */
#include "source/source_spool_priv.h"

#include <stdio.h>
#include <stdlib.h>

static int spool_connect(struct account *account, struct err *e)
{
	struct account_spool *a = (struct account_spool *)account;

	return spool_open(&a->spool, a->conf->path, e);
}

static struct source *spool_account_source(struct account *account, size_t i)
{
	return source_spool((struct account_spool *)account, i);
}

static void spool_disconnect(struct account *account)
{
	spool_close(&((struct account_spool *)account)->spool);
}

static void spool_free(struct account *account)
{
	free(account);
}

/* Where watch looks: the folders, and what a Maildir there has. */
static const char *spool_folder_of(const struct account *account, size_t i)
{
	const struct account_spool *a = (const struct account_spool *)account;

	return i < SPOOL_WATCHED ? a->watched[i] : NULL;
}

static const struct account_ops account_spool_ops = {
    .connect = spool_connect,
    .source = spool_account_source,
    .disconnect = spool_disconnect,
    .free = spool_free,
    .folder = spool_folder_of,
    .whole_ms = (SPOOL_QUIET + 1) * 1000,
};

struct account *account_spool(const struct conf_spool *conf, const struct conf_reports *reports)
{
	static const char *const within[] = {"", "/new", "/cur"};
	struct account_spool *a = calloc(1, sizeof *a);

	if (a == NULL)
		return NULL;
	a->account = (struct account){.ops = &account_spool_ops, .name = conf->path, .n = 2};
	a->conf = conf;
	a->reports = reports;
	for (int i = 0; i < SPOOL_WATCHED; i++)
		snprintf(a->watched[i], sizeof a->watched[i], "%s/%s%s", conf->path,
			 i < SPOOL_WATCHED / 2 ? "spam" : "ham", within[i % 3]);
	a->spool = (struct spool){.base = -1, .taken = -1, .names = -1};
	return &a->account;
}
