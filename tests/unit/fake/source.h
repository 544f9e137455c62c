/*
 * source.h - a source in memory that keeps the contract of source/source.h, and can misbehave
 * in every way that the contract allows: wait, break, refuse, give nothing, in another order.
 */
#ifndef FAKE_SOURCE_H
#define FAKE_SOURCE_H

#include "fake/events.h"
#include "source/source_ops.h"

enum { FAKE_MESSAGES = 64 };

/* Marks, as bits of sights. */
enum { FAKE_MARK_SPAM = 1, FAKE_MARK_HAM = 2, FAKE_MARK_SKIPPED = 4 };

struct fake_message {
	uint32_t id;
	char body[512]; /* text; not empty */
	int64_t date;
	unsigned marks;
	bool seen, flagged, deleted;
	bool copied; /* a run that was cut short copied it to where it moves */
	enum {
		FAKE_GIVE,
		FAKE_BREAK,  /* the connection breaks at it, breaks times */
		FAKE_REFUSE, /* "there, and not to be had": UNREADABLE */
		FAKE_NOTHING /* listed and not given: GONE */
	} how;
	int breaks;
};

struct fake_source {
	struct source source;
	struct fake_events *events; /* "open a rw", "want 1:3", "mark spam 1,2" ... */
	const bool *dirty;	    /* NULL, or what must be false when it marks and removes */
	struct fake_message message[FAKE_MESSAGES];
	size_t n;
	uint64_t version; /* as open says it; 0: it keeps none */
	uint32_t identity, next;
	uint32_t count; /* as open says it; 0: as many as there are */
	bool can_mark, server_read_only;

	/* how it behaves */
	int waits;	   /* so often SOURCE_WAIT before each message */
	bool backwards;	   /* gives the highest number first */
	bool no_sizes;	   /* knows no size before the body is there */
	bool holds_none;   /* takes marks, and holds none */
	bool keeps;	   /* says that it removed, and did not */
	bool cannot;	   /* can_remove says no */
	uint64_t target;   /* where that to move to ends; 0: a move is one step */
	struct err broken; /* what the next call fails with that is in fail */
	enum {
		FAIL_NONE,
		FAIL_OPEN,
		FAIL_LIST,
		FAIL_WANT,
		FAIL_LOOK,
		FAIL_MARK,
		FAIL_REMOVE,
		FAIL_TARGET,
		FAIL_COPIED
	} fail;
	int fail_after; /* so many such calls work first */

	/* private */
	struct ranges todo;
	struct source_filter filter;
	int waited;
	uint32_t owed;
};

/* account and mailbox are borrowed. */
void fake_source_init(struct fake_source *s, const char *account, const char *mailbox,
		      enum mail_class class, struct fake_events *events);
void fake_source_free(struct fake_source *s);

/* A message with the next number; text is its body, NULL: one of its own. Borrowed from s. */
struct fake_message *fake_deliver(struct fake_source *s, const char *text, int64_t date);

/* NULL where it is not there. */
struct fake_message *fake_find(struct fake_source *s, uint32_t id);

/* Somebody else takes it out of the mailbox. */
void fake_expunge(struct fake_source *s, uint32_t id);

/* The next call of this kind fails; scope and kind as given. */
void fake_fail(struct fake_source *s, int which, enum err_scope scope, enum err_kind kind);

/* The numbers in it, as "1:3,7". */
const char *fake_there(const struct fake_source *s);

/* The numbers of a set, as "1:3,7", "-" for none. In a buffer that the next call uses again. */
const char *fake_ranges(const struct ranges *r);

#endif
