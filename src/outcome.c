#include "outcome.h"

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
    [OUTCOME_SKIPPED] = {GROUP_SKIPPED, "skipped", "skipped by an earlier run"},
};

enum outcome_group outcome_group(enum outcome o)
{
	return outcomes[o].group;
}

const char *outcome_name(enum outcome o)
{
	return outcomes[o].name;
}

const char *outcome_text(enum outcome o)
{
	return outcomes[o].text;
}
