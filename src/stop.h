/*
 * stop.h - SIGINT and SIGTERM ask the program to finish what is in flight, record it and leave.
 */
#ifndef LS_STOP_H
#define LS_STOP_H

#include <stdbool.h>

#include "err.h"

enum { STOP_GRACE_MS = 5000 }; /* how long a server may still take once we were asked */

/*
 * Catch SIGINT and SIGTERM (a second one kills at once, as the default does), ignore SIGPIPE.
 * Nothing is restarted: every wait returns early with EINTR.
 */
void stop_install(void);

/* A signal has come. */
bool stop_requested(void);

/* 128 + the signal's number, 0 where none came. */
int stop_exit_status(void);

/* Milliseconds that a wait of ms may still last: less once a stop was asked for. */
int stop_limit(int ms);

/* The ERR_CANCELLED error of an interrupted step. Returns -1. */
int stop_error(struct err *e);

#endif
