#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "base/progress.h"
#include "base/text.h"

enum { LOG_LINE_MAX = 2048 };

static enum log_target log_to = LOG_TO_STDERR;
static enum log_level log_max = LOG_LEVEL_WARNING;

static int syslog_level(enum log_level level)
{
	static const int map[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

	return map[level];
}

void log_open(enum log_target target, enum log_level max)
{
	log_to = target;
	log_max = max;
	if (target == LOG_TO_SYSLOG)
		openlog("learnspool", LOG_PID, LOG_MAIL);
}

bool log_wants(enum log_level level)
{
	return level <= log_max;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char raw[LOG_LINE_MAX], line[LOG_LINE_MAX];
	va_list ap;

	if (!log_wants(level))
		return;
	va_start(ap, fmt);
	vsnprintf(raw, sizeof raw, fmt, ap);
	va_end(ap);
	text_visible(line, sizeof line, raw, strlen(raw));
	if (log_to == LOG_TO_SYSLOG) {
		syslog(syslog_level(level), "%s", line);
		return;
	}
	progress_hide();
	if (log_to == LOG_TO_JOURNAL)
		fprintf(stderr, "<%d>%s\n", syslog_level(level), line);
	else
		fprintf(stderr, "learnspool: %s\n", line);
}

bool log_is_apart(void)
{
	return log_to != LOG_TO_STDERR;
}
