/*
 * stalwart.h - what Stalwart (from 0.16 on) says of its training samples: each time a user
 * moves a message into or out of Junk it keeps one. docs/stalwart.md has the requests and how a
 * real one answers them.
 *
 * A server is an interface, so that the simulator can bring its own.
 */
#ifndef LS_STALWART_H
#define LS_STALWART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/waiter.h"
#include "conf/conf_stalwart.h"
#include "jmap/jmap.h"
#include "ledger/samples.h"

enum {
	STALWART_GET_MAX = 500, /* samples that are asked for at a time, if the server allows */
	STALWART_PAGE_MAX = 5000, /* ids of a page */
	STALWART_PAGES_MAX = 10000,
	STALWART_ADDRESS_MAX = 255, /* bytes of an account's address, with NUL */
};

struct stalwart_id {
	char text[SAMPLE_WORD_MAX + 1];
};

/* A part of the list of all samples, in the order of the decisions. */
struct stalwart_page {
	struct stalwart_id *id; /* owned: stalwart_page_free() */
	size_t n;
	uint64_t position; /* of the first; 0 is the oldest (or newest, as was asked) */
	uint64_t total;	   /* samples that there are */
};
void stalwart_page_free(struct stalwart_page *p);

struct stalwart;

/* Every int is 0, or -1 with an error of jmap.h, where nothing else is said. */
struct stalwart_ops {
	/*
	 * Up to max ids, from the oldest on or, newest, from the newest on; after (NULL: from
	 * the beginning) is the one before the first. Asks at the same time whether others'
	 * samples may be seen at all: ERR_AUTH names the permission. 1, or 0 where after is not
	 * there any more.
	 */
	int (*list)(struct stalwart *s, bool newest, const char *after, size_t max,
		    struct stalwart_page *out, struct err *e);

	/*
	 * These n (at most STALWART_GET_MAX) samples into out, in the same order; where one is
	 * not there any more, its name is "". *expires: the latest expiry (seconds since 1970).
	 */
	int (*get)(struct stalwart *s, const struct stalwart_id *id, size_t n,
		   struct sample *out, struct err *e);

	/*
	 * Ask for the addresses of all who decided these n samples at once; must: as below.
	 * address() then costs nothing.
	 */
	int (*meet)(struct stalwart *s, const struct sample *sample, size_t n, bool must,
		    struct err *e);

	/*
	 * The address of an account; it stays as it is. Its id where addresses may not be
	 * read; must: then that is an error. NULL with an error.
	 */
	const char *(*address)(struct stalwart *s, const char *account, bool must,
			       struct err *e);

	/* Take n samples out, in this order; those that are gone are no error. */
	int (*destroy)(struct stalwart *s, const struct stalwart_id *id, size_t n,
		       struct err *e);

	/* Downloads: as in jmap.h. */
	int (*begin)(struct stalwart *s, const struct sample *what, uint32_t max_size,
		     uint32_t owner, struct err *e);
	int (*take)(struct stalwart *s, struct jmap_result *out, struct wait *wait,
		    struct err *e);
	size_t (*running)(const struct stalwart *s);
	uint32_t (*ready_size)(const struct stalwart *s);
	void (*abandon)(struct stalwart *s);

	/*
	 * May this log-in do what a run needs (STALWART_MAY_...)? 1, 0; 2 where the server does
	 * not say.
	 */
	int (*may)(struct stalwart *s, const char *permission, struct err *e);

	void (*close)(struct stalwart *s);
};

#define STALWART_MAY_SEE     "impersonate"
#define STALWART_MAY_READ    "fetchAnyBlob"
#define STALWART_MAY_QUERY   "sysSpamTrainingSampleQuery"
#define STALWART_MAY_GET     "sysSpamTrainingSampleGet"
#define STALWART_MAY_DESTROY "sysSpamTrainingSampleDestroy"
#define STALWART_MAY_NAME    "sysAccountGet"
#define STALWART_MAY_HURRY   "unlimitedRequests"

struct stalwart {
	const struct stalwart_ops *ops;
	const char *self; /* borrowed: the account of this log-in */
};

/*
 * The server that conf (borrowed) names, over HTTP: log in and read its limits. NULL with an
 * error. To be closed by its ops.
 */
struct stalwart *stalwart_http(const struct conf_stalwart *conf, const struct waiter *waiter,
			       struct err *e);

/*
 * Is Stalwart's own spam filter on, so that it takes every APPEND to an INBOX for ham? 1, 0; 2
 * where this log-in may not know. Only of a server that stalwart_http() gave.
 */
int stalwart_filters(struct stalwart *s, struct err *e);

/* The error of a permission that is missing. Returns -1. */
int stalwart_needs(const struct conf_stalwart *conf, const char *permission, const char *what,
		   struct err *e);

#endif
