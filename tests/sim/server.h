/*
 * server.h - the mail server, as the program sees one: accounts (source/account.h) whose
 * sources (source/source.h) are mailboxes of the world.
 */
#ifndef SIM_SERVER_H
#define SIM_SERVER_H

#include "source/account.h"

struct sim;

/* The accounts of the site. *out is owned by the caller (accounts_free). */
void server_accounts(struct sim *s, struct accounts *out);

#endif
