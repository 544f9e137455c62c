/*
 * reporter.h - who gave a verdict, as the ledger knows it: a keyed hash, so that the ledger
 * alone is no list of people. The key lies beside the ledger and is not part of its backups.
 */
#ifndef LS_REPORTER_H
#define LS_REPORTER_H

#include "digest.h"
#include "err.h"
#include "record.h"

enum { REPORTER_KEY_SIZE = 32 };

struct reporter_key {
	unsigned char bytes[REPORTER_KEY_SIZE];
};

/*
 * Read the key in the ledger's directory; made from random bytes (mode 0600) where it is
 * missing and make is true, else random for this process alone (a dry run changes nothing). 0,
 * or -1 with ERR_FATAL/ERR_CONFIG or ERR_LOCAL.
 */
int reporter_key_load(const char *dir, bool make, struct reporter_key *key, struct err *e);

/* HMAC-SHA256 of the address, cut to RECORD_REPORTER_SIZE bytes. address "": all zero. */
void reporter_hash(const struct reporter_key *key, const char *address,
		   unsigned char out[RECORD_REPORTER_SIZE]);

/*
 * The identity of a content as one reporter's own, for per-user classifiers: another one for
 * each reporter, so that each of them has it learned.
 */
void reporter_digest(const struct reporter_key *key, const char *address, struct digest *d);

#endif
