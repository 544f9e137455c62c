#include "source/stalwart_walk.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/ranges.h"
#include "base/stop.h"

enum {
	NEWEST = 500,	  /* ids of the newest samples that every run looks at */
	FRESH_MAX = 2000, /* new ids that are kept until it is known where they begin */
	LOST_MAX = 3,	  /* times that a walk begins anew because samples vanish under it */
	COMMIT_EVERY = 500,
	DAY = 86400,
	WALK_EVERY = DAY,	  /* seconds, whatever the newest ones say */
	KEPT_MAX = 3 * 366 * DAY, /* what is kept for longer has a name of another kind */
	SNOWFLAKE_EPOCH = 1632280000,
};

struct walk {
	struct stalwart *server;
	const struct conf_stalwart *conf;
	struct samples *known;
	int64_t now;
	int64_t expires;    /* when the newest sample of all will; 0 unknown */
	int64_t kept_for;   /* seconds, by that sample's name */
	bool all;	    /* from the oldest on, and not from the newest down */
	struct ranges seen; /* what is known and was listed, all: */
};

/* A new id. */
struct fresh {
	struct stalwart_id id;
	size_t behind; /* how many of the list's known ones come behind it */
};

/* Of a part of the server's list, from the newest down. */
struct list {
	struct fresh *fresh; /* owned: what is new */
	uint32_t *known;     /* owned: what is not */
	size_t n, n_known, size;
};

/* ---- names ---- */

/* Is this account's decision none that counts? 1, 0 or -1. */
static int is_left_out(struct walk *w, const struct sample *s, struct err *e)
{
	const char *address;

	if (s->account[0] == '\0')
		return w->conf->accounts_only;
	if (w->conf->n_except == 0)
		return 0;
	address = w->server->ops->address(w->server, s->account, true, e);
	for (size_t i = 0; address && i < w->conf->n_except; i++)
		if (strcasecmp(address, w->conf->except[i]) == 0)
			return 1;
	return address ? 0 : -1;
}

/*
 * A sample's name is a number to base 32: 43 bits of milliseconds since SNOWFLAKE_EPOCH, 12 of
 * a counter, 9 of a node (Stalwart's crate utils, snowflake.rs). Returns that time in seconds,
 * or 0 where it is no such number. Nothing promises that it is one: see date_of().
 */
static int64_t decode_time(const char *name)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz792013";
	uint64_t n = 0;

	for (; *name; name++) {
		const char *digit = strchr(digits, *name);

		if (digit == NULL || n >> 59 != 0)
			return 0;
		n = n << 5 | (uint64_t)(digit - digits);
	}
	return SNOWFLAKE_EPOCH + (int64_t)((n >> 21) / 1000);
}

/* How long Stalwart keeps samples, counted from the day of the decision. */
static int64_t kept_for(const struct sample *s)
{
	int64_t time = decode_time(s->name);

	return s->date - (time - time % DAY);
}

/*
 * When was it decided, by its name? 0 where that is not to be believed: if the name is what it
 * seems, all samples are kept equally long from their day on.
 */
static int64_t told_date(const struct walk *w, const struct sample *s)
{
	int64_t date = decode_time(s->name);

	return date <= w->now && s->date > w->now && kept_for(s) == w->kept_for &&
		       w->kept_for <= KEPT_MAX
		   ? date
		   : 0;
}

/*
 * Otherwise there is only the day on which it expires, as compared with the newest one, which
 * is taken to be of now; within that, dates ascend as the decisions do. s->date is the expiry;
 * left: how many newer samples are still to come.
 */
static int64_t date_of(const struct walk *w, const struct sample *s, uint64_t left)
{
	int64_t date = w->now - (int64_t)(left < (uint64_t)w->now ? left : 0);
	if (s->date != 0 && w->expires >= s->date && w->now - (w->expires - s->date) < date)
		date = w->now - (w->expires - s->date);
	if (date <= w->known->newest)
		date = w->known->newest + 1;
	return date < w->now ? date : w->now;
}

/*
 * One that came late, of a node whose clock is behind, was decided before the one that is
 * listed behind it. 0, or -1.
 */
static int set_date(const struct walk *w, struct sample *s, const struct list *l,
		    const struct fresh *f, uint64_t left, struct err *e)
{
	int64_t told = told_date(w, s);
	struct sample next;
	int rc = told == 0 && f->behind
		     ? samples_get(w->known, l->known[f->behind - 1], &next, e)
		     : 0;

	s->date = told != 0 ? told : rc == 1 ? next.date - 1 : date_of(w, s, left);
	return rc == -1 ? -1 : 0;
}

/* Does the server still have this one? 1, 0 or -1. */
static int is_there(struct walk *w, uint32_t number, struct err *e)
{
	struct sample known, now;
	struct stalwart_id id;
	int rc = samples_get(w->known, number, &known, e);

	snprintf(id.text, sizeof id.text, "%s", known.name);
	if (rc == 1 && w->server->ops->get(w->server, &id, 1, &now, e) == -1)
		return -1;
	return rc == 1 ? now.name[0] != '\0' : rc;
}

/* Is its user's decision on this content that is known listed behind it? 1, 0 or -1. */
static int is_overruled(struct walk *w, const struct sample *s, const struct list *l,
			const struct fresh *f, struct err *e)
{
	uint32_t known;
	int rc = samples_decision(w->known, s, &known, e);

	for (size_t i = 0; rc == 1 && i < l->n_known; i++)
		if (l->known[i] == known)
			return i < f->behind;
	/* What is newer was listed before; what is older was, in a walk over all. */
	if (rc != 1 || !w->all || ranges_has(&w->seen, known))
		return rc == -1 ? -1 : 0;
	return is_there(w, known, e);
}

static int name_one(struct walk *w, struct sample *s, const struct list *l,
		    const struct fresh *f, uint64_t left, struct err *e)
{
	uint32_t number;
	int rc, overruled;

	if (s->name[0] == '\0')
		return 0; /* it has vanished since it was listed */
	rc = samples_find(w->known, s->name, &number, e);
	if (rc != 0)
		return rc == -1 ? -1 : 0; /* the server listed it twice */
	rc = is_left_out(w, s, e);
	if (rc == -1)
		return -1;
	if (rc == 1)
		s->class = CLASS_NONE;
	overruled = is_overruled(w, s, l, f, e);
	if (overruled == -1 || set_date(w, s, l, f, left, e) == -1)
		return -1;
	number = w->known->next;
	if (samples_add(w->known, s, overruled == 1, e) == -1)
		return -1;
	return ranges_add(&w->seen, number, number, e);
}

/* What is asked for at a time. */
struct asked {
	struct stalwart_id id[STALWART_GET_MAX];
	struct sample sample[STALWART_GET_MAX];
};

/* Give numbers to what is new, the oldest first. left: how many newer ones come behind. */
static int name_all(struct walk *w, const struct list *l, uint64_t left, struct err *e)
{
	struct asked *a = calloc(1, sizeof *a);
	int rc = 0;

	if (a == NULL)
		return err_no_memory(e);
	for (size_t n = l->n, part; rc == 0 && n > 0; n -= part) {
		part = n < STALWART_GET_MAX ? n : STALWART_GET_MAX;
		for (size_t i = 0; i < part; i++)
			a->id[i] = l->fresh[n - 1 - i].id;
		rc = stop_requested()
			 ? stop_error(e)
			 : w->server->ops->get(w->server, a->id, part, a->sample, e);
		if (rc == 0)
			rc = w->server->ops->meet(w->server, a->sample, part,
						  w->conf->n_except > 0, e);
		for (size_t i = 0; rc == 0 && i < part; i++)
			rc = name_one(w, &a->sample[i], l, &l->fresh[n - 1 - i],
				      left + (n - 1 - i), e);
		if (rc == 0)
			rc = ledger_commit(w->known->ledger, e);
	}
	free(a);
	return rc;
}

/* When the newest sample of all expires. */
static int read_newest(struct walk *w, const struct stalwart_id *id, struct err *e)
{
	struct sample sample;

	if (w->server->ops->get(w->server, id, 1, &sample, e) == -1)
		return -1;
	w->expires = sample.date;
	w->kept_for = kept_for(&sample);
	return 0;
}

/* ---- the newest ones ---- */

static void list_free(struct list *l)
{
	free(l->fresh);
	free(l->known);
}

/* Make room for n more. 0, or -1. */
static int list_grow(struct list *l, size_t n, struct err *e)
{
	struct fresh *fresh = realloc(l->fresh, (l->size + n) * sizeof *fresh + 1);
	uint32_t *known = fresh ? realloc(l->known, (l->size + n) * sizeof *known + 1) : NULL;

	l->fresh = fresh ? fresh : l->fresh;
	l->known = known ? known : l->known;
	l->size += known ? n : 0;
	return known ? 0 : err_no_memory(e);
}

static int list_add(struct walk *w, struct list *l, const struct stalwart_id *id, struct err *e)
{
	uint32_t number;
	int rc = samples_find(w->known, id->text, &number, e);

	assert(l->fresh && l->known);
	if (rc == 0)
		l->fresh[l->n++] = (struct fresh){*id, l->n_known};
	if (rc == 1)
		l->known[l->n_known++] = number;
	return rc == 1 && w->all ? ranges_add(&w->seen, number, number, e) : rc == -1 ? -1 : 0;
}

/* Add a page, which begins with the newest; or ends with it. */
static int list_page(struct walk *w, struct list *l, const struct stalwart_page *p, bool newest,
		     struct err *e)
{
	int rc = list_grow(l, p->n, e);

	for (size_t i = 0; rc == 0 && i < p->n; i++)
		rc = list_add(w, l, &p->id[newest ? i : p->n - 1 - i], e);
	return rc;
}

/*
 * From the newest sample down to where the known ones begin; one page is looked at in any case,
 * because of two servers that share a store each counts by its own clock. *total: how many the
 * server has; *met: nothing new is to be expected behind; *whole: nothing is. 0, or -1.
 */
static int look_at_newest(struct walk *w, uint64_t *total, bool *met, bool *whole,
			  struct err *e)
{
	struct stalwart_page page = {0};
	struct stalwart_id after;
	struct list l = {0};
	int rc = 1;

	for (bool first = true; rc == 1 && !*met; first = false) {
		rc = w->server->ops->list(w->server, true, first ? NULL : after.text, NEWEST,
					  &page, e);
		if (rc != 1)
			break;
		if (first)
			*total = page.total;
		if (list_page(w, &l, &page, true, e) == -1 ||
		    (first && l.n > 0 && read_newest(w, &page.id[0], e) == -1))
			rc = -1;
		*whole = page.n == 0 || page.position + page.n >= page.total;
		*met = *whole || l.n_known > 0;
		if (page.n > 0)
			after = page.id[page.n - 1];
		stalwart_page_free(&page);
		if (l.n >= FRESH_MAX)
			break;
	}
	if (rc == 1 && *met)
		rc = name_all(w, &l, 0, e);
	list_free(&l);
	return rc == -1 ? -1 : 0;
}

/* ---- all of them ---- */

static int name_page(struct walk *w, const struct stalwart_page *p, struct err *e)
{
	uint64_t behind = p->position + p->n < p->total ? p->total - p->position - p->n : 0;
	struct list l = {0};
	int rc = list_page(w, &l, p, false, e);

	if (rc == 0)
		rc = name_all(w, &l, behind, e);
	list_free(&l);
	return rc;
}

/* What is known and was not seen is gone. */
static int drop_gone(struct walk *w, struct err *e)
{
	struct sample s;
	uint32_t number = 0, done = 0;
	int rc;

	while ((rc = samples_next(w->known, &number, &s, e)) == 1) {
		if (ranges_has(&w->seen, number))
			continue;
		if (samples_drop(w->known, number, e) == -1 ||
		    (++done % COMMIT_EVERY == 0 && ledger_commit(w->known->ledger, e) == -1))
			return -1;
	}
	if (done > 0)
		log_info("gone account=%s samples=%u", w->known->server, done);
	return rc == -1 ? -1 : ledger_commit(w->known->ledger, e);
}

static int no_end(const struct walk *w, struct err *e)
{
	return err_set(e, ERR_SERVER, ERR_PROTOCOL,
		       "stalwart %s: its list of samples has no end; see its log",
		       w->conf->name);
}

/* From the oldest to the newest. *whole: to the end. 0, or -1. */
static int look_at_all(struct walk *w, bool *whole, struct err *e)
{
	struct stalwart_id after = {""};
	int lost = 0, pages = 0;

	w->all = true;
	*whole = false;
	ranges_clear(&w->seen);
	for (bool end = false; !end;) {
		struct stalwart_page page;
		int rc =
		    w->server->ops->list(w->server, false, after.text[0] ? after.text : NULL,
					 STALWART_PAGE_MAX, &page, e);

		if (rc == -1)
			return -1;
		if (rc == 0 && ++lost > LOST_MAX)
			return 0; /* the next run goes on: nobody can tell what is gone */
		if (rc == 0) {
			after.text[0] = '\0';
			continue;
		}
		rc = name_page(w, &page, e);
		end = page.n == 0 || page.position + page.n >= page.total;
		if (page.n > 0)
			after = page.id[page.n - 1];
		stalwart_page_free(&page);
		if (rc == -1)
			return -1;
		if (++pages > STALWART_PAGES_MAX)
			return no_end(w, e);
	}
	*whole = true;
	return drop_gone(w, e);
}

/* A day ago, or at a time that has not come, as the clock says now. */
static bool is_long_ago(const struct walk *w)
{
	int64_t ago = w->now - w->known->walked;

	return ago < 0 || ago >= WALK_EVERY;
}

int stalwart_walk(struct stalwart *server, const struct conf_stalwart *conf,
		  struct samples *known, struct err *e)
{
	struct walk w = {.server = server, .conf = conf, .known = known, .now = clock_now()};
	bool due = is_long_ago(&w), met = false, whole = false;
	uint64_t total = 0;
	int rc = look_at_newest(&w, &total, &met, &whole, e);

	/* Too many are new, or some are gone; or as many are gone as came late. */
	if (rc == 0 && (!met || samples_total(known) != total || (due && !whole)))
		rc = look_at_all(&w, &whole, e);
	if (rc == 0 && due && whole && samples_walked(known, w.now, e) == 0)
		rc = ledger_commit(known->ledger, e);
	ranges_free(&w.seen);
	return rc;
}
