/*
 * output.h - what a run prints: the same facts as text for people, or as JSON lines for
 * programs. It goes to standard output; with quiet, the text has only errors and failures.
 */
#ifndef LS_OUTPUT_H
#define LS_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger/record.h"
#include "base/err.h"
#include "mail/class.h"
#include "mail/digest.h"
#include "mail/outcome.h"
#include "output/tally.h"

enum {
	OUTPUT_SCHEMA = 2,	 /* of the JSON lines; docs/json.md */
	RSPAMD_MIN_LEARNS = 200, /* rspamd's default min_learns */
	EXIT_DONE = 0,
	EXIT_MESSAGES = 1, /* done, but some messages failed */
};

/* A mailbox, by its names in the configuration. */
struct output_place {
	const char *account, *mailbox; /* borrowed */
};

struct output_message {
	struct output_place place;
	uint32_t id;
	unsigned part; /* the message attached to it, from 1 on, if there are several; or 0 */
	const char *name; /* visible text: the file that it is; NULL: only the number */
	enum mail_class class;
	enum outcome outcome;
	const char *answer;		   /* rspamd's words or ours; NULL: none */
	const char *from, *subject, *date; /* visible text; NULL: the body was not read */
	const struct digest *digest;	   /* NULL: the body was not read */
};

/* rspamd's own count, and what it will be when it has caught up with this run. */
struct output_rspamd {
	uint64_t spam, ham;	      /* from /stat, which lags by up to a minute */
	uint64_t spam_true, ham_true; /* at least this many, by its answers in this run */
};

struct output;

/* One form of output. */
struct output_ops {
	/* The first line. */
	void (*start)(struct output *o);

	/* Learning from the mailbox starts, with n messages to look at. */
	void (*mailbox)(struct output *o, struct output_place p, uint64_t n);

	/* The outcome of one message (in a dry run: what it would be). */
	void (*message)(struct output *o, const struct output_message *m);

	/* n messages of the mailbox were given this mark (in a dry run: would be). */
	void (*marked)(struct output *o, struct output_place p, uint64_t n, const char *mark);

	/* The mailbox is done. why: the reason why messages are left; NULL: none are. */
	void (*mailbox_end)(struct output *o, struct output_place p, const struct tally *t,
			    const char *why);

	/* One message was removed (or would be) at this age in seconds; a mailbox is done. */
	void (*expired)(struct output *o, struct output_place p, uint32_t id,
			const struct record_message *what, int64_t age);
	void (*expire_end)(struct output *o, struct output_place p, const struct tally *t);

	void (*rspamd)(struct output *o, const struct output_rspamd *r);
	void (*summary)(struct output *o, double seconds);

	/* An error that ends the work on an account (NULL: none in particular). */
	void (*error)(struct output *o, const char *account, const char *text, int exit_status);
};

struct output {
	const struct output_ops *ops;
	bool quiet, verbose, dry_run;
	bool learns, expires; /* which jobs the command does */
	/* Where the first of the widest errors goes, in place of the log; borrowed; NULL: all
	 * are logged. */
	struct err *first_error;
	const char *command; /* borrowed */
	int64_t started;     /* clock_ms() */
	struct tally total;
	int status; /* exit status of the first error; later ones are only printed */
};

extern const struct output_ops output_text, output_json;

void output_start(struct output *o);

/* These also add the counts to the total. */
void output_mailbox_end(struct output *o, struct output_place p, const struct tally *t,
			const char *why);
void output_expire_end(struct output *o, struct output_place p, const struct tally *t);

/* The exit status for this error (learnspool(1), sysexits.h). Pure. */
int output_exit_status(const struct err *e);

/* Print and log the error; the first one sets o->status. Returns its exit status. account may
 * be NULL. */
int output_fail(struct output *o, const char *account, const struct err *e);

void output_summary(struct output *o);

#endif
