/*
 * rspamd.h - an rspamd over struct rspamd_ops that answers by script, at once or late, in
 * another order, or never; it remembers what it was taught.
 */
#ifndef FAKE_RSPAMD_H
#define FAKE_RSPAMD_H

#include "fake/events.h"
#include "rspamd/rspamd.h"

enum { FAKE_JOBS = 16, FAKE_RULES = 16, FAKE_LESSONS = 256 };

/* What it answers to messages that have this text in them. */
struct fake_rule {
	const char *has; /* NULL: to all */
	struct answer answer;
	int times; /* so often; 0: always */
};

struct fake_lesson {
	char body[512];
	enum mail_class class;
};

struct fake_job {
	bool used, ready;
	size_t owner;
	int left; /* waits until its answer is there; -1: for ever */
	struct answer answer;
};

struct fake_rspamd {
	struct rspamd rspamd;
	struct fake_events
	    *events;	   /* "submit spam Subject: ..." ; the first line of the body */
	const bool *dirty; /* NULL, or what must be false when something is sent */
	struct fake_rule rule[FAKE_RULES];
	size_t rules;
	int delay;	/* waits before each answer; -1: it never comes */
	bool backwards; /* the last that was sent is answered first */
	struct rspamd_stat stat;
	struct err stat_fails; /* scope NONE: it does not */
	struct err submit_fails;
	unsigned stats; /* how often it was asked */
	unsigned submits;
	char deliver_to[256];			 /* of the last job; "-" for none */
	struct fake_lesson lesson[FAKE_LESSONS]; /* what it learned, in order */
	size_t lessons;
	struct fake_job job[FAKE_JOBS];
	void (*waited)(void *ctx); /* called in each wait; NULL: nothing */
	void *ctx;
};

void fake_rspamd_init(struct fake_rspamd *r, int connections, struct fake_events *events);

/* The first rule that fits decides; without one it learns. words: NULL for none. */
void fake_answers(struct fake_rspamd *r, const char *has, enum outcome outcome,
		  enum answer_next next, const char *words);

/* The class that it learned this body with last; NONE: never. */
enum mail_class fake_learned(const struct fake_rspamd *r, const char *body);

#endif
