/*
 * pipeline_priv.h - what the three files of the pipeline share: pipeline.c goes through a
 * mailbox, message.c decides about one message, flight.c has those that rspamd is learning.
 * Private to them.
 */
#ifndef LS_PIPELINE_PRIV_H
#define LS_PIPELINE_PRIV_H

#include "marker.h"
#include "mime.h"
#include "pipeline.h"
#include "uidset.h"

/* What is known of a message that came with its body. */
struct arrival {
	struct marker marker;
	struct mime_info info;
	const char *who; /* the reporter's address; "" unknown; borrowed */
	unsigned char reporter[RECORD_REPORTER_SIZE]; /* its keyed hash */
};

/* One message between its body and its settling. */
struct item {
	enum { ITEM_FREE, ITEM_STAGED, ITEM_SENT } state;
	uint32_t uid;
	int64_t date;
	size_t original; /* offset in body where rspamd's copy begins */
	struct buf body;
	struct mime_info info;
	unsigned char reporter[RECORD_REPORTER_SIZE]; /* a keyed hash, for the ledger */
	char deliver_to[MARKER_TEXT_MAX];	      /* the address, for rspamd; "" unknown */
};

struct pipeline {
	struct pipeline_parts with; /* all borrowed */
	bool dry_run, only_note;
	int64_t left_before;
	int64_t left; /* messages that may still be taken; -1: no limit */

	struct source *source;	   /* at work; borrowed */
	struct record_mailbox box; /* its record */
	struct report_counts counts;
	bool counted;	/* there is something in counts */
	bool cut_short; /* --max left messages for another run */

	/* Messages at which the connection breaks (suspect()). */
	uint32_t suspect_box, suspect_uid, given_up_box;
	struct uidset given_up;
	uint64_t done;	/* messages of this round that are through */
	uint64_t found; /* by the last search for new ones */

	size_t uncommitted; /* messages settled since the last commit */
	struct err fatal;   /* what ends the run; found while something else was waited for */
	int64_t stat_good;  /* clock_ms() when /stat was last good */
	size_t staged, bytes, n;
	struct item item[]; /* n of them: as many as rspamd takes at a time */
};

/* ---- pipeline.c: recording and telling; each 0, or -1 with an error of the ledger ---- */

/* Make durable what was recorded so far. */
int pipeline_commit(struct pipeline *p, struct err *e);

/* One message more is recorded; in time they are made durable. */
int pipeline_count(struct pipeline *p, struct err *e);

/* Count it and say it. info is NULL where the body was never read, answer where there is none.
 */
int pipeline_tell(struct pipeline *p, const struct ledger_copy *c, const struct mime_info *info,
		  enum outcome outcome, const char *answer, struct err *e);

/* Record what became of the message, and tell it. */
int pipeline_settle(struct pipeline *p, const struct ledger_copy *c,
		    const struct mime_info *info, enum outcome outcome, const char *answer,
		    struct err *e);

/* ---- message.c ---- */

/* Take one message from the source: settle it, hold it, or have it learned. 0, or -1. */
int message_take(struct pipeline *p, struct source_message *m, struct err *e);

/*
 * A held message whose content is known: the reporters may agree by now, or their time be over.
 * *again: it is to be fetched once more, and learned. last: what stays held is told. 0, or -1.
 */
int message_settle_held(struct pipeline *p, uint32_t uid, const struct record_uid *r, bool last,
			bool *again, struct err *e);

/* ---- flight.c ---- */

/*
 * Wait until a message of size bytes may be held. Messages are sent a few at a time, since each
 * time costs a commit of the ledger; the others keep rspamd busy meanwhile. 0, or -1.
 */
int flight_make_room(struct pipeline *p, size_t size, struct err *e);

/* A copy of what is being learned just now waits for the answer: then we know what it is. */
int flight_wait_for_twin(struct pipeline *p, const struct digest *d, struct err *e);

/* Record that the message is on its way to rspamd; its body is the pipeline's from now on. */
int flight_stage(struct pipeline *p, struct source_message *m, const struct arrival *a,
		 struct err *e);

/*
 * No more messages come in. What is staged is sent if it can be, else put back; what was sent
 * is waited for. 0, or -1.
 */
int flight_wind_up(struct pipeline *p, bool send, struct err *e);

/* 0, or -1 and why nothing can be learned any more: rspamd, the ledger, a signal. */
int flight_failed(struct pipeline *p, struct err *e);

#endif
