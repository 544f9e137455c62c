/*
 * daily.h - something that is done once a day at a time of the day, by the calendar of the
 * place: clocks that jump, and hours that a change to summer time takes or gives twice, must
 * neither double nor skip a day.
 */
#ifndef LS_DAILY_H
#define LS_DAILY_H

#include <stdbool.h>
#include <stdint.h>

enum { DAILY_NEVER = -1, DAILY_MINUTES = 24 * 60 };

/*
 * Parse "HH:MM", 00:00 to 23:59, as minutes since midnight, or "never" as DAILY_NEVER. False if
 * it is neither; *minute is then unchanged.
 */
bool daily_parse(const char *text, int *minute);

/*
 * Is it to be done now, having been done last at `last` (both in seconds since 1970)? It is,
 * once the time of the day has come on a day on which, or after which, it was not done. A last
 * time that lies more than a day ahead was a wrong clock's, and counts for nothing. With
 * DAILY_NEVER it never is. By the local time zone (tzset(3)); else pure.
 */
bool daily_is_due(int64_t last, int64_t now, int minute);

#endif
