/*
 * folders.h - the folders of all accounts that have some (struct account_ops' folder), and
 * whose each is: for watch. As long as the kernel refuses to watch them, their accounts are
 * polled.
 */
#ifndef LS_FOLDERS_H
#define LS_FOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "learn/trouble.h"
#include "source/account.h"
#include "source/folder_watch.h"

/* All zero is empty. */
struct folders {
	struct folder_watch *watch; /* owned; NULL: there are none, or it is refused */
	const char **path;	    /* owned; each borrowed from its account */
	size_t *owner;		    /* owned: the number of its account */
	size_t n;
	int64_t open_at; /* when to try again, by clock_ms() */
	struct trouble trouble;
};

/* Add those of this account, which owner is the number of. 0, or -1 without memory. */
int folders_add(struct folders *f, const struct account *a, size_t owner, struct err *e);

/*
 * Take what has happened, which is said by the number of the account. Begins to watch when it
 * is called first. Returns when to be called again, by clock_ms(), at the latest.
 */
int64_t folders_take(struct folders *f, void (*news)(void *ctx, size_t owner), void *ctx);

/* What to wait for; -1: nothing. */
int folders_fd(const struct folders *f);

void folders_close(struct folders *f);

#endif
