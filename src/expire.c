#include "expire.h"

#include "clock.h"
#include "log.h"
#include "retain.h"
#include "stop.h"

enum {
	CHUNK = 50000,		/* messages that are removed at a time */
	FORGET_PER_RUN = 20000, /* records of each kind that are looked at */
};

/* Messages of a mailbox that are about to go. */
struct chunk {
	struct uidset fresh;   /* nothing was said to the server yet */
	struct uidset resumed; /* a run before this one was cut short while it removed them */
};

static void chunk_free(struct chunk *c)
{
	uidset_free(&c->fresh);
	uidset_free(&c->resumed);
}

static int no_memory(struct err *e)
{
	return err_set(e, ERR_FATAL, ERR_LOCAL, "out of memory");
}

/* The next CHUNK messages from *uid on that may go; *uid is 0 after the last. */
static int collect(struct expire *x, const struct record_mailbox *box, uint32_t *uid,
		   struct chunk *c, struct err *e)
{
	int64_t n = x->left < CHUNK ? x->left : CHUNK;
	struct record_uid r;
	int rc = 1;

	uidset_clear(&c->fresh);
	uidset_clear(&c->resumed);
	while (n > 0 && *uid != 0 &&
	       (rc = ledger_message_seek(x->ledger, box, uid, &r, e)) == 1) {
		struct uidset *set = r.state == STATE_PURGING ? &c->resumed : &c->fresh;

		if (retain_may_go(&r, x->policy, x->now)) {
			if (uidset_add(set, *uid, *uid) == -1)
				return no_memory(e);
			n--;
		}
		++*uid; /* behind the largest there is comes 0 */
	}
	if (rc == 0)
		*uid = 0;
	return rc == -1 ? -1 : 0;
}

/* For each message of the set: 0, or -1. */
typedef int each_fn(struct expire *x, struct source *s, const struct record_mailbox *box,
		    uint32_t uid, struct err *e);

static int for_each(struct expire *x, struct source *s, const struct record_mailbox *box,
		    const struct uidset *set, each_fn *fn, struct err *e)
{
	for (size_t i = 0; i < set->n; i++)
		for (uint64_t u = set->range[i].first; u <= set->range[i].last; u++)
			if (fn(x, s, box, (uint32_t)u, e) == -1)
				return -1;
	return 0;
}

static int begin_purge(struct expire *x, struct source *s, const struct record_mailbox *box,
		       uint32_t uid, struct err *e)
{
	(void)s;
	return ledger_advance(x->ledger, box, uid, STATE_PURGING, e);
}

static int forget_gone(struct expire *x, struct source *s, const struct record_mailbox *box,
		       uint32_t uid, struct err *e)
{
	(void)s;
	return ledger_message_del(x->ledger, box, uid, e);
}

/* The message is gone, or would be: say it, and take it out of the ledger. */
static int end_purge(struct expire *x, struct source *s, const struct record_mailbox *box,
		     uint32_t uid, struct err *e)
{
	struct record_uid r;
	int rc = ledger_message(x->ledger, box, uid, &r, e);

	if (rc != 1)
		return rc;
	report_expired(x->report, s->account, s->mailbox, uid, &r, retain_age(&r, x->policy));
	log_info("expired account=%s mailbox=%s uid=%u class=%s outcome=%s", s->account,
		 s->mailbox, uid, class_name(r.class), outcome_name(r.outcome));
	x->left--;
	return ledger_message_del(x->ledger, box, uid, e);
}

/* The message is not the one that we settled: to be looked at again. */
static int look_again(struct expire *x, struct source *s, const struct record_mailbox *box,
		      uint32_t uid, struct err *e)
{
	const struct ledger_copy c = {.box = box, .uid = uid, .class = s->class};

	log_info("unmarked account=%s mailbox=%s uid=%u", s->account, s->mailbox, uid);
	return ledger_see(x->ledger, &c, x->now, e);
}

/*
 * Messages without any mark of ours: the mail store was restored from a backup and gave their
 * UIDs again, or somebody took the marks off.
 */
static int give_back(struct expire *x, struct source *s, const struct record_mailbox *box,
		     const struct uidset *strange, struct err *e)
{
	struct record_mailbox changed = *box;

	if (strange->n == 0)
		return 0;
	log_warn(
	    "account %s: mailbox %s: %llu messages bear no mark of ours any more; they stay, "
	    "and the next run looks at them again",
	    s->account, s->mailbox, (unsigned long long)uidset_count(strange));
	changed.modseq = 0; /* it does, whatever the server says */
	if (ledger_mailbox_put(x->ledger, s->account, s->mailbox, &changed, e) == -1)
		return -1;
	return for_each(x, s, box, strange, look_again, e);
}

/* Those of set that failed: these never bore a mark. */
static int failed_of(struct expire *x, const struct record_mailbox *box,
		     const struct uidset *set, struct uidset *failed, struct err *e)
{
	for (size_t i = 0; i < set->n; i++)
		for (uint64_t u = set->range[i].first; u <= set->range[i].last; u++) {
			struct record_uid r;
			int rc = ledger_message(x->ledger, box, (uint32_t)u, &r, e);

			if (rc == -1)
				return -1;
			if (rc == 1 && r.outcome == OUTCOME_FAILED &&
			    uidset_add(failed, (uint32_t)u, (uint32_t)u) == -1)
				return no_memory(e);
		}
	return 0;
}

/* Take out of set what is not the message that the ledger knows. */
static int drop_strangers(struct expire *x, struct source *s, const struct record_mailbox *box,
			  struct uidset *set, struct err *e)
{
	struct uidset ours = {0}, bare = {0}, strange = {0}, left = {0};
	int rc = set->n > 0 ? s->ops->marked(s, set, &ours, e) : 0;

	if (rc == 0 && uidset_minus(set, &ours, &bare) == -1)
		rc = no_memory(e);
	if (rc == 0)
		rc = failed_of(x, box, &bare, &ours, e);
	if (rc == 0 && (uidset_minus(set, &ours, &strange) == -1 ||
			uidset_minus(set, &strange, &left) == -1))
		rc = no_memory(e);
	if (rc == 0)
		rc = give_back(x, s, box, &strange, e);
	uidset_free(&ours);
	uidset_free(&bare);
	uidset_free(&strange);
	uidset_free(set);
	*set = left;
	return rc;
}

/*
 * Narrow set down to what is there and nobody else wants. What is there no more leaves the
 * ledger. resumed: \Deleted is our own doing.
 */
static int narrow(struct expire *x, struct source *s, const struct record_mailbox *box,
		  struct uidset *set, bool resumed, struct err *e)
{
	struct uidset there = {0}, free_to_go = {0}, gone = {0};
	int rc;

	if (set->n == 0)
		return 0;
	rc = s->ops->removable(s, set, resumed, &there, &free_to_go, e);
	if (rc == 0 && uidset_minus(set, &there, &gone) == -1)
		rc = no_memory(e);
	if (rc == 0)
		rc = for_each(x, s, box, &gone, forget_gone, e);
	report_kept(x->report, uidset_count(&there) - uidset_count(&free_to_go));
	uidset_free(set);
	*set = free_to_go;
	uidset_free(&there);
	uidset_free(&gone);
	return rc == 0 ? drop_strangers(x, s, box, set, e) : -1;
}

/*
 * Take out of set what the server kept although it said OK: one without the right to delete may
 * ignore \Deleted without a word (RFC 3501: PERMANENTFLAGS). *kept: how many.
 */
static int drop_kept(struct source *s, struct uidset *set, uint64_t *kept, struct err *e)
{
	struct uidset there = {0}, ours = {0}, gone = {0};
	int rc = s->ops->removable(s, set, true, &there, &ours, e);

	if (rc == 0 && uidset_minus(set, &there, &gone) == -1)
		rc = no_memory(e);
	*kept = uidset_count(&there);
	uidset_free(&there);
	uidset_free(&ours);
	uidset_free(set);
	*set = gone;
	return rc;
}

/* Ask the server to remove the messages; what it did not stays in the ledger and out of set. */
static int remove_set(struct expire *x, struct source *s, const struct record_mailbox *box,
		      struct uidset *set, uint64_t *kept, struct err *e)
{
	struct uidset wire = {0};
	int rc = for_each(x, s, box, set, begin_purge, e);

	if (rc == 0)
		rc = ledger_commit(x->ledger, e);
	if (rc == 0 && uidset_union(&wire, set) == -1)
		rc = no_memory(e);
	if (rc == 0)
		rc = s->ops->purge(s, &wire, x->policy, e);
	uidset_free(&wire);
	return rc == 0 ? drop_kept(s, set, kept, e) : -1;
}

/* Record, remove, record: a crash in between leaves messages that the next run takes up. */
static int purge(struct expire *x, struct source *s, const struct record_mailbox *box,
		 struct uidset *set, struct err *e)
{
	uint64_t kept = 0;

	if (set->n == 0)
		return 0;
	if ((!x->dry_run && remove_set(x, s, box, set, &kept, e) == -1) ||
	    for_each(x, s, box, set, end_purge, e) == -1 || ledger_commit(x->ledger, e) == -1)
		return -1;
	if (kept == 0)
		return 0;
	return err_set(
	    e, ERR_MAILBOX, ERR_CONFIG,
	    "account %s: mailbox %s: the server said yes and kept %llu messages all the "
	    "same; may this account delete there (ACL)?",
	    s->account, s->mailbox, (unsigned long long)kept);
}

static int expire_chunks(struct expire *x, struct source *s, const struct record_mailbox *box,
			 struct err *e)
{
	struct chunk c = {{0}, {0}};
	uint32_t uid = 1;
	int rc = 0;

	while (rc == 0 && x->left > 0 && uid != 0) {
		rc = stop_requested() ? stop_error(e) : collect(x, box, &uid, &c, e);
		if (rc == 0)
			rc = narrow(x, s, box, &c.fresh, false, e);
		if (rc == 0)
			rc = narrow(x, s, box, &c.resumed, true, e);
		if (rc == 0)
			rc = purge(x, s, box, &c.resumed, e);
		if (rc == 0)
			rc = purge(x, s, box, &c.fresh, e);
	}
	chunk_free(&c);
	return rc;
}

int expire_mailbox(struct expire *x, struct source *s, struct err *e)
{
	struct record_mailbox box;
	bool known;
	int rc;

	if (ledger_mailbox(x->ledger, s->account, s->mailbox, &box, &known, e) == -1)
		return -1;
	if (!known || x->left == 0)
		return 0;
	if (s->ops->open(s, x->dry_run, e) == -1)
		return -1;
	/* The next learn run will know what these messages are. */
	if (box.uidvalidity != s->uidvalidity || (s->uidnext > 0 && s->uidnext < box.uidnext))
		return 0;
	if (s->ops->can_purge(s, x->policy, e) == -1)
		return -1;
	report_expire_begin(x->report);
	rc = expire_chunks(x, s, &box, e);
	report_expire_end(x->report, s->account, s->mailbox);
	return rc;
}

int expire_ledger(struct expire *x, struct err *e)
{
	uint64_t digests = 0, messages = 0;
	int64_t horizon = retain_horizon(x->policy, x->now);

	if (horizon == 0 || x->dry_run)
		return 0;
	if (ledger_forget(x->ledger, STORE_DIGEST, horizon, FORGET_PER_RUN, &digests, e) ==
		-1 ||
	    ledger_forget(x->ledger, STORE_UID, horizon, FORGET_PER_RUN, &messages, e) == -1)
		return -1;
	if (digests + messages > 0)
		log_info("forgot digests=%llu messages=%llu", (unsigned long long)digests,
			 (unsigned long long)messages);
	return ledger_commit(x->ledger, e);
}
