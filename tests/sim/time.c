/* The clock that the program sees. Waiting takes no time, but the clock moves on. */
#include "sim.h"

#include <stddef.h>

#include "base/clock.h"

static struct sim *playing;

static int64_t sim_ms(void)
{
	return playing->ms + (playing->tasks.now ? playing->tasks.now->beyond : 0);
}

static int64_t sim_now(void)
{
	return playing->now;
}

static void sim_pause(int ms)
{
	sim_wait(playing, ms);
}

static const struct clock_source simulated = {sim_ms, sim_now, sim_pause};

void sim_wait(struct sim *s, int64_t ms)
{
	if (s->tasks.now)
		tasks_pass(s, ms);
	else
		s->ms += ms;
}

void time_of(struct sim *s)
{
	playing = s;
	clock_use(s ? &simulated : NULL);
}
