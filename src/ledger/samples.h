/*
 * samples.h - numbers for messages that their server names by words: the training samples of a
 * Stalwart. What is here is known of the server: which samples it has, in the order of the
 * users' decisions. It is part of the ledger, so that a number and what is recorded under it
 * are lost, restored and committed together.
 */
#ifndef LS_SAMPLES_H
#define LS_SAMPLES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "ledger/ledger.h"
#include "mail/class.h"

enum {
	SAMPLE_WORD_MAX = 64,  /* bytes of a name or an account */
	SAMPLE_BLOB_MAX = 200, /* ... of a content's name */
};

struct sample {
	char name[SAMPLE_WORD_MAX + 1];
	char account[SAMPLE_WORD_MAX + 1]; /* whose decision it was; "": the server's own */
	char blob[SAMPLE_BLOB_MAX + 1];	   /* names the content */
	enum mail_class class;		   /* NONE: not to be learned */
	uint32_t older; /* the same user's decision on this content before; 0: none */
	int64_t date;	/* when it was decided, as far as is known */
};

/* The samples of one server. */
struct samples {
	struct ledger *ledger; /* borrowed */
	const char *server;    /* borrowed: the account's name */
	uint32_t identity;     /* numbers mean the same samples as long as this stays */
	uint32_t next;	       /* the next number */
	uint32_t count[3];     /* samples that there are, by class */
	int64_t newest;	       /* the date of the one that came last */
	int64_t walked;	       /* when the whole list was last compared; 0: never */
};

/* Every int is 0, or -1 with an error of the ledger, where nothing else is said. */

/*
 * What is known of this server; of a new one nothing, under an identity chosen by chance, which
 * is recorded (unless the ledger is open for reading).
 */
int samples_load(struct samples *s, struct ledger *l, const char *server, struct err *e);

/* How many there are, of all classes. */
uint64_t samples_total(const struct samples *s);

/* 1 and *out, 0 if there is none of that number, or -1. */
int samples_get(struct samples *s, uint32_t number, struct sample *out, struct err *e);

/* The first above *number (0: of all): 1, *number and *out; 0, or -1. */
int samples_next(struct samples *s, uint32_t *number, struct sample *out, struct err *e);

/* The number of this name: 1 and *number, 0 or -1. */
int samples_find(struct samples *s, const char *name, uint32_t *number, struct err *e);

/*
 * How many of these, of class spam or ham, another ledger has not met: they wait for a run. 0,
 * or -1.
 */
int samples_waiting(struct samples *s, struct ledger *other, uint64_t *n, struct err *e);

/*
 * Give it the next number, and set older. Of a user's decisions on a content one keeps its
 * class: this one; or, overruled, the known one, which the server lists behind it.
 * ERR_SERVER/ERR_LOCAL where no number is left.
 */
int samples_add(struct samples *s, struct sample *sample, bool overruled, struct err *e);

/* The whole list was compared with what is known. */
int samples_walked(struct samples *s, int64_t now, struct err *e);

/* It is not to be learned. None of that number is no error, here and below. */
int samples_ignore(struct samples *s, uint32_t number, struct err *e);

/* It is gone. */
int samples_drop(struct samples *s, uint32_t number, struct err *e);

/* The number of the last decision of this sample's user on its content: 1 and *number, 0, -1.
 */
int samples_decision(struct samples *s, const struct sample *sample, uint32_t *number,
		     struct err *e);

/* Is this record of the map one of ours, and whole? For ledger verify. */
bool samples_is_sound(struct store_value key, struct store_value value);

#endif
