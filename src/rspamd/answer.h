/*
 * answer.h - what an answer of rspamd's controller to /learnspam or /learnham means. Pure:
 * status line and body in, outcome out. docs/rspamd.md has the table, with rspamd's versions.
 */
#ifndef LS_ANSWER_H
#define LS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "mail/outcome.h"

enum { ANSWER_TEXT_MAX = 200 };

/* What to do after the answer. */
enum answer_next {
	ANSWER_SETTLED, /* outcome is final */
	ANSWER_FAILED,	/* this message failed; trying again now would change nothing */
	ANSWER_RETRY,	/* try again later; after the last try it is unanswered */
	ANSWER_DOUBT,	/* outcome is final if /stat shows that rspamd can learn at all */
	ANSWER_STOP,	/* no message can be learned: the run ends (kind: why) */
};

struct answer {
	/* With ANSWER_FAILED: OUTCOME_FAILED if rspamd itself refused the message, else
	 * OUTCOME_UNANSWERED, as with ANSWER_RETRY. */
	enum outcome outcome;
	enum answer_next next;
	enum err_kind kind; /* with STOP and RETRY */
	char text[ANSWER_TEXT_MAX +
		  1]; /* rspamd's own text, made visible; with STOP, also our cure */
};

/*
 * status: the HTTP status code. reason: the status line's reason phrase (rspamd puts its text
 * there with 204 and 208, which have no body). body: as received, cut by the caller.
 */
void answer_read(int status, const char *reason, const char *body, size_t len,
		 struct answer *out);

#endif
