/*
 * history.h - one history: a site and what happens there, drawn from a seed before anything is
 * run. It is data, so that it can be printed, and shortened while it still fails: every event
 * carries its own chance, and dropping one leaves the others what they are.
 */
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "mail/class.h"

enum {
	MAX_ACCOUNTS = 5,
	MAX_BOXES = 8,
	MAX_EVENTS = 64,
	CONTENTS = 6,	   /* different mails that exist in the world */
	USERS = 3,	   /* and a stranger, who is user number USERS */
	LARGE_SIZE = 9000, /* above max-size */
	MAX_SIZE = 8000,
};

#define HOUR INT64_C(3600)
#define DAY  (24 * HOUR)

/* What rspamd thinks of a mail. */
enum temper {
	TEMPER_PLAIN,	  /* learns it */
	TEMPER_SHORT,	  /* cannot, whatever the class */
	TEMPER_SURE,	  /* is sure that it is spam, until somebody taught it ham */
	TEMPER_REFUSED,	  /* answers with an error of its own, always */
	TEMPER_FLAKY,	  /* 5xx at first */
	TEMPER_KNOWN,	  /* others taught it as spam already */
	TEMPER_LARGE,	  /* is not asked: above max-size */
	TEMPER_ENCRYPTED, /* is not asked, where skip-encrypted is set */
	TEMPERS,
};

struct box_setup {
	int account;
	const char *name;
	enum mail_class class; /* NONE: each message has its own */
	bool own; /* keep = yes: a user's own mailbox; else a collection of reports */
	int user; /* whose own it is */
	bool seen_only, can_mark, has_next, has_version;
	bool spool;    /* a folder: reports get their number when a run takes them */
	bool stalwart; /* samples of both classes: numbered by the run that sees them */
};

struct setup {
	int n_accounts, n_boxes;
	struct box_setup box[MAX_BOXES];
	enum temper temper[CONTENTS];
	int connections, quorum, max_per_run;
	int64_t quorum_within, hold;
	bool deliver_to_reporter, senders, skip_encrypted, move;
	bool stalwart, destroy; /* there is one; samples are removed */
	bool silent;		/* it does not tell what may be done */
	bool tells;		/* its samples' names tell when they came */
	int64_t learned, known, skipped, untrusted, failed, forget;
	bool watch;		     /* it stays up, and runs are its */
	int poll, rescan, expire_at; /* struct conf_watch */
};

enum event_kind {
	EVENT_REPORT,  /* a user's report reaches a collection mailbox */
	EVENT_MAIL,    /* mail arrives in a user's own mailbox */
	EVENT_MOVE,    /* a user moves a message from one own mailbox to the other */
	EVENT_FLAG,    /* a user flags, reads or deletes a message, or takes that back */
	EVENT_KEYWORD, /* somebody sets or removes one of our keywords */
	EVENT_EXPUNGE, /* another client expunges a message */
	EVENT_TROUBLE, /* a message cannot be given any more, in one way or another */
	EVENT_BEGIN_IN_THE_BOX, /* ---- the ones above may happen in the middle of a run */
	EVENT_VALIDITY = EVENT_BEGIN_IN_THE_BOX, /* UIDVALIDITY changes, all UIDs too */
	EVENT_SNAPSHOT,				 /* the mail store is backed up */
	EVENT_RESTORE,				 /* ... and restored from the last backup */
	EVENT_CLOCK,				 /* time passes, or the clock is set */
	EVENT_RSPAMD, /* rspamd or its Redis goes, comes back, or forgets */
	EVENT_LEDGER, /* the ledger is lost, or reset --retrain */
	EVENT_RUN,
	EVENTS_DRAWN,		    /* ---- what follows takes the place of runs */
	EVENT_WATCH = EVENTS_DRAWN, /* something happens to watch, or to what it listens to */
	EVENTS,
};

/* What an EVENT_WATCH is; b says to which account, c how long it takes. */
enum watch_what {
	WATCH_NOTHING, /* but time passes */
	WATCH_KILLED,
	WATCH_ENDED,	   /* SIGTERM */
	WATCH_RELOADED,	   /* SIGHUP */
	WATCH_MISLOADED,   /* SIGHUP, and the configuration is bad */
	WATCH_ASKED,	   /* SIGUSR1 */
	WATCH_RUN_KILLED,  /* whatever its run does */
	WATCH_NO_FORK,	   /* processes cannot be started, or can again */
	WATCH_DISK_FULL,   /* the ledger's disk is full, or is not any more */
	WATCH_LINE_BREAKS, /* an idler ends */
	WATCH_DEAF,	   /* an idler hears nothing any more, or hears again */
	WATCH_FLOODS,	   /* news for nothing, or no more of them */
	WATCH_HANGS,	   /* a server hangs, or does not any more */
	WATCH_AWAY,	   /* nobody is there, or somebody is again */
	WATCH_REFUSED,	   /* the password is wrong, or right again */
	WATCH_BLIND,	   /* the kernel watches no folders, or does again */
	WATCH_MANY,	   /* many reports at once */
	WATCH_WHATS,
};

enum job { JOB_RUN, JOB_LEARN, JOB_EXPIRE };

/* What goes wrong in a run; a zero is nothing. Steps count from 1. */
struct faults {
	unsigned kill_at, signal_at; /* a step */
	unsigned full_at;	     /* a commit: the disk is full */
	unsigned break_one_in; /* so many answers of the mail server: the connection breaks */
	unsigned lose_percent; /* answers of rspamd that are lost after it learned */
	unsigned rspamd_at;    /* a step at which rspamd changes, as EVENT_RSPAMD */
	uint32_t rspamd_to;
	unsigned down;	 /* this account (from 1) refuses connections */
	unsigned closed; /* this mailbox (from 1) cannot be opened */
	bool slow;	 /* seconds pass */
};

struct event {
	enum event_kind kind;
	unsigned at;	  /* not 0: at this step of the next run */
	uint32_t a, b, c; /* which mailbox, message, ...: modulo what there is */
	uint64_t seed;
	/* of a run */
	enum job job;
	bool dry_first; /* a dry run goes before, and must foretell it */
	int max;	/* -1: no limit */
	struct faults faults;
};

struct history {
	uint64_t seed;
	struct setup setup;
	int n;
	struct event event[MAX_EVENTS];
};

void history_draw(struct history *h, uint64_t seed);

/* How long an EVENT_WATCH takes, with the time that passes after it. */
int64_t watch_event_ms(const struct event *ev);

/* For people. */
void history_print(const struct history *h, FILE *f);
void event_print(const struct event *ev, FILE *f);

#endif
