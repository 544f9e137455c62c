/*
 * spamd.h - rspamd with its Redis, through the interface that the program has to it
 * (rspamd/rspamd.h). It keeps an account of everything that it said: that is the truth which
 * the ledger and the summary are held against.
 */
#ifndef SIM_SPAMD_H
#define SIM_SPAMD_H

#include <stdbool.h>
#include <stdint.h>

#include "history.h"
#include "mail/class.h"
#include "rspamd/rspamd.h"

enum {
	/* A classifier's idea of a content, or, with deliver-to = reporter, each user's own. */
	KEYS = CONTENTS * (USERS + 1),
	MAX_FLIGHT = 8,
};

/* What it has said of a content and class, ever. */
enum said {
	SAID_LEARNED = 1,
	SAID_KNOWN = 2,
	SAID_SURE = 4, /* and meant it: not for want of a backend */
	SAID_SHORT = 8,
	SAID_REFUSED = 16,
};

struct flight_slot {
	enum { FLIGHT_FREE, FLIGHT_SENT, FLIGHT_ANSWERED } state;
	size_t owner;
	int content, key;
	enum mail_class class;
	enum mail_class before; /* what it was taught before this */
	int64_t due;		/* in the milliseconds of the clock */
	struct answer answer;
};

struct spamd {
	struct rspamd rspamd;
	struct sim *sim;	       /* borrowed */
	bool down;		       /* nobody listens */
	bool no_redis;		       /* it listens, and can learn nothing */
	bool crashed;		       /* since it lost its Redis */
	enum mail_class learned[KEYS]; /* what it was taught last; NONE */
	enum mail_class agreed[KEYS];  /* the same, or what it was sure of */
	unsigned char said[KEYS][3];   /* enum said, by class */
	unsigned flaky[CONTENTS];      /* 5xx that are left */

	struct flight_slot slot[MAX_FLIGHT];
	int in_vain; /* as the program's own client counts */

	/* what it told the process at work, which heard it */
	uint64_t heard[3];	/* "learned", by class */
	uint64_t taken_back[3]; /* of these: taken from that class */
	bool all_learned;	/* no answer but "learned" */

	/* over the whole history */
	unsigned again; /* sent although it had said that it knows it, or lost the answer */
	unsigned lost;	/* requests without an answer */
	bool fresh[KEYS][3];	     /* taught to it in this run */
	bool vague[KEYS][3];	     /* taught to it, and the ledger may not know */
	enum mail_class saved[KEYS]; /* what was agreed when the ledger was backed up */
	bool missed[KEYS]; /* the ledger was put back, and says so still; no report of the class
			    * that it says teaches rspamd anything */
};

void spamd_new(struct spamd *r, struct sim *s);

/* The ledger is backed up, or such a one put back. */
void spamd_save(struct spamd *r);
void spamd_restore(struct spamd *r);

/* A new process talks to it. */
void spamd_begin(struct spamd *r);

/*
 * The process has ended: what it sent may arrive all the same. cut_short: what it heard may not
 * be in the ledger.
 */
void spamd_end(struct spamd *r, bool cut_short);

/* EVENT_RSPAMD. */
void spamd_change(struct spamd *r, uint32_t to);

/* It works, and is patient. */
void spamd_heal(struct spamd *r);

#endif
