/*
 * A Stalwart tells nobody of new samples: its list is asked for again and again, with one
 * request that costs it a few milliseconds. After news the next look comes soon, since more may
 * follow; then ever later, up to the configuration's poll.
 */
#include "source/source_stalwart_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/stop.h"

enum { SOON_MS = 1000 };

/* What the list looked like. */
struct sight {
	struct stalwart_id newest;
	uint64_t total;
};

static int look(struct stalwart *server, struct sight *now, struct err *e)
{
	struct stalwart_page page;

	if (server->ops->list(server, true, NULL, 1, &page, e) == -1)
		return -1;
	*now = (struct sight){.total = page.total};
	if (page.n > 0)
		now->newest = page.id[0];
	stalwart_page_free(&page);
	return 0;
}

/* Up to a tenth earlier, by chance: several that watch one server do not ask in step. */
static void wait_some(int ms, unsigned *seed)
{
	clock_pause(ms - rand_r(seed) % (ms / 10 + 1));
}

int listen_stalwart(const struct conf_stalwart *conf, const struct account_listener *l,
		    struct err *e)
{
	struct stalwart *server = stalwart_http(conf, NULL, e);
	const int slow = conf->poll * 1000;
	unsigned seed = (unsigned)clock_ms();
	struct sight before = {.total = 0}, now = before;
	int ms = slow < SOON_MS ? slow : SOON_MS, rc;

	if (server == NULL)
		return -1;
	rc = look(server, &before, e);
	if (rc == 0)
		l->ready(l->ctx);
	while (rc == 0) {
		wait_some(ms, &seed);
		rc = stop_requested() ? stop_error(e) : look(server, &now, e);
		if (rc == -1)
			break;
		ms = ms * 2 < slow ? ms * 2 : slow;
		if (now.total != before.total ||
		    strcmp(now.newest.text, before.newest.text) != 0) {
			l->news(l->ctx);
			ms = slow < SOON_MS ? slow : SOON_MS;
		}
		before = now;
	}
	server->ops->close(server);
	return rc;
}
