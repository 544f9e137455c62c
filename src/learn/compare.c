#include "learn/compare.h"

enum {
	COMMIT_EVERY = 512,   /* records: a transaction costs memory */
	LIST_AT_MOST = 65536, /* messages that are asked about at a time */
};

bool compare_is_same(const struct record_message *r, const struct source_sight *sight)
{
	const struct record_stamp *a = &r->stamp, *b = &sight->stamp;
	bool sizes = a->size > 0 && b->size > 0, dates = a->date != 0 && b->date != 0;

	/* Format 1 recorded neither: then the mark has to do. */
	if (!sizes && !dates)
		return sight->marks != 0;
	return (!sizes || a->size == b->size) && (!dates || a->date == b->date);
}

struct comparison {
	struct ledger *ledger;
	const struct record_mailbox *box;
	struct ranges strange; /* other messages than those that the ledger knows */
};

static int compare_one(void *ctx, const struct source_sight *sight, struct err *e)
{
	struct comparison *c = ctx;
	struct record_message r;
	int rc = ledger_message(c->ledger, c->box, sight->id, &r, e);

	if (rc != 1 || compare_is_same(&r, sight))
		return rc == -1 ? -1 : 0;
	return ranges_add(&c->strange, sight->id, sight->id, e);
}

/* Each of ids is a message that nothing is known of (now: since then), or forgotten (now is 0).
 */
static int renew_all(const struct comparison *c, const struct ranges *ids, int64_t now,
		     struct err *e)
{
	uint64_t done = 0;
	uint32_t id = 0;

	while (ranges_next(ids, &id)) {
		int rc = now ? ledger_replace(c->ledger, c->box, id, now, e)
			     : ledger_message_del(c->ledger, c->box, id, e);

		if (rc == -1 ||
		    (++done % COMMIT_EVERY == 0 && ledger_commit(c->ledger, e) == -1))
			return -1;
	}
	return done > 0 ? ledger_commit(c->ledger, e) : 0;
}

int compare_with_source(struct ledger *l, struct source *s, const struct record_mailbox *box,
			const struct ranges *ids, int64_t now, uint64_t *strange, struct err *e)
{
	struct comparison c = {.ledger = l, .box = box};
	int rc = source_look(s, ids, compare_one, &c, e);

	*strange = ranges_count(&c.strange);
	if (rc == 0)
		rc = renew_all(&c, &c.strange, now, e);
	ranges_free(&c.strange);
	return rc;
}

int compare_gone(struct ledger *l, struct source *s, const struct record_mailbox *box,
		 const struct ranges *ids, uint64_t *gone, struct err *e)
{
	const struct comparison c = {.ledger = l, .box = box};
	struct ranges todo = {0};
	int rc = ranges_union(&todo, ids, e);

	*gone = 0;
	while (rc == 0 && todo.n > 0) {
		struct ranges part = {0}, there = {0}, left = {0};

		rc = ranges_take(&todo, LIST_AT_MOST, &part, e);
		if (rc == 0)
			rc = source_list(s, part.range[0].first, part.range[part.n - 1].last,
					 &there, e);
		if (rc == 0)
			rc = ranges_minus(&part, &there, &left, e);
		*gone += ranges_count(&left);
		if (rc == 0)
			rc = renew_all(&c, &left, 0, e);
		ranges_free(&part);
		ranges_free(&there);
		ranges_free(&left);
	}
	ranges_free(&todo);
	return rc;
}
