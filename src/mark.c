#include "mark.h"

#include "log.h"

enum { MARK_CHUNK = 1000 };

/* Messages that get the same mark. */
struct kind {
	enum mail_class class; /* NONE: any */
	enum outcome outcome;  /* LEARNED stands for KNOWN too, SURE for all the others */
};

static bool is_of_kind(const struct record_uid *r, struct kind k)
{
	bool learned = r->outcome == OUTCOME_LEARNED || r->outcome == OUTCOME_KNOWN;

	return r->state == STATE_SETTLED && learned == (k.outcome == OUTCOME_LEARNED) &&
	       (!learned || r->class == k.class);
}

/* Up to MARK_CHUNK messages of this kind from *uid on. */
static int collect(struct ledger *l, const struct record_mailbox *box, uint32_t *uid,
		   struct kind k, struct uidset *set, struct err *e)
{
	struct record_uid r;
	int rc = 0, n = 0;

	while (n < MARK_CHUNK && (rc = ledger_message_seek(l, box, uid, &r, e)) == 1) {
		if (is_of_kind(&r, k)) {
			if (uidset_add(set, *uid, *uid) == -1)
				return err_set(e, ERR_FATAL, ERR_LOCAL, "out of memory");
			n++;
		}
		if (*uid == UINT32_MAX)
			break;
		++*uid;
	}
	return rc == -1 ? -1 : 0;
}

static int record_marked(struct ledger *l, const struct record_mailbox *box,
			 const struct uidset *set, struct err *e)
{
	for (size_t i = 0; i < set->n; i++)
		for (uint64_t u = set->range[i].first; u <= set->range[i].last; u++)
			if (ledger_advance(l, box, (uint32_t)u, STATE_MARKED, e) == -1)
				return -1;
	return ledger_commit(l, e);
}

/* What a marking works with. */
struct marking {
	struct ledger *ledger;
	struct source *source;
	const struct record_mailbox *box;
	struct report *report;
};

/* Tell the server; in a dry run, or where it allows no keywords, nobody. */
static int tell_server(const struct marking *m, const struct uidset *set, struct kind k,
		       struct err *e)
{
	struct uidset wire = {0};
	int rc = 0;

	if (m->report->dry_run || !m->source->can_mark)
		return 0;
	if (uidset_union(&wire, set) == -1)
		rc = err_set(e, ERR_FATAL, ERR_LOCAL, "out of memory");
	if (rc == 0)
		rc = m->source->ops->mark(m->source, &wire, k.class, k.outcome, e);
	uidset_free(&wire);
	return rc;
}

static int mark_kind(const struct marking *m, struct kind k, struct err *e)
{
	struct uidset set = {0};
	uint64_t marked = 0;
	uint32_t uid = 1;
	int rc;

	while ((rc = collect(m->ledger, m->box, &uid, k, &set, e)) == 0 && set.n > 0) {
		marked += uidset_count(&set);
		rc = tell_server(m, &set, k, e);
		if (rc == 0)
			rc = record_marked(m->ledger, m->box, &set, e);
		uidset_clear(&set);
		if (rc == -1)
			break;
	}
	uidset_free(&set);
	if (rc == 0 && marked > 0)
		report_marked(m->report, m->source->account, m->source->mailbox, marked,
			      source_mark_name(k.class, k.outcome));
	return rc;
}

int mark_settled(struct ledger *l, struct source *s, const struct record_mailbox *box,
		 struct report *report, struct err *e)
{
	static const struct kind kinds[] = {{CLASS_SPAM, OUTCOME_LEARNED},
					    {CLASS_HAM, OUTCOME_LEARNED},
					    {CLASS_NONE, OUTCOME_SURE}};
	struct marking m = {l, s, box, report};

	if (!s->can_mark && !report->dry_run)
		log_warn(
		    "account %s: mailbox %s allows no keywords of ours; only the ledger knows "
		    "what was learned",
		    s->account, s->mailbox);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (mark_kind(&m, kinds[i], e) == -1)
			return -1;
	return 0;
}
