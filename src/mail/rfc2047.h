/*
 * rfc2047.h - converts header text to UTF-8. GMime's decoder is not used: if adjacent words of
 * one charset have base64 padding, GMime 3.2.13 drops the rest ("=?utf-8?b?YQ==?=
 * =?utf-8?b?Yg==?=" becomes "a"), and then two subjects could have one digest.
 */
#ifndef LS_RFC2047_H
#define LS_RFC2047_H

#include <stddef.h>

#include "base/buf.h"

/*
 * Append the text of an unstructured field's value (folded or not, as it is in the message) to
 * *out as UTF-8. Encoded words are decoded (adjacent ones in one charset as one text, so that a
 * character may be split between them); each run of blanks and control characters becomes one
 * space, none is left at the ends. Bytes that are invalid in their charset, or whose charset
 * iconv does not know, are read as UTF-8 if they are valid UTF-8, and otherwise as ISO 8859-1.
 * The same applies to 8-bit text outside words, to text that would become more than four times
 * as long, and to text after sixteen other charsets. Adds at most 4 * len bytes. Returns 0, or
 * -1 if memory or the cap of *out is exhausted.
 */
int rfc2047_decode(const char *raw, size_t len, struct buf *out);

/*
 * The strict function, for the digest: append the text of flat, an unfolded value
 * (part_unfold), to *out if every parser reads it in the same way (docs/digest.md), and
 * return 1. Otherwise append nothing and return 0; -1 if memory or the cap of *out is
 * exhausted. Adds at most strlen(flat) bytes.
 */
int rfc2047_canonical(const char *flat, struct buf *out);

#endif
