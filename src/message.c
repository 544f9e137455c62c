/* What becomes of one message that the source gives. */
#include "pipeline_priv.h"

#include "clock.h"
#include "log.h"
#include "quorum.h"

static const char few_agree[] = "too few reporters agree so far";

/* The copy waits: it is too new, or too few reporters agree with it. */
static int hold(struct pipeline *p, const struct ledger_copy *c, const char *why, struct err *e)
{
	if (ledger_hold(p->with.ledger, c, clock_now(), e) == -1)
		return -1;
	/* A held content is told when everybody was heard (settle_held). */
	return c->digest ? pipeline_count(p, e)
			 : pipeline_tell(p, c, NULL, OUTCOME_HELD, why, e);
}

/* What the ledger says of this content: an outcome, or NONE for "have it learned". */
static int look_up(struct pipeline *p, const struct ledger_copy *c, enum outcome *outcome,
		   struct err *e)
{
	struct record_digest known;
	int rc = ledger_digest(p->with.ledger, c->digest, &known, e);

	if (rc != -1)
		*outcome = ledger_decide(rc == 1 ? &known : NULL, c->class, c->date,
					 ledger_epoch(p->with.ledger));
	return rc == -1 ? -1 : 0;
}

/* The same where several reporters have to agree: their majority decides, not the newest. */
static int look_up_quorum(struct pipeline *p, const struct ledger_copy *c,
			  enum outcome *outcome, struct err *e)
{
	struct record_digest known;
	enum mail_class class;

	if (ledger_report(p->with.ledger, c, clock_now(), &known, e) == -1)
		return -1;
	class = quorum_class(&known, p->with.conf->reports.quorum);
	if (class == CLASS_NONE || p->only_note)
		*outcome = OUTCOME_HELD;
	else if (class != c->class)
		*outcome = OUTCOME_OVERRULED;
	else
		*outcome =
		    ledger_decide(&known, class, INT64_MAX, ledger_epoch(p->with.ledger));
	return 0;
}

/* Who reported it, and whether that is proved; a refusal is written to *why. */
static int read_arrival(struct pipeline *p, struct source_message *m, struct arrival *a,
			const char **why, struct err *e)
{
	int rc;

	marker_read(m->body.data, m->body.len, &a->marker);
	*why = p->source->proof ? trust_refuses(p->with.trust, &a->marker, p->source->class)
				: NULL;
	/* In a mailbox of one's own the envelope is the spammer's. */
	a->who =
	    p->source->owner ? p->source->owner : trust_reporter(p->with.trust, &a->marker);
	reporter_hash(p->with.reporter_key, a->who, a->reporter);
	rc = mime_read(m->body.data, m->body.len, &a->info, e);
	if (rc == 0 && p->with.conf->rspamd.deliver_to_reporter)
		reporter_digest(p->with.reporter_key, a->who, &a->info.digest);
	return rc;
}

/* A message with its body: settle it from what the ledger knows, or have it learned. */
static int take_body(struct pipeline *p, struct source_message *m, struct err *e)
{
	struct ledger_copy c = {&p->box, m->uid, p->source->class, m->date, NULL, NULL};
	enum outcome outcome;
	struct arrival a;
	const char *why;
	int rc = read_arrival(p, m, &a, &why, e);

	if (rc == -1 && e->scope != ERR_MESSAGE)
		return -1;
	if (why)
		return pipeline_settle(p, &c, &a.info, OUTCOME_UNTRUSTED, why, e);
	/* Our caps will be the same tomorrow, so this is for good. */
	if (rc == -1)
		return pipeline_settle(p, &c, NULL, OUTCOME_UNLEARNABLE, e->text, e);
	c.digest = &a.info.digest;
	c.reporter = a.reporter;
	if (a.info.encrypted && p->with.conf->skip_encrypted)
		return pipeline_settle(p, &c, &a.info, OUTCOME_ENCRYPTED, NULL, e);
	if (flight_wait_for_twin(p, c.digest, e) == -1)
		return -1;
	rc = p->with.conf->reports.quorum > 1 ? look_up_quorum(p, &c, &outcome, e)
					      : look_up(p, &c, &outcome, e);
	if (rc == -1)
		return -1;
	if (outcome == OUTCOME_HELD)
		return hold(p, &c, few_agree, e);
	if (outcome == OUTCOME_NONE && p->dry_run)
		outcome = OUTCOME_LEARNED;
	if (outcome != OUTCOME_NONE)
		return pipeline_settle(p, &c, &a.info, outcome, NULL, e);
	return flight_stage(p, m, &a, e);
}

/*
 * The server listed the message and then did not give it: somebody deleted it meanwhile, or the
 * server is mistaken. The next run asks once more before it is forgotten.
 */
static int lose_sight(struct pipeline *p, const struct ledger_copy *c, struct err *e)
{
	struct record_uid r;
	int rc = ledger_message(p->with.ledger, c->box, c->uid, &r, e);

	if (rc == 0)
		rc = ledger_put_back(p->with.ledger, c, clock_now(), e);
	else if (rc == 1)
		rc = ledger_message_del(p->with.ledger, c->box, c->uid, e);
	return rc == -1 ? -1 : pipeline_count(p, e);
}

int message_settle_held(struct pipeline *p, uint32_t uid, const struct record_uid *r, bool last,
			bool *again, struct err *e)
{
	struct ledger_copy c = {&p->box, uid, r->class, 0, &r->digest, NULL};
	enum outcome outcome = OUTCOME_NONE;
	struct record_digest d;
	enum mail_class class;
	int rc = ledger_digest(p->with.ledger, &r->digest, &d, e);

	*again = rc == 0;
	if (rc != 1)
		return rc;
	c.date = d.verdict_at;
	class = quorum_class(&d, p->with.conf->reports.quorum);
	if (class == r->class)
		outcome = ledger_decide(&d, class, INT64_MAX, ledger_epoch(p->with.ledger));
	else if (class != CLASS_NONE)
		outcome = OUTCOME_OVERRULED;
	else if (p->with.conf->reports.quorum_within != CONF_NEVER &&
		 clock_now() - r->settled_at >= p->with.conf->reports.quorum_within)
		outcome = OUTCOME_UNCONFIRMED;
	*again = class == r->class && outcome == OUTCOME_NONE;
	if (outcome != OUTCOME_NONE)
		return pipeline_settle(p, &c, NULL, outcome, NULL, e);
	return last ? pipeline_tell(p, &c, NULL, OUTCOME_HELD, few_agree, e) : 0;
}

int message_take(struct pipeline *p, struct source_message *m, struct err *e)
{
	struct ledger_copy c = {&p->box, m->uid, p->source->class, m->date, NULL, NULL};

	if (p->left > 0 &&
	    (m->kind == SOURCE_BODY || m->kind == SOURCE_LARGE || m->kind == SOURCE_MARKED))
		p->left--;
	switch (m->kind) {
	case SOURCE_BODY:
		return take_body(p, m, e);
	case SOURCE_LARGE:
		return pipeline_settle(p, &c, NULL, OUTCOME_LARGE, NULL, e);
	case SOURCE_MARKED:
		log_info("marked account=%s mailbox=%s uid=%u: believed, the ledger does not "
			 "know it",
			 p->source->account, p->source->mailbox, m->uid);
		p->counts.outcome[m->mark]++;
		return ledger_adopt(p->with.ledger, &c, m->mark, clock_now(), e) == -1
			   ? -1
			   : pipeline_count(p, e);
	case SOURCE_HELD:
		return hold(p, &c, "too new to count", e);
	case SOURCE_UNSEEN:
		return ledger_see(p->with.ledger, &c, clock_now(), e) == -1
			   ? -1
			   : pipeline_count(p, e);
	case SOURCE_REFUSED:
		return pipeline_settle(p, &c, NULL, OUTCOME_FAILED,
				       "the mail server does not give it", e);
	case SOURCE_GONE:
		return lose_sight(p, &c, e);
	}
	return 0;
}
