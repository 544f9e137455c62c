/*
 * store.h - the key-value interface below the ledger: named maps, ordered keys, transactions.
 * store_lmdb.c is the one in use, store_mem.c is for tests and dry runs without a ledger. Each
 * backend handles its own problems (full map, full disk, stale readers).
 */
#ifndef LS_STORE_H
#define LS_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* The maps; docs/ledger.md describes their contents. */
enum store_map {
	STORE_META,    /* format version, next mailbox number, where pruning continues */
	STORE_MAILBOX, /* account and mailbox -> number, UIDVALIDITY, UIDNEXT ... */
	STORE_UID,     /* mailbox number, UIDVALIDITY, UID -> state of one message */
	STORE_DIGEST,  /* digest -> what was learned of the content */
	STORE_SAMPLE,  /* account and name -> number, number -> name (samples.h) */
	STORE_MAPS,
};

enum { STORE_KEY_MAX = 511, STORE_VALUE_MAX = 64 * 1024 }; /* LMDB's own limit on keys */

struct store_value {
	const void
	    *data; /* borrowed; valid until the next write or the end of the transaction */
	size_t len;
};

struct store;

/*
 * A backend. Every int is 0, or -1 with an error; get, seek and next return 1 if there is a
 * record and 0 if there is none. One transaction at a time. Errors are ERR_FATAL/ERR_LOCAL
 * (with the cure), ERR_FATAL/ERR_CONFIG if access is denied, ERR_FATAL/ERR_TEMPORARY if the
 * disk is full.
 */
struct store_ops {
	/* Begin a transaction. put and del need a write transaction. */
	int (*begin)(struct store *s, bool write, struct err *e);

	/* Make it durable (write) or end it (read). A failed commit changes nothing. */
	int (*commit)(struct store *s, struct err *e);

	/* Undo it. No effect if none is open. */
	void (*abort)(struct store *s);

	int (*get)(struct store *s, enum store_map m, struct store_value key,
		   struct store_value *value, struct err *e);
	int (*put)(struct store *s, enum store_map m, struct store_value key,
		   struct store_value value, struct err *e);

	/* Deleting a key that does not exist is allowed. */
	int (*del)(struct store *s, enum store_map m, struct store_value key, struct err *e);

	/* The first record at or after key (sets *key and *value). 1, 0 or -1. */
	int (*seek)(struct store *s, enum store_map m, struct store_value *key,
		    struct store_value *value, struct err *e);

	/* The record after the last one from seek or next for this map, without writes between.
	 */
	int (*next)(struct store *s, enum store_map m, struct store_value *key,
		    struct store_value *value, struct err *e);

	/* Write a consistent copy into a new file, even while others write. */
	int (*backup)(struct store *s, const char *file, struct err *e);

	void (*close)(struct store *s);
};

struct store {
	const struct store_ops *ops;
};

/*
 * Check that dir is a directory of ours that others cannot write to; if make is true, create it
 * if it does not exist (mode 0700). Returns 0, or -1 with an ERR_FATAL/ERR_CONFIG error.
 */
int store_lmdb_check_dir(const char *dir, bool make, struct err *e);

/*
 * LMDB in directory dir. With write, it is created (mode 0700) if it does not exist, and the
 * caller holds the run lock (lock.h). Without write, it can be read while a run writes. NULL
 * with an ERR_FATAL error: ERR_CONFIG (not a directory, another user's, no permission),
 * ERR_LOCAL.
 */
struct store *store_lmdb_open(const char *dir, bool write, struct err *e);

/* An empty store in memory. NULL if there is no memory. */
struct store *store_mem_open(struct err *e);

/* Close the store and undo an open transaction. NULL is allowed. */
void store_close(struct store *s);

#endif
