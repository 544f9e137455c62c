#include "learn/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/stop.h"
#include "learn/backlog.h"
#include "learn/box.h"
#include "learn/compare.h"
#include "learn/flight.h"
#include "learn/intake.h"
#include "learn/mark.h"
#include "learn/message.h"
#include "learn/suspect.h"

enum {
	SEARCH_ALL_BELOW = 50000,  /* messages: their numbers fit into one answer in any case */
	SEARCH_WINDOW = 64 * 1024, /* numbers asked for at a time above that */
	SEARCH_WIDEST = 1 << 20,   /* numbers asked for where there was nothing before */
	ASIDE_BREAKS = 3,	   /* connections that messages kept aside may cost in a run */
};

struct pipeline {
	struct intake in; /* the source at work, and what comes of it */
	struct waiter waiter;
	bool unsaid; /* the tally was not printed: the connection broke */
	bool waiting_counted;
	bool listed; /* everything new is counted as open */
};

/* While the source waits for its socket, rspamd's requests move on; nothing else happens. */
static void wait_through(void *ctx, int fd, short events, int ms)
{
	const struct wait wait = {fd, events, ms};

	flight_wait(((struct pipeline *)ctx)->in.flight, &wait, ms);
}

struct pipeline *pipeline_new(const struct pipeline_parts *parts, bool dry_run)
{
	struct pipeline *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->in.with = *parts;
	p->in.rules = (struct message_rules){parts->conf, parts->trust, parts->reporter_key};
	p->in.flight = flight_new(parts->rspamd, PIPELINE_BYTES);
	p->waiter = (struct waiter){wait_through, p};
	p->in.dry_run = dry_run;
	if (p->in.flight)
		return p;
	free(p);
	return NULL;
}

void pipeline_free(struct pipeline *p)
{
	if (p == NULL)
		return;
	flight_free(p->in.flight);
	ranges_free(&p->in.told);
	suspect_free(&p->in.suspect);
	free(p);
}

const struct waiter *pipeline_waiter(struct pipeline *p)
{
	return &p->waiter;
}

/* ---- one source ---- */

/* hold does not apply to what has waited long enough. */
static struct source_filter make_filter(const struct pipeline *p, bool is_new)
{
	const struct source *s = p->in.source;
	int64_t newest = INT64_MAX;

	if (is_new && s->hold > 0)
		newest = intake_goes_by_date(&p->in) ? clock_now() - s->hold : INT64_MIN;
	return (struct source_filter){
	    .max_size = p->in.with.conf->max_size,
	    .read_only_counts = s->seen_only,
	    .newest = newest,
	    /* Only where this ledger knows nothing a mark has anything to say. */
	    .believe_marks = is_new && !p->in.box.whole &&
			     !p->in.with.conf->rspamd.deliver_to_reporter &&
			     p->in.with.believe_marks,
	};
}

/*
 * *room: how many messages may be taken now. Where what is in flight takes the last room, its
 * answers are waited for: rspamd may not have learned all of it. 0, or -1.
 */
static int make_room(struct pipeline *p, uint64_t *room, struct err *e)
{
	*room = intake_room(&p->in);
	if (*room > 0 || p->in.left == 0)
		return 0;
	if (intake_wind_up(&p->in, true, e) == -1)
		return -1;
	*room = intake_room(&p->in);
	if (*room == 0)
		p->in.why = intake_held_back;
	return 0;
}

/* Take what is in todo, as far as the limit allows; what waits does not count for it. */
static int learn_some(struct pipeline *p, struct ranges *todo, bool is_new, bool alone,
		      struct err *e)
{
	const struct source_filter filter = make_filter(p, is_new);
	struct output *o = p->in.with.output;
	uint64_t room = 1;
	int rc = 0;

	while (rc == 0 && todo->n > 0 && (rc = make_room(p, &room, e)) == 0 && room > 0) {
		struct ranges part = {0};

		rc = ranges_take(todo, room, &part, e);
		if (rc == 0) {
			o->ops->mailbox(o, p->in.place, ranges_count(&part));
			p->in.done = 0;
			p->in.fresh = is_new;
			rc = intake_take_all(&p->in, &part, &filter, alone, e);
		}
		ranges_free(&part);
	}
	return rc;
}

/*
 * Messages from first to last that are new; behind them there are no others (is_last). found:
 * how many the source has there.
 */
static int learn_window(struct pipeline *p, uint32_t first, uint32_t last, bool is_last,
			uint64_t *found, struct err *e)
{
	struct ranges there = {0}, todo = {0};
	int rc = source_list(p->in.source, first, last, &there, e);

	*found = ranges_count(&there);
	if (rc == 0)
		rc = backlog_new(p->in.with.ledger, &p->in.box, &there, &todo, e);
	if (rc == 0) {
		p->in.open += ranges_count(&todo);
		p->in.unseen += ranges_count(&todo);
		p->listed = p->listed || is_last;
		rc = learn_some(p, &todo, true, false, e);
	}
	ranges_free(&there);
	ranges_free(&todo);
	return rc;
}

/*
 * Everything new, in one search as a rule. Only numbers below the next one of the moment we
 * opened the source: what arrives meanwhile is the next run's. Beyond the limit it is only
 * counted. *listed: how many messages there were.
 */
static int learn_new(struct pipeline *p, uint64_t *listed, struct err *e)
{
	struct source *s = p->in.source;
	uint32_t last = s->next ? s->next - 1 : UINT32_MAX;
	const uint32_t window = s->count < SEARCH_ALL_BELOW ? UINT32_MAX : SEARCH_WINDOW;
	uint32_t step = window, first = p->in.box.next > 0 ? p->in.box.next : 1, end;
	int rc = 0;

	*listed = 0;
	for (; s->count > 0 && rc == 0 && first <= last; first = end + 1) {
		uint64_t found = 0;

		end = last - first < step ? last : first + step - 1;
		rc = learn_window(p, first, end, end == last, &found, e);
		*listed += found;
		if (end == UINT32_MAX)
			break;
		/* Over a stretch without messages it goes with longer strides. */
		step = found > 0 ? window : step < SEARCH_WIDEST ? step * 2 : step;
	}
	p->listed = p->listed || rc == 0;
	return rc;
}

/*
 * Messages below the first new one that the ledger has no record of: a mail store that was
 * restored has given their numbers again, or the record was forgotten.
 */
static int learn_unrecorded(struct pipeline *p, const struct ranges *known, uint64_t listed,
			    struct err *e)
{
	uint64_t found;
	int rc;

	if (p->in.box.next <= 1 || p->in.source->count <= ranges_count(known) + listed)
		return 0;
	p->in.unrecorded = true;
	rc = learn_window(p, 1, p->in.box.next - 1, false, &found, e);
	p->in.unrecorded = false;
	return rc;
}

/* ---- the order of things ---- */

static int read_backlog(struct pipeline *p, struct backlog *b, struct err *e)
{
	backlog_free(b);
	*b = (struct backlog){.todo = {0}};
	return backlog_read(p->in.with.ledger, &p->in.box, p->in.source, clock_now(), b, e);
}

static int compare(struct pipeline *p, const struct ranges *ids, uint64_t *strange,
		   struct err *e)
{
	return compare_with_source(p->in.with.ledger, p->in.source, &p->in.box, ids,
				   clock_now(), strange, e);
}

/*
 * What waits and is no longer there is forgotten; and where there are fewer messages than
 * records, so are those that have left, or their number could hide new ones. In a large mailbox
 * this has to be worth a look at all of it. *gone: how many. 0, or -1.
 */
static int forget_gone(struct pipeline *p, const struct backlog *b, uint64_t *gone,
		       struct err *e)
{
	const uint32_t count = p->in.source->count;
	uint64_t slack = count < SEARCH_ALL_BELOW ? 0 : count / 16;
	bool fewer = count + slack < ranges_count(&b->known);
	struct ranges waits = {0};
	int rc = ranges_union(&waits, &b->todo, e);

	if (rc == 0)
		rc = ranges_union(&waits, &b->held, e);
	if (rc == 0)
		rc = ranges_union(&waits, &b->aside, e);
	if (rc == 0)
		rc = compare_gone(p->in.with.ledger, p->in.source, &p->in.box,
				  fewer ? &b->known : &waits, gone, e);
	ranges_free(&waits);
	return rc;
}

/*
 * What an earlier run left. What would be acted on without a look at the content is compared
 * with the source first; where one of these is another message now, all are compared.
 */
static int load_backlog(struct pipeline *p, struct backlog *b, struct err *e)
{
	uint64_t gone = 0, strange = 0;

	if (backlog_decided(p->in.with.ledger, &p->in.box, p->in.source, clock_now(), e) ==
		-1 ||
	    read_backlog(p, b, e) == -1 || forget_gone(p, b, &gone, e) == -1 ||
	    (gone > 0 && read_backlog(p, b, e) == -1) ||
	    compare(p, &b->doubtful, &strange, e) == -1)
		return -1;
	if (strange == 0)
		return 0;
	log_warn("account %s: mailbox %s: numbers of messages stand for others now, as after a "
		 "restored backup; its messages are compared, and what is new is learned",
		 p->in.source->account, p->in.source->mailbox);
	/* As in a first pass: when they came nobody knows. */
	p->in.box.passed = false;
	if (ledger_mailbox_put(p->in.with.ledger, p->in.source->account, p->in.source->mailbox,
			       &p->in.box, e) == -1 ||
	    compare(p, &b->known, &strange, e) == -1)
		return -1;
	return read_backlog(p, b, e);
}

/* Mark on the source what is settled; the ledger is durable before. */
static int mark_all(struct pipeline *p, struct err *e)
{
	if (intake_commit(&p->in, e) == -1)
		return -1;
	return mark_settled(p->in.with.ledger, p->in.source, &p->in.box, p->in.with.output, e);
}

/* Let what is in flight come to its end, and mark it. */
static int settle_all(struct pipeline *p, struct err *e)
{
	return intake_wind_up(&p->in, true, e) == -1 ? -1 : mark_all(p, e);
}

/* What broke connections stays aside in this run, once it has cost enough of them. */
static int leave_aside(struct pipeline *p, struct ranges *aside, struct err *e)
{
	static const char given_up[] =
	    "the connection breaks at it; tried again in the next run";
	struct ranges ids = *aside;
	uint32_t id = 0;
	int rc = 0;

	*aside = (struct ranges){0};
	while (rc == 0 && ranges_next(&ids, &id)) {
		struct ledger_copy c = {
		    .box = &p->in.box, .id = id, .class = p->in.source->class};
		bool left = suspect_is_given_up(&p->in.suspect, id) ||
			    p->in.suspect.breaks >= ASIDE_BREAKS;

		rc = left ? intake_announce_once(&p->in, &c, OUTCOME_UNREADABLE, given_up, e)
			  : ranges_add(aside, id, id, e);
	}
	ranges_free(&ids);
	return rc;
}

/*
 * What is new comes first, and is marked, before what earlier runs left; and what the source
 * did not give comes last, one by one: nothing else waits for a message that always fails.
 */
static int learn_all(struct pipeline *p, struct backlog *b, struct err *e)
{
	uint64_t listed;
	int rc = suspect_spare(&p->in.suspect, &b->todo, e);

	if (rc == 0)
		rc = suspect_spare(&p->in.suspect, &b->aside, e);
	if (rc == 0)
		rc = leave_aside(p, &b->aside, e);

	p->in.open = ranges_count(&b->todo) + ranges_count(&b->aside);
	if (rc == 0)
		rc = learn_new(p, &listed, e);
	if (rc == 0)
		rc = learn_unrecorded(p, &b->known, listed, e);
	if (rc == 0 && (b->todo.n > 0 || b->aside.n > 0))
		rc = settle_all(p, e);
	if (rc == 0)
		rc = learn_some(p, &b->todo, false, false, e);
	if (rc == 0 && b->aside.n > 0)
		rc = settle_all(p, e);
	if (rc == 0)
		rc = learn_some(p, &b->aside, false, true, e);
	return rc == 0 ? intake_wind_up(&p->in, true, e) : -1;
}

/* A held copy: settled by what its reporters say together, or to be learned (due). */
static int decide_held(struct pipeline *p, uint32_t id, const struct record_message *r,
		       struct ranges *due, struct err *e)
{
	struct ledger_copy c = {.box = &p->in.box,
				.id = id,
				.class = r->class,
				.verdict_at = r->verdict_at,
				.digest = &r->digest};
	struct decision d;

	if (message_decide_held(&p->in.rules, p->in.with.ledger, r, clock_now(), &d, e) == -1)
		return -1;
	if (d.what == DECIDE_SETTLE)
		return intake_settle(&p->in, &c, NULL, d.outcome, d.why, e);
	if (d.what == DECIDE_LEARN)
		return ranges_add(due, id, id, e);
	return intake_announce_once(&p->in, &c, OUTCOME_HELD, d.why, e);
}

/* When everybody was heard: what becomes of the copies that wait for other reporters? */
static int learn_held(struct pipeline *p, struct err *e)
{
	struct ranges due = {0};
	struct record_message r;
	uint32_t id = 0;
	int rc;

	while ((rc = ledger_message_next(p->in.with.ledger, &p->in.box, &id, &r, e)) == 1) {
		if (r.state == STATE_PENDING && r.outcome == OUTCOME_HELD &&
		    record_has_digest(&r) && (rc = decide_held(p, id, &r, &due, e)) == -1)
			break;
	}
	if (rc != -1) {
		p->in.open += ranges_count(&due);
		rc = learn_some(p, &due, false, false, e);
	}
	ranges_free(&due);
	return rc == 0 ? intake_wind_up(&p->in, true, e) : -1;
}

/* What waited before this run, counted in its first pass over the source. */
static void count_waiting(struct pipeline *p, const struct tally *waiting)
{
	bool is_first = p->in.only_note == (p->in.with.conf->reports.quorum > 1);

	if (is_first && !p->waiting_counted)
		tally_add(&p->in.tally, waiting);
	p->waiting_counted = true;
}

static int learn_source(struct pipeline *p, struct err *e)
{
	struct backlog b = {.todo = {0}};
	enum box_state state;
	int rc = box_load(p->in.with.ledger, p->in.source, &p->in.box, &state, e);

	if (rc == 0)
		rc = state == BOX_SAME
			 ? box_note_high(p->in.with.ledger, p->in.source, &p->in.box, e)
			 : box_begin(p->in.with.ledger, p->in.source, &p->in.box, e);
	if (rc == 0) {
		suspect_enter(&p->in.suspect, p->in.box.number);
		rc = load_backlog(p, &b, e);
	}
	if (rc == 0) {
		count_waiting(p, &b.waiting);
		rc = learn_all(p, &b, e);
	}
	backlog_free(&b);
	if (rc == 0 && !p->in.only_note)
		rc = learn_held(p, e);
	return rc == 0 ? mark_all(p, e) : -1;
}

/*
 * The connection broke. The message that the source owed is noted as not given, and asked for
 * last and alone from now on; after a second break it has failed for this run.
 */
static int note_suspect(struct pipeline *p, const char *why, struct err *e)
{
	uint32_t id = source_owed(p->in.source);
	struct ledger_copy c = {.box = &p->in.box, .id = id, .class = p->in.source->class};
	struct record_message r;
	bool flipped;
	int rc;

	if (id == 0)
		return 0;
	p->in.steps++;
	rc = ledger_message(p->in.with.ledger, &p->in.box, id, &r, e);
	if (rc == -1 || suspect_note(&p->in.suspect, id, e) == -1)
		return -1;
	c.verdict_at = intake_verdict_time(&p->in, rc ? &r : NULL, &c.stamp);
	return ledger_settle(p->in.with.ledger, &c, OUTCOME_UNREADABLE, why, clock_now(),
			     &flipped, e);
}

/* After an error that ends the work on this source: keep what was reached. */
static void salvage(struct pipeline *p, const struct err *why)
{
	struct err ignored; /* the first error is the one that is told */

	(void)intake_wind_up(&p->in, why->scope < ERR_FATAL, &ignored);
	if (why->scope == ERR_SERVER)
		(void)note_suspect(p, why->text, &ignored);
	/* A fatal error is rspamd's, the ledger's or a signal's: the mail server still listens.
	 */
	if (why->scope == ERR_FATAL)
		(void)mark_all(p, &ignored);
	else
		(void)intake_commit(&p->in, &ignored);
}

/* ---- from outside ---- */

static void say_end(struct pipeline *p)
{
	struct tally *t = &p->in.tally;
	char text[ERR_TEXT_MAX];

	if (!p->unsaid)
		return;
	p->unsaid = false;
	if (wrappers_are_many(&p->in.wrappers, p->in.place.account, p->in.place.mailbox, text,
			      sizeof text))
		log_warn("%s", text);
	p->in.wrappers = (struct wrappers){0};
	t->left = p->in.only_note ? 0 : p->in.open;
	t->left_or_more = !p->in.only_note && !p->listed;
	if (!p->in.only_note || !tally_is_empty(t))
		output_mailbox_end(p->in.with.output, p->in.place, t,
				   t->left > 0 || t->left_or_more ? p->in.why : NULL);
	*t = (struct tally){0};
	p->in.open = 0;
}

uint64_t pipeline_steps(const struct pipeline *p)
{
	return p->in.steps;
}

void pipeline_abandon(struct pipeline *p)
{
	say_end(p);
}

/* Go on where a broken connection left off, or begin with another source. */
static void enter(struct pipeline *p, struct source *s, int64_t max, bool only_note)
{
	bool again = p->unsaid && strcmp(p->in.place.account, s->account) == 0 &&
		     strcmp(p->in.place.mailbox, s->mailbox) == 0;

	if (!again) {
		say_end(p);
		p->waiting_counted = false;
		ranges_clear(&p->in.told);
	}
	p->in.source = s;
	p->in.place = (struct output_place){s->account, s->mailbox};
	p->in.left = max;
	p->in.only_note = only_note;
	p->in.open = p->in.unseen = 0;
	p->listed = false;
	p->in.unrecorded = false;
	p->in.why = NULL;
	p->unsaid = true;
}

static const char *reason(const struct pipeline *p, const struct err *e)
{
	if (e->kind == ERR_CANCELLED)
		return "stopped by a signal";
	return e->scope == ERR_NONE ? (p->in.left == 0 ? "the limit of --max" : p->in.why)
				    : "see the error";
}

int pipeline_learn(struct pipeline *p, struct source *s, int64_t max, bool only_note,
		   int64_t *taken, struct err *e)
{
	struct err why = {.scope = ERR_NONE};
	int rc;

	*taken = 0;
	if (source_open(s, p->in.dry_run, e) == -1)
		return -1;
	enter(p, s, max, only_note);
	rc = learn_source(p, &why);
	if (rc == -1)
		salvage(p, &why);
	p->in.why = reason(p, &why);
	if (rc == 0)
		rc = box_end(p->in.with.ledger, s, &p->in.box, p->in.open == 0, p->in.unseen,
			     &why);
	else if (p->listed)
		(void)box_end(p->in.with.ledger, s, &p->in.box, false, p->in.unseen, NULL);
	if (max >= 0)
		*taken = max - p->in.left;
	/* A connection that broke is made again, and this source goes on. */
	if (rc == 0 || why.scope != ERR_SERVER)
		say_end(p);
	if (rc == -1)
		*e = why;
	return rc;
}
