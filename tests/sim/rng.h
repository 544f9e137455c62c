/*
 * rng.h - all chance of a simulation: splitmix64. The same seed gives the same numbers on every
 * machine.
 */
#ifndef SIM_RNG_H
#define SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = (r->state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* From 0 to n - 1. */
static inline unsigned rng_below(struct rng *r, unsigned n)
{
	return (unsigned)((rng_next(r) >> 32) * n >> 32);
}

static inline bool rng_percent(struct rng *r, unsigned percent)
{
	return rng_below(r, 100) < percent;
}

/* A number that depends on these two alone: chance that does not shift when events are dropped.
 */
static inline uint64_t rng_mix(uint64_t a, uint64_t b)
{
	struct rng r = {a ^ (b * 0xd6e8feb86659fd93u)};

	return rng_next(&r);
}

#endif
