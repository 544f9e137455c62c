/*
 * conf_scan.h - a look at a configuration's text before libconfuse reads it. libconfuse 3.3
 * takes much in silence that an administrator did not mean; here it becomes an error with its
 * line.
 */
#ifndef LS_CONF_SCAN_H
#define LS_CONF_SCAN_H

#include <stddef.h>

#include "err.h"

enum { CONF_MAX_STRING = 4096 }; /* bytes of one value or title */

/*
 * Check text (len bytes, a NUL behind them) and change it in place, line by line as before:
 * - comments become blanks (libconfuse 3.3 counts their lines wrongly);
 * - move "Archive" as a value becomes "move Archive" (libconfuse has one word a value).
 * Refused: a string or block that is not closed, an escape other than \\ \" \$ (libconfuse
 * makes
 * "\Junk" "Junk"), ${VAR} (it would take the environment's), characters outside of quotes that
 * it drops or splits at, control characters and what is no UTF-8, a value too long. *line is
 * the line of the error, or the last line of the text. Returns 0 or -1 with an
 * ERR_FATAL/ERR_CONFIG error without a position.
 */
int conf_scan(char *text, size_t len, int *line, struct err *e);

#endif
