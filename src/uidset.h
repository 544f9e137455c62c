/*
 * uidset.h - a set of IMAP UIDs as ranges: eight bytes a range however many messages it holds,
 * written on the wire in its shortest form (1:500, not 1,2,3; RFC 3501, sequence-set).
 */
#ifndef LS_UIDSET_H
#define LS_UIDSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	UIDSET_MAX_RANGES = 1 << 20, /* 8 MiB; a server that needs more is not believed */
	UIDSET_WIRE_MAX = 4000, /* bytes of a set in one command, below every server's limit */
};

struct uid_range {
	uint32_t first, last;
};

/* Zeroed is empty. Sorted and free of overlaps after every call of this file. */
struct uidset {
	struct uid_range *range; /* owned */
	size_t n, size;
};

void uidset_free(struct uidset *s);

/* Remove every UID, keep the memory. */
void uidset_clear(struct uidset *s);

/*
 * Add first..last, either of which may be the larger (1 or above). Quick where UIDs come
 * ascending. Returns 0, or -1 without memory or past UIDSET_MAX_RANGES.
 */
int uidset_add(struct uidset *s, uint32_t first, uint32_t last);

/*
 * Add what a server wrote as "1:5,9,20:12". Returns 0, or -1 where the text is no sequence set
 * of plain numbers ("*" is none), or as uidset_add.
 */
int uidset_add_text(struct uidset *s, const char *text, size_t len);

/* Add all of other. Returns as uidset_add. */
int uidset_union(struct uidset *s, const struct uidset *other);

/* Add to out what is in s and not in other. Returns as uidset_add. */
int uidset_minus(const struct uidset *s, const struct uidset *other, struct uidset *out);

bool uidset_has(const struct uidset *s, uint32_t uid);

/* How many UIDs. */
uint64_t uidset_count(const struct uidset *s);

/*
 * Take the lowest UIDs off the front, at most max of them and no more than fit into size bytes
 * of text, and write them to text as a sequence set. Returns how many; 0: the set is empty.
 * taken (may be NULL) receives their number range by range, added to what it holds.
 */
size_t uidset_take(struct uidset *s, size_t max, char *text, size_t size, struct uidset *taken);

#endif
