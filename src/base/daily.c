#include "base/daily.h"

#include <stdint.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

bool daily_parse(const char *text, int *minute)
{
	uint64_t h, m;

	if (strcmp(text, "never") == 0) {
		*minute = DAILY_NEVER;
		return true;
	}
	if (strlen(text) != 5 || text[2] != ':' || !text_number(text, 2, 23, &h) ||
	    !text_number(text + 3, 2, 59, &m))
		return false;
	*minute = (int)(h * 60 + m);
	return true;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar. */
static int64_t day_number(int64_t year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/*
 * The day whose time of the day came last before `when`. Only the calendar and the clock on the
 * wall are asked: an hour that comes twice brings the same day again, and one that is left out
 * leaves out no day.
 */
static int64_t last_day(int64_t when, int minute)
{
	const time_t t = (time_t)when;
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL)
		return 0;
	return day_number((int64_t)tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday) -
	       (tm.tm_hour * 60 + tm.tm_min < minute);
}

bool daily_is_due(int64_t last, int64_t now, int minute)
{
	int64_t done, today;

	if (minute == DAILY_NEVER)
		return false;
	done = last_day(last, minute);
	today = last_day(now, minute);
	return today > done || done > today + 1;
}
