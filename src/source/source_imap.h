/*
 * source_imap.h - a mailbox of an IMAP account as a source: numbers are UIDs, the identity is
 * UIDVALIDITY, next is UIDNEXT, the version HIGHESTMODSEQ, marks are the keywords of
 * imap/keyword.h.
 */
#ifndef LS_SOURCE_IMAP_H
#define LS_SOURCE_IMAP_H

#include "conf/conf.h"
#include "imap/imap.h"
#include "ledger/ledger.h"
#include "source/source.h"

/*
 * The source of a mailbox of this account, to which imap is logged in (all borrowed). ledger is
 * for mailboxes in which only what a person decided counts; NULL: everything does. NULL without
 * memory.
 */
struct source *source_imap(struct imap *imap, struct ledger *ledger,
			   const struct conf_account *account,
			   const struct conf_mailbox *mailbox);

/*
 * The name of this mailbox as the server knows it (modified UTF-7), which it is asked for where
 * the configuration has a special use. Returns 0, or -1 as imap_find_special_use, and
 * ERR_MAILBOX/ERR_CONFIG where it can be no name.
 */
int source_imap_name(struct imap *imap, const struct conf_account *account,
		     const struct conf_mailbox *mailbox, char *name, size_t size,
		     struct err *e);

#endif
