/*
 * listen_imap.h - how an IMAP account tells of new mail: by IDLE where it has one mailbox, by
 * NOTIFY where it has several, by IDLE over a few connections where the server has no NOTIFY,
 * and by STATUS, asked again and again, for what is left.
 */
#ifndef LS_LISTEN_IMAP_H
#define LS_LISTEN_IMAP_H

#include "conf/conf.h"
#include "source/account.h"

/* As struct account_ops' listen. */
int listen_imap(const struct conf_account *conf, const struct account_listener *l,
		struct err *e);

#endif
