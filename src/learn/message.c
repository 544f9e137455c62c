#include "learn/message.h"

#include <string.h>

#include "base/clock.h"
#include "ledger/quorum.h"

static const char unlike[] = "it only looks like one that was moved";
static const char few_agree[] = "too few reporters agree so far";

static struct decision settle(enum outcome outcome, const char *why)
{
	return (struct decision){DECIDE_SETTLE, outcome, why};
}

static const struct decision learn = {DECIDE_LEARN, OUTCOME_NONE, NULL};
static const struct decision hold = {DECIDE_HOLD, OUTCOME_HELD, few_agree};

/* What the ledger says of the content, where one verdict is enough. */
static struct decision by_content(const struct record_digest *known, enum mail_class class,
				  int64_t verdict_at)
{
	enum outcome o = ledger_decide(known, class, verdict_at);

	return o == OUTCOME_NONE ? learn : settle(o, NULL);
}

/* The same where several have to agree: their majority decides, not the newest. */
static struct decision by_quorum(const struct record_digest *known, int quorum,
				 enum mail_class class)
{
	enum mail_class agreed = quorum_class(known, quorum);

	if (agreed == CLASS_NONE)
		return hold;
	if (agreed != class)
		return settle(OUTCOME_OVERRULED, NULL);
	return by_content(known, class, INT64_MAX);
}

int message_read(const struct message_rules *rules, const struct source *s,
		 const struct source_message *m, struct arrival *a, struct err *e)
{
	const char *who;

	report_field_read(m->body.data, m->body.len, &a->field);
	a->recalled = m->recalled;
	a->refused = s->proof ? trust_refuses(rules->trust, &a->field, s->class) : NULL;
	/* In a mailbox of one's own, and in old mail, the envelope is the spammer's. */
	who = m->reporter[0] ? m->reporter
	      : s->owner     ? s->owner
	      : s->fleeting  ? ""
			     : trust_reporter(rules->trust, &a->field);
	reporter_name(who, rules->conf->reports.delimiter, a->who, sizeof a->who);
	reporter_hash(rules->reporter_key, a->who, a->reporter);
	return message_read_content(rules, &m->body, a, e);
}

int message_read_content(const struct message_rules *rules, const struct buf *body,
			 struct arrival *a, struct err *e)
{
	if (mime_read(body->data, body->len, &a->info, e) == -1)
		return -1;
	/* Every reporter has a classifier, and so a ledger, of their own. */
	if (rules->conf->rspamd.deliver_to_reporter)
		reporter_digest(rules->reporter_key, a->who, &a->info.digest);
	return 0;
}

/* It waits for other reporters since then (0: from now on); perhaps for too long. */
static struct decision wait_no_longer(const struct conf_reports *reports, int64_t since,
				      int64_t now)
{
	if (since != 0 && reports->quorum_within != CONF_NEVER &&
	    now - since >= reports->quorum_within)
		return settle(OUTCOME_UNCONFIRMED, NULL);
	return hold;
}

/*
 * Is the content known from the other side of the account: was its last verdict the other
 * class, or is that the last word of the same user, whatever others said since?
 */
static bool comes_from_there(const struct record_digest *known, const struct ledger_copy *c)
{
	if (known->class != CLASS_NONE && known->class != c->class)
		return true;
	for (size_t i = 0; c->reporter && i < known->n_reporters; i++)
		if (memcmp(known->reporter[i].who, c->reporter, RECORD_REPORTER_SIZE) == 0)
			return known->reporter[i].class != c->class;
	return false;
}

int message_decide(const struct message_rules *rules, struct ledger *l,
		   const struct ledger_copy *c, const struct arrival *a, bool only_note,
		   int64_t held_since, struct decision *d, struct err *e)
{
	const int quorum = rules->conf->reports.quorum;
	struct record_digest known = {.class = CLASS_NONE};
	int rc;

	if (a->refused) {
		*d = settle(OUTCOME_UNTRUSTED, a->refused);
		return 0;
	}
	if (a->info.encrypted && rules->conf->skip_encrypted) {
		/* One of several is counted once, with the others. */
		*d = only_note && c->part > 0 ? hold : settle(OUTCOME_ENCRYPTED, NULL);
		return 0;
	}
	rc = ledger_digest(l, c->digest, &known, e);
	if (rc == -1)
		return -1;
	record_digest_no_future(&known, clock_now());
	if (a->recalled && !comes_from_there(&known, c)) {
		*d = settle(OUTCOME_UNDECIDED, unlike);
		return 0;
	}
	if (quorum <= 1) {
		*d = by_content(rc == 1 ? &known : NULL, c->class, c->verdict_at);
		return 0;
	}
	quorum_note(&known, c->reporter, c->class, c->verdict_at);
	*d = only_note ? hold : by_quorum(&known, quorum, c->class);
	if (!only_note && d->what == DECIDE_HOLD)
		*d = wait_no_longer(&rules->conf->reports, held_since, clock_now());
	return 0;
}

int message_decide_held(const struct message_rules *rules, struct ledger *l,
			const struct record_message *r, int64_t now, struct decision *d,
			struct err *e)
{
	const struct conf_reports *reports = &rules->conf->reports;
	struct record_digest known = {.class = CLASS_NONE};
	int rc = ledger_digest(l, &r->digest, &known, e);

	if (rc == -1)
		return -1;
	record_digest_no_future(&known, now);
	/* A quorum that is no longer asked for, or a content that was forgotten. */
	if (rc == 0 || reports->quorum <= 1)
		*d = learn;
	else
		*d = by_quorum(&known, reports->quorum, r->class);
	if (d->what == DECIDE_HOLD)
		*d = wait_no_longer(reports, r->changed_at, now);
	return 0;
}
