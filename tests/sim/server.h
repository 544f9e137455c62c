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

/* May the program log in to this account, of whatever kind? 0, or -1 with the error. */
int server_lets_in(struct sim *s, int number, const char *name, struct err *e);

#endif
