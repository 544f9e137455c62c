/*
 * spool_submit.h - put one message into a spool: what `learnspool submit` does, for pipes of
 * Sieve scripts and mail servers. Needs no configuration, no ledger and no rights but to write
 * into the spool's folder.
 */
#ifndef LS_SPOOL_SUBMIT_H
#define LS_SPOOL_SUBMIT_H

#include "base/err.h"
#include "mail/class.h"
#include "source/spool.h"

#define SPOOL_DEFAULT "/var/spool/learnspool"

enum {
	SPOOL_BYTES_MAX = 100 << 20,
};

/*
 * Read a message from in to its end, and put it into the spool as class; reporter (NULL: none
 * is named) is an address. When it returns 0 the message is on the disk, under a name that
 * nobody can guess, since any user may read the file but only the service can list the folder.
 * -1 otherwise, and nothing is left behind: ERR_USAGE (the reporter is no address), ERR_DATA
 * (no message, or a larger one than SPOOL_BYTES_MAX), ERR_TEMPORARY (everything else: full,
 * read-only, missing). A line at the top that a mbox puts before a message is left out.
 */
int spool_submit(const char *spool, enum mail_class class, const char *reporter, int in,
		 struct err *e);

#endif
