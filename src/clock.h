/*
 * clock.h - the two clocks: one for waiting, which never jumps, one for dates, which may.
 */
#ifndef LS_CLOCK_H
#define LS_CLOCK_H

#include <stdint.h>

/* Milliseconds of CLOCK_MONOTONIC; only differences mean something. */
int64_t clock_ms(void);

/* Seconds since 1970-01-01 UTC, as the machine believes. */
int64_t clock_now(void);

/* A date as "2026-11-22T10:00:00Z" (21 bytes with the terminator; years 0 to 9999). */
void clock_iso(int64_t when, char out[21]);

#endif
