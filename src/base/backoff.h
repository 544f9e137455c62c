/*
 * backoff.h - how long to wait before something that failed is tried again: longer each time,
 * and half of it by chance, so that many who failed together do not come back together.
 */
#ifndef LS_BACKOFF_H
#define LS_BACKOFF_H

#include <stdint.h>

/*
 * Milliseconds to wait before the next try after `failures` failures in a row (0: after none,
 * and there is no wait). The whole of it doubles from first_ms (at least 1) with every failure
 * up to max_ms (at least first_ms); what is returned lies between half of it and all of it, as
 * the random number says. Pure.
 */
int64_t backoff_ms(unsigned failures, uint32_t random, int64_t first_ms, int64_t max_ms);

#endif
