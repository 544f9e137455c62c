#include "fake/clock.h"

#include "base/clock.h"

static int64_t now_ms;

static int64_t fake_ms(void)
{
	return now_ms;
}

static int64_t fake_now(void)
{
	return now_ms / 1000;
}

static void fake_pause(int ms)
{
	now_ms += ms;
}

void fake_clock_set(int64_t seconds)
{
	static const struct clock_source fake = {fake_ms, fake_now, fake_pause};

	now_ms = seconds * 1000;
	clock_use(&fake);
}

void fake_clock_advance(int64_t ms)
{
	now_ms += ms;
}
