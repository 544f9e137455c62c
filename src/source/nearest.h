/*
 * nearest.h - which of many names are most like one that is not among them. Pure.
 */
#ifndef LS_NEAREST_H
#define LS_NEAREST_H

#include <stdbool.h>

enum { NEAREST_NAMES = 3, NEAREST_SIZE = 256 };

/* Set wanted, and zero the rest. */
struct nearest {
	const char *wanted; /* borrowed */
	bool is_there;	    /* it was offered itself */
	unsigned n;
	struct {
		unsigned distance;
		char name[NEAREST_SIZE];
	} best[NEAREST_NAMES]; /* n of them, the nearest first */
};

/* One of the names that there are. One that is too unlike, or too long, is passed over. */
void nearest_offer(struct nearest *n, const char *name);

#endif
