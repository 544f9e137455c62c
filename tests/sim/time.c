/* The clock that the program sees. Waiting takes no time, but the clock moves on. */
#include "sim.h"

#include <stddef.h>

#include "base/clock.h"

static struct sim *playing;

static int64_t sim_ms(void)
{
	return playing->ms;
}

static int64_t sim_now(void)
{
	return playing->now;
}

static void sim_pause(int ms)
{
	playing->ms += ms;
}

static const struct clock_source simulated = {sim_ms, sim_now, sim_pause};

void time_of(struct sim *s)
{
	playing = s;
	clock_use(s ? &simulated : NULL);
}
