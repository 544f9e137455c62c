/*
 * answer.h - what an answer of rspamd's controller to /learnspam or /learnham means. Pure:
 * status line and body in, outcome out. Seen with rspamd 3.4; docs/rspamd.md has the table.
 */
#ifndef LS_ANSWER_H
#define LS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "outcome.h"

enum { ANSWER_TEXT_MAX = 200 };

/* What is to be done with a message that was not settled. */
enum answer_next {
	ANSWER_SETTLED, /* outcome says it */
	ANSWER_FAILED,	/* this message failed; trying again now would change nothing */
	ANSWER_RETRY,	/* try again, later; when tries run out, it failed */
	ANSWER_DOUBT,	/* outcome stands if /stat says that rspamd can learn at all */
	ANSWER_STOP,	/* no message can be learned: the run ends (kind says why) */
};

struct answer {
	enum outcome outcome; /* FAILED unless next is SETTLED or DOUBT */
	enum answer_next next;
	enum err_kind kind; /* with STOP and RETRY */
	char text[ANSWER_TEXT_MAX +
		  1]; /* rspamd's own words, made visible; our cure with STOP */
};

/*
 * status: the HTTP status code. reason: the status line's reason phrase (rspamd puts its words
 * there with 204 and 208, which have no body). body: what came of it, cut by the caller.
 */
void answer_read(int status, const char *reason, const char *body, size_t len,
		 struct answer *out);

#endif
