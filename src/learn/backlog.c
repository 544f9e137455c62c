#include "learn/backlog.h"

#include "conf/conf.h"

void backlog_free(struct backlog *b)
{
	ranges_free(&b->todo);
	ranges_free(&b->held);
	ranges_free(&b->aside);
	ranges_free(&b->doubtful);
	ranges_free(&b->known);
}

/* What is this record's part in the backlog? NULL: none. */
static struct ranges *sort_pending(const struct record_message *r, int64_t now, int64_t hold,
				   bool changed, struct backlog *b)
{
	switch (r->outcome) {
	case OUTCOME_HELD:
		if (record_has_digest(r))
			return &b->held;
		if (hold != CONF_NEVER && now - r->verdict_at >= hold)
			return &b->todo;
		break;
	case OUTCOME_UNREAD:
		if (changed)
			return &b->todo;
		break;
	case OUTCOME_UNREADABLE:
		return &b->aside;
	default:
		return &b->todo;
	}
	tally_count(&b->waiting, r->class, r->outcome, false);
	return NULL;
}

static int sort(uint32_t id, const struct record_message *r, int64_t now, int64_t hold,
		bool changed, struct backlog *b, struct err *e)
{
	struct ranges *set = NULL;

	if (r->state == STATE_SUBMITTED)
		set = &b->todo;
	else if (r->state == STATE_PENDING)
		set = sort_pending(r, now, hold, changed, b);
	if (set && ranges_add(set, id, id, e) == -1)
		return -1;
	if (r->state == STATE_SETTLED || set == &b->held)
		return ranges_add(&b->doubtful, id, id, e);
	return 0;
}

/* Flags may be others than at the last run, as far as the source knows. */
static bool has_changed(const struct source *s, const struct record_mailbox *box)
{
	return s->version == 0 || s->version != box->version;
}

int backlog_read(struct ledger *l, const struct record_mailbox *box, const struct source *s,
		 int64_t now, struct backlog *b, struct err *e)
{
	const bool changed = has_changed(s, box);
	const bool grown = changed || s->next == 0 || s->next != box->next;
	uint32_t newest[BACKLOG_NEWEST];
	struct record_message r;
	uint64_t seen = 0;
	uint32_t id = 0;
	int rc;

	while ((rc = ledger_message_next(l, box, &id, &r, e)) == 1) {
		if (ranges_add(&b->known, id, id, e) == -1 ||
		    sort(id, &r, now, s->hold, changed, b, e) == -1)
			return -1;
		if (r.state >= STATE_SETTLED)
			newest[seen++ % BACKLOG_NEWEST] = id;
	}
	for (uint64_t i = 0; grown && rc != -1 && i < seen && i < BACKLOG_NEWEST; i++)
		rc = ranges_add(&b->doubtful, newest[i], newest[i], e);
	return rc == -1 ? -1 : 0;
}

/* The message has another record now than that it was left alone. */
static int decided(struct ledger *l, const struct record_mailbox *box, uint32_t id, int64_t now,
		   struct err *e)
{
	struct record_message r;
	int rc = ledger_message(l, box, id, &r, e);

	if (rc != 1 || r.outcome != OUTCOME_UNDECIDED)
		return rc == -1 ? -1 : 0;
	return ledger_replace(l, box, id, now, e);
}

int backlog_decided(struct ledger *l, const struct record_mailbox *box, struct source *s,
		    int64_t now, struct err *e)
{
	struct ranges found = {0};
	int rc = has_changed(s, box) ? source_decided(s, &found, e) : 0;
	uint32_t id = 0;

	while (rc == 0 && ranges_next(&found, &id))
		rc = decided(l, box, id, now, e);
	ranges_free(&found);
	return rc;
}

/* The numbers from first to last that the ledger has no record of. */
static int add_range(struct ledger *l, const struct record_mailbox *box, uint64_t first,
		     uint64_t last, struct ranges *todo, struct err *e)
{
	while (first <= last) {
		uint32_t id = (uint32_t)first - 1;
		struct record_message ignored;
		int rc = ledger_message_next(l, box, &id, &ignored, e);
		uint64_t end = rc == 1 && id <= last ? id : last + 1;

		if (rc == -1)
			return -1;
		if (end > first &&
		    ranges_add(todo, (uint32_t)first, (uint32_t)(end - 1), e) == -1)
			return -1;
		first = end + 1;
	}
	return 0;
}

int backlog_new(struct ledger *l, const struct record_mailbox *box, const struct ranges *found,
		struct ranges *todo, struct err *e)
{
	for (size_t i = 0; i < found->n; i++)
		if (add_range(l, box, found->range[i].first, found->range[i].last, todo, e) ==
		    -1)
			return -1;
	return 0;
}
