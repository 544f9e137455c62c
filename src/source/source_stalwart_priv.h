/*
 * source_stalwart_priv.h - the training samples of a Stalwart as an account: account_stalwart.c
 * logs in, source_stalwart.c is its source. Private to them.
 */
#ifndef LS_SOURCE_STALWART_PRIV_H
#define LS_SOURCE_STALWART_PRIV_H

#include "ledger/samples.h"
#include "source/account.h"
#include "source/source_ops.h"
#include "source/stalwart.h"

struct account_stalwart {
	struct account account;
	const struct conf_stalwart *conf; /* borrowed, as the next */
	const struct conf_reports *reports;
	struct conf_stalwart session; /* the same, with the time-out of the moment */
	struct stalwart *server;      /* owned; NULL while not connected */
	struct samples known;
	bool looked; /* known is what the server has, as of this connection */
	int broken;  /* downloads in a row that came to nothing */
};

struct source_stalwart {
	struct source source;
	struct account_stalwart *account; /* borrowed */
	struct ranges todo;
	struct ranges missing; /* without a body, and it is not known yet why */
	enum { UNPROVED, PROVING, PROVED } proof; /* that others' mail can be downloaded */
	uint32_t tried;				  /* by downloading this one */
	unsigned tries;
	const char *flaw; /* ... and why one of these broke; NULL: none did */
	struct source_filter filter;
	size_t side_by_side; /* downloads at a time */
};

static inline struct source_stalwart *source_stalwart_of(struct source *s)
{
	return (struct source_stalwart *)s;
}

/* The one source of the account. NULL if there is no memory. */
struct source *source_stalwart(struct account_stalwart *a);

/* listen_stalwart.c: as struct account_ops' listen. */
int listen_stalwart(const struct conf_stalwart *conf, const struct account_listener *l,
		    struct err *e);

#endif
