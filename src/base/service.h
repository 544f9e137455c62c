/*
 * service.h - what a program that stays up tells systemd: sd_notify(3), through libsystemd.
 * Where no $NOTIFY_SOCKET is set, nothing happens.
 */
#ifndef LS_SERVICE_H
#define LS_SERVICE_H

#include <stdint.h>

/* The work has begun, or a reload is over. */
void service_ready(void);

/* A reload begins; service_ready() ends it, however it went. */
void service_reloading(void);

/* The end has begun. */
void service_stopping(void);

/* One line for people, where it is another one than before: systemctl status shows it. */
void service_status(const char *text);

/*
 * We are alive: told where systemd wants to know, and has not been told for a while. Returns
 * the milliseconds until the next call at the latest; INT64_MAX where it does not want to know.
 */
int64_t service_alive(void);

#endif
