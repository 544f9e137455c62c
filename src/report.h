/*
 * report.h - what a run says to a person, or, as JSON lines, to a program: the same facts. Text
 * goes to standard output; with quiet only what went wrong is said.
 */
#ifndef LS_REPORT_H
#define LS_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "class.h"
#include "digest.h"
#include "outcome.h"
#include "record.h"

enum {
	REPORT_SCHEMA = 1,	 /* of the JSON lines; docs/json.md */
	RSPAMD_MIN_LEARNS = 200, /* rspamd's default min_learns */
};

/* Outcomes of one mailbox, or of a run. */
struct report_counts {
	uint64_t outcome[OUTCOMES];
	uint64_t learned[3]; /* OUTCOME_LEARNED by enum mail_class */
	uint64_t flipped;    /* of those learned: rspamd took the other class back */
	uint64_t expired[GROUPS];
	uint64_t kept; /* were due to expire, but somebody else flagged or deleted them */
};

struct report_message {
	const char *account, *mailbox;
	uint32_t uid;
	enum mail_class class;
	enum outcome outcome;
	const char *answer;		   /* rspamd's words, or ours; NULL: none */
	const char *from, *subject, *date; /* visible text; NULL: the body was not read */
	const struct digest *digest;	   /* NULL likewise */
};

enum report_format { REPORT_TEXT, REPORT_JSON };

struct report {
	enum report_format format;
	bool quiet, verbose, dry_run;
	bool learns, expires; /* which of its jobs the command does */
	const char *command;
	int64_t started; /* clock_ms() */
	struct report_counts total;
	struct report_counts expiring; /* of the mailbox at work */
};

/* The first JSON line: {"event":"start","schema":1,...}; nothing as text. */
void report_start(struct report *r);

/* A mailbox has this many messages to look at. */
void report_mailbox(struct report *r, const char *account, const char *mailbox, uint64_t n);

/* One message; as text in a dry run, with verbose, or where it failed. */
void report_message(struct report *r, const struct report_message *m);

/* The mailbox is done; counts are added to the total. */
void report_mailbox_end(struct report *r, const char *account, const char *mailbox,
			const struct report_counts *c);

/* What rspamd says of itself: learns of each class by its own count, which lags by a minute. */
void report_rspamd(struct report *r, uint64_t spam, uint64_t ham);

/* So many messages of the mailbox bear this mark now (or would): said in a dry run and in JSON.
 */
void report_marked(struct report *r, const char *account, const char *mailbox, uint64_t n,
		   const char *mark);

/* Retention: a mailbox begins; one message went (or would); some were left to others; it ends.
 */
void report_expire_begin(struct report *r);
void report_expired(struct report *r, const char *account, const char *mailbox, uint32_t uid,
		    const struct record_uid *what, int64_t age);
void report_kept(struct report *r, uint64_t n);
void report_expire_end(struct report *r, const char *account, const char *mailbox);

void report_summary(struct report *r);

/* {"event":"error",...}: what cmd_fail says, for a program. */
void report_error(const char *text, int exit_status);

#endif
