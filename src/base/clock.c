#include "base/clock.h"

#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t machine_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t machine_now(void)
{
	return (int64_t)time(NULL);
}

static void machine_pause(int ms)
{
	poll(NULL, 0, ms);
}

static const struct clock_source machine = {machine_ms, machine_now, machine_pause};
static const struct clock_source *source = &machine;

void clock_use(const struct clock_source *c)
{
	source = c ? c : &machine;
}

int64_t clock_ms(void)
{
	return source->ms();
}

int64_t clock_now(void)
{
	return source->now();
}

void clock_pause(int ms)
{
	source->pause(ms);
}

void clock_iso(int64_t when, char out[21])
{
	time_t t = (time_t)when;
	struct tm tm;

	memset(out, 0, 21);
	if (gmtime_r(&t, &tm) == NULL || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900 ||
	    strftime(out, 21, "%04Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		memcpy(out, "?", 2);
}
