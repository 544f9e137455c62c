/*
 * expired_at.h - when watch expired last: a small file beside the ledger, so that a day is
 * neither skipped nor done twice when it is started again.
 */
#ifndef LS_EXPIRED_AT_H
#define LS_EXPIRED_AT_H

#include <stdbool.h>
#include <stdint.h>

/* The time in the file of this ledger directory, in seconds since 1970; false: there is none.
 */
bool expired_at_read(const char *ledger, int64_t *when);

/* Write it. False where that fails: for the time being it is only known to this process. */
bool expired_at_write(const char *ledger, int64_t when);

#endif
