#include "source/stalwart_walk.h"

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
	SNOWFLAKE_EPOCH = 1632280000,
};

struct walk {
	struct stalwart *server;
	const struct conf_stalwart *conf;
	struct samples *known;
	int64_t now;
	int64_t expires;  /* when the newest sample of all will; 0 unknown */
	int64_t kept_for; /* seconds, by that sample's name */
	struct ranges seen;
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
 * When was it decided? The name has the time, if it is what it seems: then all samples are kept
 * equally long from their day on. Otherwise there is only the day on which it expires, as
 * compared with the newest one, which is taken to be of now; within that, dates ascend as the
 * decisions do. s->date is the expiry; left: how many newer samples are still to come.
 */
static int64_t date_of(const struct walk *w, const struct sample *s, uint64_t left)
{
	int64_t date = decode_time(s->name);

	if (date > 0 && date <= w->now && s->date > w->now && kept_for(s) == w->kept_for)
		return date;
	date = w->now - (int64_t)(left < (uint64_t)w->now ? left : 0);
	if (s->date != 0 && w->expires >= s->date && w->now - (w->expires - s->date) < date)
		date = w->now - (w->expires - s->date);
	if (date <= w->known->newest)
		date = w->known->newest + 1;
	return date < w->now ? date : w->now;
}

static int name_one(struct walk *w, struct sample *s, uint64_t left, struct err *e)
{
	uint32_t number;
	int rc;

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
	s->date = date_of(w, s, left);
	number = w->known->next;
	if (samples_add(w->known, s, e) == -1)
		return -1;
	return ranges_add(&w->seen, number, number, e);
}

/* Give numbers to these, the oldest first. left: how many newer ones come behind them. */
static int name_all(struct walk *w, const struct stalwart_id *id, size_t n, uint64_t left,
		    struct err *e)
{
	struct sample *sample = calloc(STALWART_GET_MAX, sizeof *sample);
	int rc = sample ? 0 : err_no_memory(e);

	for (size_t done = 0, part; rc == 0 && done < n; done += part) {
		part = n - done < STALWART_GET_MAX ? n - done : STALWART_GET_MAX;
		rc = stop_requested()
			 ? stop_error(e)
			 : w->server->ops->get(w->server, id + done, part, sample, e);
		if (rc == 0)
			rc = w->server->ops->meet(w->server, sample, part,
						  w->conf->n_except > 0, e);
		for (size_t i = 0; rc == 0 && i < part; i++)
			rc = name_one(w, &sample[i], left + (n - done - i - 1), e);
		if (rc == 0)
			rc = ledger_commit(w->known->ledger, e);
	}
	free(sample);
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

/* Ids that are new, the newest first, as they are listed. */
struct fresh {
	struct stalwart_id id[FRESH_MAX + NEWEST];
	size_t n;
};

/* Add those of a page that are new. *met: one of them is known. 0, or -1. */
static int pick(struct walk *w, const struct stalwart_page *p, struct fresh *f, bool *met,
		struct err *e)
{
	for (size_t i = 0; i < p->n; i++) {
		uint32_t number;
		int rc = samples_find(w->known, p->id[i].text, &number, e);

		if (rc == -1)
			return -1;
		*met = *met || rc == 1;
		if (rc == 0)
			f->id[f->n++] = p->id[i];
	}
	return 0;
}

static int name_fresh(struct walk *w, struct fresh *f, struct err *e)
{
	for (size_t i = 0; i < f->n / 2; i++) {
		struct stalwart_id id = f->id[i];

		f->id[i] = f->id[f->n - 1 - i];
		f->id[f->n - 1 - i] = id;
	}
	return name_all(w, f->id, f->n, 0, e);
}

/*
 * From the newest sample down to where the known ones begin; one page is looked at in any case,
 * because of two servers that share a store each counts by its own clock. *total: how many the
 * server has; *all: nothing new can lie behind. 0, or -1.
 */
static int look_at_newest(struct walk *w, uint64_t *total, bool *all, struct err *e)
{
	struct fresh *f = calloc(1, sizeof *f);
	struct stalwart_page page = {0};
	struct stalwart_id after;
	bool met = false;
	int rc = f ? 1 : err_no_memory(e);

	*all = false;
	for (bool first = true; rc == 1 && !*all; first = false) {
		rc = w->server->ops->list(w->server, true, first ? NULL : after.text, NEWEST,
					  &page, e);
		if (rc != 1)
			break;
		if (first)
			*total = page.total;
		if (pick(w, &page, f, &met, e) == -1 ||
		    (first && f->n > 0 && read_newest(w, &page.id[0], e) == -1))
			rc = -1;
		*all = met || page.n == 0 || page.position + page.n >= page.total;
		if (page.n > 0)
			after = page.id[page.n - 1];
		stalwart_page_free(&page);
		if (f->n >= FRESH_MAX)
			break;
	}
	if (rc == 1 && *all)
		rc = name_fresh(w, f, e);
	free(f);
	return rc == -1 ? -1 : 0;
}

/* ---- all of them ---- */

static int name_page(struct walk *w, const struct stalwart_page *p, struct err *e)
{
	uint64_t behind = p->position + p->n < p->total ? p->total - p->position - p->n : 0;
	struct stalwart_id *fresh = calloc(p->n + 1, sizeof *fresh);
	size_t n = 0;
	int rc = fresh ? 0 : err_no_memory(e);

	for (size_t i = 0; rc != -1 && i < p->n; i++) {
		uint32_t number;

		rc = samples_find(w->known, p->id[i].text, &number, e);
		if (rc == 0)
			fresh[n++] = p->id[i];
		else if (rc == 1)
			rc = ranges_add(&w->seen, number, number, e);
	}
	if (rc != -1)
		rc = name_all(w, fresh, n, behind, e);
	free(fresh);
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

/* From the oldest to the newest. */
static int look_at_all(struct walk *w, struct err *e)
{
	struct stalwart_id after = {""};
	int lost = 0, pages = 0;

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
	return drop_gone(w, e);
}

int stalwart_walk(struct stalwart *server, const struct conf_stalwart *conf,
		  struct samples *known, struct err *e)
{
	struct walk w = {.server = server, .conf = conf, .known = known, .now = clock_now()};
	uint64_t total = 0;
	bool all;
	int rc = look_at_newest(&w, &total, &all, e);

	/* Too many are new, or some are gone. */
	if (rc == 0 && (!all || samples_total(known) != total))
		rc = look_at_all(&w, e);
	ranges_free(&w.seen);
	return rc;
}
