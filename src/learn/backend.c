#include "learn/backend.h"

#include <stddef.h>

#include "base/clock.h"

enum { TRUST_MS = 2000 }; /* how long a yes is believed */

int backend_check(struct backend *b, struct rspamd_stat *stat, struct err *e)
{
	struct rspamd_stat now;

	if (b->good_at && clock_ms() - b->good_at < TRUST_MS &&
	    b->failures == b->rspamd->failures)
		return 0;
	b->failures = b->rspamd->failures;
	b->good_at = 0;
	if (rspamd_stat(b->rspamd, &now, e) == -1)
		return -1;
	if (!now.bayes)
		return err_set(
		    e, ERR_FATAL, ERR_UNREACHABLE,
		    "rspamd %s: has no working Bayes backend (no statfiles in /stat) "
		    "and learns nothing; see that its Redis runs, and that servers "
		    "are set in its redis.conf or classifier-bayes.conf%s",
		    b->rspamd->url, b->begun ? "" : "; no mail was touched");
	b->begun = true;
	b->good_at = clock_ms();
	if (stat)
		*stat = now;
	return 0;
}
