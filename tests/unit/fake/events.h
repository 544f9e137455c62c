/*
 * events.h - what happened, in order: every fake of a test writes into one text, "submit 3
 * spam; commit; ", and the test compares it or looks for parts of it.
 */
#ifndef FAKE_EVENTS_H
#define FAKE_EVENTS_H

#include <stdbool.h>
#include <stddef.h>

enum { FAKE_EVENTS_MAX = 64 * 1024 };

struct fake_events {
	char text[FAKE_EVENTS_MAX];
	size_t len;
};

/* Append "...; ". ev may be NULL: nobody listens. */
void fake_event(struct fake_events *ev, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

void fake_events_clear(struct fake_events *ev);

/* Fail the test unless it says exactly this, or has this in it, or has not. */
void fake_events_are(const struct fake_events *ev, const char *want);
void fake_events_have(const struct fake_events *ev, const char *part);
void fake_events_lack(const struct fake_events *ev, const char *part);

/* How often part is in it. */
size_t fake_events_count(const struct fake_events *ev, const char *part);

/* Fail the test unless a is in it, and the first b behind the first a. */
void fake_events_in_order(const struct fake_events *ev, const char *a, const char *b);

#endif
