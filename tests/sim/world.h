/*
 * world.h - the mail that there is, and what people and administrators do to it. A message that
 * moves is a new one in its new mailbox, as in IMAP: each struct mail is the stay of one
 * message in one mailbox.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "history.h"

enum {
	MAX_MAIL = 120,
	MAX_KEPT = 40, /* messages of one mailbox in a backup */
};

enum trouble {
	TROUBLE_NONE,
	TROUBLE_REFUSED, /* the server says NO when asked for it */
	TROUBLE_OMITTED, /* the server says OK and does not give it */
	TROUBLE_BREAKS,	 /* the connection breaks at it */
};

/* What a client can change about a message. */
struct flags {
	bool seen, flagged, deleted;
	bool deleted_by_us;
	unsigned marks; /* IMAP_KEYWORDS */
};

struct mail {
	bool there;
	bool archived; /* it went to the archive by us */
	int box, content, user;
	enum mail_class class; /* where the mailbox has none */
	uint32_t uid, size;    /* uid 0: in a spool, and no run has taken it yet */
	int64_t date;	       /* INTERNALDATE */
	struct flags flags;
	bool raced;    /* its flags changed in the middle of this run */
	bool tampered; /* somebody touched its keywords after it came here */
	enum trouble trouble;
	bool for_ever;	  /* the trouble does not end */
	int64_t told;	  /* by s->ms: when watch was told of it; -1: it was not */
	int64_t whole_at; /* in a spool: until then it is still being written */
	bool skewed;	  /* a sample: listed before some that are older */
	int64_t place;	  /* ... in the order of the list */
};

struct backup {
	bool taken;
	uint32_t validity, next;
	uint64_t version;
	int n;
	struct {
		int mail;
		uint32_t uid;
		struct flags flags;
	} kept[MAX_KEPT];
};

struct mailbox {
	uint32_t validity, next;
	uint64_t version;
	struct backup backup;
};

struct world {
	struct mailbox box[MAX_BOXES];
	struct mail mail[MAX_MAIL];
	int n_mail;
	bool not_see, not_read, not_destroy, not_name; /* a Stalwart's: what the key may not */
	int deliveries; /* so that no two messages have the same size */
};

struct sim;

void world_new(struct sim *s);

/* Something happens that is no run. */
void world_event(struct sim *s, const struct event *ev);

/* The message that has this UID now; -1: none. */
int world_find(const struct sim *s, int box, uint32_t uid);

/* How many messages are in the mailbox, without those that no run has taken yet. */
uint32_t world_count(const struct sim *s, int box);

/* A run takes this one out of a spool's folder: it gets its number. */
void world_take(struct sim *s, int mail);

/* What the server gives for it: body is empty before. */
void world_body(const struct sim *s, const struct mail *m, struct buf *body);

/* The verdict that it is. */
enum mail_class world_class(const struct sim *s, const struct mail *m);

/* It leaves the mailbox. */
void world_remove(struct sim *s, int mail);

/*
 * One more message comes into every mailbox, or the newest one leaves it. A store that was
 * restored, and by chance has had as many messages since as before, looks unchanged until then.
 */
void world_grows(struct sim *s);
void world_shrinks(struct sim *s);

/* No trouble any more but that which is for ever. */
void world_heal(struct sim *s);

/* A number that stands for every mailbox and message. */
uint64_t world_hash(const struct sim *s);

#endif
