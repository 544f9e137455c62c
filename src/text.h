/*
 * text.h - the few things C strings lack: strict numbers, and showing hostile bytes safely.
 */
#ifndef LS_TEXT_H
#define LS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Copy len bytes of src to dst (size bytes, always terminated) for a terminal or a log: what is
 * not printable UTF-8 becomes \xNN, backslash stays. Control characters, C1 controls, marks and
 * overrides of direction (U+202A..E, U+2066..9 ...) and line separators count as not printable.
 * Cut at a character, with "..." at the end where it did not fit (size >= 8). Returns the bytes
 * written.
 */
size_t text_visible(char *dst, size_t size, const char *src, size_t len);

/*
 * The character that text (len >= 1 bytes) begins with: how many bytes it has, *cp its code
 * point, or 0 where it is no UTF-8 (RFC 3629: overlong forms and surrogates are none).
 */
size_t text_utf8(const char *text, size_t len, uint32_t *cp);

/*
 * Decimal digits only, no sign, no blank, no empty text; *out is set only on success.
 * Returns false where it is not such a number or is above max.
 */
bool text_number(const char *s, size_t len, uint64_t max, uint64_t *out);

/* ASCII case only, as protocols want it, whatever the locale is. */
bool text_equal_nocase(const char *a, size_t alen, const char *b);

#endif
