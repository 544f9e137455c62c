/*
 * text.h - what C strings lack: strict numbers, and a safe way to print hostile bytes.
 */
#ifndef LS_TEXT_H
#define LS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Copy len bytes of src to dst (size bytes, always terminated) for a terminal or a log. Bytes
 * that are not printable UTF-8 become \xNN; backslash stays. Control characters, C1 controls,
 * direction marks and overrides (U+202A..E, U+2066..9 ...) and line separators count as not
 * printable. A text that does not fit is cut at a character and ends in "..." (size >= 8).
 * Returns the number of bytes written.
 */
size_t text_visible(char *dst, size_t size, const char *src, size_t len);

/*
 * Decode the character that text (len >= 1 bytes) begins with. Returns its number of bytes and
 * sets *cp to its code point; 0 if it is not UTF-8 (RFC 3629; nor are overlong forms and
 * surrogates).
 */
size_t text_utf8(const char *text, size_t len, uint32_t *cp);

/*
 * Parse a number: only decimal digits, no sign, no blank, not empty. *out is set only on
 * success. Returns false if s is not such a number, or is above max.
 */
bool text_number(const char *s, size_t len, uint64_t max, uint64_t *out);

/* Does s end in suffix (not empty), with something before it? */
bool text_ends_in(const char *s, const char *suffix);

/*
 * The next word of a list that blanks and commas separate, and its length; NULL at its end.
 * *list moves on.
 */
const char *text_list_next(const char **list, size_t *len);

/* Compare without regard to ASCII case, as protocols require it, whatever the locale. */
bool text_equal_nocase(const char *a, size_t alen, const char *b);

#endif
