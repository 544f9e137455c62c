#include "fake/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

void fake_event(struct fake_events *ev, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (ev == NULL)
		return;
	va_start(ap, fmt);
	n = vsnprintf(ev->text + ev->len, sizeof ev->text - ev->len, fmt, ap);
	va_end(ap);
	assert_true(n >= 0 && ev->len + (size_t)n + 3 < sizeof ev->text);
	ev->len += (size_t)n;
	memcpy(ev->text + ev->len, "; ", 3);
	ev->len += 2;
}

void fake_events_clear(struct fake_events *ev)
{
	ev->len = 0;
	ev->text[0] = '\0';
}

void fake_events_are(const struct fake_events *ev, const char *want)
{
	assert_string_equal(ev->text, want);
}

void fake_events_have(const struct fake_events *ev, const char *part)
{
	if (strstr(ev->text, part) == NULL)
		fail_msg("no \"%s\" in: %s", part, ev->text);
}

void fake_events_lack(const struct fake_events *ev, const char *part)
{
	if (strstr(ev->text, part) != NULL)
		fail_msg("\"%s\" in: %s", part, ev->text);
}

size_t fake_events_count(const struct fake_events *ev, const char *part)
{
	size_t n = 0;

	for (const char *p = ev->text; (p = strstr(p, part)) != NULL; p += strlen(part))
		n++;
	return n;
}

void fake_events_in_order(const struct fake_events *ev, const char *a, const char *b)
{
	const char *first = strstr(ev->text, a);

	if (first == NULL || strstr(first, b) == NULL)
		fail_msg("no \"%s\" and behind it \"%s\" in: %s", a, b, ev->text);
}
