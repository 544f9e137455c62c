#include "pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backlog.h"
#include "clock.h"
#include "log.h"
#include "mark.h"
#include "marker.h"
#include "mime.h"
#include "progress.h"
#include "quorum.h"
#include "stop.h"

enum {
	WAIT_MS = 1000,
	STAT_TRUST_MS = 2000,	   /* how long a good /stat is believed */
	SEARCH_ALL_BELOW = 50000,  /* messages: their UIDs fit into one answer in any case */
	SEARCH_WINDOW = 64 * 1024, /* UIDs asked for at a time above that */
	SEARCH_WIDEST = 1 << 20,   /* UIDs asked for where there was nothing before */
	COMMIT_EVERY = 512,	   /* settled messages: a transaction costs memory */
};

/* What is known of a message that came with its body. */
struct arrival {
	struct marker marker;
	struct mime_info info;
	const char *who; /* the reporter's address; "" unknown; borrowed */
	unsigned char reporter[RECORD_REPORTER_SIZE]; /* its keyed hash */
};

/* One message between its body and its settling. */
struct item {
	enum {
		ITEM_FREE,
		ITEM_STAGED,
		ITEM_SENT
	} state;
	uint32_t uid;
	int64_t date;
	size_t original; /* offset in body where rspamd's copy begins */
	struct buf body;
	struct mime_info info;
	unsigned char reporter[RECORD_REPORTER_SIZE]; /* a keyed hash, for the ledger */
	char deliver_to[MARKER_TEXT_MAX];	      /* the address, for rspamd; "" unknown */
};

struct pipeline {
	const struct conf *conf;
	struct ledger *ledger;
	struct rspamd *rspamd;
	struct report *report;
	const struct trust *trust;
	const struct reporter_key *reporter_key;
	bool dry_run, only_note;
	int64_t left_before;
	int64_t left; /* messages that may still be taken; -1: no limit */

	struct source *source;	   /* at work; borrowed */
	struct record_mailbox box; /* its record */
	struct report_counts counts;
	bool counted;	/* there is something in counts */
	bool cut_short; /* --max left messages for another run */

	/* Messages at which the connection breaks (suspect()). */
	uint32_t suspect_box, suspect_uid, given_up_box;
	struct uidset given_up;
	uint64_t done;	/* messages of this round that are through */
	uint64_t found; /* by the last search for new ones */

	size_t uncommitted; /* messages settled since the last commit */
	struct err fatal;   /* what ends the run; found while something else was waited for */
	int64_t stat_good;  /* clock_ms() when /stat was last good */
	size_t staged, bytes, n;
	struct item item[]; /* n of them: as many as rspamd takes at a time */
};

struct pipeline *pipeline_new(const struct pipeline_parts *parts, bool dry_run, int64_t max)
{
	size_t n = (size_t)parts->conf->rspamd.connections;
	struct pipeline *p = calloc(1, sizeof *p + n * sizeof p->item[0]);

	if (p == NULL)
		return NULL;
	p->conf = parts->conf;
	p->ledger = parts->ledger;
	p->rspamd = parts->rspamd;
	p->report = parts->report;
	p->trust = parts->trust;
	p->reporter_key = parts->reporter_key;
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

/* ---- one message is through ---- */

static struct ledger_copy copy_of(const struct pipeline *p, const struct item *x)
{
	return (struct ledger_copy){
	    .box = &p->box,
	    .uid = x->uid,
	    .class = p->source->class,
	    .date = x->date,
	    .digest = &x->info.digest,
	    .reporter = x->reporter,
	};
}

static int commit(struct pipeline *p, struct err *e)
{
	p->uncommitted = 0;
	return ledger_commit(p->ledger, e);
}

/* One message more is recorded; in time they are made durable. */
static int count(struct pipeline *p, struct err *e)
{
	return ++p->uncommitted < COMMIT_EVERY ? 0 : commit(p, e);
}

/* Count it and say it. info is NULL where the body was never read. */
static int tell(struct pipeline *p, const struct ledger_copy *c, const struct mime_info *info,
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
	report_message(p->report, &m);
	if (c->digest)
		digest_hex(c->digest, hex);
	log_info("%s account=%s mailbox=%s uid=%u class=%s digest=%.12s%s%s",
		 outcome_name(outcome), m.account, m.mailbox, m.uid, class_name(c->class), hex,
		 answer && answer[0] ? " reason=" : "", answer ? answer : "");
	progress_update(++p->done);
	return count(p, e);
}

/* Record what became of the message, and tell it. */
static int settle(struct pipeline *p, const struct ledger_copy *c, const struct mime_info *info,
		  enum outcome outcome, const char *answer, struct err *e)
{
	bool flipped;

	if (ledger_settle(p->ledger, c, outcome, answer, clock_now(), &flipped, e) == -1)
		return -1;
	p->counts.flipped += flipped;
	if (flipped)
		answer = c->class == CLASS_SPAM ? "was learned as ham before"
						: "was learned as spam before";
	return tell(p, c, info, outcome, answer, e);
}

static void release(struct pipeline *p, struct item *x)
{
	p->bytes -= x->body.len;
	buf_free(&x->body);
	x->state = ITEM_FREE;
}

/* ---- rspamd's side ---- */

/* Can rspamd learn at all? Asked when an answer leaves it open. */
static int check_backend(struct pipeline *p, struct err *e)
{
	struct rspamd_stat stat;

	if (p->stat_good && clock_ms() - p->stat_good < STAT_TRUST_MS)
		return 0;
	if (rspamd_stat(p->rspamd, &stat, e) == -1)
		return -1;
	if (!stat.bayes)
		return err_set(e, ERR_FATAL, ERR_UNREACHABLE,
			       "rspamd %s: has lost its Bayes backend and learns nothing; see "
			       "whether its Redis runs, then run again",
			       p->conf->rspamd.url);
	p->stat_good = clock_ms();
	return 0;
}

static int stop_learning(struct pipeline *p, const struct answer *a, struct err *e)
{
	return err_set(e, ERR_FATAL, a->kind, "rspamd %s: %s", p->conf->rspamd.url, a->text);
}

static int take_result(struct pipeline *p, const struct rspamd_result *r, struct err *e)
{
	struct item *x = &p->item[r->owner];
	struct ledger_copy c = copy_of(p, x);
	int rc = 0;

	if (r->answer.next == ANSWER_DOUBT)
		rc = check_backend(p, e);
	else if (r->answer.next == ANSWER_STOP)
		rc = stop_learning(p, &r->answer, e);
	if (rc == 0) {
		rc = settle(p, &c, &x->info, r->answer.outcome,
			    r->answer.outcome == OUTCOME_LEARNED ? NULL : r->answer.text, e);
	} else {
		struct err second;

		if (ledger_put_back(p->ledger, &c, clock_now(), &second) == -1)
			*e = second;
	}
	release(p, x);
	return rc;
}

/* Wait for rspamd (and for fd) at most ms, and take what it answered. */
static void pump(struct pipeline *p, int fd, short events, int ms)
{
	struct rspamd_result r;
	struct err e;

	rspamd_wait(p->rspamd, fd, events, ms);
	while (rspamd_take(p->rspamd, &r))
		if (take_result(p, &r, &e) == -1 && p->fatal.scope == ERR_NONE)
			p->fatal = e;
}

/* Record that the staged messages are on their way, then send them. */
static int flush(struct pipeline *p, struct err *e)
{
	if (p->staged == 0)
		return 0;
	if (commit(p, e) == -1)
		return -1;
	for (size_t i = 0; i < p->n; i++) {
		struct item *x = &p->item[i];
		struct rspamd_job job = {
		    .data = x->body.data + x->original,
		    .len = x->body.len - x->original,
		    .class = p->source->class,
		    .deliver_to = x->deliver_to[0] ? x->deliver_to : NULL,
		    .owner = i,
		};

		if (x->state != ITEM_STAGED)
			continue;
		if (rspamd_submit(p->rspamd, &job, e) == -1)
			return -1;
		x->state = ITEM_SENT;
		p->staged--;
	}
	return 0;
}

/* What the source waits through. An error is kept for the pipeline to find. */
static void wait_through(void *ctx, int fd, short events, int ms)
{
	struct pipeline *p = ctx;
	struct err e;

	/* The source is slow just now: what is staged need not wait for company. */
	if (p->staged > 0 && p->fatal.scope == ERR_NONE && flush(p, &e) == -1)
		p->fatal = e;
	pump(p, fd, events, ms);
}

struct waiter pipeline_waiter(struct pipeline *p)
{
	return (struct waiter){wait_through, p};
}

static int failed(struct pipeline *p, struct err *e)
{
	if (p->fatal.scope == ERR_NONE && !stop_requested())
		return 0;
	if (p->fatal.scope == ERR_NONE)
		return stop_error(e);
	*e = p->fatal;
	return -1;
}

/* Wait for the answers to everything that was sent. After a signal not for ever. */
static void drain(struct pipeline *p)
{
	while (rspamd_in_flight(p->rspamd) > 0) {
		int ms = stop_limit(WAIT_MS);

		if (ms == 0)
			break; /* they stay submitted; the next run asks rspamd again */
		pump(p, -1, 0, ms);
	}
}

static struct item *free_item(struct pipeline *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->item[i].state == ITEM_FREE)
			return &p->item[i];
	return NULL;
}

/*
 * Wait until a message of size bytes may be held. Messages are sent a few at a time, since each
 * time costs a commit of the ledger; the others keep rspamd busy meanwhile.
 */
static int make_room(struct pipeline *p, size_t size, struct err *e)
{
	size_t few = p->n / 4 > 0 ? p->n / 4 : 1;

	for (;;) {
		bool room =
		    free_item(p) && (p->bytes + size <= PIPELINE_BYTES || p->bytes == 0);
		bool busy = rspamd_in_flight(p->rspamd) > 0;

		if ((p->staged >= few || !room || !busy) && flush(p, e) == -1)
			return -1;
		if (room)
			break;
		pump(p, -1, 0, WAIT_MS);
		if (failed(p, e) == -1)
			return -1;
	}
	return failed(p, e);
}

/* ---- the source's side ---- */

static bool in_flight(const struct pipeline *p, const struct digest *d)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->item[i].state != ITEM_FREE && digest_equal(&p->item[i].info.digest, d))
			return true;
	return false;
}

/* A copy of what is being learned just now waits for the answer: then we know what it is. */
static int wait_for_twin(struct pipeline *p, const struct digest *d, struct err *e)
{
	while (in_flight(p, d)) {
		if (flush(p, e) == -1)
			return -1;
		pump(p, -1, 0, WAIT_MS);
		if (failed(p, e) == -1)
			return -1;
	}
	return 0;
}

static int stage(struct pipeline *p, struct source_message *m, const struct arrival *a,
		 struct err *e)
{
	struct item *x = free_item(p);
	struct ledger_copy c;

	*x = (struct item){
	    .state = ITEM_STAGED,
	    .uid = m->uid,
	    .date = m->date,
	    .original = mime_original(m->body.data, m->body.len),
	    .body = m->body,
	    .info = a->info,
	};
	memcpy(x->reporter, a->reporter, sizeof x->reporter);
	snprintf(x->deliver_to, sizeof x->deliver_to, "%s", a->who);
	m->body = (struct buf){0};
	p->bytes += x->body.len;
	p->staged++;
	c = copy_of(p, x);
	return ledger_submit(p->ledger, &c, clock_now(), e);
}

static const char few_agree[] = "too few reporters agree so far";

/* The copy waits: it is too new, or too few reporters agree with it. */
static int hold(struct pipeline *p, const struct ledger_copy *c, const char *why, struct err *e)
{
	if (ledger_hold(p->ledger, c, clock_now(), e) == -1)
		return -1;
	/* A held content is told when everybody was heard (settle_held). */
	return c->digest ? count(p, e) : tell(p, c, NULL, OUTCOME_HELD, why, e);
}

/* What the ledger says of this content: an outcome, or NONE for "have it learned". */
static int look_up(struct pipeline *p, const struct ledger_copy *c, enum outcome *outcome,
		   struct err *e)
{
	struct record_digest known;
	int rc = ledger_digest(p->ledger, c->digest, &known, e);

	if (rc != -1)
		*outcome = ledger_decide(rc == 1 ? &known : NULL, c->class, c->date,
					 ledger_epoch(p->ledger));
	return rc == -1 ? -1 : 0;
}

/* The same where several reporters have to agree: their majority decides, not the newest. */
static int look_up_quorum(struct pipeline *p, const struct ledger_copy *c,
			  enum outcome *outcome, struct err *e)
{
	struct record_digest known;
	enum mail_class class;

	if (ledger_report(p->ledger, c, clock_now(), &known, e) == -1)
		return -1;
	class = quorum_class(&known, p->conf->reports.quorum);
	if (class == CLASS_NONE || p->only_note)
		*outcome = OUTCOME_HELD;
	else if (class != c->class)
		*outcome = OUTCOME_OVERRULED;
	else
		*outcome = ledger_decide(&known, class, INT64_MAX, ledger_epoch(p->ledger));
	return 0;
}

/* Who reported it, and whether that is proved; a refusal is written to *why. */
static int read_arrival(struct pipeline *p, struct source_message *m, struct arrival *a,
			const char **why, struct err *e)
{
	int rc;

	marker_read(m->body.data, m->body.len, &a->marker);
	*why = p->source->proof ? trust_refuses(p->trust, &a->marker, p->source->class) : NULL;
	/* In a mailbox of one's own the envelope is the spammer's. */
	a->who = p->source->owner ? p->source->owner : trust_reporter(p->trust, &a->marker);
	reporter_hash(p->reporter_key, a->who, a->reporter);
	rc = mime_read(m->body.data, m->body.len, &a->info, e);
	if (rc == 0 && p->conf->rspamd.deliver_to_reporter)
		reporter_digest(p->reporter_key, a->who, &a->info.digest);
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
		return settle(p, &c, &a.info, OUTCOME_UNTRUSTED, why, e);
	/* Our caps will be the same tomorrow, so this is for good. */
	if (rc == -1)
		return settle(p, &c, NULL, OUTCOME_UNLEARNABLE, e->text, e);
	c.digest = &a.info.digest;
	c.reporter = a.reporter;
	if (a.info.encrypted && p->conf->skip_encrypted)
		return settle(p, &c, &a.info, OUTCOME_ENCRYPTED, NULL, e);
	if (wait_for_twin(p, c.digest, e) == -1)
		return -1;
	rc = p->conf->reports.quorum > 1 ? look_up_quorum(p, &c, &outcome, e)
					 : look_up(p, &c, &outcome, e);
	if (rc == -1)
		return -1;
	if (outcome == OUTCOME_HELD)
		return hold(p, &c, few_agree, e);
	if (outcome == OUTCOME_NONE && p->dry_run)
		outcome = OUTCOME_LEARNED;
	if (outcome != OUTCOME_NONE)
		return settle(p, &c, &a.info, outcome, NULL, e);
	return stage(p, m, &a, e);
}

/*
 * The server listed the message and then did not give it: somebody deleted it meanwhile, or the
 * server is mistaken. The next run asks once more before it is forgotten.
 */
static int lose_sight(struct pipeline *p, const struct ledger_copy *c, struct err *e)
{
	struct record_uid r;
	int rc = ledger_message(p->ledger, c->box, c->uid, &r, e);

	if (rc == 0)
		rc = ledger_put_back(p->ledger, c, clock_now(), e);
	else if (rc == 1)
		rc = ledger_message_del(p->ledger, c->box, c->uid, e);
	return rc == -1 ? -1 : count(p, e);
}

static int take_message(struct pipeline *p, struct source_message *m, struct err *e)
{
	struct ledger_copy c = {&p->box, m->uid, p->source->class, m->date, NULL, NULL};

	if (p->left > 0 &&
	    (m->kind == SOURCE_BODY || m->kind == SOURCE_LARGE || m->kind == SOURCE_MARKED))
		p->left--;
	switch (m->kind) {
	case SOURCE_BODY:
		return take_body(p, m, e);
	case SOURCE_LARGE:
		return settle(p, &c, NULL, OUTCOME_LARGE, NULL, e);
	case SOURCE_MARKED:
		log_info("marked account=%s mailbox=%s uid=%u: believed, the ledger does not "
			 "know it",
			 p->source->account, p->source->mailbox, m->uid);
		p->counts.outcome[m->mark]++;
		return ledger_adopt(p->ledger, &c, m->mark, clock_now(), e) == -1 ? -1
										  : count(p, e);
	case SOURCE_HELD:
		return hold(p, &c, "too new to count", e);
	case SOURCE_UNSEEN:
		return ledger_see(p->ledger, &c, clock_now(), e) == -1 ? -1 : count(p, e);
	case SOURCE_REFUSED:
		return settle(p, &c, NULL, OUTCOME_FAILED, "the mail server does not give it",
			      e);
	case SOURCE_GONE:
		return lose_sight(p, &c, e);
	}
	return 0;
}

/* Take everything in todo out of the source. */
static int learn_round(struct pipeline *p, struct uidset *todo, struct err *e)
{
	const struct source_filter filter = {
	    .max_size = p->conf->max_size,
	    .seen_only = p->source->seen_only,
	    .newest = p->source->hold > 0 ? clock_now() - p->source->hold : INT64_MAX,
	    .trust_skipped = !p->box.whole,
	};
	struct source_message m = {0};
	int rc;

	if (p->source->ops->want(p->source, todo, &filter, e) == -1)
		return -1;
	for (;;) {
		rc = make_room(p, p->source->ops->next_size(p->source), e);
		if (rc == 0)
			rc = p->source->ops->next(p->source, &m, e);
		if (rc != 1)
			return rc;
		rc = take_message(p, &m, e);
		source_message_free(&m);
		if (rc == -1)
			return -1;
	}
}

/* ---- a mailbox ---- */

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

	if (ledger_mailbox(p->ledger, s->account, s->mailbox, &p->box, &known, e) == -1)
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
	if (ledger_forget_stale(p->ledger, &none, e) == -1)
		return -1;
	return ledger_mailbox_put(p->ledger, s->account, s->mailbox, &p->box, e);
}

/*
 * A held message whose content is known: the reporters may agree by now, or their time be over.
 * *again: it is to be fetched once more, and learned. last: what stays held is told.
 */
static int settle_held(struct pipeline *p, uint32_t uid, const struct record_uid *r, bool last,
		       bool *again, struct err *e)
{
	struct ledger_copy c = {&p->box, uid, r->class, 0, &r->digest, NULL};
	enum outcome outcome = OUTCOME_NONE;
	struct record_digest d;
	enum mail_class class;
	int rc = ledger_digest(p->ledger, &r->digest, &d, e);

	*again = rc == 0;
	if (rc != 1)
		return rc;
	c.date = d.verdict_at;
	class = quorum_class(&d, p->conf->reports.quorum);
	if (class == r->class)
		outcome = ledger_decide(&d, class, INT64_MAX, ledger_epoch(p->ledger));
	else if (class != CLASS_NONE)
		outcome = OUTCOME_OVERRULED;
	else if (p->conf->reports.quorum_within != CONF_NEVER &&
		 clock_now() - r->settled_at >= p->conf->reports.quorum_within)
		outcome = OUTCOME_UNCONFIRMED;
	*again = class == r->class && outcome == OUTCOME_NONE;
	if (outcome != OUTCOME_NONE)
		return settle(p, &c, NULL, outcome, NULL, e);
	return last ? tell(p, &c, NULL, OUTCOME_HELD, few_agree, e) : 0;
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
	if (r->outcome == OUTCOME_HELD && p->conf->reports.quorum > 1 &&
	    !digest_equal(&r->digest, &none))
		return p->only_note ? 0 : settle_held(p, uid, r, last, again, e);
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

	while ((rc = ledger_message_seek(p->ledger, &p->box, &uid, &r, e)) == 1) {
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
			report_mailbox(p->report, p->source->account, p->source->mailbox,
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
		rc = backlog_add(p->ledger, &p->box, &found, &todo, e);
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
	if (commit(p, e) == -1)
		return -1;
	return mark_settled(p->ledger, p->source, &p->box, p->report, e);
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
	if (ledger_mailbox_put(p->ledger, s->account, s->mailbox, &p->box, e) == -1)
		return -1;
	return commit(p, e);
}

/*
 * No more messages come in. What is staged is sent if it can be, else put back; what was sent
 * is waited for.
 */
static int wind_up(struct pipeline *p, bool send, struct err *e)
{
	int rc = send ? flush(p, e) : 0;

	for (size_t i = 0; i < p->n; i++) {
		struct item *x = &p->item[i];
		struct ledger_copy c;

		if (x->state != ITEM_STAGED)
			continue;
		c = copy_of(p, x);
		if (rc == 0)
			rc = ledger_put_back(p->ledger, &c, clock_now(), e);
		release(p, x);
	}
	p->staged = 0;
	drain(p);
	return rc;
}

/* Let what is in flight come to its end, and mark it. */
static int settle_all(struct pipeline *p, struct err *e)
{
	if (wind_up(p, true, e) == -1 || failed(p, e) == -1)
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
	return settle(p, &c, NULL, OUTCOME_FAILED, why, e);
}

/* After an error that ends the work on this mailbox: keep what was reached. */
static int salvage(struct pipeline *p, struct err *e)
{
	struct err why = *e;

	if (wind_up(p, why.scope < ERR_FATAL, e) == -1 ||
	    (why.scope == ERR_SERVER && suspect(p, why.text, e) == -1))
		return -1;
	/* A fatal error is rspamd's or a signal's: the server still listens. */
	if ((why.scope == ERR_FATAL ? mark_all(p, e) : commit(p, e)) == -1)
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
		rc = wind_up(p, true, e);
	if (rc == 0)
		rc = failed(p, e);
	/* What was held may have found its quorum just now. */
	if (rc == 0 && p->conf->reports.quorum > 1)
		rc = unfinished(p, NULL, e);
	if (rc == 0)
		rc = mark_all(p, e);
	else
		rc = salvage(p, e);
	if (rc == 0 && !p->cut_short)
		rc = record_complete(p, e);
	if (!p->only_note || p->counted)
		report_mailbox_end(p->report, s->account, s->mailbox, &p->counts);
	return rc;
}
