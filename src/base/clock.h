/*
 * clock.h - the two clocks: one for waiting, which never jumps, and one for dates, which may. A
 * simulator replaces them by its own.
 */
#ifndef LS_CLOCK_H
#define LS_CLOCK_H

#include <stdint.h>

/* Milliseconds of CLOCK_MONOTONIC; only differences are meaningful. */
int64_t clock_ms(void);

/* Seconds since 1970-01-01 UTC, by the machine's clock. */
int64_t clock_now(void);

/* Sleep for ms milliseconds; a signal ends the sleep early. */
void clock_pause(int ms);

/* The implementation of the functions above. */
struct clock_source {
	int64_t (*ms)(void);
	int64_t (*now)(void);
	void (*pause)(int ms);
};

/* Use this clock from now on; borrowed. NULL: use the machine's again. */
void clock_use(const struct clock_source *c);

/* Write a date as "2026-11-22T10:00:00Z" (21 bytes with NUL); "?" outside years 0 to 9999. */
void clock_iso(int64_t when, char out[21]);

#endif
