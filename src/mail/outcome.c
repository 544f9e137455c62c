#include "mail/outcome.h"

static const struct {
	enum outcome_group group;
	const char *name, *text;
} outcomes[OUTCOMES] = {
    [OUTCOME_NONE] = {GROUP_FAILED, "none", "nothing yet"},
    [OUTCOME_LEARNED] = {GROUP_LEARNED, "learned", "learned"},
    [OUTCOME_KNOWN] = {GROUP_KNOWN, "known", "known"},
    [OUTCOME_SURE] = {GROUP_KNOWN, "sure", "rspamd is sure of it already"},
    [OUTCOME_UNLEARNABLE] = {GROUP_SKIPPED, "unlearnable", "too short"},
    [OUTCOME_LARGE] = {GROUP_SKIPPED, "large", "above max-size"},
    [OUTCOME_ENCRYPTED] = {GROUP_SKIPPED, "encrypted", "encrypted"},
    [OUTCOME_OVERRULED] = {GROUP_SKIPPED, "overruled", "overruled by a newer verdict"},
    [OUTCOME_FAILED] = {GROUP_FAILED, "failed", "failed"},
    [OUTCOME_UNTRUSTED] = {GROUP_UNTRUSTED, "untrusted", "untrusted"},
    [OUTCOME_HELD] = {GROUP_HELD, "held", "held"},
    [OUTCOME_UNCONFIRMED] = {GROUP_SKIPPED, "unconfirmed", "not confirmed by other reporters"},
    [OUTCOME_UNANSWERED] = {GROUP_FAILED, "unanswered", "not answered by rspamd"},
    [OUTCOME_UNREADABLE] = {GROUP_FAILED, "unreadable", "not given by the mail server"},
    [OUTCOME_UNREAD] = {GROUP_HELD, "unread", "not read by its user yet"},
    [OUTCOME_NO_REPORT] = {GROUP_SKIPPED, "not-a-report", "no attached message"},
    [OUTCOME_UNDECIDED] = {GROUP_SKIPPED, "undecided", "not decided by a user"},
    [OUTCOME_SKIPPED] = {GROUP_SKIPPED, "skipped", "skipped by an earlier run"},
};

enum outcome_group outcome_group(enum outcome o)
{
	return outcomes[o].group;
}

/*
 * The higher one is the outcome of both. What rspamd refused may be removed if the policy says
 * so; what waits or was never judged may not, and so is above it.
 */
static int rank(enum outcome o)
{
	static const int ranks[GROUPS] = {
	    [GROUP_UNTRUSTED] = 1, [GROUP_SKIPPED] = 1, [GROUP_KNOWN] = 2,
	    [GROUP_LEARNED] = 3,   [GROUP_HELD] = 5,	[GROUP_FAILED] = 6,
	};

	if (o == OUTCOME_NONE)
		return 0;
	return o == OUTCOME_FAILED ? 4 : ranks[outcomes[o].group];
}

bool outcome_is_learned(enum outcome o)
{
	return o == OUTCOME_LEARNED || o == OUTCOME_KNOWN;
}

enum outcome outcome_joined(enum outcome a, enum outcome b)
{
	return rank(b) > rank(a) ? b : a;
}

const char *outcome_name(enum outcome o)
{
	return outcomes[o].name;
}

const char *outcome_text(enum outcome o)
{
	return outcomes[o].text;
}
