/*
 * lock.h - one run at a time on one ledger.
 */
#ifndef LS_LOCK_H
#define LS_LOCK_H

#include "err.h"

/*
 * Take the run lock of the ledger directory dir (which must exist) for this process; the kernel
 * gives it back when the process ends, however it ends. command is noted for others to read.
 * Returns a file descriptor, or -1: ERR_FATAL/ERR_TEMPORARY naming who holds it (exit status
 * 75), or ERR_FATAL/ERR_CONFIG.
 */
int lock_take(const char *dir, const char *command, struct err *e);

/* Give it back. -1 is fine. */
void lock_release(int fd);

#endif
