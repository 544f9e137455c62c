/*
 * conf_stalwart.h - a Stalwart server whose training samples are learned. Part of conf.h.
 */
#ifndef LS_CONF_STALWART_H
#define LS_CONF_STALWART_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/secret.h"

enum { CONF_MAX_EXCEPT = 1000 }; /* accounts that are left out */

struct conf_stalwart {
	char *name;		       /* what logs and the ledger call it; unique */
	char *url;		       /* https:// or http://, a path prefix allowed */
	bool insecure;		       /* the key may cross a network over http:// */
	char *ca_file;		       /* PEM; NULL: the system's */
	struct secret_source key;      /* an API key; SECRET_NONE: user and password */
	char *user;		       /* NULL: none */
	struct secret_source password; /* of user */
	int timeout;		       /* seconds that the server may be silent */
	char **except; /* addresses: what these accounts decide is not learned */
	size_t n_except;
	bool accounts_only; /* what the server itself took for a sample is not learned */
	bool destroy;	    /* retention takes samples out of Stalwart */
	int poll;	    /* seconds between two looks of watch, at most */
};

#endif
