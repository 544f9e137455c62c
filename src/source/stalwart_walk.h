/*
 * stalwart_walk.h - what a Stalwart has, and what is known of it, are made the same: new
 * samples get numbers in the order in which users decided, and those that are gone lose theirs.
 */
#ifndef LS_STALWART_WALK_H
#define LS_STALWART_WALK_H

#include "ledger/samples.h"
#include "source/stalwart.h"

/*
 * Costs one request where nothing is new. What the configuration leaves out gets class NONE.
 * Committed every few hundred samples. 0, or -1 with an error of the server or the ledger.
 */
int stalwart_walk(struct stalwart *server, const struct conf_stalwart *conf,
		  struct samples *known, struct err *e);

#endif
