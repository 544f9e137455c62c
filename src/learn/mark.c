#include "learn/mark.h"

#include "base/log.h"

enum { MARK_CHUNK = 1000 };

/* Messages that get the same mark. */
struct kind {
	enum mail_class class; /* NONE: any */
	/* LEARNED stands for KNOWN too, SURE for all the others but UNDECIDED */
	enum outcome outcome;
};

/* What a marking works with. */
struct marking {
	struct ledger *ledger;
	struct source *source;
	const struct record_mailbox *box;
	struct output *output;
};

static bool is_of_kind(const struct record_message *r, struct kind k)
{
	bool learned = outcome_is_learned(r->outcome);

	return r->state == STATE_SETTLED && learned == (k.outcome == OUTCOME_LEARNED) &&
	       (r->outcome == OUTCOME_UNDECIDED) == (k.outcome == OUTCOME_UNDECIDED) &&
	       (!learned || r->class == k.class);
}

/* The next MARK_CHUNK messages of this kind after *id. */
static int collect(const struct marking *m, uint32_t *id, struct kind k, struct ranges *set,
		   struct err *e)
{
	struct record_message r;
	int rc = 0, n = 0;

	while (n < MARK_CHUNK &&
	       (rc = ledger_message_next(m->ledger, m->box, id, &r, e)) == 1) {
		if (is_of_kind(&r, k)) {
			if (ranges_add(set, *id, *id, e) == -1)
				return -1;
			n++;
		}
	}
	return rc == -1 ? -1 : 0;
}

static int record_marked(const struct marking *m, const struct ranges *set, bool bare,
			 struct err *e)
{
	uint32_t id = 0;

	while (ranges_next(set, &id))
		if (ledger_advance(m->ledger, m->box, id, STATE_MARKED, bare, e) == -1)
			return -1;
	return ledger_commit(m->ledger, e);
}

/* Tell the source. *bare: it could hold no mark, or nothing was told. */
static int tell_source(const struct marking *m, const struct ranges *set, struct kind k,
		       bool *bare, struct err *e)
{
	struct ranges wire = {0};
	bool held = false;
	int rc = 0;

	/* What is a user's own, and was left alone, has no mark of ours. */
	if (!m->source->read_only && k.outcome != OUTCOME_UNDECIDED) {
		rc = ranges_union(&wire, set, e);
		if (rc == 0)
			rc = source_mark(m->source, &wire, k.class, k.outcome, &held, e);
		ranges_free(&wire);
	}
	*bare = !held;
	return rc;
}

static int mark_kind(const struct marking *m, struct kind k, struct err *e)
{
	const struct output_place place = {m->source->account, m->source->mailbox};
	const char *name = k.outcome == OUTCOME_UNDECIDED
			       ? NULL
			       : source_mark_name(m->source, k.class, k.outcome);
	struct ranges set = {0};
	uint64_t marked = 0;
	uint32_t id = 0;
	bool bare;
	int rc;

	while ((rc = collect(m, &id, k, &set, e)) == 0 && set.n > 0) {
		marked += ranges_count(&set);
		rc = tell_source(m, &set, k, &bare, e);
		if (rc == 0)
			rc = record_marked(m, &set, bare, e);
		ranges_clear(&set);
		if (rc == -1)
			break;
	}
	ranges_free(&set);
	if (rc == 0 && marked > 0 && name)
		m->output->ops->marked(m->output, place, marked, name);
	return rc;
}

int mark_settled(struct ledger *l, struct source *s, const struct record_mailbox *box,
		 struct output *output, struct err *e)
{
	static const struct kind kinds[] = {{CLASS_SPAM, OUTCOME_LEARNED},
					    {CLASS_HAM, OUTCOME_LEARNED},
					    {CLASS_NONE, OUTCOME_SURE},
					    {CLASS_NONE, OUTCOME_UNDECIDED}};
	const struct marking m = {l, s, box, output};

	if (!s->can_mark && !output->dry_run &&
	    source_mark_name(s, CLASS_SPAM, OUTCOME_LEARNED))
		log_warn("account %s: mailbox %s allows no keywords of ours; only the ledger "
			 "knows what was learned",
			 s->account, s->mailbox);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (mark_kind(&m, kinds[i], e) == -1)
			return -1;
	return 0;
}
