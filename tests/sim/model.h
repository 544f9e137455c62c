/*
 * model.h - the truth, and what must hold. It knows who reported what and when (the world tells
 * it) and what rspamd said (spamd.h), and holds against it what the program does: each message
 * that it sends, marks or removes, each record that it leaves behind, and where all of it ends
 * once nothing fails any more.
 *
 * The time of a verdict is kept as a span, since the program sees some of them late: for a
 * report the date of its arrival; for a user's own mailbox from the arrival of the message to
 * the first run that recorded it, or from the date of the mail where the program had not been
 * through the mailbox and the date was all there is. One verdict is newer than another only
 * where its whole span is.
 */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ranges.h"
#include "ledger/record.h"
#include "rspamd/rspamd.h"
#include "source/source.h"
#include "world.h"

/* What is known of one stay of a message in a mailbox (struct mail of the same number). */
struct stay {
	bool heard;	    /* the ledger has it, settled: it counts */
	bool verdict, vote; /* ... as a verdict; as a voice where a quorum is asked for */
	bool loose;   /* its record is gone: the time of its verdict is not settled any more */
	bool leaving; /* it went in this run, and its record may follow after the next commit */
	bool adopted; /* by its mark, when nothing else was known of it */
	bool purging; /* an earlier run was cut short while it removed it */
	bool doomed;  /* we removed it */
	int64_t from, to; /* the time of its verdict */
	int64_t since;	  /* the earliest time at which a run can have seen it */
};

struct model {
	struct stay stay[MAX_MAIL];
	bool whole[MAX_BOXES];	/* a run was through it since the ledger began */
	bool unsure[MAX_BOXES]; /* no run was through it since it was made, or made anew */
	bool set_back;		/* the clock was */
	bool dry;		/* the run at work must not change anything */
	unsigned cuts;		/* runs that ended before their time */
	bool restored; /* some mailbox was: our marks are gone, and dates may stand for verdicts
			*/
	bool leaving;  /* a message went in the middle of the run at work */
	bool amnesia;  /* the ledger, or rspamd, has forgotten something */
	uint64_t removed; /* by the run at work */
};

struct sim;

void model_new(struct sim *s);

/* The number under which rspamd knows this content, reported by this user. */
int model_key(const struct sim *s, int content, int user);

/* ---- what the world says ---- */

void model_arrives(struct sim *s, int mail);
void model_leaves(struct sim *s, int mail);
void model_returns(struct sim *s, int mail); /* after it had left: to its user it is new */
void model_forgets(struct sim *s, int box);  /* its numbers mean nothing any more */
void model_forgets_all(struct sim *s);	     /* the ledger is lost */

/* ---- what the program does ---- */

void model_commits(struct sim *s);
void model_run_begins(struct sim *s, bool dry);
void model_sends(struct sim *s, int content, const struct rspamd_job *job);
void model_marks(struct sim *s, int box, const struct ranges *ids);
void model_removes(struct sim *s, int box, const struct ranges *ids,
		   const struct source_removal *how);

/* complete: it went through all of this account (NULL: of all), and nothing failed. */
void model_run_ends(struct sim *s, const char *account, bool complete, bool cut_short);

/* Should a run that does everything there is to do have come to an end with this message? */
bool model_is_left(struct sim *s, int mail);
void model_removes_one(struct sim *s, int mail, const struct source_removal *how);

/* ---- when nothing has failed for some runs ---- */

void model_at_end(struct sim *s);

#endif
