/* The way through a mailbox, from its record to its marks. */
#include "pipeline_priv.h"

#include <stdlib.h>
#include <string.h>

#include "backlog.h"
#include "clock.h"
#include "log.h"
#include "mark.h"
#include "progress.h"

enum {
	SEARCH_ALL_BELOW = 50000,  /* messages: their UIDs fit into one answer in any case */
	SEARCH_WINDOW = 64 * 1024, /* UIDs asked for at a time above that */
	SEARCH_WIDEST = 1 << 20,   /* UIDs asked for where there was nothing before */
	COMMIT_EVERY = 512,	   /* settled messages: a transaction costs memory */
};

struct pipeline *pipeline_new(const struct pipeline_parts *parts, bool dry_run, int64_t max)
{
	size_t n = (size_t)parts->conf->rspamd.connections;
	struct pipeline *p = calloc(1, sizeof *p + n * sizeof p->item[0]);

	if (p == NULL)
		return NULL;
	p->with = *parts;
	p->dry_run = dry_run;
	p->left = max;
	p->n = n;
	return p;
}

void pipeline_free(struct pipeline *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n; i++)
		buf_free(&p->item[i].body);
	uidset_free(&p->given_up);
	free(p);
}

void pipeline_only_note(struct pipeline *p, bool on)
{
	/* Whom --max lets be noted, it lets be decided about. */
	if (on)
		p->left_before = p->left;
	else
		p->left = p->left_before;
	p->only_note = on;
}

bool pipeline_is_full(const struct pipeline *p)
{
	return p->left == 0;
}

int pipeline_commit(struct pipeline *p, struct err *e)
{
	p->uncommitted = 0;
	return ledger_commit(p->with.ledger, e);
}

int pipeline_count(struct pipeline *p, struct err *e)
{
	return ++p->uncommitted < COMMIT_EVERY ? 0 : pipeline_commit(p, e);
}

int pipeline_tell(struct pipeline *p, const struct ledger_copy *c, const struct mime_info *info,
		  enum outcome outcome, const char *answer, struct err *e)
{
	struct report_message m = {
	    .account = p->source->account,
	    .mailbox = p->source->mailbox,
	    .uid = c->uid,
	    .class = c->class,
	    .outcome = outcome,
	    .answer = answer,
	    .from = info ? info->from : NULL,
	    .subject = info ? info->subject : NULL,
	    .date = info ? info->date : NULL,
	    .digest = c->digest,
	};
	char hex[DIGEST_HEX] = "-";

	p->counts.outcome[outcome]++;
	p->counted = true;
	if (outcome == OUTCOME_LEARNED)
		p->counts.learned[c->class]++;
	report_message(p->with.report, &m);
	if (c->digest)
		digest_hex(c->digest, hex);
	log_info("%s account=%s mailbox=%s uid=%u class=%s digest=%.12s%s%s",
		 outcome_name(outcome), m.account, m.mailbox, m.uid, class_name(c->class), hex,
		 answer && answer[0] ? " reason=" : "", answer ? answer : "");
	progress_update(++p->done);
	return pipeline_count(p, e);
}

int pipeline_settle(struct pipeline *p, const struct ledger_copy *c,
		    const struct mime_info *info, enum outcome outcome, const char *answer,
		    struct err *e)
{
	bool flipped;

	if (ledger_settle(p->with.ledger, c, outcome, answer, clock_now(), &flipped, e) == -1)
		return -1;
	p->counts.flipped += flipped;
	if (flipped)
		answer = c->class == CLASS_SPAM ? "was learned as ham before"
						: "was learned as spam before";
	return pipeline_tell(p, c, info, outcome, answer, e);
}

/* Take everything in todo out of the source. */
static int learn_round(struct pipeline *p, struct uidset *todo, struct err *e)
{
	const struct source_filter filter = {
	    .max_size = p->with.conf->max_size,
	    .seen_only = p->source->seen_only,
	    .newest = p->source->hold > 0 ? clock_now() - p->source->hold : INT64_MAX,
	    .trust_skipped = !p->box.whole,
	};
	struct source_message m = {0};
	int rc;

	if (p->source->ops->want(p->source, todo, &filter, e) == -1)
		return -1;
	for (;;) {
		rc = flight_make_room(p, p->source->ops->next_size(p->source), e);
		if (rc == 0)
			rc = p->source->ops->next(p->source, &m, e);
		if (rc != 1)
			return rc;
		rc = message_take(p, &m, e);
		source_message_free(&m);
		if (rc == -1)
			return -1;
	}
}

/* Has the server gone back in time? Then its UIDs have been given, or will be, to other
 * messages. */
static bool is_restored(const struct pipeline *p)
{
	const struct source *s = p->source;

	return (s->uidnext > 0 && s->uidnext < p->box.uidnext) ||
	       (s->modseq > 0 && s->modseq < p->box.modseq);
}

/* The mailbox's record; one of another UIDVALIDITY, or of a restored mailbox, is begun anew. */
static int load_box(struct pipeline *p, struct err *e)
{
	struct source *s = p->source;
	struct record_mailbox none;
	bool known;

	if (ledger_mailbox(p->with.ledger, s->account, s->mailbox, &p->box, &known, e) == -1)
		return -1;
	if (known && p->box.uidvalidity == s->uidvalidity && !is_restored(p))
		return 0;
	if (known)
		log_warn(
		    "account %s: mailbox %s was %s (UIDVALIDITY %u, UIDNEXT %u; were %u, %u); "
		    "its messages are told apart by their content",
		    s->account, s->mailbox,
		    p->box.uidvalidity == s->uidvalidity ? "restored by the server"
							 : "made anew by the server",
		    s->uidvalidity, s->uidnext, p->box.uidvalidity, p->box.uidnext);
	p->box.uidvalidity = s->uidvalidity;
	p->box.uidnext = 1;
	p->box.modseq = 0;
	/* No UID that we knew means anything now; there is no UIDVALIDITY 0. */
	none = p->box;
	none.uidvalidity = 0;
	if (ledger_forget_stale(p->with.ledger, &none, e) == -1)
		return -1;
	return ledger_mailbox_put(p->with.ledger, s->account, s->mailbox, &p->box, e);
}

/* Is this message to be taken again? Settles it where that needs no look at it. */
static int is_unfinished(struct pipeline *p, uint32_t uid, const struct record_uid *r,
			 bool last, bool *again, struct err *e)
{
	static const struct digest none;
	bool changed = p->source->modseq == 0 || p->source->modseq != p->box.modseq;

	*again = r->state == STATE_SUBMITTED;
	if (r->state != STATE_SEEN)
		return 0;
	if (uidset_has(&p->given_up, uid))
		return 0;
	if (r->outcome == OUTCOME_HELD && p->with.conf->reports.quorum > 1 &&
	    !digest_equal(&r->digest, &none))
		return p->only_note ? 0 : message_settle_held(p, uid, r, last, again, e);
	/* Unread messages are looked at again only when the mailbox has changed. */
	*again = r->outcome != OUTCOME_NONE || changed;
	return 0;
}

/*
 * Messages that an earlier run, or this one, left unfinished. Without a todo it is the last
 * look of this run: what is held by then stays held.
 */
static int unfinished(struct pipeline *p, struct uidset *todo, struct err *e)
{
	struct record_uid r;
	uint32_t uid = 1;
	int rc;

	while ((rc = ledger_message_seek(p->with.ledger, &p->box, &uid, &r, e)) == 1) {
		bool again;

		if (is_unfinished(p, uid, &r, todo == NULL, &again, e) == -1)
			return -1;
		if (again && todo && uidset_add(todo, uid, uid) == -1)
			return err_set(e, ERR_FATAL, ERR_LOCAL, "out of memory");
		if (uid == UINT32_MAX)
			break;
		uid++;
	}
	return rc == -1 ? -1 : 0;
}

/* Take what is in todo, as far as --max allows; unread and held messages do not count for it.
 */
static int learn_some(struct pipeline *p, struct uidset *todo, struct err *e)
{
	int rc = 0;

	while (rc == 0 && todo->n > 0 && !pipeline_is_full(p)) {
		struct uidset part = {0};

		rc = backlog_take(todo, p->left, &part, e);
		if (rc == 0) {
			report_mailbox(p->with.report, p->source->account, p->source->mailbox,
				       uidset_count(&part));
			p->done = 0;
			rc = learn_round(p, &part, e);
		}
		uidset_free(&part);
	}
	/* What is left over has no record yet: the next run must find it again. */
	p->cut_short |= todo->n > 0;
	return rc;
}

static int learn_window(struct pipeline *p, uint32_t first, uint32_t last, struct err *e)
{
	struct uidset found = {0}, todo = {0};
	int rc = p->source->ops->list(p->source, first, last, &found, e);

	p->found = uidset_count(&found);
	if (rc == 0)
		rc = backlog_add(p->with.ledger, &p->box, &found, &todo, e);
	if (rc == 0)
		rc = learn_some(p, &todo, e);
	uidset_free(&found);
	uidset_free(&todo);
	return rc;
}

/*
 * Everything new, in one search as a rule. Only UIDs below the UIDNEXT of the moment we opened
 * the mailbox: what arrives meanwhile is the next run's.
 */
static int learn_new(struct pipeline *p, struct err *e)
{
	struct source *s = p->source;
	uint32_t last = s->uidnext ? s->uidnext - 1 : UINT32_MAX;
	const uint32_t window = s->exists < SEARCH_ALL_BELOW ? UINT32_MAX : SEARCH_WINDOW;
	uint32_t step = window;
	uint32_t first = p->box.uidnext, end;
	int rc = 0;

	if (s->exists == 0)
		return 0;
	for (; rc == 0 && first <= last; first = end + 1) {
		end = last - first < step ? last : first + step - 1;
		p->found = 0;
		if (pipeline_is_full(p))
			p->cut_short = true;
		else
			rc = learn_window(p, first, end, e);
		if (end == UINT32_MAX || p->cut_short)
			break;
		/* Over a stretch without messages it goes with longer strides. */
		step = p->found > 0 ? window : step < SEARCH_WIDEST ? step * 2 : step;
	}
	return rc;
}

/* Mark on the server what is settled; the ledger is durable before. */
static int mark_all(struct pipeline *p, struct err *e)
{
	if (pipeline_commit(p, e) == -1)
		return -1;
	return mark_settled(p->with.ledger, p->source, &p->box, p->with.report, e);
}

/* The mailbox was gone through to its end: the next run begins behind it. */
static int record_complete(struct pipeline *p, struct err *e)
{
	const struct source *s = p->source;
	struct record_mailbox now = p->box;

	if (s->uidnext > 0)
		now.uidnext = s->uidnext;
	now.whole = true;
	now.modseq = s->modseq;
	if (now.uidnext == p->box.uidnext && now.whole == p->box.whole &&
	    now.modseq == p->box.modseq)
		return 0; /* nothing new: nothing is written */
	p->box = now;
	if (ledger_mailbox_put(p->with.ledger, s->account, s->mailbox, &p->box, e) == -1)
		return -1;
	return pipeline_commit(p, e);
}

/* Let what is in flight come to its end, and mark it. */
static int settle_all(struct pipeline *p, struct err *e)
{
	if (flight_wind_up(p, true, e) == -1 || flight_failed(p, e) == -1)
		return -1;
	return mark_all(p, e);
}

/*
 * What is new comes first, and is marked, before what earlier runs left unfinished: a message
 * that always fails, or breaks the connection, keeps nothing else from being learned.
 */
static int learn_all(struct pipeline *p, struct err *e)
{
	struct uidset old = {0};
	int rc = unfinished(p, &old, e);

	if (rc == 0)
		rc = learn_new(p, e);
	if (rc == 0 && old.n > 0)
		rc = settle_all(p, e);
	if (rc == 0)
		rc = learn_some(p, &old, e);
	uidset_free(&old);
	return rc;
}

/*
 * The connection broke. Where it broke at the same message before, the server cannot give that
 * one: it has failed, and this run leaves it alone.
 */
static int suspect(struct pipeline *p, const char *why, struct err *e)
{
	uint32_t uid = p->source->ops->awaited(p->source);
	struct ledger_copy c = {&p->box, uid, p->source->class, 0, NULL, NULL};

	if (uid == 0)
		return 0;
	if (p->suspect_box != p->box.number || p->suspect_uid != uid) {
		p->suspect_box = p->box.number;
		p->suspect_uid = uid;
		return 0;
	}
	if (uidset_add(&p->given_up, uid, uid) == -1)
		return err_set(e, ERR_FATAL, ERR_LOCAL, "out of memory");
	return pipeline_settle(p, &c, NULL, OUTCOME_FAILED, why, e);
}

/* After an error that ends the work on this mailbox: keep what was reached. */
static int salvage(struct pipeline *p, struct err *e)
{
	struct err why = *e;

	if (flight_wind_up(p, why.scope < ERR_FATAL, e) == -1 ||
	    (why.scope == ERR_SERVER && suspect(p, why.text, e) == -1))
		return -1;
	/* A fatal error is rspamd's or a signal's: the server still listens. */
	if ((why.scope == ERR_FATAL ? mark_all(p, e) : pipeline_commit(p, e)) == -1)
		return -1;
	*e = why;
	return -1;
}

int pipeline_learn(struct pipeline *p, struct source *s, struct err *e)
{
	int rc;

	p->source = s;
	p->counts = (struct report_counts){0};
	p->counted = p->cut_short = false;
	if (s->ops->open(s, p->dry_run, e) == -1 || load_box(p, e) == -1)
		return -1;
	if (p->given_up_box != p->box.number)
		uidset_clear(&p->given_up);
	p->given_up_box = p->box.number;
	rc = learn_all(p, e);
	if (rc == 0)
		rc = flight_wind_up(p, true, e);
	if (rc == 0)
		rc = flight_failed(p, e);
	/* What was held may have found its quorum just now. */
	if (rc == 0 && p->with.conf->reports.quorum > 1)
		rc = unfinished(p, NULL, e);
	if (rc == 0)
		rc = mark_all(p, e);
	else
		rc = salvage(p, e);
	if (rc == 0 && !p->cut_short)
		rc = record_complete(p, e);
	if (!p->only_note || p->counted)
		report_mailbox_end(p->with.report, s->account, s->mailbox, &p->counts);
	return rc;
}
