#include "base/backoff.h"

int64_t backoff_ms(unsigned failures, uint32_t random, int64_t first_ms, int64_t max_ms)
{
	int64_t whole = first_ms, half;

	if (failures == 0)
		return 0;
	/* Halved before it is compared: doubling it first could overflow. */
	while (--failures > 0 && whole < max_ms)
		whole = whole > max_ms / 2 ? max_ms : whole * 2;
	half = whole / 2;
	return whole - half + (int64_t)(random % (uint64_t)(half + 1));
}
