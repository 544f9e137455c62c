/*
 * rfc2047.h - header text to UTF-8. Not GMime's: where words of one charset stand side by side
 * and one has base64 padding, GMime 3.2.13 drops the rest ("=?utf-8?b?YQ==?= =?utf-8?b?Yg==?="
 * becomes "a"), and a digest over that would take two subjects for one.
 */
#ifndef LS_RFC2047_H
#define LS_RFC2047_H

#include <stddef.h>

#include "buf.h"

/*
 * Append the text of an unstructured field's value (folded or not, as it stands in the message)
 * to *out as UTF-8: encoded words decoded (neighbours in one charset as one text, so that a
 * character may be split between them), every run of blanks and control characters one space,
 * none at the ends. Bytes that their charset does not have, or whose charset iconv does not
 * know, are taken as UTF-8 if they are that, as ISO 8859-1 otherwise; so is 8-bit text outside
 * of words, what would become more than four times as long, and what comes after sixteen other
 * charsets. Adds at most 4 * len bytes. Returns 0, or -1 where memory or the cap of *out ends.
 */
int rfc2047_decode(const char *raw, size_t len, struct buf *out);

#endif
