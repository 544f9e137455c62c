/*
 * sequence.h - IMAP's text for sets of UIDs (RFC 3501, section 9: sequence-set), in its
 * shortest form: 1:500, not 1,2,3.
 */
#ifndef LS_SEQUENCE_H
#define LS_SEQUENCE_H

#include <stddef.h>

#include "base/err.h"
#include "base/ranges.h"

enum { SEQUENCE_MAX = 4000 }; /* bytes of a set in one command, below every server's limit */

/*
 * Append what a server wrote as "1:5,9,20:12"; ranges_sort() is the caller's. Returns 0, or -1:
 * ERR_SERVER/ERR_PROTOCOL where the text is no set of plain numbers ("*" is none), or as
 * ranges_append.
 */
int sequence_read(struct ranges *s, const char *text, size_t len, struct err *e);

/*
 * Take the lowest numbers off the front of s, at most max of them and no more than fit into
 * size bytes of text, and write them to text. taken (may be NULL) has them added. *n is how
 * many there were; 0: s is empty. Returns 0, or -1 as ranges_add.
 */
int sequence_take(struct ranges *s, size_t max, char *text, size_t size, struct ranges *taken,
		  size_t *n, struct err *e);

#endif
