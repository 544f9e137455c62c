/*
 * bytes.h - numbers in the ledger's records and keys, big-endian, and the keys that begin with
 * an account's name. Private to the ledger.
 */
#ifndef LS_BYTES_H
#define LS_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "conf/conf.h"
#include "ledger/store.h"

/* Where the next byte goes, and where it comes from. Whoever uses one knows that there is room.
 */
struct writer {
	unsigned char *p;
};

struct reader {
	const unsigned char *p;
};

/* The lower bytes of n. */
static inline void bytes_put(struct writer *w, uint64_t n, int bytes)
{
	for (int i = bytes - 1; i >= 0; i--)
		*w->p++ = (unsigned char)(n >> (8 * i));
}

static inline uint64_t bytes_take(struct reader *r, int bytes)
{
	uint64_t n = 0;

	for (int i = 0; i < bytes; i++)
		n = n << 8 | *r->p++;
	return n;
}

/* A key of STORE_SAMPLE: an account's name (at most CONF_MAX_NAME bytes), a NUL, a kind. */
struct account_key {
	char text[STORE_KEY_MAX];
	size_t len;
};

static inline void account_key_begin(struct account_key *k, const char *account, char kind)
{
	k->len = strnlen(account, CONF_MAX_NAME);
	memcpy(k->text, account, k->len);
	k->text[k->len++] = '\0';
	k->text[k->len++] = kind;
}

static inline void account_key_add(struct account_key *k, const void *data, size_t len)
{
	memcpy(k->text + k->len, data, len);
	k->len += len;
}

/* n as so many bytes, up to 8. */
static inline void account_key_add_number(struct account_key *k, uint64_t n, int bytes)
{
	struct writer w = {(unsigned char *)k->text + k->len};

	bytes_put(&w, n, bytes);
	k->len += (size_t)bytes;
}

/* Borrowed from k. */
static inline struct store_value account_key_value(const struct account_key *k)
{
	return (struct store_value){k->text, k->len};
}

#endif
