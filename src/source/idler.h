/*
 * idler.h - a process that listens to one account (struct account_ops' listen) and reports to
 * us by a pipe. It learns nothing, opens no ledger and writes no log; it ends when its account
 * breaks, and with us, however we end.
 */
#ifndef LS_IDLER_H
#define LS_IDLER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "source/account.h"

struct idler {
	pid_t pid;  /* 0: there is none */
	int fd;	    /* to be waited for (POLLIN); -1: none */
	bool ready; /* it said that it tells of everything new from then on */

	/* private */
	struct buf last_words; /* of one that failed */
	bool failing;
};

void idler_init(struct idler *i);

/*
 * Start one for this account, which is not connected; of l only the times are used. Nothing may
 * be open in this process that must not be inherited: no ledger. Returns 0, or -1 with
 * ERR_SERVER/ERR_LOCAL, also where hardly any descriptor would be left for other things.
 */
int idler_start(struct idler *i, struct account *a, const struct account_listener *l,
		struct err *e);

/*
 * Take what it has said; never waits. 1: there may be something new, as it is when it has
 * become ready; 0: not; -1: it has ended, with its error in *e, and can be started again.
 */
int idler_take(struct idler *i, struct err *e);

/* End it at once. None is fine. */
void idler_stop(struct idler *i);

#endif
