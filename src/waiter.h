/*
 * waiter.h - how one part waits for its socket without stopping another. The IMAP side waits
 * through the rspamd client, which moves its requests forward in the meantime.
 */
#ifndef LS_WAITER_H
#define LS_WAITER_H

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
