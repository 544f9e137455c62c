/*
 * lock.h - a lock that allows one run at a time on a ledger.
 */
#ifndef LS_LOCK_H
#define LS_LOCK_H

#include "base/err.h"

/*
 * Take the run lock of the ledger directory dir (which must exist) for this process; the kernel
 * releases it when the process ends, however it ends. command is written into the lock file for
 * others to read. Returns a file descriptor, or -1: ERR_FATAL/ERR_TEMPORARY that names the
 * holder (exit status 75), or ERR_FATAL/ERR_CONFIG.
 */
int lock_take(const char *dir, const char *command, struct err *e);

/* Release it. -1 is allowed. */
void lock_release(int fd);

#endif
