/*
 * source_spool_priv.h - a spool as a source: account_spool.c opens it, source_spool.c reads it,
 * change_spool.c puts verdicts back. Private to them. A message that is new is taken first:
 * moved to where nobody else can change which message a number means. A dry run takes nothing,
 * and numbers what it sees for itself.
 */
#ifndef LS_SOURCE_SPOOL_PRIV_H
#define LS_SOURCE_SPOOL_PRIV_H

#include <limits.h>
#include <sys/types.h>

#include "conf/conf.h"
#include "source/account.h"
#include "source/source_ops.h"
#include "source/spool_drop.h"

enum { SPOOL_WATCHED = 6 };

struct account_spool {
	struct account account;
	char watched[SPOOL_WATCHED][PATH_MAX];
	const struct conf_spool *conf; /* borrowed, as the next */
	const struct conf_reports *reports;
	struct spool spool;

	uid_t uid; /* whose login this is; "" before the first */
	char login[SOURCE_REPORTER_MAX];
};

struct source_spool {
	struct source source;
	struct account_spool *account;
	int folder[SPOOL_PLACES];     /* open, or -1 */
	struct ranges in[SPOOL_HERE]; /* the numbers in each place */

	struct ranges todo;
	struct source_filter filter;

	/* in a dry run: what was not taken, under numbers that nothing else has yet */
	struct spool_drop drop;
	uint32_t first_drop,
	    next_drop; /* the number of the first one, and of the next to come */
	uint32_t drops;

	uint32_t named; /* this message's file was called so; "": it is named by its number */
	char name[SOURCE_NAME_MAX];
};

static inline struct source_spool *source_spool_of(struct source *s)
{
	return (struct source_spool *)s;
}

/* Source number i of the account: 0 is spam, 1 is ham. NULL if there is no memory. */
struct source *source_spool(struct account_spool *a, size_t i);

/* ERR_MAILBOX/ERR_LOCAL with errno's text; what: what could not be done. Returns -1. */
int source_spool_broken(const struct source_spool *s, const char *what, struct err *e);

/* Where a message is: a place below SPOOL_HERE, or SPOOL_HERE if it is nowhere. */
enum spool_place source_spool_place(const struct source_spool *s, uint32_t id);

/* Add what set has from first to last to found. 0, or -1 without memory. */
int source_spool_between(const struct ranges *set, uint32_t first, uint32_t last,
			 struct ranges *found, struct err *e);

/* ---- change_spool.c: as source.h says ---- */

int change_spool_mark(struct source *s, struct ranges *ids, enum mail_class class,
		      enum outcome outcome, bool *held, struct err *e);
const char *change_spool_mark_name(enum mail_class class, enum outcome outcome);
int change_spool_fail(struct source *s, uint32_t id, const char *why, struct err *e);
int change_spool_can_remove(struct source *s, const struct source_removal *how, struct err *e);
int change_spool_remove(struct source *s, struct ranges *ids, const struct source_removal *how,
			struct err *e);

#endif
