/*
 * conf_account.h - an account of the configuration as a value: what it owns is freed and
 * copied here. Private to conf.c and conf_users.c.
 */
#ifndef LS_CONF_ACCOUNT_H
#define LS_CONF_ACCOUNT_H

#include "conf/conf.h"

/* Free what it owns. */
void conf_account_free(struct conf_account *a);

/* A copy that owns everything itself (conf_account_free); 0, or -1 without memory. */
int conf_account_copy(const struct conf_account *from, struct conf_account *to);

#endif
