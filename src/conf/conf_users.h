/*
 * conf_users.h - an impersonate block: many users' own mailboxes, read with one administrator's
 * log-in. The users are listed in a file, or by a command; each becomes an account of its own
 * when the configuration is loaded. Private to conf.c.
 */
#ifndef LS_CONF_USERS_H
#define LS_CONF_USERS_H

#include "conf/conf.h"
#include "conf/conf_check.h"

enum {
	CONF_USERS_BYTES = 4 << 20,	/* of a list: CONF_MAX_ACCOUNTS addresses fit */
	CONF_USERS_TIMEOUT = 30 * 1000, /* milliseconds for the command */
};

struct conf_users {
	struct conf_account common; /* what they share; user has "%u" for the address */
	unsigned number;	    /* of the block, from 1 on */
	char *file, *command;	    /* where the list is: one of them; NULL */
};

/*
 * Append an account for each user to c->accounts, in the order of the list: named by the
 * address, who is the reporter, too. A line of the list is an address or empty; what stands
 * behind a # at its beginning, or behind a blank and a #, is a comment. In user, "%%" is "%".
 * Returns 0, or -1 with an ERR_FATAL error that names the block, the line of the list and the
 * cure; *where then is what of the block is at fault, which is a CONF_BLOCK_ACCOUNT here.
 */
int conf_users_expand(const struct conf_users *u, struct conf *c, struct conf_fault *where,
		      struct err *e);

/* Free what it owns. */
void conf_users_free(struct conf_users *u);

#endif
