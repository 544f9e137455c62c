/*
 * utf7.h - mailbox names on the wire: the modified UTF-7 of RFC 3501, section 5.1.3.
 */
#ifndef LS_UTF7_H
#define LS_UTF7_H

#include <stddef.h>

/*
 * UTF-8 (NUL-terminated) to modified UTF-7, terminated, in size bytes. Returns 0, or -1 where
 * the text is empty, no UTF-8, or too long.
 */
int utf7_encode(const char *utf8, char *out, size_t size);

/*
 * And back, terminated, in size bytes. Only what utf7_encode could have written is accepted.
 * Returns 0, or -1 where it is not that, empty, or too long.
 */
int utf7_decode(const char *wire, char *out, size_t size);

#endif
