/*
 * buf.h - a byte buffer that cannot be created without a cap. Data from outside is collected
 * in one of these, so that no peer decides how much memory it costs.
 */
#ifndef LS_BUF_H
#define LS_BUF_H

#include <stddef.h>

struct buf {
	char *data; /* owned; NULL while empty; NUL-terminated after the first addition */
	size_t len; /* bytes in use, without the terminator */
	size_t size, cap;
};

/* Initialize an empty buffer that never holds more than cap bytes (and a terminator). */
void buf_init(struct buf *b, size_t cap);

/* Append. Returns 0, or -1 if the cap or memory is exhausted (then nothing has changed). */
int buf_add(struct buf *b, const void *data, size_t len);
int buf_adds(struct buf *b, const char *s);
int buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Make room for len more bytes at once. Returns 0, or -1 as above. */
int buf_reserve(struct buf *b, size_t len);

/* Empty the buffer, but keep its memory. */
void buf_clear(struct buf *b);

/* Free the memory; the buffer stays usable, with its cap. */
void buf_free(struct buf *b);

#endif
