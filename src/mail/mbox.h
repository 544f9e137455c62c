/*
 * mbox.h - many messages in one file, each behind a line that begins with "From " (RFC 4155),
 * with quoted lines as in mboxrd: of a line ">From ", ">>From " ... one ">" is taken off. What
 * a Content-Length field says is ignored, since it is often wrong.
 */
#ifndef LS_MBOX_H
#define LS_MBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"

/* A place in a mbox. */
struct mbox {
	FILE *file;   /* borrowed */
	bool started; /* the "From " line of the next message was read */
};

/*
 * Is the first line of this text (or as much as there is of it) the separator that a mbox
 * begins with: "From ", and a time of day behind it?
 */
bool mbox_is_separator(const char *text, size_t len);

/* Begin at the start of the file, which is at its beginning. */
void mbox_begin(struct mbox *m, FILE *file);

/*
 * Read the next message into body (emptied; its cap is the largest that is kept). *size: its
 * bytes; where that is above the cap, body is incomplete. 1, 0 at the end, or -1 with
 * ERR_MAILBOX/ERR_DATA where the file cannot be read, or ERR_FATAL without memory.
 */
int mbox_next(struct mbox *m, struct buf *body, uint64_t *size, struct err *e);

#endif
