/*
 * store.h - the key-value interface below the ledger: named maps, ordered keys, transactions.
 * store_lmdb.c is the one in use, store_mem.c serves tests and dry runs without a ledger. What
 * can go wrong with a backend (full map, full disk, stale readers) is handled inside it.
 */
#ifndef LS_STORE_H
#define LS_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

/* The maps; docs/ledger.md says what is in each. */
enum store_map {
	STORE_META,    /* one record each: format version, run */
	STORE_MAILBOX, /* account and mailbox -> number, UIDVALIDITY, UIDNEXT ... */
	STORE_UID,     /* mailbox number, UIDVALIDITY, UID -> state of one message */
	STORE_DIGEST,  /* digest -> what was learned of it */
	STORE_MAPS,
};

enum { STORE_KEY_MAX = 511, STORE_VALUE_MAX = 64 * 1024 }; /* LMDB's own limit on keys */

struct store_value {
	const void
	    *data; /* borrowed; valid until the next write or the end of the transaction */
	size_t len;
};

struct store;
struct store_cursor;

/*
 * A backend. Every int is 0, or -1 with an error; get, seek and next return 1 where there is
 * something and 0 where there is nothing. One transaction at a time. Errors are
 * ERR_FATAL/ERR_LOCAL (with the cure), ERR_FATAL/ERR_TEMPORARY for a full disk.
 */
struct store_ops {
	/* Begin. A write transaction is the only one that may put and del. */
	int (*begin)(struct store *s, bool write, struct err *e);

	/* Make it durable (write) or end it (read). A failed commit has changed nothing. */
	int (*commit)(struct store *s, struct err *e);

	/* Undo it. Without effect where none is open. */
	void (*abort)(struct store *s);

	int (*get)(struct store *s, enum store_map m, struct store_value key,
		   struct store_value *value, struct err *e);
	int (*put)(struct store *s, enum store_map m, struct store_value key,
		   struct store_value value, struct err *e);

	/* Deleting what is not there is fine. */
	int (*del)(struct store *s, enum store_map m, struct store_value key, struct err *e);

	/* The first record at or behind key (*key and *value are set). 1, 0 or -1. */
	int (*seek)(struct store *s, enum store_map m, struct store_value *key,
		    struct store_value *value, struct err *e);

	/* The record behind the one that seek or next gave last for this map; no write between.
	 */
	int (*next)(struct store *s, enum store_map m, struct store_value *key,
		    struct store_value *value, struct err *e);

	/* A consistent copy into a new file, while others write. */
	int (*backup)(struct store *s, const char *file, struct err *e);

	void (*close)(struct store *s);
};

struct store {
	const struct store_ops *ops;
};

/*
 * See that dir is a directory of ours that others cannot write to, or make it (mode 0700).
 * Returns 0, or -1 with an ERR_FATAL/ERR_CONFIG error.
 */
int store_lmdb_check_dir(const char *dir, bool make, struct err *e);

/*
 * LMDB in directory dir. write: made (mode 0700) where it is missing; the caller holds the run
 * lock (lock.h). Not write: for reading beside a run that writes. NULL with an ERR_FATAL error:
 * ERR_CONFIG (not a directory, other people's, no permission), ERR_LOCAL.
 */
struct store *store_lmdb_open(const char *dir, bool write, struct err *e);

/* An empty one in memory. NULL without memory. */
struct store *store_mem_open(struct err *e);

/* Close; an open transaction is undone. NULL is fine. */
void store_close(struct store *s);

#endif
