/*
 * log.h - events for the operator's log, one line each, with facts as key=value:
 * "learned account=spam@... uid=12 class=spam digest=3fa9...". What a run prints on standard
 * output, and the errors that end it, are in output.h.
 */
#ifndef LS_LOG_H
#define LS_LOG_H

#include <stdbool.h>

enum log_target {
	LOG_TO_STDERR,
	LOG_TO_SYSLOG,	/* facility mail */
	LOG_TO_JOURNAL, /* standard error with sd-daemon(3)'s <N> prefixes */
};

/* NONE is only for log_open: nothing is written. */
enum log_level {
	LOG_LEVEL_NONE = -1,
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/* Call it once, at the start. Levels above max are dropped. */
void log_open(enum log_target target, enum log_level max);

/* Would a line of this level be written? Ask before computing costly arguments. */
bool log_wants(enum log_level level);

/* Do lines go anywhere else than to plain standard error? */
bool log_is_apart(void);

/* Write one line; control characters become visible. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
