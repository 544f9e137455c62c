/* A history that fails, made short: events and faults are dropped as long as it still does. */
#include "sim.h"

#include <string.h>

static bool still_fails(const struct history *h, const char *broken)
{
	static struct sim s;

	sim_play(&s, h, false);
	return s.broken == broken;
}

static bool drop_events(struct history *h, const char *broken, int n)
{
	bool any = false;

	for (int i = h->n - n; i >= 0; i -= n) {
		struct history less = *h;

		less.n -= n;
		memmove(&less.event[i], &less.event[i + n],
			(size_t)(less.n - i) * sizeof less.event[0]);
		if (still_fails(&less, broken)) {
			*h = less;
			any = true;
		}
	}
	return any;
}

/* Put a simpler event in the place of event i, if it still fails. */
static bool try_event(struct history *h, int i, struct event simpler, const char *broken)
{
	struct history less = *h;

	if (memcmp(&simpler, &h->event[i], sizeof simpler) == 0)
		return false;
	less.event[i] = simpler;
	if (!still_fails(&less, broken))
		return false;
	*h = less;
	return true;
}

static bool simplify_run(struct history *h, int i, const char *broken)
{
	struct event ev = h->event[i];
	unsigned *fault[] = {&ev.faults.kill_at,      &ev.faults.signal_at, &ev.faults.full_at,
			     &ev.faults.break_one_in, &ev.faults.down,	    &ev.faults.closed,
			     &ev.faults.lose_percent, &ev.faults.rspamd_at};
	bool any = false;

	for (size_t f = 0; f < sizeof fault / sizeof *fault; f++) {
		ev = h->event[i];
		*fault[f] = 0;
		any = try_event(h, i, ev, broken) || any;
	}
	ev = h->event[i];
	ev.faults.slow = false;
	any = try_event(h, i, ev, broken) || any;
	ev = h->event[i];
	ev.max = -1;
	any = try_event(h, i, ev, broken) || any;
	ev = h->event[i];
	ev.dry_first = false;
	return try_event(h, i, ev, broken) || any;
}

static bool simplify_event(struct history *h, int i, const char *broken)
{
	struct event ev = h->event[i];

	if (ev.kind == EVENT_RUN || ev.kind == EVENT_WATCH)
		return simplify_run(h, i, broken);
	ev.at = 0;
	return try_event(h, i, ev, broken);
}

static bool simplify_setup(struct history *h, const char *broken)
{
	bool any = false;

	for (int i = 0; i < CONTENTS; i++) {
		struct history less = *h;

		less.setup.temper[i] = TEMPER_PLAIN;
		if (h->setup.temper[i] != TEMPER_PLAIN && still_fails(&less, broken)) {
			*h = less;
			any = true;
		}
	}
	return any;
}

void history_shorten(struct history *h, const char *broken)
{
	bool any = true;

	for (int n = 8; n > 1; n /= 2)
		drop_events(h, broken, n);
	while (any) {
		any = drop_events(h, broken, 1);
		for (int i = 0; i < h->n; i++)
			any = simplify_event(h, i, broken) || any;
		any = simplify_setup(h, broken) || any;
	}
}
