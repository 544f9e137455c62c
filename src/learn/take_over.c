#include "learn/take_over.h"

#include "base/clock.h"
#include "learn/box.h"

enum { COMMIT_EVERY = 512 }; /* records: a transaction costs memory */

/* The work on one source. */
struct taking {
	struct ledger *ledger;
	const struct source *source;
	struct record_mailbox box;
	int64_t now;
	uint64_t settled;
};

/* The verdict was given at the latest when the other program saw the message: its date is all
 * there is. */
static int settle(void *ctx, const struct source_sight *sight, struct err *e)
{
	struct taking *t = ctx;
	const int64_t date = sight->stamp.date;
	const struct ledger_copy c = {
	    .box = &t->box,
	    .id = sight->id,
	    .class = t->source->class,
	    .verdict_at = date > 0 && date < t->now ? date : t->now,
	    .stamp = sight->stamp,
	};
	struct record_message r;
	bool flipped;
	int rc = ledger_message(t->ledger, &t->box, sight->id, &r, e);

	if (rc != 0)
		return rc == -1 ? -1 : 0;
	if (ledger_settle(t->ledger, &c, OUTCOME_KNOWN, NULL, t->now, &flipped, e) == -1)
		return -1;
	return ++t->settled % COMMIT_EVERY == 0 ? ledger_commit(t->ledger, e) : 0;
}

/* *there: those of ids that the source has. */
static int find(struct source *s, const struct ranges *ids, struct ranges *there, struct err *e)
{
	const uint32_t last = s->next > 1 ? s->next - 1 : UINT32_MAX;
	struct ranges all = {0}, others = {0};
	int rc = s->count > 0 ? source_list(s, 1, last, &all, e) : 0;

	if (rc == 0)
		rc = ranges_minus(&all, ids, &others, e);
	if (rc == 0)
		rc = ranges_minus(&all, &others, there, e);
	ranges_free(&all);
	ranges_free(&others);
	return rc;
}

int take_over(struct ledger *l, struct source *s, const struct ranges *ids, uint64_t *settled,
	      uint64_t *gone, struct err *e)
{
	struct taking t = {.ledger = l, .source = s, .now = clock_now()};
	struct ranges there = {0};
	enum box_state state;
	int rc = source_open(s, true, e);

	if (rc == 0)
		rc = box_load(l, s, &t.box, &state, e);
	if (rc == 0 && state != BOX_SAME)
		rc = box_begin(l, s, &t.box, e);
	if (rc == 0)
		rc = find(s, ids, &there, e);
	if (rc == 0 && there.n > 0)
		rc = source_look(s, &there, settle, &t, e);
	if (rc == 0)
		rc = ledger_commit(l, e);
	*settled = t.settled;
	*gone = ranges_count(ids) - ranges_count(&there);
	ranges_free(&there);
	return rc;
}
