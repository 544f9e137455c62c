/*
 * conf_scan.h - checks the text of a configuration before libconfuse reads it. libconfuse 3.3
 * silently accepts much that an administrator did not mean; here it becomes an error with its
 * line.
 */
#ifndef LS_CONF_SCAN_H
#define LS_CONF_SCAN_H

#include <stddef.h>

#include "base/err.h"

enum { CONF_MAX_STRING = 4096 }; /* bytes of one value or title */

/*
 * Check text (len bytes and a NUL) and change it in place; line numbers do not change:
 * - comments become blanks (libconfuse 3.3 counts their lines wrongly);
 * - move "Archive" as a value becomes "move Archive" (libconfuse allows one word as a value).
 * Refused are: a string or block that is not closed, an escape other than \\ \" \$ (libconfuse
 * makes "Junk" of "\Junk"), ${VAR} (libconfuse would insert the environment's value),
 * characters outside quotes that it drops or splits at, control characters, bytes that are not
 * UTF-8, a value that is too long, a key that its block has already. *line is the line of the
 * error, or the last line of the text. Returns 0, or -1 with an ERR_FATAL/ERR_CONFIG error
 * without a position.
 */
int conf_scan(char *text, size_t len, int *line, struct err *e);

#endif
