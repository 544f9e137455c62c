/*
 * reporter.h - the ledger identifies reporters by a keyed hash, so that the ledger alone does
 * not reveal them. The key is a file beside the ledger and not part of its backups.
 */
#ifndef LS_REPORTER_H
#define LS_REPORTER_H

#include "mail/digest.h"
#include "base/err.h"
#include "ledger/record.h"

enum { REPORTER_KEY_SIZE = 32 };

struct reporter_key {
	unsigned char bytes[REPORTER_KEY_SIZE];
};

/*
 * Read the key in the ledger's directory. If it is missing, create it from random bytes (mode
 * 0600) if make is true, else use a random key for this process only (a dry run changes
 * nothing). Returns 0, or -1 with ERR_FATAL/ERR_CONFIG or ERR_LOCAL.
 */
int reporter_key_load(const char *dir, bool make, struct reporter_key *key, struct err *e);

/*
 * The name by which a reporter counts as one person: in lower case, without the extension that
 * begins with a character of delimiters in the local part (alice+spam@x is alice@x), without
 * the master user after a login (alice@x*master, alice@x%master@x). Cut at size.
 */
void reporter_name(const char *address, const char *delimiters, char *out, size_t size);

/* HMAC-SHA256 of the address, cut to RECORD_REPORTER_SIZE bytes. address "": all zero. */
void reporter_hash(const struct reporter_key *key, const char *address,
		   unsigned char out[RECORD_REPORTER_SIZE]);

/*
 * Make *d specific to one reporter, for per-user classifiers: the same content has another
 * digest for each reporter, so that it is learned for each of them.
 */
void reporter_digest(const struct reporter_key *key, const char *address, struct digest *d);

#endif
