/*
 * contract.h - what must hold for every kind of source (source/source.h). A test of a kind of
 * source makes a struct contract and calls contract_check(): for the source in memory
 * (test_source.c), for a mailbox of a scripted IMAP server (test_source_imap.c), for one over a
 * real one.
 */
#ifndef UNIT_SOURCE_CONTRACT_H
#define UNIT_SOURCE_CONTRACT_H

#include <stdbool.h>
#include <stdint.h>

#include "source/source.h"

/* A message as the contract wants it there. */
struct contract_message {
	const char *body; /* terminated; CRLF line ends */
	int64_t date;	  /* seconds since 1970 */
	bool seen, flagged, deleted;
};

/*
 * How to make a source, and the mailbox behind it, for a test of its own. Every function fails
 * the test where it cannot.
 */
struct contract {
	/*
	 * A mailbox with these n messages, numbered from 1 on without a gap, class spam, that
	 * may be changed and holds marks; and a source of it, not open. ctx as below.
	 */
	struct source *(*make)(void *ctx, const struct contract_message *m, size_t n);

	/* Somebody else takes a message out, adds one (with the next number), clears its mark.
	 */
	void (*expunge)(void *ctx, uint32_t id);
	void (*deliver)(void *ctx, const struct contract_message *m);

	/* Is the message there, whatever the source says? */
	bool (*has)(void *ctx, uint32_t id);

	/* Wait for what source_next said it waits for. */
	void (*wait)(void *ctx, const struct wait *w);

	/* Close the source and take the mailbox away. */
	void (*drop)(void *ctx, struct source *s);

	bool can_remove; /* messages can be removed precisely */
	bool one_class; /* users set no flags here, and marks only say whether it was learned */
	void *ctx;
	bool no_marks;	/* messages bear none; nor is their size known before their body is here
			 */
	bool ascending; /* what comes later is dated later, whatever it says of itself */
};

/* All of it. */
void contract_check(const struct contract *c);

#endif
