/*
 * conf_check.h - the cross-checks of a configuration. They return where the fault is, so that
 * conf.c can name the line. Private to conf.c, conf_users.c and conf_check.c.
 */
#ifndef LS_CONF_CHECK_H
#define LS_CONF_CHECK_H

#include <stddef.h>

#include "conf/conf.h"
#include "base/err.h"

enum conf_block {
	CONF_BLOCK_FILE,
	CONF_BLOCK_RSPAMD,
	CONF_BLOCK_ACCOUNT,
	CONF_BLOCK_MAILBOX,
	CONF_BLOCK_SPOOL,
	CONF_BLOCK_STALWART,
	CONF_BLOCK_REPORTS,
	CONF_BLOCK_RETENTION,
};

struct conf_fault {
	enum conf_block block;
	size_t index;	 /* of the account, spool or stalwart */
	size_t mailbox;	 /* of the account, for CONF_BLOCK_MAILBOX */
	const char *key; /* NULL: the block as a whole; "password": the secret that it has */
};

/* As conf_check (conf.h), and sets *where on an error. */
int conf_check_where(const struct conf *c, struct conf_fault *where, struct err *e);

/* The checks of one account, by what c says otherwise; sets *where but its index. */
int conf_check_account(const struct conf *c, const struct conf_account *a,
		       struct conf_fault *where, struct err *e);

#endif
