/*
 * source_imap_priv.h - a mailbox as source_imap.c (reading), decided_imap.c (what a person
 * decided), change_imap.c (marks, removal) and copied_imap.c (a removal that was cut short)
 * share it. Private to them.
 */
#ifndef LS_SOURCE_IMAP_PRIV_H
#define LS_SOURCE_IMAP_PRIV_H

#include "imap/sequence.h"
#include "mail/filter_mark.h"
#include "source/source_imap.h"
#include "source/source_ops.h"

enum {
	SLICE = 256, /* messages whose metadata is held at a time */
	BATCHES = 2, /* of bodies, outstanding at a time */
	NAME_MAX_WIRE = 1024,
};

#define METADATA "(UID FLAGS INTERNALDATE RFC822.SIZE)"

/* The same with a filter's fields. Of a header that strangers wrote, 4 KiB are enough. */
#define METADATA_FILTERED                      \
	"(UID FLAGS INTERNALDATE RFC822.SIZE " \
	"BODY.PEEK[HEADER.FIELDS (" FILTER_MARK_FIELDS ")]<0.4096>)"

struct entry {
	uint32_t uid;
	struct record_stamp stamp;
	unsigned flags;
	enum { ENTRY_NEW, ENTRY_ASKED, ENTRY_REFUSED, ENTRY_DONE } state;
	unsigned command; /* ASKED: the FETCH that is to bring it */
	enum { ENTRY_DECIDED, ENTRY_RECALLED, ENTRY_UNDECIDED } decided;
	const char *why; /* UNDECIDED: static text */
};

struct slice {
	struct entry entry[SLICE];
	size_t n;
	struct ranges asked; /* whose metadata has not come yet */
	unsigned command;    /* the FETCH of the metadata; 0: none outstanding */
};

struct source_imap {
	struct source source;
	struct imap *imap;		    /* borrowed */
	const struct conf_account *account; /* borrowed */
	const struct conf_mailbox *conf;    /* borrowed */
	struct ledger *ledger;		    /* borrowed; NULL: nothing is known or noted */
	char name[NAME_MAX_WIRE];	    /* modified UTF-7 */
	char folder[NAME_MAX_WIRE];	    /* the same in UTF-8, of a special use */
	struct ranges todo;
	struct source_filter filter;
	bool alone; /* one body at a time */
	struct slice slice[2], *now, *ahead;
	size_t at; /* entries of *now before this one are asked for, or need no body */
	unsigned batch[BATCHES];
	struct imap_message message; /* the last FETCH response */
	bool can_delete;	     /* the rights allow it, as far as is known */
	bool sure_of_rights;	     /* it is known: by SELECT, or by MYRIGHTS */
	char refusal[RECORD_ANSWER_MAX + 1];
	unsigned refusals; /* in a row */
};

/*
 * Send this command; each FETCH response to it that is about a message of ids, and has what is
 * needed (IMAP_HAS_...), goes to fn. (A server may send flags that nobody asked for at any
 * time.) Returns 0, or -1: ERR_MAILBOX where it is refused, as imap_next, or as fn.
 */
int source_imap_fetch(struct source_imap *s, const struct ranges *ids, unsigned needed,
		      const char *command, source_sight_fn *fn, void *ctx, struct err *e);

/* The name of the mailbox to move to, in modified UTF-7. ERR_MAILBOX/ERR_CONFIG: it can be
 * none. */
int source_imap_target_name(const struct source_imap *s, const char *to,
			    char wire[NAME_MAX_WIRE], struct err *e);

/*
 * Set x->decided by what the message says of itself, where only what a person decided counts:
 * filtered, a filter says that it is spam. Notes in the ledger where it was seen. RECALLED: its
 * content has to be known from the account's other side. 0, or -1 with an error of the ledger.
 */
int source_imap_decide(const struct source_imap *s, struct entry *x, bool filtered,
		       struct err *e);

/* ---- as in source.h ---- */

int source_imap_decided(struct source *s, struct ranges *found, struct err *e);

int source_imap_mark(struct source *s, struct ranges *ids, enum mail_class class,
		     enum outcome outcome, bool *held, struct err *e);
int source_imap_can_remove(struct source *s, const struct source_removal *how, struct err *e);
int source_imap_remove(struct source *s, struct ranges *ids, const struct source_removal *how,
		       struct err *e);
int source_imap_target(struct source *s, const struct source_removal *how, uint64_t *end,
		       struct err *e);
int source_imap_copied(struct source *s, const struct ranges *ids,
		       const struct source_removal *how, uint64_t end, struct ranges *copied,
		       struct err *e);

#endif
