/*
 * lines.h - one call of each kind that an output gets, with what it is about: the same for both
 * forms, so that they are held to the same facts.
 */
#ifndef FAKE_LINES_H
#define FAKE_LINES_H

#include "output/output.h"

/* What the calls below are about; lines_reset() sets all of it. */
struct lines {
	struct output output;
	struct output_place place;
	struct output_message message;
	struct digest digest;
	struct tally tally;
	const char *why;
	struct record_message gone;
	int64_t age;
	struct output_rspamd rspamd;
	uint64_t n;
	struct err err;
	const char *account;
};

void lines_reset(struct lines *l, const struct output_ops *ops);

/* Make the call with standard output in a buffer, and return what was printed. */
const char *lines_start(struct lines *l);
const char *lines_mailbox(struct lines *l);
const char *lines_message(struct lines *l);
const char *lines_marked(struct lines *l);
const char *lines_mailbox_end(struct lines *l);
const char *lines_expired(struct lines *l);
const char *lines_expire_end(struct lines *l);
const char *lines_rspamd(struct lines *l);
const char *lines_summary(struct lines *l);
const char *lines_error(struct lines *l);

#endif
