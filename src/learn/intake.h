/*
 * intake.h - messages in, answers out: the loop through which every message of a source goes,
 * and the only place where the ledger and the output are written about one message. Which
 * messages, and in which order, is pipeline.h's.
 */
#ifndef LS_INTAKE_H
#define LS_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ranges.h"
#include "learn/flight.h"
#include "learn/message.h"
#include "learn/pipeline.h"
#include "learn/suspect.h"
#include "learn/wrappers.h"
#include "ledger/ledger.h"
#include "output/output.h"
#include "source/source.h"

/* The intake of one source; the pipeline sets it up for each, and reads what came of it. */
struct intake {
	struct pipeline_parts with; /* all borrowed */
	struct message_rules rules;
	struct flight *flight; /* owned by the pipeline */
	bool dry_run;

	struct source *source; /* borrowed */
	struct record_mailbox box;
	struct output_place place;
	bool only_note;	 /* nobody decides yet: who says what is noted */
	bool fresh;	 /* this round is about messages without a record */
	bool unrecorded; /* this round is about messages that were there before */
	int64_t left;	 /* messages that may still be taken; -1: no limit */

	struct tally tally;
	struct ranges told; /* messages of which it was printed that they wait or failed */
	const char *why;    /* static text: why messages are left */
	bool held_back;	    /* the message at hand is, for the balance */
	uint64_t open;	    /* messages that are to be looked at, and not decided about */
	uint64_t unseen; /* of these: never taken, so that the ledger has no record of them */
	uint64_t done;	 /* messages of this round that are through */
	uint64_t steps;	 /* messages decided about, and suspects found, ever */
	struct ledger_joined joined; /* the parts so far of the message at hand */
	int64_t held_since; /* since when it waits for other reporters; 0: it does not */
	struct wrappers wrappers;
	struct suspect suspect; /* what failed in this run, or broke the connection */

	size_t uncommitted; /* records changed since the last commit */
};

/* Every int is 0, or -1 with an error of the ledger, of rspamd or of the source. */

/*
 * How many messages may still be taken: as far as the limit of the run goes, and none if rspamd
 * may learn no more of this class (those in flight count as learned). UINT64_MAX: any number.
 * If less may be learned than is taken, the rest is left.
 */
uint64_t intake_room(const struct intake *in);

/* Why messages are left when rspamd may learn no more. */
extern const char intake_held_back[];

/* Make durable what was recorded so far. */
int intake_commit(struct intake *in, struct err *e);

/* Record what became of the message, count it and print it. info, answer: NULL if there is
 * none. */
int intake_settle(struct intake *in, const struct ledger_copy *c, const struct mime_info *info,
		  enum outcome outcome, const char *answer, struct err *e);

/* Count and print that a message waits or failed, unless this run has done so already. */
int intake_announce_once(struct intake *in, const struct ledger_copy *c, enum outcome outcome,
			 const char *answer, struct err *e);

/* Does a message's date say when the verdict was given (verdict_time)? */
bool intake_goes_by_date(const struct intake *in);

/*
 * When was the verdict on a message given, of which the ledger knows this (NULL: nothing)? In
 * seconds since 1970; 0 if the date decides and is not known, for the message was not given.
 */
int64_t intake_verdict_time(const struct intake *in, const struct record_message *known,
			    const struct record_stamp *stamp);

/*
 * Take every message of todo (emptied) out of the source; alone: one at a time. What rspamd is
 * to learn may still be in flight at the end: intake_wind_up().
 */
int intake_take_all(struct intake *in, struct ranges *todo, const struct source_filter *filter,
		    bool alone, struct err *e);

/*
 * No more messages come. What is staged is sent (send) or put back, and what was sent is waited
 * for: after a signal not for ever; what then has no answer stays submitted, and the next run
 * asks rspamd again. Goes on after an error, and returns the first.
 */
int intake_wind_up(struct intake *in, bool send, struct err *e);

#endif
