#include "learn/intake.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/stop.h"
#include "learn/balance.h"
#include "learn/compare.h"
#include "mail/wrapped.h"

enum {
	WAIT_MS = 1000,
	TAKE_AT_LEAST = 64, /* messages: as many as a source is asked for at a time */
	COMMIT_EVERY = 512, /* messages: a transaction costs memory */
};

const char intake_held_back[] =
    "held back: rspamd learned too much of this class already (balance)";

/* What rspamd may still learn of this class; those in flight count. */
static uint64_t room_in_balance(const struct intake *in, enum mail_class class)
{
	struct tally done = in->with.output->total;

	if (in->only_note)
		return UINT64_MAX;
	tally_add(&done, &in->tally);
	done.learned[class] += flight_staged(in->flight) + flight_sent(in->flight);
	return balance_room(&in->with.conf->balance, in->with.before, &done, class);
}

/* A source of both classes goes on as long as there is room for one of them. */
static uint64_t room_for_source(const struct intake *in)
{
	uint64_t spam, ham;

	if (in->source->class != CLASS_NONE)
		return room_in_balance(in, in->source->class);
	spam = room_in_balance(in, CLASS_SPAM);
	ham = room_in_balance(in, CLASS_HAM);
	return spam > ham ? spam : ham;
}

uint64_t intake_room(const struct intake *in)
{
	uint64_t most = in->left < 0 ? UINT64_MAX : (uint64_t)in->left;
	uint64_t room = room_for_source(in);

	/* Not all of them will be learned; and one by one they would take long. */
	if (room > 0 && room < TAKE_AT_LEAST)
		room = TAKE_AT_LEAST;
	return room < most ? room : most;
}

/* ---- what is recorded, and what is printed ---- */

int intake_commit(struct intake *in, struct err *e)
{
	in->uncommitted = 0;
	return ledger_commit(in->with.ledger, e);
}

/* One record more has changed; in time they are made durable. */
static int changed(struct intake *in, struct err *e)
{
	return ++in->uncommitted < COMMIT_EVERY ? 0 : intake_commit(in, e);
}

/* The message is decided about: count it and print it. info is NULL where it was not read. */
static void announce(struct intake *in, const struct ledger_copy *c,
		     const struct mime_info *info, enum outcome outcome, const char *answer,
		     bool flipped)
{
	struct output *o = in->with.output;
	const struct output_message m = {
	    .place = in->place,
	    .id = c->id,
	    .part = c->part,
	    .name = source_name(in->source, c->id),
	    .class = c->class,
	    .outcome = outcome,
	    .answer = answer,
	    .from = info ? info->from : NULL,
	    .subject = info ? info->subject : NULL,
	    .date = info ? info->date : NULL,
	    .digest = c->digest,
	};
	bool failed = outcome_group(outcome) == GROUP_FAILED;
	char hex[DIGEST_HEX] = "-";

	tally_count(&in->tally, c->class, outcome, flipped);
	if (in->source->proof && outcome_group(outcome) <= GROUP_UNTRUSTED)
		in->tally.asked++;
	o->ops->message(o, &m);
	if (c->digest)
		digest_hex(c->digest, hex);
	/* On standard error it would stand beside the same line of the output. */
	log_line(failed && log_is_apart() ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
		 "%s account=%s mailbox=%s uid=%u%s%s class=%s digest=%.12s%s%s",
		 outcome_name(outcome), m.place.account, m.place.mailbox, m.id,
		 m.name ? " file=" : "", m.name ? m.name : "", class_name(c->class), hex,
		 answer && answer[0] ? " reason=" : "", answer ? answer : "");
	progress_update(++in->done);
	in->steps++;
}

/* The same for a message that stays as it is: once, over however many connections. */
int intake_announce_once(struct intake *in, const struct ledger_copy *c, enum outcome outcome,
			 const char *why, struct err *e)
{
	if (ranges_has(&in->told, c->id))
		return 0;
	announce(in, c, NULL, outcome, why, false);
	return ranges_add(&in->told, c->id, c->id, e);
}

/*
 * A message is decided about, or a part of it. Only the message at hand has parts that others
 * follow; answers to messages before it may come in between.
 */
static void decided(struct intake *in, const struct ledger_copy *c, enum outcome outcome,
		    const char *why)
{
	struct ledger_joined *j = &in->joined;

	if (!c->more && in->open > 0)
		in->open--;
	if (!c->more || outcome_joined(outcome, j->outcome) != outcome)
		return;
	j->outcome = outcome;
	snprintf(j->why, sizeof j->why, "%s", why ? why : "");
}

/* Whoever looks into the source is to see that this one failed, and why. 0, or -1. */
static int tell_failure(struct intake *in, uint32_t id, enum outcome outcome,
			const char *answer, struct err *e)
{
	char why[RECORD_ANSWER_MAX + 64];

	if (answer && answer[0])
		snprintf(why, sizeof why, "%s: %s", outcome_text(outcome), answer);
	else
		snprintf(why, sizeof why, "%s", outcome_text(outcome));
	return source_fail(in->source, id, why, e);
}

/* Record what became of the message, and print it. 0, or -1 with an error of the ledger. */
int intake_settle(struct intake *in, const struct ledger_copy *c, const struct mime_info *info,
		  enum outcome outcome, const char *answer, struct err *e)
{
	bool flipped;

	if (ledger_settle(in->with.ledger, c, outcome, answer, clock_now(), &flipped, e) == -1)
		return -1;
	if (flipped)
		answer = c->class == CLASS_SPAM ? "was learned as ham before"
						: "was learned as spam before";
	announce(in, c, info, outcome, answer, flipped);
	decided(in, c, outcome, answer);
	if (outcome_group(outcome) == GROUP_FAILED &&
	    (suspect_fail(&in->suspect, c->id, e) == -1 ||
	     tell_failure(in, c->id, outcome, answer, e) == -1))
		return -1;
	return changed(in, e);
}

/* ---- rspamd ---- */

/* The ledger says that they go, durably; then they go. */
static int send_staged(struct intake *in, struct err *e)
{
	if (flight_staged(in->flight) == 0)
		return 0;
	return intake_commit(in, e) == -1 ? -1 : flight_send(in->flight, e);
}

static struct ledger_copy copy_of(const struct intake *in, const struct flight_item *item)
{
	return (struct ledger_copy){
	    .box = &in->box,
	    .id = item->id,
	    .class = item->class,
	    .verdict_at = item->verdict_at,
	    .stamp = item->stamp,
	    .digest = &item->info.digest,
	    .reporter = item->reporter,
	    .part = item->part,
	    .more = item->more,
	    .joined = &item->joined,
	};
}

/* It was not sent, or rspamd can learn nothing now: as if it had never been taken. */
static int put_back(struct intake *in, const struct flight_item *item, struct err *e)
{
	struct ledger_copy c = copy_of(in, item);

	if (ledger_wait(in->with.ledger, &c, OUTCOME_NONE, clock_now(), e) == -1)
		return -1;
	return changed(in, e);
}

static int take_answer(struct intake *in, const struct flight_item *item,
		       const struct answer *a, struct err *e)
{
	struct ledger_copy c = copy_of(in, item);
	struct err second;
	int rc = 0;

	if (a->next == ANSWER_DOUBT)
		rc = backend_check(in->with.backend, NULL, e);
	else if (a->next == ANSWER_STOP)
		rc = err_set(e, ERR_FATAL, a->kind, "rspamd %s: %s", in->with.rspamd->url,
			     a->text);
	if (rc == 0)
		return intake_settle(in, &c, &item->info, a->outcome,
				     a->outcome == OUTCOME_LEARNED ? NULL : a->text, e);
	(void)put_back(in, item, &second); /* the first error is the one that is told */
	return -1;
}

/* Everything that rspamd has answered so far. */
static int take_answers(struct intake *in, struct err *e)
{
	struct flight_item item;
	struct answer answer;

	while (flight_answer(in->flight, &item, &answer))
		if (take_answer(in, &item, &answer, e) == -1)
			return -1;
	return stop_requested() ? stop_error(e) : 0;
}

int intake_wind_up(struct intake *in, bool send, struct err *e)
{
	struct flight_item item;
	struct answer answer;
	struct err first = {.scope = ERR_NONE}, next;
	int ms;

	if (send && send_staged(in, &next) == -1)
		first = next;
	while (flight_unstage(in->flight, &item))
		if (put_back(in, &item, &next) == -1 && first.scope == ERR_NONE)
			first = next;
	while (flight_sent(in->flight) > 0 && (ms = stop_limit(WAIT_MS)) > 0) {
		flight_wait(in->flight, NULL, ms);
		while (flight_answer(in->flight, &item, &answer))
			if (take_answer(in, &item, &answer, &next) == -1 &&
			    first.scope == ERR_NONE)
				first = next;
	}
	if (first.scope == ERR_NONE)
		return stop_requested() ? stop_error(e) : 0;
	*e = first;
	return -1;
}

/* ---- one message ---- */

static const char listed_only[] = "the mail server listed what it does not have";

/*
 * When was the verdict given? In a collection a message's date is the arrival of the report. In
 * a mailbox of one's own it is the date of the mail; there our first sight of it stands for the
 * verdict, but in the first pass, when everything is seen at once and the date is all there is,
 * and for what must have been there before.
 */
bool intake_goes_by_date(const struct intake *in)
{
	return in->source->dated || !in->box.passed || in->unrecorded;
}

int64_t intake_verdict_time(const struct intake *in, const struct record_message *known,
			    const struct record_stamp *stamp)
{
	int64_t now = clock_now();

	/* A time in the future is from before the clock was set back, and no time at all. */
	if (known && known->verdict_at != 0 && known->verdict_at <= now)
		return known->verdict_at;
	if (!intake_goes_by_date(in))
		return now;
	if (stamp->size == 0 && stamp->date == 0)
		return 0; /* the source did not even say what it is: known at the next sight */
	return stamp->date > 0 && stamp->date < now ? stamp->date : now;
}

/*
 * The copy waits for other reporters; it is counted when everybody was heard. A part of several
 * has no record to be found by then: it is counted in the pass that decides.
 */
static int hold(struct intake *in, const struct ledger_copy *c, const char *why, struct err *e)
{
	struct ledger_copy part = *c;
	struct record_digest ignored;
	bool flipped;
	int rc = ledger_report(in->with.ledger, c, clock_now(), &ignored, e);

	part.digest = NULL;
	if (rc == 0 && c->part == 0)
		rc = ledger_wait(in->with.ledger, c, OUTCOME_HELD, clock_now(), e);
	else if (rc == 0)
		rc = ledger_settle(in->with.ledger, &part, OUTCOME_HELD, why, clock_now(),
				   &flipped, e);
	if (rc == 0 && c->part > 0 && !in->only_note)
		rc = intake_announce_once(in, c, OUTCOME_HELD, why, e);
	if (rc == -1)
		return -1;
	decided(in, c, OUTCOME_HELD, why);
	return changed(in, e);
}

/* A message that rspamd is to learn goes aboard; there is room. body is the flight's now. */
static int stage(struct intake *in, struct buf *body, const struct ledger_copy *c,
		 const struct arrival *a, struct err *e)
{
	struct flight_item item = {
	    .id = c->id,
	    .class = c->class,
	    .verdict_at = c->verdict_at,
	    .stamp = c->stamp,
	    .info = a->info,
	    .original = mime_original(body->data, body->len),
	    .body = *body,
	    .part = c->part,
	    .more = c->more,
	};

	if (in->dry_run)
		return intake_settle(in, c, &a->info, OUTCOME_LEARNED, NULL, e);
	if (c->joined)
		item.joined = *c->joined;
	memcpy(item.reporter, a->reporter, sizeof item.reporter);
	memcpy(item.deliver_to, a->who, sizeof item.deliver_to);
	*body = (struct buf){0};
	flight_stage(in->flight, &item);
	return ledger_submit(in->with.ledger, c, clock_now(), e);
}

/* A copy of what is being learned just now: its answer says what this one is. */
static int wait_for_duplicate(struct intake *in, const struct digest *d, struct err *e)
{
	while (flight_has(in->flight, d)) {
		if (send_staged(in, e) == -1)
			return -1;
		flight_wait(in->flight, NULL, WAIT_MS);
		if (take_answers(in, e) == -1)
			return -1;
	}
	return 0;
}

/*
 * May rspamd learn one more of this class? 1, 0 or -1. What is in flight takes room, but
 * perhaps rspamd does not learn it.
 */
static int has_balance(struct intake *in, enum mail_class class, struct err *e)
{
	while (room_in_balance(in, class) == 0) {
		if (flight_staged(in->flight) + flight_sent(in->flight) == 0)
			return 0;
		if (send_staged(in, e) == -1)
			return -1;
		flight_wait(in->flight, NULL, WAIT_MS);
		if (take_answers(in, e) == -1)
			return -1;
	}
	return 1;
}

/* rspamd has learned enough of this class: the message is left, as if it had not been taken. */
static int hold_back(struct intake *in, const struct ledger_copy *c, struct err *e)
{
	struct record_message ignored;
	int rc = ledger_message(in->with.ledger, &in->box, c->id, &ignored, e);

	in->why = intake_held_back;
	in->held_back = true;
	if (in->left >= 0)
		in->left++;
	if (rc == 0 && in->fresh)
		in->unseen++;
	if (rc != 1)
		return rc;
	if (ledger_wait(in->with.ledger, c, OUTCOME_NONE, clock_now(), e) == -1)
		return -1;
	return changed(in, e);
}

/* One content: a message, or one that is attached to it. */
static int take_content(struct intake *in, struct buf *body, const struct ledger_copy *copy,
			const struct arrival *a, struct err *e)
{
	struct ledger_copy c = *copy;
	struct decision d;
	int room = 1;

	in->held_back = false;
	if (wait_for_duplicate(in, &a->info.digest, e) == -1)
		return -1;
	c.digest = &a->info.digest;
	c.reporter = a->reporter;
	if (message_decide(&in->rules, in->with.ledger, &c, a, in->only_note,
			   c.part > 0 ? in->held_since : 0, &d, e) == -1)
		return -1;
	if (d.what == DECIDE_LEARN && (room = has_balance(in, c.class, e)) == -1)
		return -1;
	if (room == 0)
		return hold_back(in, copy, e);
	switch (d.what) {
	case DECIDE_LEARN:
		return stage(in, body, &c, a, e);
	case DECIDE_HOLD:
		return hold(in, &c, d.why, e);
	default:
		if (d.outcome == OUTCOME_UNTRUSTED || d.outcome == OUTCOME_UNDECIDED)
			c.digest = NULL; /* it says nothing of the content */
		return intake_settle(in, &c, &a->info, d.outcome, d.why, e);
	}
}

/* Wait until another message of this size can go aboard. */
static int wait_for_room(struct intake *in, size_t size, struct err *e)
{
	while (!flight_has_room(in->flight, size)) {
		if (send_staged(in, e) == -1)
			return -1;
		flight_wait(in->flight, NULL, WAIT_MS);
		if (take_answers(in, e) == -1)
			return -1;
	}
	return 0;
}

/*
 * The messages that are attached to a forward, by the one who forwarded them. Each is through
 * before the next one is sent, so that with the last one all is known of the forward.
 */
static int take_attached(struct intake *in, struct wrapped *w, const struct ledger_copy *copy,
			 const struct arrival *forward, struct err *e)
{
	struct ledger_copy c = *copy;
	struct arrival a = *forward;

	in->joined = (struct ledger_joined){OUTCOME_NONE, ""};
	for (size_t i = 0; i < w->n; i++) {
		struct buf *body = &w->message[i];

		c.part = w->n > 1 ? (unsigned)i + 1 : 0;
		c.more = i + 1 < w->n;
		if (message_read_content(&in->rules, body, &a, e) == -1 ||
		    wait_for_room(in, body->len, e) == -1)
			return -1;
		c.joined = &in->joined;
		if (take_content(in, body, &c, &a, e) == -1)
			return -1;
		if (in->held_back)
			return 0;
		if (c.more && wait_for_duplicate(in, &a.info.digest, e) == -1)
			return -1;
	}
	return 0;
}

static int unwrap(struct intake *in, struct source_message *m, const struct ledger_copy *c,
		  const struct arrival *a, struct err *e)
{
	struct wrapped w;
	int rc = wrapped_read(m->body.data, m->body.len, &w, e);

	source_message_free(m); /* its attachments are copies */
	if (rc == 0 && w.n == 0)
		rc = intake_settle(in, c, &a->info, OUTCOME_NO_REPORT, w.why, e);
	else if (rc == 0)
		rc = take_attached(in, &w, c, a, e);
	wrapped_free(&w);
	return rc;
}

static int take_body(struct intake *in, struct source_message *m, const struct ledger_copy *c,
		     struct err *e)
{
	struct arrival a;

	if (message_read(&in->rules, in->source, m, &a, e) == -1)
		return -1;
	/* In the first pass over the source. */
	if ((in->only_note || in->with.conf->reports.quorum <= 1) &&
	    wrappers_count(&in->wrappers, in->source, &m->body, e) == -1)
		return -1;
	if (in->source->unwrap && a.refused == NULL)
		return unwrap(in, m, c, &a, e);
	return take_content(in, &m->body, c, &a, e);
}

/* Not taken: what waits is recorded, so that the next run does not look for it. */
static int wait_for(struct intake *in, const struct ledger_copy *c, enum outcome why,
		    const char *text, struct err *e)
{
	if (ledger_wait(in->with.ledger, c, why, clock_now(), e) == -1)
		return -1;
	announce(in, c, NULL, why, text, false);
	decided(in, c, why, text);
	return changed(in, e);
}

static int adopt(struct intake *in, const struct ledger_copy *c, enum outcome mark,
		 struct err *e)
{
	if (ledger_adopt(in->with.ledger, c, mark, clock_now(), e) == -1)
		return -1;
	announce(in, c, NULL, mark, "it bears the mark of an earlier run", false);
	decided(in, c, mark, NULL);
	return changed(in, e);
}

/*
 * The source listed the message and then did not give it: somebody deleted it meanwhile, or the
 * server is mistaken. If it is still listed in the next run, and not given again, the source
 * cannot give it (forget_gone() drops what is not listed any more).
 */
static int lose_sight(struct intake *in, const struct ledger_copy *c,
		      const struct record_message *known, struct err *e)
{
	if (known && (known->outcome == OUTCOME_NONE || known->outcome == OUTCOME_UNREADABLE))
		return intake_settle(in, c, NULL, OUTCOME_UNREADABLE, listed_only, e);
	in->why = listed_only;
	if (ledger_wait(in->with.ledger, c, OUTCOME_NONE, clock_now(), e) == -1)
		return -1;
	return changed(in, e);
}

/*
 * What the ledger knows of this message: 1 and *r, 0 if nothing, -1. A message that is taken
 * again may be another one than the ledger knows by this number: then what is known of the
 * other one, its refusal or its time, says nothing of this one.
 */
static int look_up(struct intake *in, const struct source_message *m, struct record_message *r,
		   struct err *e)
{
	const struct source_sight sight = {.id = m->id, .stamp = m->stamp, .marks = 1};
	int rc = ledger_message(in->with.ledger, &in->box, m->id, r, e);

	if (rc != 1 || m->stamp.size == 0 || compare_is_same(r, &sight))
		return rc;
	if (ledger_replace(in->with.ledger, &in->box, m->id, clock_now(), e) == -1)
		return -1;
	return ledger_message(in->with.ledger, &in->box, m->id, r, e);
}

static int take_message(struct intake *in, struct source_message *m, struct err *e)
{
	struct ledger_copy c = {
	    .box = &in->box,
	    .id = m->id,
	    .class = in->source->class != CLASS_NONE ? in->source->class : m->class,
	    .stamp = m->stamp,
	};
	struct record_message r;
	int rc = look_up(in, m, &r, e);

	if (rc == -1)
		return -1;
	c.verdict_at = intake_verdict_time(in, rc ? &r : NULL, &m->stamp);
	in->held_since = rc && r.outcome == OUTCOME_HELD ? r.changed_at : 0;
	if (in->fresh && in->unseen > 0)
		in->unseen--;
	if (in->left > 0 &&
	    (m->kind == MESSAGE_BODY || m->kind == MESSAGE_LARGE || m->kind == MESSAGE_MARKED))
		in->left--;
	switch (m->kind) {
	case MESSAGE_BODY:
		return take_body(in, m, &c, e);
	case MESSAGE_LARGE:
		return intake_settle(in, &c, NULL, OUTCOME_LARGE, NULL, e);
	case MESSAGE_MARKED:
		return adopt(in, &c, m->mark, e);
	case MESSAGE_HELD:
		return wait_for(in, &c, OUTCOME_HELD, "too new to count", e);
	case MESSAGE_UNDECIDED:
		return intake_settle(in, &c, NULL, OUTCOME_UNDECIDED, m->why, e);
	case MESSAGE_UNREAD:
		return wait_for(in, &c, OUTCOME_UNREAD, NULL, e);
	case MESSAGE_UNREADABLE:
		return intake_settle(in, &c, NULL, OUTCOME_UNREADABLE, m->words, e);
	case MESSAGE_GONE:
		return lose_sight(in, &c, rc ? &r : NULL, e);
	}
	return 0;
}

/* ---- the loop: messages in, answers out ---- */

/* Messages are sent a few at a time, since each time costs a commit of the ledger. */
static bool is_time_to_send(const struct intake *in)
{
	size_t few = (size_t)in->with.rspamd->connections / 4;

	return flight_staged(in->flight) >= (few > 0 ? few : 1) || flight_sent(in->flight) == 0;
}

/* Take everything in todo out of the source. */
int intake_take_all(struct intake *in, struct ranges *todo, const struct source_filter *filter,
		    bool alone, struct err *e)
{
	if (source_want(in->source, todo, filter, alone, e) == -1)
		return -1;
	for (;;) {
		struct source_message m = {0};
		struct wait wait;
		int rc;

		if (take_answers(in, e) == -1)
			return -1;
		if (!flight_has_room(in->flight, source_next_size(in->source))) {
			if (send_staged(in, e) == -1)
				return -1;
			flight_wait(in->flight, NULL, WAIT_MS);
			continue;
		}
		if (is_time_to_send(in) && send_staged(in, e) == -1)
			return -1;
		switch (source_next(in->source, &m, &wait, e)) {
		case SOURCE_MESSAGE:
			rc = take_message(in, &m, e);
			source_message_free(&m);
			if (rc == -1)
				return -1;
			break;
		case SOURCE_WAIT:
			/* What is staged need not wait for company now. */
			if (send_staged(in, e) == -1)
				return -1;
			flight_wait(in->flight, &wait, WAIT_MS);
			break;
		case SOURCE_END:
			return 0;
		case SOURCE_ERROR:
			return -1;
		}
	}
}
