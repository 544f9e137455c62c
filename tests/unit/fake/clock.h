/*
 * clock.h - base/clock.h with a clock that the test moves. A test that sets it has it in place
 * of the real one; until then it is the real one.
 */
#ifndef FAKE_CLOCK_H
#define FAKE_CLOCK_H

#include <stdint.h>

/* From now on it is this time, and only fake_clock_advance moves it. */
void fake_clock_set(int64_t seconds);
void fake_clock_advance(int64_t ms);

#endif
