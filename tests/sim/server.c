#include "server.h"

#include <stdlib.h>
#include <string.h>

#include "imap/imap.h"
#include "imap/keyword.h"
#include "sim.h"
#include "source/source_ops.h"
#include "stalwart.h"

struct sim_account {
	struct account account;
	struct sim *sim; /* borrowed */
	int number;
	bool alive; /* the connection stands */
	int first;  /* its first mailbox */
};

struct sim_source {
	struct source source;
	struct sim_account *account; /* borrowed */
	int box;
	struct ranges todo;
	struct source_filter filter;
	uint32_t owed;
};

static struct sim_source *source_of(struct source *s)
{
	return (struct sim_source *)s;
}

static struct sim *sim_of(const struct sim_source *x)
{
	return x->account->sim;
}

/* ---- calls that can fail ---- */

static int cut(struct sim_account *a, struct err *e)
{
	a->alive = false;
	return err_set(e, ERR_SERVER, ERR_UNREACHABLE, "account %s: the connection broke",
		       a->account.name);
}

static bool breaks_here(const struct sim *s)
{
	unsigned one_in = s->faults->break_one_in;

	return one_in > 0 && rng_mix(s->fault_seed, s->step) % one_in == 0;
}

static bool is_spool(const struct sim_account *a)
{
	return a->sim->setup->box[a->first].spool;
}

/* The way to the server, or back: 0, or -1 where the program or the connection dies on it. */
static int pass(struct sim_account *a, struct err *e)
{
	if (!sim_step(a->sim))
		return sim_killed(e);
	if (is_spool(a))
		return 0; /* a folder has no connection that breaks */
	if (watching_hangs(a->sim, a->number, e) == -1)
		return -1;
	if (!a->alive || breaks_here(a->sim))
		return cut(a, e);
	return 0;
}

static int call(struct sim_source *x, struct err *e)
{
	return pass(x->account, e);
}

/* ---- a mailbox ---- */

/*
 * The number of a message for this run: in a dry run, which takes nothing, those that were not
 * taken are counted on from the last one. 0: it is not there for this run.
 */
static uint32_t number_of(const struct sim_source *x, int mail)
{
	const struct world *w = &sim_of(x)->world;
	const struct mail *m = &w->mail[mail];
	uint32_t n;

	if (!m->there || m->box != x->box)
		return 0;
	if (m->uid != 0 || !x->source.read_only)
		return m->uid;
	n = w->box[x->box].next;
	for (int i = 0; i < mail; i++)
		n += w->mail[i].there && w->mail[i].box == x->box && w->mail[i].uid == 0;
	return n;
}

static int find(const struct sim_source *x, uint32_t uid)
{
	for (int i = 0; i < sim_of(x)->world.n_mail; i++)
		if (number_of(x, i) == uid)
			return i;
	return -1;
}

/* Take what is there, one by one; a dry run only counts it. 0, or -1 where it is killed. */
static int take_all(struct sim_source *x, struct err *e)
{
	struct sim *s = sim_of(x);

	for (int i = 0; i < s->world.n_mail; i++) {
		const struct mail *m = &s->world.mail[i];

		if (!m->there || m->box != x->box || m->uid != 0 || m->whole_at > s->ms)
			continue;
		x->source.count++;
		if (x->source.read_only) {
			x->source.next++;
			continue;
		}
		if (!sim_step(s))
			return sim_killed(e);
		world_take(s, i);
		x->source.next = s->world.box[x->box].next;
	}
	return 0;
}

static int sim_open(struct source *source, bool read_only, struct err *e)
{
	struct sim_source *x = source_of(source);
	struct sim *s = sim_of(x);
	const struct box_setup *setup = &s->setup->box[x->box];
	const struct mailbox *b = &s->world.box[x->box];

	if (call(x, e) == -1)
		return -1;
	if ((int)s->faults->closed == x->box + 1)
		return err_set(e, ERR_MAILBOX, ERR_UNREACHABLE, "mailbox %s: refused",
			       setup->name);
	source->read_only = read_only;
	source->identity = b->validity;
	source->next = setup->has_next ? b->next : 0;
	source->count = world_count(s, x->box);
	source->version = b->version;
	source->can_mark = !read_only && setup->can_mark;
	return setup->spool ? take_all(x, e) : 0;
}

static int sim_list(struct source *source, uint32_t first, uint32_t last, struct ranges *found,
		    struct err *e)
{
	struct sim_source *x = source_of(source);
	struct sim *s = sim_of(x);

	ranges_clear(found);
	if (call(x, e) == -1)
		return -1;
	for (int i = 0; i < s->world.n_mail; i++) {
		uint32_t n = number_of(x, i);

		if (n >= first && n <= last && ranges_add(found, n, n, e) == -1)
			return -1;
	}
	return 0;
}

static int sim_want(struct source *source, struct ranges *todo, const struct source_filter *f,
		    bool alone, struct err *e)
{
	struct sim_source *x = source_of(source);

	(void)alone;
	(void)e;
	ranges_free(&x->todo);
	x->todo = *todo;
	*todo = (struct ranges){0};
	x->filter = *f;
	x->owed = 0;
	return 0;
}

/* What source_imap.c says of a message before it asks for a body. */
static enum message_kind judge(const struct sim_source *x, const struct mail *m,
			       enum outcome *mark)
{
	unsigned ours = keyword_for(x->source.class, OUTCOME_LEARNED);
	unsigned learned = m->flags.marks & (IMAP_LEARNED_SPAM | IMAP_LEARNED_HAM);

	if (learned == ours)
		*mark = OUTCOME_KNOWN;
	else if (!learned && (m->flags.marks & IMAP_LEARN_SKIPPED))
		*mark = OUTCOME_SKIPPED;
	if (*mark != OUTCOME_NONE && x->filter.believe_marks)
		return MESSAGE_MARKED;
	if (x->filter.read_only_counts && !m->flags.seen)
		return MESSAGE_UNREAD;
	if (m->date > x->filter.newest)
		return MESSAGE_HELD;
	return m->size > x->filter.max_size ? MESSAGE_LARGE : MESSAGE_BODY;
}

static int give_body(struct sim_source *x, const struct mail *m, struct source_message *out,
		     struct err *e)
{
	switch (m->trouble) {
	case TROUBLE_BREAKS:
		return cut(x->account, e);
	case TROUBLE_REFUSED:
		out->kind = MESSAGE_UNREADABLE;
		memcpy(out->words, "cannot read it", sizeof "cannot read it");
		return 0;
	case TROUBLE_OMITTED:
		out->kind = MESSAGE_GONE;
		out->stamp = (struct record_stamp){0};
		return 0;
	case TROUBLE_NONE:
		buf_init(&out->body, MAX_SIZE);
		world_body(sim_of(x), m, &out->body);
		if (is_spool(x->account))
			memcpy(out->reporter, sim_of(x)->owners[m->user],
			       sizeof sim_of(x)->owners[m->user]);
	}
	return 0;
}

static int give(struct sim_source *x, uint32_t uid, struct source_message *out, struct err *e)
{
	const struct sim *s = sim_of(x);
	int i = find(x, uid);
	const struct mail *m;

	out->id = uid;
	out->kind = MESSAGE_GONE;
	if (i == -1)
		return 0;
	m = &s->world.mail[i];
	out->stamp = (struct record_stamp){m->size, m->date};
	out->kind = judge(x, m, &out->mark);
	return out->kind == MESSAGE_BODY ? give_body(x, m, out, e) : 0;
}

/* The server's order is its own: one of the next few. */
static uint32_t pick(const struct sim_source *x)
{
	const struct sim *s = sim_of(x);
	uint64_t left = ranges_count(&x->todo);
	uint64_t n =
	    s->orderly ? 0 : rng_mix(s->fault_seed, s->step + 7) % (left < 3 ? left : 3);

	for (size_t i = 0;; i++) {
		const struct range *r = &x->todo.range[i];
		uint64_t here = (uint64_t)r->last - r->first + 1;

		if (n < here)
			return r->first + (uint32_t)n;
		n -= here;
	}
}

static int take_out(struct ranges *set, uint32_t number, struct err *e)
{
	struct ranges one = {0}, rest = {0};
	int rc = ranges_add(&one, number, number, e);

	if (rc == 0)
		rc = ranges_minus(set, &one, &rest, e);
	ranges_free(&one);
	ranges_free(set);
	*set = rest;
	return rc;
}

static enum source_next sim_next(struct source *source, struct source_message *m,
				 struct wait *wait, struct err *e)
{
	struct sim_source *x = source_of(source);
	const struct sim *s = sim_of(x);

	if (x->todo.n == 0)
		return SOURCE_END;
	if (x->owed == 0)
		x->owed = pick(x);
	if (call(x, e) == -1)
		return SOURCE_ERROR;
	if (!is_spool(x->account) && rng_mix(s->fault_seed, s->step + 3) % 8 == 0) {
		*wait = (struct wait){-1, 0, 50};
		return SOURCE_WAIT;
	}
	if (give(x, x->owed, m, e) == -1 || take_out(&x->todo, x->owed, e) == -1)
		return SOURCE_ERROR;
	x->owed = 0;
	return SOURCE_MESSAGE;
}

static uint32_t sim_next_size(const struct source *source)
{
	(void)source;
	return 0;
}

static uint32_t sim_owed(const struct source *source)
{
	return ((const struct sim_source *)source)->owed;
}

static int sim_look(struct source *source, const struct ranges *ids, source_sight_fn *fn,
		    void *ctx, struct err *e)
{
	struct sim_source *x = source_of(source);
	struct sim *s = sim_of(x);

	if (call(x, e) == -1)
		return -1;
	for (int i = 0; i < s->world.n_mail; i++) {
		const struct mail *m = &s->world.mail[i];
		uint32_t n = number_of(x, i);
		const struct source_sight sight = {
		    .id = n,
		    .stamp = {m->size, m->date},
		    .marks = m->flags.marks,
		    .flagged = m->flags.flagged,
		    .deleted = m->flags.deleted || m->flags.deleted_by_us,
		};

		if (n != 0 && ranges_has(ids, n) && fn(ctx, &sight, e) == -1)
			return -1;
	}
	return 0;
}

/* fn for each message of ids that is there, from the one to the other part of it. */
typedef void mail_fn(struct sim *s, int mail, unsigned arg);

static void each(struct sim_source *x, const struct ranges *ids, mail_fn *fn, unsigned arg)
{
	struct sim *s = sim_of(x);

	for (int i = 0; i < s->world.n_mail; i++)
		if (s->world.mail[i].there && s->world.mail[i].box == x->box &&
		    ranges_has(ids, s->world.mail[i].uid))
			fn(s, i, arg);
}

static void set_mark(struct sim *s, int mail, unsigned keyword)
{
	s->world.mail[mail].flags.marks = keyword;
	s->world.mail[mail].tampered = false;
	sim_trace(s, "    message %d: marked %s", mail, keyword_name(keyword));
}

static int sim_mark(struct source *source, struct ranges *ids, enum mail_class class,
		    enum outcome outcome, bool *held, struct err *e)
{
	struct sim_source *x = source_of(source);
	struct sim *s = sim_of(x);

	*held = true;
	if (call(x, e) == -1)
		return -1;
	model_marks(s, x->box, ids);
	each(x, ids, set_mark, keyword_for(class, outcome));
	if (s->setup->box[x->box].has_version)
		s->world.box[x->box].version++;
	ranges_clear(ids);
	return call(x, e);
}

/* A spool shows what failed in a place of its own: it bears no mark any more. */
static int sim_tell(struct source *source, uint32_t id, const char *why, struct err *e)
{
	struct sim_source *x = source_of(source);
	int i = find(x, id);

	(void)why;
	if (!is_spool(x->account))
		return 0;
	if (!sim_step(sim_of(x)))
		return sim_killed(e);
	if (i >= 0)
		sim_of(x)->world.mail[i].flags.marks = 0;
	return 0;
}

static const char *sim_mark_name(enum mail_class class, enum outcome outcome)
{
	return keyword_name(keyword_for(class, outcome));
}

static int sim_can_remove(struct source *source, const struct source_removal *how,
			  struct err *e)
{
	(void)how;
	return call(source_of(source), e);
}

static void set_deleted(struct sim *s, int mail, unsigned ignored)
{
	(void)ignored;
	s->world.mail[mail].flags.deleted_by_us = true;
}

static void take_away(struct sim *s, int mail, unsigned archive)
{
	world_remove(s, mail);
	s->world.mail[mail].archived = archive;
	sim_trace(s, "    message %d: %s by us", mail, archive ? "moved" : "removed");
}

/* Files go one by one. */
static int remove_files(struct sim_source *x, const struct ranges *ids, bool archive,
			struct err *e)
{
	struct sim *s = sim_of(x);

	for (int i = 0; i < s->world.n_mail; i++) {
		if (!s->world.mail[i].there || s->world.mail[i].box != x->box ||
		    !ranges_has(ids, s->world.mail[i].uid))
			continue;
		if (!sim_step(s))
			return sim_killed(e);
		take_away(s, i, archive);
	}
	return 0;
}

/* \Deleted, then UID EXPUNGE; a MOVE is one step. Each may be cut off before or behind it. */
static int sim_remove(struct source *source, struct ranges *ids,
		      const struct source_removal *how, struct err *e)
{
	struct sim_source *x = source_of(source);

	if (call(x, e) == -1)
		return -1;
	model_removes(sim_of(x), x->box, ids, how);
	if (is_spool(x->account)) {
		int rc = remove_files(x, ids, how->move_to != NULL, e);

		ranges_clear(ids);
		return rc;
	}
	if (how->move_to == NULL) {
		each(x, ids, set_deleted, 0);
		if (call(x, e) == -1)
			return -1;
	}
	each(x, ids, take_away, how->move_to != NULL);
	ranges_clear(ids);
	return call(x, e);
}

static void sim_close(struct source *source)
{
	ranges_free(&source_of(source)->todo);
	free(source);
}

static const struct source_ops source_ops = {
    .open = sim_open,
    .list = sim_list,
    .want = sim_want,
    .next = sim_next,
    .next_size = sim_next_size,
    .owed = sim_owed,
    .look = sim_look,
    .mark = sim_mark,
    .mark_name = sim_mark_name,
    .fail = sim_tell,
    .can_remove = sim_can_remove,
    .remove = sim_remove,
    .close = sim_close,
};

/* ---- an account ---- */

int server_lets_in(struct sim *s, int number, const char *name, struct err *e)
{
	if (!sim_step(s))
		return sim_killed(e);
	if ((int)s->faults->down == number + 1)
		return err_set(e, ERR_SERVER, ERR_UNREACHABLE, "account %s: nobody there",
			       name);
	return watching_hangs(s, number, e) == -1 ? -1 : watching_refuses(s, number, e);
}

static int sim_connect(struct account *account, struct err *e)
{
	struct sim_account *a = (struct sim_account *)account;

	if (server_lets_in(a->sim, a->number, account->name, e) == -1)
		return -1;
	a->alive = true;
	return 0;
}

static struct source *sim_source(struct account *account, size_t i)
{
	struct sim_account *a = (struct sim_account *)account;
	int box = a->first + (int)i;
	const struct box_setup *b = &a->sim->setup->box[box];
	struct sim_source *x = calloc(1, sizeof *x);

	if (x == NULL)
		return NULL;
	x->source = (struct source){
	    .ops = &source_ops,
	    .account = account->name,
	    .mailbox = b->name,
	    .class = b->class,
	    .seen_only = b->seen_only,
	    .proof = !b->own && !b->spool,
	    .dated = !b->own,
	    .expires = !b->own,
	    .owner = b->own ? a->sim->owners[b->user] : NULL,
	    .hold = a->sim->setup->hold,
	};
	x->account = a;
	x->box = box;
	return &x->source;
}

static void sim_disconnect(struct account *account)
{
	((struct sim_account *)account)->alive = false;
}

static void sim_free(struct account *account)
{
	free(account);
}

static int sim_listen(struct account *account, const struct account_listener *l, struct err *e)
{
	const struct sim_account *a = (struct sim_account *)account;

	return watching_listen(a->sim, a->number, l, e);
}

static const char *sim_folder(const struct account *account, size_t i)
{
	const struct sim_account *a = (const struct sim_account *)account;

	return i == 0 ? a->sim->watching.folder[a->number].path : NULL;
}

static const struct account_ops account_ops = {
    .connect = sim_connect,
    .source = sim_source,
    .disconnect = sim_disconnect,
    .free = sim_free,
    .listen = sim_listen,
};

static const struct account_ops spool_ops = {
    .connect = sim_connect,
    .source = sim_source,
    .disconnect = sim_disconnect,
    .free = sim_free,
    .folder = sim_folder,
    .whole_ms = SIM_WHOLE_MS,
};

static struct account *make_account(struct sim *s, int number)
{
	struct sim_account *a = calloc(1, sizeof *a);

	a->account = (struct account){.ops = &account_ops, .name = s->names[number]};
	a->sim = s;
	a->number = number;
	for (int i = s->setup->n_boxes - 1; i >= 0; i--)
		if (s->setup->box[i].account == number) {
			a->first = i;
			a->account.n++;
		}
	if (is_spool(a))
		a->account.ops = &spool_ops;
	return &a->account;
}

void server_accounts(struct sim *s, struct accounts *out)
{
	out->n = (size_t)s->setup->n_accounts;
	out->account = calloc(out->n, sizeof *out->account);
	for (int i = 0; i < s->setup->n_accounts; i++)
		out->account[i] = s->setup->stalwart && i == s->setup->n_accounts - 1
				      ? stalwart_account(s, i)
				      : make_account(s, i);
}
