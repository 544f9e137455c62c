/* What the users of a Stalwart took for spam and for ham, in the order of their decisions. */
#include "source/source_stalwart_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "source/stalwart_walk.h"

enum {
	BROKEN_MAX = 3,	 /* downloads in a row after which it is the server, not the message */
	PROOFS_MAX = 16, /* downloads that prove what this log-in may, at most */
};

static int stalwart_open(struct source *source, bool read_only, struct err *e)
{
	struct account_stalwart *a = source_stalwart_of(source)->account;
	struct samples *known = &a->known;

	(void)read_only; /* looking changes nothing there */
	if (!a->looked && (samples_load(known, a->account.ledger, a->account.name, e) == -1 ||
			   stalwart_walk(a->server, a->conf, known, e) == -1))
		return -1;
	a->looked = true;
	source->identity = known->identity;
	source->next = known->next;
	source->count = known->count[CLASS_SPAM] + known->count[CLASS_HAM];
	return 0;
}

static int stalwart_list(struct source *source, uint32_t first, uint32_t last,
			 struct ranges *found, struct err *e)
{
	struct samples *known = &source_stalwart_of(source)->account->known;
	struct sample s;
	uint32_t number = first - 1;
	int rc;

	ranges_clear(found);
	while ((rc = samples_next(known, &number, &s, e)) == 1 && number <= last)
		if (s.class != CLASS_NONE && ranges_add(found, number, number, e) == -1)
			return -1;
	return rc == -1 ? -1 : 0;
}

static int stalwart_look(struct source *source, const struct ranges *ids, source_sight_fn *fn,
			 void *ctx, struct err *e)
{
	struct samples *known = &source_stalwart_of(source)->account->known;

	struct source_sight sight = {.id = 0};

	while (ranges_next(ids, &sight.id)) {
		struct sample s;
		int rc = samples_get(known, sight.id, &s, e);

		sight.stamp.date = s.date;
		if (rc == 1 && s.class != CLASS_NONE && fn(ctx, &sight, e) == -1)
			rc = -1;
		if (rc == -1)
			return -1;
	}
	return 0;
}

/* ---- messages ---- */

static int stalwart_want(struct source *source, struct ranges *todo,
			 const struct source_filter *f, bool alone, struct err *e)
{
	struct source_stalwart *s = source_stalwart_of(source);
	struct stalwart *server = s->account->server;

	(void)e;
	server->ops->abandon(server);
	ranges_free(&s->todo);
	ranges_clear(&s->missing);
	s->todo = *todo;
	*todo = (struct ranges){0};
	s->filter = *f;
	s->side_by_side = alone ? 1 : JMAP_DOWNLOADS;
	s->proof = UNPROVED;
	s->tried = s->tries = 0;
	s->flaw = NULL;
	return 0;
}

static void unreadable(struct source_message *m, const char *why)
{
	m->kind = MESSAGE_UNREADABLE;
	text_visible(m->words, sizeof m->words, why, strlen(why));
}

/*
 * Begin to download the next message. 1: nothing is to be downloaded of it, and *m is what
 * there is; 0, or -1.
 */
static int begin_next(struct source_stalwart *s, struct source_message *m, struct err *e)
{
	struct account_stalwart *a = s->account;
	struct sample sample = {.class = CLASS_NONE};
	struct ranges one = {0};
	uint32_t number;
	int rc = ranges_take(&s->todo, 1, &one, e);

	number = rc == 0 ? one.range[0].first : 0;
	ranges_free(&one);
	if (rc == 0)
		rc = samples_get(&a->known, number, &sample, e);
	if (rc == -1)
		return -1;
	m->id = number;
	if (rc == 0 || sample.class == CLASS_NONE) {
		m->kind = MESSAGE_GONE;
		return 1;
	}
	m->class = sample.class;
	m->stamp.date = sample.date;
	if (sample.date > s->filter.newest) {
		m->kind = MESSAGE_HELD;
		return 1;
	}
	if (s->side_by_side == 1 && a->broken >= BROKEN_MAX) {
		unreadable(m, "not tried, since those before it could not be downloaded");
		return 1;
	}
	*m = (struct source_message){0};
	return a->server->ops->begin(a->server, &sample, s->filter.max_size, number, e);
}

static int cannot_read(const struct account_stalwart *a, struct err *e)
{
	return stalwart_needs(a->conf, STALWART_MAY_READ, "download other users' messages", e);
}

/* There is a sample, and no message of it any more. */
static int give_up(struct account_stalwart *a, uint32_t number, struct err *e)
{
	log_info("no message account=%s sample=%u", a->account.name, number);
	return samples_ignore(&a->known, number, e);
}

/* What the server does not show, is it gone? 0, or -1. */
static int must_see(struct account_stalwart *a, struct err *e)
{
	int may = a->server->ops->may(a->server, STALWART_MAY_SEE, e);

	if (may == 0)
		return stalwart_needs(a->conf, STALWART_MAY_SEE, "see other users' samples", e);
	return may == -1 ? -1 : 0;
}

/*
 * A message that cannot be had: it was deleted, or nobody's mail can be had with this log-in.
 * 1: it is gone, 0: that is not known yet, or -1 with an error: then nothing is concluded.
 */
static int explain(struct source_stalwart *s, uint32_t number, struct err *e)
{
	struct account_stalwart *a = s->account;
	struct sample known, now;
	struct stalwart_id id;
	int may, rc = samples_get(&a->known, number, &known, e);

	if (rc != 1)
		return rc == 0 ? 1 : -1;
	snprintf(id.text, sizeof id.text, "%s", known.name);
	if (a->server->ops->get(a->server, &id, 1, &now, e) == -1)
		return -1;
	if (now.name[0] == '\0')
		return must_see(a, e) == -1 || samples_drop(&a->known, number, e) == -1 ? -1
											: 1;
	may = a->server->ops->may(a->server, STALWART_MAY_READ, e);
	if (may == 1)
		return give_up(a, number, e) == -1 ? -1 : 1;
	if (may == 0)
		return cannot_read(a, e);
	return may == -1 ? -1 : ranges_add(&s->missing, number, number, e);
}

static int find_reporter(struct account_stalwart *a, const struct sample *sample,
			 struct source_message *m, struct err *e)
{
	const char *address;

	if (sample->account[0] == '\0')
		return 0;
	address = a->server->ops->address(a->server, sample->account, false, e);
	if (address == NULL)
		return -1;
	snprintf(m->reporter, sizeof m->reporter, "%s", address);
	return 0;
}

static int broken(const struct account_stalwart *a, const char *flaw, struct err *e)
{
	return err_set(e, ERR_SERVER, ERR_UNREACHABLE,
		       "stalwart %s: messages cannot be downloaded: %s; the next run tries "
		       "again",
		       a->conf->name, flaw);
}

/*
 * Try whether this log-in may download what is another user's, with a message that is there:
 * one after the other, as it may have gone too. 0, or -1.
 */
static int begin_proof(struct source_stalwart *s, struct err *e)
{
	struct account_stalwart *a = s->account;
	struct sample sample;
	int rc = 0;

	s->proof = PROVING;
	while (s->tries < PROOFS_MAX &&
	       (rc = samples_next(&a->known, &s->tried, &sample, e)) == 1) {
		if (sample.class == CLASS_NONE || ranges_has(&s->missing, s->tried) ||
		    strcmp(sample.account, a->server->self) == 0)
			continue;
		s->tries++;
		return a->server->ops->begin(a->server, &sample, s->filter.max_size, s->tried,
					     e);
	}
	return rc == -1 ? -1 : s->flaw ? broken(a, s->flaw, e) : cannot_read(a, e);
}

/* One that always breaks does not stand for all others. */
static int take_proof(struct source_stalwart *s, const struct jmap_result *r, struct err *e)
{
	if (r->fate == JMAP_BROKEN)
		s->flaw = r->flaw;
	if (r->fate == JMAP_BROKEN || r->fate == JMAP_MISSING)
		return begin_proof(s, e);
	s->proof = PROVED;
	return 0;
}

/* A download that has ended. 1, 0 where there is nothing to say of it yet, or -1. */
static int give(struct source_stalwart *s, struct jmap_result *r, struct source_message *m,
		struct err *e)
{
	struct account_stalwart *a = s->account;
	struct sample sample = {.class = CLASS_NONE};
	int rc;

	if (s->proof == PROVING)
		return take_proof(s, r, e);
	rc = samples_get(&a->known, r->owner, &sample, e);
	if (rc == -1)
		return -1;
	m->id = r->owner;
	m->class = sample.class;
	m->stamp = (struct record_stamp){.size = r->size, .date = sample.date};
	switch (r->fate) {
	case JMAP_BODY:
		if (find_reporter(a, &sample, m, e) == -1)
			return -1;
		a->broken = 0;
		m->kind = MESSAGE_BODY;
		m->body = r->body;
		r->body = (struct buf){0};
		return 1;
	case JMAP_LARGE:
		m->kind = MESSAGE_LARGE;
		return 1;
	case JMAP_MISSING:
		m->kind = MESSAGE_GONE;
		m->stamp = (struct record_stamp){0};
		return explain(s, r->owner, e);
	case JMAP_BROKEN:
		break;
	}
	/* Alone comes only what was broken before: that is no reason to leave the others. */
	if (++a->broken >= BROKEN_MAX && s->side_by_side > 1)
		return broken(a, r->flaw, e);
	unreadable(m, r->flaw);
	return 1;
}

/*
 * At the end, what was missing: where something else can be downloaded it is gone, and where
 * there is nothing this log-in may not read mail. 1 with one of them in *m, 0 where it is not
 * known yet, or -1.
 */
static int give_missing(struct source_stalwart *s, struct source_message *m, struct err *e)
{
	struct ranges one = {0};
	int rc;

	if (s->proof != PROVED)
		return begin_proof(s, e);
	rc = ranges_take(&s->missing, 1, &one, e);
	if (rc == 0) {
		*m = (struct source_message){.kind = MESSAGE_GONE, .id = one.range[0].first};
		rc = give_up(s->account, m->id, e);
	}
	ranges_free(&one);
	return rc == -1 ? -1 : 1;
}

static enum source_next stalwart_next(struct source *source, struct source_message *m,
				      struct wait *wait, struct err *e)
{
	struct source_stalwart *s = source_stalwart_of(source);
	struct stalwart *server = s->account->server;
	struct jmap_result r = {.fate = JMAP_MISSING};
	int rc = 0;

	while (rc == 0 && s->todo.n > 0 && server->ops->running(server) < s->side_by_side)
		rc = begin_next(s, m, e);
	if (rc == 0 && server->ops->running(server) == 0) {
		if (s->missing.n == 0)
			return SOURCE_END;
		rc = give_missing(s, m, e);
	}
	if (rc == 0 && (rc = server->ops->take(server, &r, wait, e)) == 1) {
		rc = give(s, &r, m, e);
		buf_free(&r.body);
		*wait = (struct wait){.fd = -1};
	}
	return rc == -1 ? SOURCE_ERROR : rc == 1 ? SOURCE_MESSAGE : SOURCE_WAIT;
}

static uint32_t stalwart_next_size(const struct source *source)
{
	const struct stalwart *server =
	    ((const struct source_stalwart *)source)->account->server;

	return server->ops->ready_size(server);
}

/* What breaks is one request, and it is known whose. */
static uint32_t stalwart_owed(const struct source *source)
{
	(void)source;
	return 0;
}

/* A sample bears no marks: the ledger remembers. */
static const char *stalwart_mark_name(enum mail_class class, enum outcome outcome)
{
	(void)class, (void)outcome;
	return NULL;
}

/* ---- removal: the sample goes, and the message stays where its user has it ---- */

static int stalwart_can_remove(struct source *source, const struct source_removal *how,
			       struct err *e)
{
	struct account_stalwart *a = source_stalwart_of(source)->account;
	int may = a->server->ops->may(a->server, STALWART_MAY_DESTROY, e);

	(void)how; /* the message itself goes nowhere */
	return may == 0	   ? stalwart_needs(a->conf, STALWART_MAY_DESTROY, "destroy samples", e)
	       : may == -1 ? -1
			   : 0;
}

/*
 * A sample, and before it the older decisions of the same user on the same message: without the
 * newest one they would be the last word. 0, or -1.
 */
static int add_chain(struct samples *known, uint32_t number, struct ranges *out, struct err *e)
{
	struct sample s = {.older = number};
	int rc = 1;

	while (rc == 1 && s.older != 0) {
		number = s.older;
		rc = samples_get(known, number, &s, e);
		if (rc == 1 && ranges_add(out, number, number, e) == -1)
			rc = -1;
	}
	return rc == -1 ? -1 : 0;
}

/* Destroy one batch. */
static int destroy(struct account_stalwart *a, const struct ranges *numbers, struct err *e)
{
	struct stalwart_id *id = calloc(ranges_count(numbers) + 1, sizeof *id);
	size_t n = 0;
	uint32_t number = 0;
	int rc = id ? 0 : err_no_memory(e);

	while (rc != -1 && ranges_next(numbers, &number)) {
		struct sample s;

		rc = samples_get(&a->known, number, &s, e);
		if (rc == 1)
			snprintf(id[n++].text, sizeof id->text, "%s", s.name);
	}
	if (rc != -1 && n > 0)
		rc = a->server->ops->destroy(a->server, id, n, e);
	free(id);
	if (rc != -1) /* who does not see others' samples is told that they are gone */
		rc = must_see(a, e);
	number = 0;
	while (rc != -1 && ranges_next(numbers, &number))
		rc = samples_drop(&a->known, number, e);
	return rc == -1 ? -1 : 0;
}

static int stalwart_remove(struct source *source, struct ranges *ids,
			   const struct source_removal *how, struct err *e)
{
	struct account_stalwart *a = source_stalwart_of(source)->account;
	int rc = 0;

	(void)how;
	while (rc == 0 && ids->n > 0) {
		struct ranges part = {0}, all = {0};
		uint32_t number = 0;

		rc = ranges_take(ids, STALWART_GET_MAX, &part, e);
		while (rc == 0 && ranges_next(&part, &number))
			rc = add_chain(&a->known, number, &all, e);
		if (rc == 0)
			rc = destroy(a, &all, e);
		ranges_free(&part);
		ranges_free(&all);
	}
	return rc;
}

static void stalwart_source_close(struct source *source)
{
	struct source_stalwart *s = source_stalwart_of(source);

	s->account->server->ops->abandon(s->account->server);
	ranges_free(&s->todo);
	ranges_free(&s->missing);
	free(s);
}

static const struct source_ops stalwart_ops = {
    .open = stalwart_open,
    .list = stalwart_list,
    .want = stalwart_want,
    .next = stalwart_next,
    .next_size = stalwart_next_size,
    .owed = stalwart_owed,
    .look = stalwart_look,
    .mark_name = stalwart_mark_name,
    .can_remove = stalwart_can_remove,
    .remove = stalwart_remove,
    .close = stalwart_source_close,
};

struct source *source_stalwart(struct account_stalwart *a)
{
	struct source_stalwart *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->account = a;
	s->source = (struct source){
	    .ops = &stalwart_ops,
	    .account = a->account.name,
	    .mailbox = "samples",
	    .class = CLASS_NONE,
	    .dated = true,
	    .expires = a->conf->destroy,
	    .hold = a->reports->hold,
	};
	return &s->source;
}
