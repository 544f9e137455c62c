/*
 * imap_priv.h - the session that imap.c (what we say) and imap_read.c (what the server says)
 * share. Private to them.
 */
#ifndef LS_IMAP_PRIV_H
#define LS_IMAP_PRIV_H

#include "imap.h"
#include "imap_conn.h"
#include "imap_parse.h"

struct imap {
	const struct conf_account *account; /* borrowed */
	struct imap_conn *conn;		    /* owned */
	struct imap_parser parser;
	unsigned caps;
	struct imap_mailbox mailbox;
	unsigned last; /* number of the last command */
	unsigned outstanding;
	bool broken;	      /* the stream's state is unknown: no LOGOUT */
	uint32_t body_max;    /* of the last imap_next: bodies on their way may be that large */
	int64_t waited;	      /* for responses since the last tagged one, in milliseconds */
	uint32_t untagged;    /* responses since then */
	struct uidset *found; /* where SEARCH answers go; borrowed; NULL: ignored */
	const char *special_use; /* what LIST answers are looked through for; borrowed */
	char *special_name;	 /* borrowed, special_size bytes */
	size_t special_size;
};

#endif
