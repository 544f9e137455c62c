/*
 * spool_state.h - the numbers that a spool gives to its messages. They are kept in a file of
 * the spool's own, so that no number is given twice, whatever happened to the ledger or the
 * machine.
 */
#ifndef LS_SPOOL_STATE_H
#define LS_SPOOL_STATE_H

#include <stdint.h>

#include "base/err.h"

/* All zero: a spool that never gave a number. */
struct spool_state {
	uint32_t identity; /* numbers mean the same messages as long as this stays; not 0 */
	uint32_t next;	   /* the next number; every one below may have been given */
	uint32_t durable;  /* numbers below this one may be given: the file says so */
};

/*
 * Read it from dir, an open folder. 1; 0 if there is none, or it is damaged (logged): *s is all
 * zero; -1 with ERR_SERVER/ERR_LOCAL.
 */
int spool_state_read(int dir, struct spool_state *s, struct err *e);

/* Begin with a new identity, chosen by chance; next is 1, and nothing is written. */
void spool_state_begin(struct spool_state *s);

/*
 * Take a number; where the file does not cover it yet, it is written first, for many. 0, or -1
 * with ERR_SERVER/ERR_LOCAL (nothing is taken).
 */
int spool_state_take(int dir, struct spool_state *s, uint32_t *number, struct err *e);

/* Write what was taken, so that the numbers behind it are not wasted. 0, or -1 as above. */
int spool_state_save(int dir, struct spool_state *s, struct err *e);

#endif
