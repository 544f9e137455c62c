/*
 * log.h - events for the operator's log, one line each, as key=value where there are facts:
 * "learned account=spam@... uid=12 class=spam digest=3fa9...". What a run says to a person is
 * report.h's; errors that end a command are cmd.c's.
 */
#ifndef LS_LOG_H
#define LS_LOG_H

#include <stdbool.h>

enum log_target {
	LOG_TO_STDERR,
	LOG_TO_SYSLOG,	/* facility mail */
	LOG_TO_JOURNAL, /* standard error with sd-daemon(3)'s <N> prefixes */
};

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Once, at the start. Levels above max are dropped. */
void log_open(enum log_target target, enum log_level max);

/* Would a line of this level be written? Asked before costly arguments are made. */
bool log_wants(enum log_level level);

/* One line; control characters become visible. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
