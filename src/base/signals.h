/*
 * signals.h - the signals of a process that stays up, and of its children. They are taken note
 * of, and looked at between two waits, so none is lost and no wait is missed.
 */
#ifndef LS_SIGNALS_H
#define LS_SIGNALS_H

#include <poll.h>
#include <stdbool.h>

/*
 * From now on SIGHUP and SIGUSR1 ask for something, and SIGCHLD ends a wait. SIGINT and SIGTERM
 * are those of stop.h, which is installed before.
 */
void signals_install(void);

/* Was there a SIGHUP, a SIGUSR1, since this was asked last? */
bool signals_reload(void);
bool signals_now(void);

/*
 * poll(2), which a signal of these ends early: also one that came before, and was not asked for
 * yet.
 */
void signals_wait(struct pollfd *p, nfds_t n, int ms);

/* In a forked child that ends with its parent and knows none of the above: all at default. */
void signals_default(void);

/*
 * In a forked child that works: SIGTERM is stop.h's, any number of times; SIGINT, SIGHUP and
 * SIGUSR1 are the parent's and nothing here.
 */
void signals_worker(void);

/*
 * In a forked child: have the kernel send SIGTERM when the parent, which was process `parent`,
 * is gone, however it ended. False where it is gone already.
 */
bool signals_end_with(long parent);

#endif
