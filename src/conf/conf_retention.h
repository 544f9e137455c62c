/*
 * conf_retention.h - how long processed mail is kept, and what becomes of it then.
 */
#ifndef LS_CONF_RETENTION_H
#define LS_CONF_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

/* \Deleted and UID EXPUNGE, or a move to retention.move_to. */
enum conf_action { CONF_DELETE, CONF_MOVE };

/* Ages since settling, in seconds, or CONF_NEVER, the default of all except forget. */
struct conf_retention {
	int64_t learned;
	int64_t known;	   /* as learned, unless set */
	int64_t skipped;   /* unlearnable, oversized, encrypted, overruled */
	int64_t untrusted; /* as skipped, unless set */
	int64_t failed;	   /* never, unless set */
	int64_t forget;	   /* ledger records that were not touched for so long */
	enum conf_action action;
	char *move_to;	      /* CONF_MOVE: a mailbox name, UTF-8 */
	int max_per_run;      /* messages, all accounts together */
	bool without_uidplus; /* a plain EXPUNGE if the server has no UIDPLUS */
};

/* Does the policy ever remove anything? */
bool conf_retention_active(const struct conf_retention *r);

#endif
