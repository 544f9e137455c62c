#include "base/service.h"

#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "base/clock.h"

enum { STATUS_MAX = 512 };

void service_ready(void)
{
	sd_notify(0, "READY=1");
}

void service_reloading(void)
{
	struct timespec t;

	/* To the microsecond: from before its signal systemd does not believe it to be the
	 * answer. */
	clock_gettime(CLOCK_MONOTONIC, &t);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
		   (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000);
}

void service_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}

void service_status(const char *text)
{
	static char last[STATUS_MAX];
	char now[STATUS_MAX];

	snprintf(now, sizeof now, "%s", text);
	if (strcmp(now, last) == 0)
		return;
	memcpy(last, now, sizeof last);
	sd_notifyf(0, "STATUS=%s", now);
}

int64_t service_alive(void)
{
	static int64_t told = INT64_MIN / 2;
	int64_t now = clock_ms(), every;
	uint64_t usec = 0;

	if (sd_watchdog_enabled(0, &usec) <= 0)
		return INT64_MAX;
	every = (int64_t)(usec / 1000 / 4); /* more often than it must be, for we may be late */
	if (now - told >= every) {
		sd_notify(0, "WATCHDOG=1");
		told = now;
	}
	return told + every > now ? told + every - now : 1;
}
