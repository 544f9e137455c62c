/*
 * stop.h - SIGINT and SIGTERM make the program finish what is in flight, record it and exit.
 */
#ifndef LS_STOP_H
#define LS_STOP_H

#include <stdbool.h>

#include "base/err.h"

enum { STOP_GRACE_MS = 5000 }; /* how long a server may still take after a stop was requested */

/*
 * Catch SIGINT and SIGTERM (a second one kills at once, by the default action), and ignore
 * SIGPIPE. System calls are not restarted: every wait returns early with EINTR.
 */
void stop_install(void);

/* Request a stop as signal sig does. 0: take the request back (for another simulated run). */
void stop_request(int sig);

/* Has a stop been requested? */
bool stop_requested(void);

/* 128 + the signal's number, or 0 if there was none. */
int stop_exit_status(void);

/* How long a wait of ms milliseconds may last: less after a stop was requested. */
int stop_limit(int ms);

/* Set the ERR_CANCELLED error of an interrupted step. Returns -1. */
int stop_error(struct err *e);

#endif
