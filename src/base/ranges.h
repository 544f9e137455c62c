/*
 * ranges.h - a set of numbers from 1 to 2^32 - 1, kept as ranges: eight bytes for each range,
 * however many numbers it has. Sources identify messages by such numbers (for IMAP, the UID).
 */
#ifndef LS_RANGES_H
#define LS_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { RANGES_MAX = 1 << 20 }; /* ranges in one set: 8 MiB; no honest server needs more */

struct range {
	uint32_t first, last;
};

/* All zero: empty. Sorted, without overlaps, after every call except ranges_append(). */
struct ranges {
	struct range *range; /* owned */
	size_t n, size;
};

/* Each int is 0, or -1 with an ERR_FATAL/ERR_LOCAL error: no memory, or above RANGES_MAX. */

void ranges_free(struct ranges *s);

/* Remove all numbers, but keep the memory. */
void ranges_clear(struct ranges *s);

/* Add first..last; either may be the larger. Fast if numbers ascend. */
int ranges_add(struct ranges *s, uint32_t first, uint32_t last, struct err *e);

/*
 * The same, and fast in whatever order the numbers come, any number of them: only what is left
 * of them when they are sorted has to be below RANGES_MAX (half of it may be too many). Call
 * ranges_sort() before any other function of this file.
 */
int ranges_append(struct ranges *s, uint32_t first, uint32_t last, struct err *e);
void ranges_sort(struct ranges *s);

/* Add all of other. */
int ranges_union(struct ranges *s, const struct ranges *other, struct err *e);

/* Add to out the numbers that are in s and not in other. */
int ranges_minus(const struct ranges *s, const struct ranges *other, struct ranges *out,
		 struct err *e);

/* Move the lowest numbers of s, at most max of them, to taken. */
int ranges_take(struct ranges *s, uint64_t max, struct ranges *taken, struct err *e);

bool ranges_has(const struct ranges *s, uint32_t number);

/* The lowest number of s above *number (0: of all) into *number; false: there is none. */
bool ranges_next(const struct ranges *s, uint32_t *number);

/* How many numbers are in s. */
uint64_t ranges_count(const struct ranges *s);

#endif
