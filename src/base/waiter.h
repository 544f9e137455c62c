/*
 * waiter.h - how one part waits for its socket without blocking another. The IMAP side waits
 * through the rspamd client, which processes its own requests in the meantime.
 */
#ifndef LS_WAITER_H
#define LS_WAITER_H

/* What a caller has to wait for. */
struct wait {
	int fd;	      /* -1: none, wait only for the time */
	short events; /* as poll(2) */
	int ms;	      /* at most this long; then call again in any case */
};

struct waiter {
	/*
	 * Wait until fd is ready for events (as poll(2)), ms milliseconds have passed, or other
	 * work was done; the caller tries again until its own deadline.
	 */
	void (*wait)(void *ctx, int fd, short events, int ms);
	void *ctx; /* borrowed */
};

/* Plain poll(2). */
extern const struct waiter waiter_poll;

#endif
