/*
 * conf_rspamd.h - the controller that learns. Part of conf.h.
 */
#ifndef LS_CONF_RSPAMD_H
#define LS_CONF_RSPAMD_H

#include <stdbool.h>

#include "conf/secret.h"

struct conf_rspamd {
	char *url;     /* http:// or https://, a path prefix allowed, no trailing slash */
	bool insecure; /* the password may cross a network over http:// */
	struct secret_source password;
	char *ca_file;		  /* PEM; NULL: the system's */
	int connections;	  /* requests in flight, 1..64 */
	int timeout;		  /* seconds for one request */
	int tries;		  /* how often a message is sent before this run gives up */
	bool bulk;		  /* Learn-Type: bulk (skips rspamd's "already sure" guard) */
	char *classifier;	  /* Classifier header; NULL: every classifier */
	char *deliver_to;	  /* Deliver-To header; NULL: none */
	bool deliver_to_reporter; /* deliver-to = reporter: the reporter's address */
};

#endif
