#include "learn/retain.h"

static int64_t longer(int64_t a, int64_t b)
{
	if (a == CONF_NEVER || b == CONF_NEVER)
		return CONF_NEVER;
	return a > b ? a : b;
}

int64_t retain_age(const struct record_message *r, const struct conf_retention *p)
{
	/* Nobody knows why it was skipped: it stays as long as it would for any reason. */
	if (r->outcome == OUTCOME_SKIPPED)
		return longer(longer(p->known, p->skipped), p->untrusted);
	/* Mail of a user's own. */
	if (r->outcome == OUTCOME_UNDECIDED)
		return CONF_NEVER;
	switch (outcome_group(r->outcome)) {
	case GROUP_LEARNED:
		return p->learned;
	case GROUP_KNOWN:
		return p->known;
	case GROUP_SKIPPED:
		return p->skipped;
	case GROUP_UNTRUSTED:
		return p->untrusted;
	default:
		return r->outcome == OUTCOME_FAILED ? p->failed : CONF_NEVER;
	}
}

/* Has this much time passed since then? */
static bool is_over(int64_t then, int64_t age, int64_t now)
{
	return age != CONF_NEVER && then > 0 && then <= now && now - then >= age;
}

bool retain_may_go(const struct record_message *r, const struct conf_retention *p, int64_t now)
{
	bool settled = r->state >= STATE_MARKED;

	if (!settled && !(r->state == STATE_PENDING && r->outcome == OUTCOME_FAILED))
		return false;
	return is_over(r->changed_at, retain_age(r, p), now);
}

int64_t retain_horizon(const struct conf_retention *p, int64_t now)
{
	return p->forget == CONF_NEVER || now <= p->forget ? 0 : now - p->forget;
}
