#include "learn/expire.h"

#include "base/log.h"
#include "base/stop.h"
#include "learn/box.h"
#include "learn/compare.h"
#include "learn/retain.h"
#include "ledger/stamps.h"

enum {
	CHUNK = 50000,		/* messages that are removed at a time */
	FORGET_PER_RUN = 20000, /* records of each kind that are looked at */
};

/* One source, while messages are removed from it. */
struct purge {
	struct expire *x;
	struct source *source;
	struct output_place place;
	struct record_mailbox box;
	struct source_removal how;
	struct tally tally;
	bool checked;	       /* it is open, and still what the ledger knows */
	struct ranges due;     /* what the policy lets go */
	struct ranges there;   /* of these: what the source has */
	struct ranges whole;   /* of these: may go, and are only here */
	struct ranges copied;  /* of these: an earlier run copied them to where they go */
	struct ranges strange; /* not the messages that the ledger knows */
};

static void free_sets(struct purge *p)
{
	ranges_free(&p->due);
	ranges_free(&p->there);
	ranges_free(&p->whole);
	ranges_free(&p->copied);
	ranges_free(&p->strange);
}

/* The next CHUNK messages after *id that are due. */
static int collect(struct purge *p, uint32_t *id, struct err *e)
{
	struct expire *x = p->x;
	int64_t n = x->left < CHUNK ? x->left : CHUNK;
	struct record_message r;
	int rc = 0;

	free_sets(p);
	while (n > 0 && (rc = ledger_message_next(x->ledger, &p->box, id, &r, e)) == 1) {
		if (retain_may_go(&r, x->policy, x->now)) {
			if (ranges_add(&p->due, *id, *id, e) == -1)
				return -1;
			n--;
		}
	}
	return rc == -1 ? -1 : 0;
}

/*
 * Is this message the one that was settled? It looks the same, and it bears our mark, unless it
 * was refused by rspamd or the source could hold none: such never bore one.
 */
static bool is_ours(const struct record_message *r, const struct source_sight *sight)
{
	bool unmarked = r->bare || r->outcome == OUTCOME_FAILED;

	return compare_is_same(r, sight) && (sight->marks != 0 || unmarked);
}

/* What may become of one message that is due, by what the source says of it. */
static int sort_sight(void *ctx, const struct source_sight *sight, struct err *e)
{
	struct purge *p = ctx;
	struct ranges *set = &p->whole;
	struct record_message r;
	int rc = ledger_message(p->x->ledger, &p->box, sight->id, &r, e);

	if (rc != 1)
		return rc;
	if (ranges_has(&p->there, sight->id))
		return 0; /* the server said it twice */
	if (ranges_add(&p->there, sight->id, sight->id, e) == -1)
		return -1;
	if (!is_ours(&r, sight)) {
		set = &p->strange;
	} else if (sight->flagged || (sight->deleted && r.state < STATE_PURGING)) {
		p->tally.kept++; /* in a removal that was cut short \Deleted is our own */
		return 0;
	} else if (r.state == STATE_COPIED) {
		set = &p->copied;
	}
	return ranges_add(set, sight->id, sight->id, e);
}

typedef int each_fn(struct purge *p, uint32_t id, struct err *e);

static int for_each(struct purge *p, const struct ranges *set, each_fn *fn, struct err *e)
{
	uint32_t id = 0;

	while (ranges_next(set, &id))
		if (fn(p, id, e) == -1)
			return -1;
	return 0;
}

static int forget_gone(struct purge *p, uint32_t id, struct err *e)
{
	return ledger_message_del(p->x->ledger, &p->box, id, e);
}

static int look_again(struct purge *p, uint32_t id, struct err *e)
{
	log_info("unknown account=%s mailbox=%s uid=%u", p->place.account, p->place.mailbox,
		 id);
	return ledger_replace(p->x->ledger, &p->box, id, p->x->now, e);
}

/* Somebody took the marks off, or the store was restored and gave the numbers again. */
static int give_back(struct purge *p, struct err *e)
{
	if (p->strange.n == 0)
		return 0;
	log_warn("account %s: mailbox %s: %llu messages are not as they were when they were "
		 "settled, or bear no mark of ours any more; they stay, and the next run looks "
		 "at them again",
		 p->place.account, p->place.mailbox,
		 (unsigned long long)ranges_count(&p->strange));
	return for_each(p, &p->strange, look_again, e);
}

/* Narrow what is due down to what is there, is ours, and is wanted by nobody else. */
static int narrow(struct purge *p, struct err *e)
{
	struct ranges gone = {0};
	int rc = source_look(p->source, &p->due, sort_sight, p, e);

	if (rc == 0)
		rc = ranges_minus(&p->due, &p->there, &gone, e);
	if (rc == 0)
		rc = for_each(p, &gone, forget_gone, e);
	ranges_free(&gone);
	return rc == 0 ? give_back(p, e) : -1;
}

static int begin_purge(struct purge *p, uint32_t id, struct err *e)
{
	return ledger_advance(p->x->ledger, &p->box, id, STATE_PURGING, false, e);
}

/* The message is gone, or would be: print it, and take it out of the ledger. */
static int end_purge(struct purge *p, uint32_t id, struct err *e)
{
	struct output *o = p->x->output;
	struct record_message r;
	int rc = ledger_message(p->x->ledger, &p->box, id, &r, e);

	if (rc != 1)
		return rc;
	p->tally.expired[outcome_group(r.outcome)]++;
	o->ops->expired(o, p->place, id, &r, retain_age(&r, p->x->policy));
	log_info("expired account=%s mailbox=%s uid=%u class=%s outcome=%s", p->place.account,
		 p->place.mailbox, id, class_name(r.class), outcome_name(r.outcome));
	return ledger_message_del(p->x->ledger, &p->box, id, e);
}

static int note_there(void *ctx, const struct source_sight *sight, struct err *e)
{
	return ranges_add(ctx, sight->id, sight->id, e);
}

/*
 * Take out of set what the server kept although it said OK: one without the right to delete may
 * ignore \Deleted without a word (RFC 3501: PERMANENTFLAGS). *kept: how many.
 */
static int drop_kept(struct purge *p, struct ranges *set, uint64_t *kept, struct err *e)
{
	struct ranges there = {0}, gone = {0};
	int rc = source_look(p->source, set, note_there, &there, e);

	if (rc == 0)
		rc = ranges_minus(set, &there, &gone, e);
	*kept = ranges_count(&there);
	ranges_free(&there);
	ranges_free(set);
	*set = gone;
	return rc;
}

static int put_target(struct purge *p, uint64_t end, struct err *e)
{
	if (p->box.target == end)
		return 0;
	p->box.target = end;
	return ledger_mailbox_put(p->x->ledger, p->place.account, p->place.mailbox, &p->box, e);
}

/* Ask the source to remove the messages; what it did not stays in the ledger and out of set. */
static int remove_set(struct purge *p, struct ranges *set, const struct source_removal *how,
		      uint64_t *kept, struct err *e)
{
	struct ranges wire = {0};
	uint64_t end = 0;
	int rc = source_target(p->source, how, &end, e);

	if (rc == 0)
		rc = put_target(p, end, e);
	if (rc == 0)
		rc = for_each(p, set, begin_purge, e);
	if (rc == 0)
		rc = ledger_commit(p->x->ledger, e);
	if (rc == 0)
		rc = ranges_union(&wire, set, e);
	if (rc == 0)
		rc = source_remove(p->source, &wire, how, e);
	ranges_free(&wire);
	return rc == 0 ? drop_kept(p, set, kept, e) : -1;
}

/* Record, remove, record: a crash in between leaves messages that the next run takes up. */
static int purge(struct purge *p, struct ranges *set, const struct source_removal *how,
		 struct err *e)
{
	uint64_t kept = 0;

	if (set->n == 0)
		return 0;
	/* Whatever becomes of it: an answer can be lost after the deed. */
	p->x->left -= (int64_t)ranges_count(set);
	if ((!p->x->dry_run && remove_set(p, set, how, &kept, e) == -1) ||
	    for_each(p, set, end_purge, e) == -1 || ledger_commit(p->x->ledger, e) == -1)
		return -1;
	if (kept == 0)
		return 0;
	return err_set(
	    e, ERR_MAILBOX, ERR_CONFIG,
	    "account %s: mailbox %s: the server said yes and kept %llu messages all the "
	    "same; may this account delete there (ACL)?",
	    p->place.account, p->place.mailbox, (unsigned long long)kept);
}

static int note_copied(struct purge *p, uint32_t id, struct err *e)
{
	return ledger_resume(p->x->ledger, &p->box, id, true, e);
}

static int note_untouched(struct purge *p, uint32_t id, struct err *e)
{
	return ledger_resume(p->x->ledger, &p->box, id, false, e);
}

/* All that an earlier run was moving when it was cut short. */
static int collect_purging(const struct purge *p, struct ranges *ids, struct err *e)
{
	struct record_message r;
	uint32_t id = 0;
	int rc;

	while ((rc = ledger_message_next(p->x->ledger, &p->box, &id, &r, e)) == 1)
		if (r.state == STATE_PURGING && ranges_add(ids, id, id, e) == -1)
			return -1;
	return rc == -1 ? -1 : 0;
}

/*
 * A run that was cut short while it moved messages by copying left some in both places. Which
 * these are is recorded before anything else is moved there.
 */
static int take_up(struct purge *p, struct err *e)
{
	struct ranges ids = {0}, copied = {0};
	int rc;

	if (p->box.target == 0 || p->how.move_to == NULL || p->x->dry_run)
		return 0;
	rc = collect_purging(p, &ids, e);
	if (rc == 0)
		rc = source_copied(p->source, &ids, &p->how, p->box.target, &copied, e);
	if (rc == 0)
		rc = for_each(p, &copied, note_copied, e);
	if (rc == 0)
		rc = for_each(p, &ids, note_untouched, e);
	if (rc == 0)
		rc = put_target(p, 0, e);
	ranges_free(&ids);
	ranges_free(&copied);
	return rc == 0 ? ledger_commit(p->x->ledger, e) : -1;
}

/*
 * Before anything is removed: is the source what it was, and can it be done? 1, 0 where it is
 * not the same (the next learn will know what its messages are), or -1.
 */
static int open_source(struct purge *p, struct err *e)
{
	struct source *s = p->source;
	enum box_state state;

	if (p->checked)
		return 1;
	if (!s->is_open && source_open(s, p->x->dry_run, e) == -1)
		return -1;
	if (s->read_only && !p->x->dry_run)
		return err_set(e, ERR_MAILBOX, ERR_CONFIG,
			       "account %s: mailbox %s: may only be read by this account, so "
			       "nothing expires there; let it write, or set keep = true",
			       s->account, s->mailbox);
	if (box_load(p->x->ledger, s, &p->box, &state, e) == -1)
		return -1;
	if (state != BOX_SAME)
		return 0;
	p->checked = true;
	return source_can_remove(s, &p->how, e) == -1 || take_up(p, e) == -1 ? -1 : 1;
}

/* *last: the last message that was looked at. */
static int expire_chunks(struct purge *p, uint32_t *last, struct err *e)
{
	const struct source_removal delete = {.imprecise = p->how.imprecise};
	int rc = 0;

	*last = 0;
	for (;;) {
		rc = stop_requested() ? stop_error(e) : collect(p, last, e);
		if (rc == -1 || p->due.n == 0)
			break;
		rc = open_source(p, e);
		if (rc != 1)
			break;
		rc = narrow(p, e);
		if (rc == 0)
			rc = purge(p, &p->copied, &delete, e);
		if (rc == 0)
			rc = purge(p, &p->whole, &p->how, e);
		if (rc == -1)
			break;
	}
	free_sets(p);
	return rc;
}

/* What may go and stays, since the limit was reached: after id. */
static int count_due(struct purge *p, uint32_t id, struct err *e)
{
	struct record_message r;
	int rc;

	while ((rc = ledger_message_next(p->x->ledger, &p->box, &id, &r, e)) == 1)
		p->tally.due += retain_may_go(&r, p->x->policy, p->x->now);
	return rc == -1 ? -1 : 0;
}

int expire_source(struct expire *x, struct source *s, struct err *e)
{
	struct purge p = {
	    .x = x,
	    .source = s,
	    .place = {s->account, s->mailbox},
	    .how = {.move_to = x->policy->action == CONF_MOVE ? x->policy->move_to : NULL,
		    .imprecise = x->policy->without_uidplus},
	};
	uint32_t last;
	bool known;
	int rc;

	if (ledger_mailbox(x->ledger, s->account, s->mailbox, &p.box, &known, e) == -1)
		return -1;
	if (!known)
		return 0;
	rc = expire_chunks(&p, &last, e);
	if (rc != -1 && x->left <= 0)
		rc = count_due(&p, last, e);
	output_expire_end(x->output, p.place, &p.tally);
	return rc;
}

int expire_ledger(struct expire *x, struct err *e)
{
	uint64_t forgotten = 0;
	int64_t horizon = retain_horizon(x->policy, x->now);

	if (horizon == 0 || x->dry_run)
		return 0;
	if (ledger_forget_contents(x->ledger, horizon, FORGET_PER_RUN, &forgotten, e) == -1 ||
	    stamps_forget(x->ledger, horizon, FORGET_PER_RUN, e) == -1)
		return -1;
	if (forgotten > 0)
		log_info("forgot contents=%llu", (unsigned long long)forgotten);
	return ledger_commit(x->ledger, e);
}
