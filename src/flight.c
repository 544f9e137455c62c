/* Messages between their body and rspamd's answer. */
#include "pipeline_priv.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "stop.h"

enum {
	WAIT_MS = 1000,
	STAT_TRUST_MS = 2000, /* how long a good /stat is believed */
};

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

static void release(struct pipeline *p, struct item *x)
{
	p->bytes -= x->body.len;
	buf_free(&x->body);
	x->state = ITEM_FREE;
}

/* Can rspamd learn at all? Asked when an answer leaves it open. */
static int check_backend(struct pipeline *p, struct err *e)
{
	struct rspamd_stat stat;

	if (p->stat_good && clock_ms() - p->stat_good < STAT_TRUST_MS)
		return 0;
	if (rspamd_stat(p->with.rspamd, &stat, e) == -1)
		return -1;
	if (!stat.bayes)
		return err_set(e, ERR_FATAL, ERR_UNREACHABLE,
			       "rspamd %s: has lost its Bayes backend and learns nothing; see "
			       "whether its Redis runs, then run again",
			       p->with.conf->rspamd.url);
	p->stat_good = clock_ms();
	return 0;
}

static int stop_learning(struct pipeline *p, const struct answer *a, struct err *e)
{
	return err_set(e, ERR_FATAL, a->kind, "rspamd %s: %s", p->with.conf->rspamd.url,
		       a->text);
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
		rc = pipeline_settle(
		    p, &c, &x->info, r->answer.outcome,
		    r->answer.outcome == OUTCOME_LEARNED ? NULL : r->answer.text, e);
	} else {
		struct err second;

		if (ledger_put_back(p->with.ledger, &c, clock_now(), &second) == -1)
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

	rspamd_wait(p->with.rspamd, fd, events, ms);
	while (rspamd_take(p->with.rspamd, &r))
		if (take_result(p, &r, &e) == -1 && p->fatal.scope == ERR_NONE)
			p->fatal = e;
}

/* Record that the staged messages are on their way, then send them. */
static int flush(struct pipeline *p, struct err *e)
{
	if (p->staged == 0)
		return 0;
	if (pipeline_commit(p, e) == -1)
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
		if (rspamd_submit(p->with.rspamd, &job, e) == -1)
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

int flight_failed(struct pipeline *p, struct err *e)
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
	while (rspamd_in_flight(p->with.rspamd) > 0) {
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

int flight_make_room(struct pipeline *p, size_t size, struct err *e)
{
	size_t few = p->n / 4 > 0 ? p->n / 4 : 1;

	for (;;) {
		bool room =
		    free_item(p) && (p->bytes + size <= PIPELINE_BYTES || p->bytes == 0);
		bool busy = rspamd_in_flight(p->with.rspamd) > 0;

		if ((p->staged >= few || !room || !busy) && flush(p, e) == -1)
			return -1;
		if (room)
			break;
		pump(p, -1, 0, WAIT_MS);
		if (flight_failed(p, e) == -1)
			return -1;
	}
	return flight_failed(p, e);
}

static bool in_flight(const struct pipeline *p, const struct digest *d)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->item[i].state != ITEM_FREE && digest_equal(&p->item[i].info.digest, d))
			return true;
	return false;
}

int flight_wait_for_twin(struct pipeline *p, const struct digest *d, struct err *e)
{
	while (in_flight(p, d)) {
		if (flush(p, e) == -1)
			return -1;
		pump(p, -1, 0, WAIT_MS);
		if (flight_failed(p, e) == -1)
			return -1;
	}
	return 0;
}

int flight_stage(struct pipeline *p, struct source_message *m, const struct arrival *a,
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
	return ledger_submit(p->with.ledger, &c, clock_now(), e);
}

int flight_wind_up(struct pipeline *p, bool send, struct err *e)
{
	int rc = send ? flush(p, e) : 0;

	for (size_t i = 0; i < p->n; i++) {
		struct item *x = &p->item[i];
		struct ledger_copy c;

		if (x->state != ITEM_STAGED)
			continue;
		c = copy_of(p, x);
		if (rc == 0)
			rc = ledger_put_back(p->with.ledger, &c, clock_now(), e);
		release(p, x);
	}
	p->staged = 0;
	drain(p);
	return rc;
}
