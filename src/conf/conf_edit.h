/*
 * conf_edit.h - changes to a configuration that was read (conf_read), before it is checked.
 */
#ifndef LS_CONF_EDIT_H
#define LS_CONF_EDIT_H

#include "conf/conf.h"

/* Every int is 0, or -1 if there is no memory. */

/* Add an account with defaults, without url and mailboxes. Borrowed; NULL: no memory. */
struct conf_account *conf_add_account(struct conf *c, const char *name);

/* Drop every account, spool and stalwart except this account, which is the first one then. */
int conf_keep_account(struct conf *c, size_t index);

/*
 * The account has this one mailbox of this class, and no other: name, or none if it is NULL. It
 * takes over what the first of this class was; else it is a user's own, which is never expired.
 */
int conf_set_mailbox(struct conf_account *a, enum mail_class class, const char *name);

/* *text becomes a copy of value. */
int conf_set_text(char **text, const char *value);

/* *src becomes this one, with a copy of where. */
int conf_set_source(struct secret_source *src, enum secret_kind kind, const char *where);

#endif
