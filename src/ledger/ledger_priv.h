/*
 * ledger_priv.h - a ledger from inside. Private to ledger.c, samples.c and stamps.c.
 */
#ifndef LS_LEDGER_PRIV_H
#define LS_LEDGER_PRIV_H

#include <stdbool.h>

#include "ledger/ledger.h"

struct ledger {
	struct store *store; /* owned */
	enum ledger_mode mode;
	int lock;
	bool dirty;   /* something has changed since the last commit */
	bool dead;    /* a commit failed: the store is not what was recorded */
	uint32_t run; /* by chance: tells what is noted now from what earlier runs noted */
};

/* Every change of the store: 0, or -1 with its error. */
int ledger_put(struct ledger *l, enum store_map map, struct store_value key,
	       struct store_value value, struct err *e);
int ledger_del(struct ledger *l, enum store_map map, struct store_value key, struct err *e);

/* A record of this kind is not what we write. Returns -1. */
int ledger_damaged(const char *kind, struct err *e);

#endif
