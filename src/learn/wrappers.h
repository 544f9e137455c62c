/*
 * wrappers.h - do users forward to this mailbox, although nobody said so (unwrap)? Then rspamd
 * would learn their letters, and not what they mean. A few messages show it.
 */
#ifndef LS_WRAPPERS_H
#define LS_WRAPPERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "source/source.h"

struct wrappers {
	unsigned bodies; /* that were looked at, at most 20 */
	unsigned found;	 /* of these, with a message attached */
};

/* Look at a message that was read from s. 0, or -1 with ERR_FATAL/ERR_LOCAL. */
int wrappers_count(struct wrappers *w, const struct source *s, const struct buf *body,
		   struct err *e);

/* Read the newest few messages of this open source, and look at them. 0, or -1. */
int wrappers_read(struct wrappers *w, struct source *s, struct err *e);

/* Are they the most? Then the warning, with the cure, for these names of account and mailbox.
 */
bool wrappers_are_many(const struct wrappers *w, const char *account, const char *mailbox,
		       char *text, size_t size);

#endif
