#include "world.h"

#include <stdio.h>
#include <string.h>

#include "imap/imap.h"
#include "ledger/ledger.h"
#include "sim.h"
#include "stalwart.h"

void world_new(struct sim *s)
{
	s->world = (struct world){0};
	for (int i = 0; i < s->setup->n_boxes; i++) {
		s->world.box[i].validity = 1000;
		s->world.box[i].next = 1;
		s->world.box[i].version = s->setup->box[i].has_version;
	}
}

/* ---- what a message is ---- */

static void fill(struct buf *b, size_t n)
{
	static const char xs[] =
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

	buf_adds(b, "Received: ");
	for (size_t k; n > 0; n -= k) {
		k = n < sizeof xs - 1 ? n : sizeof xs - 1;
		buf_add(b, xs, k);
	}
	buf_adds(b, "\r\n");
}

static void add_original(const struct sim *s, const struct mail *m, struct buf *b)
{
	buf_addf(b, "From: sender@example.net\r\nSubject: content %d\r\n\r\n%sbody %d\r\n",
		 m->content,
		 s->setup->temper[m->content] == TEMPER_ENCRYPTED
		     ? "-----BEGIN PGP MESSAGE-----\r\n"
		     : "",
		 m->content);
}

/* Two lines of transport above it; the second fills up to the announced size. */
void world_body(const struct sim *s, const struct mail *m, struct buf *body)
{
	const struct box_setup *box = &s->setup->box[m->box];
	/* Whose file it is counts, and not whom a user names. */
	bool own = box->own || box->stalwart;
	const char *user = s->owners[box->spool ? (m->user + 1) % USERS : m->user];
	struct buf original, report;

	buf_init(&original, MAX_SIZE);
	buf_init(&report, MAX_SIZE);
	add_original(s, m, &original);
	buf_addf(body, "Return-Path: <%s>\r\n", own ? "x@example.net" : user);
	if (!own && m->user < USERS)
		buf_addf(&report, "X-Learnspool-Report: v1; class=%s; user=%s\r\n",
			 class_name(box->class), user);
	fill(body, m->size - body->len - report.len - original.len - strlen("Received: \r\n"));
	if (report.len > 0)
		buf_add(body, report.data, report.len);
	buf_add(body, original.data, original.len);
	buf_free(&original);
	buf_free(&report);
}

enum mail_class world_class(const struct sim *s, const struct mail *m)
{
	enum mail_class class = s->setup->box[m->box].class;

	return class == CLASS_NONE ? m->class : class;
}

int world_find(const struct sim *s, int box, uint32_t uid)
{
	for (int i = 0; i < s->world.n_mail; i++)
		if (s->world.mail[i].there && s->world.mail[i].box == box &&
		    s->world.mail[i].uid == uid)
			return i;
	return -1;
}

uint32_t world_count(const struct sim *s, int box)
{
	uint32_t n = 0;

	for (int i = 0; i < s->world.n_mail; i++)
		n += s->world.mail[i].there && s->world.mail[i].box == box &&
		     s->world.mail[i].uid != 0;
	return n;
}

static void changed(struct sim *s, int box)
{
	if (s->setup->box[box].has_version)
		s->world.box[box].version++;
}

/* A message comes into a mailbox. */
static void place(struct sim *s, int box, struct mail m)
{
	struct world *w = &s->world;

	if (w->n_mail == MAX_MAIL)
		return;
	m.there = true;
	m.box = box;
	m.uid =
	    s->setup->box[box].spool || s->setup->box[box].stalwart ? 0 : w->box[box].next++;
	if (s->setup->box[box].stalwart)
		stalwart_decides(s, &m, w->n_mail);
	w->mail[w->n_mail] = m;
	changed(s, box);
	model_arrives(s, w->n_mail++);
	watching_arrives(s, w->n_mail - 1);
	sim_trace(s,
		  "    message %d: content %d by user %d, size %u, in %s of account %d as "
		  "UID %u",
		  w->n_mail - 1, m.content, m.user, m.size, s->setup->box[box].name,
		  s->setup->box[box].account, m.uid);
}

void world_take(struct sim *s, int mail)
{
	struct mail *m = &s->world.mail[mail];

	m->uid = s->world.box[m->box].next++;
	sim_trace(s, "    message %d: taken as UID %u", mail, m->uid);
}

void world_remove(struct sim *s, int mail)
{
	struct mail *m = &s->world.mail[mail];

	m->there = false;
	changed(s, m->box);
}

/* ---- what people do ---- */

/* The nth mailbox of that kind, modulo how many there are; -1: none. */
static int pick_box(const struct sim *s, bool own, uint32_t n)
{
	int found[2 * MAX_BOXES], k = 0;

	for (int i = 0; i < s->setup->n_boxes; i++) {
		if (s->setup->box[i].own == own)
			found[k++] = i;
		if (!own && s->setup->box[i].stalwart) /* one of both classes counts twice */
			found[k++] = i;
	}
	return k ? found[n % (uint32_t)k] : -1;
}

enum where { OWN, ON_A_SERVER, ANYWHERE };

static int pick_mail(const struct sim *s, enum where where, uint32_t n)
{
	int found[MAX_MAIL], k = 0;

	for (int i = 0; i < s->world.n_mail; i++) {
		const struct mail *m = &s->world.mail[i];

		if (m->there && !s->setup->box[m->box].stalwart &&
		    (where == ANYWHERE || s->setup->box[m->box].own ||
		     (where == ON_A_SERVER && !s->setup->box[m->box].spool)))
			found[k++] = i;
	}
	return k ? found[n % (uint32_t)k] : -1;
}

static struct mail new_mail(struct sim *s, const struct event *ev, int user)
{
	struct mail m = {.content = (int)(ev->b % CONTENTS), .user = user, .date = s->now};

	m.size = 500 + (uint32_t)++s->world.deliveries;
	m.class = ev->a >> 16 & 1 ? CLASS_HAM : CLASS_SPAM;
	if (s->setup->temper[m.content] == TEMPER_LARGE)
		m.size += LARGE_SIZE;
	return m;
}

static void report(struct sim *s, const struct event *ev)
{
	int box = pick_box(s, false, ev->a);
	bool stranger = ev->c % 10 == 0;

	if (box < 0)
		return;
	/* Only users of the machine can put something into a spool. */
	if (s->setup->box[box].spool)
		stranger = false;
	place(s, box, new_mail(s, ev, stranger ? USERS : (int)(ev->c % USERS)));
}

static void mail(struct sim *s, const struct event *ev)
{
	int box = pick_box(s, true, ev->a);
	struct mail m;

	if (box < 0)
		return;
	m = new_mail(s, ev, s->setup->box[box].user);
	m.flags.seen = ev->c & 1;
	if (ev->c & 2)
		m.date -= (int64_t)(ev->c % (4 * DAY));
	place(s, box, m);
}

/* Keywords and flags go with it, as IMAP has it. */
static void move(struct sim *s, const struct event *ev)
{
	int i = pick_mail(s, OWN, ev->a);
	struct mail m;

	if (i < 0)
		return;
	m = s->world.mail[i];
	model_leaves(s, i);
	world_remove(s, i);
	m.flags.deleted_by_us = false;
	m.tampered = false;
	/* The two mailboxes of a user stand side by side. */
	place(s, s->setup->box[m.box].class == CLASS_SPAM ? m.box + 1 : m.box - 1, m);
}

static void flag(struct sim *s, const struct event *ev)
{
	int i = pick_mail(s, ON_A_SERVER, ev->a);
	struct flags *f;

	if (i < 0)
		return;
	f = &s->world.mail[i].flags;
	if (ev->b % 4 < 2)
		f->seen = !f->seen;
	else if (ev->b % 4 == 2)
		f->flagged = !f->flagged;
	else
		f->deleted = !f->deleted;
	s->world.mail[i].raced = ev->at > 0;
	changed(s, s->world.mail[i].box);
	sim_trace(s, "    message %d:%s%s%s", i, f->seen ? " seen" : "",
		  f->flagged ? " flagged" : "", f->deleted ? " deleted" : "");
}

static void keyword(struct sim *s, const struct event *ev)
{
	static const unsigned marks[] = {0, IMAP_LEARNED_SPAM, IMAP_LEARNED_HAM,
					 IMAP_LEARN_SKIPPED};
	int i = pick_mail(s, ON_A_SERVER, ev->a);

	if (i < 0 || !s->setup->box[s->world.mail[i].box].can_mark)
		return;
	s->world.mail[i].flags.marks = marks[ev->b % 4];
	s->world.mail[i].tampered = true;
	changed(s, s->world.mail[i].box);
	sim_trace(s, "    message %d: keywords %u", i, s->world.mail[i].flags.marks);
}

static void expunge(struct sim *s, const struct event *ev)
{
	int i = pick_mail(s, ON_A_SERVER, ev->a);

	if (i < 0)
		return;
	model_leaves(s, i);
	world_remove(s, i);
	sim_trace(s, "    message %d: expunged", i);
}

static void trouble(struct sim *s, const struct event *ev)
{
	int i = pick_mail(s, ANYWHERE, ev->a);

	if (i < 0 || s->world.mail[i].for_ever)
		return;
	s->world.mail[i].trouble = (enum trouble)(ev->b % 4);
	/* A file is read, or it is not. */
	if (s->setup->box[s->world.mail[i].box].spool && ev->b % 4 != 0)
		s->world.mail[i].trouble = TROUBLE_REFUSED;
	s->world.mail[i].for_ever = ev->b % 4 != 0 && ev->c % 4 == 0;
	sim_trace(s, "    message %d: trouble %u%s", i, ev->b % 4,
		  s->world.mail[i].for_ever ? " for ever" : "");
}

/* ---- what administrators do ---- */

/* The mailbox is made anew: the same messages under other numbers. */
static void renumber(struct sim *s, int box)
{
	struct mailbox *b = &s->world.box[box];

	if (s->setup->box[box].stalwart)
		return;
	b->validity++;
	if (s->setup->box[box].spool) { /* its state is lost: the files keep their numbers */
		model_forgets(s, box);
		return;
	}
	b->next = 1;
	b->backup.taken = false;
	for (int i = 0; i < s->world.n_mail; i++)
		if (s->world.mail[i].there && s->world.mail[i].box == box)
			s->world.mail[i].uid = b->next++;
	b->next += (uint32_t)box;
	changed(s, box);
	model_forgets(s, box);
}

static void back_up(struct sim *s, int box)
{
	struct mailbox *b = &s->world.box[box];
	struct backup *k = &b->backup;

	k->taken = true;
	k->validity = b->validity;
	k->next = b->next;
	k->version = b->version;
	k->n = 0;
	for (int i = 0; i < s->world.n_mail && k->n < MAX_KEPT; i++) {
		const struct mail *m = &s->world.mail[i];

		if (!m->there || m->box != box)
			continue;
		k->kept[k->n].mail = i;
		k->kept[k->n].uid = m->uid;
		k->kept[k->n++].flags = m->flags;
	}
}

/* Back to what it was: what came since is lost, what left is there again. */
static void restore(struct sim *s, int box)
{
	struct mailbox *b = &s->world.box[box];
	struct backup *k = &b->backup;

	if (!k->taken || s->setup->box[box].spool || s->setup->box[box].stalwart)
		return;
	for (int i = 0; i < s->world.n_mail; i++)
		if (s->world.mail[i].box == box)
			s->world.mail[i].there = false;
	for (int i = 0; i < k->n; i++) {
		struct mail *m = &s->world.mail[k->kept[i].mail];

		model_returns(s, k->kept[i].mail);

		m->there = true;
		m->archived = false;
		m->uid = k->kept[i].uid;
		m->flags = k->kept[i].flags;
		m->tampered = true;
	}
	b->validity = k->validity;
	b->next = k->next;
	b->version = k->version;
	s->model.restored = true;
	model_forgets(s, box);
}

static void pass_time(struct sim *s, const struct event *ev)
{
	static const int64_t step[] = {60, HOUR, DAY, 2 * DAY, 4 * DAY, -HOUR, -2 * DAY};

	s->model.set_back = s->model.set_back || step[ev->a % (sizeof step / sizeof *step)] < 0;
	s->now += step[ev->a % (sizeof step / sizeof *step)];
}

static void lose_ledger(struct sim *s, const struct event *ev)
{
	struct err ignored;
	struct ledger *l;

	disk_lose(&s->disk);
	model_forgets_all(s);
	if (ev->a % 3 != 0)
		return;
	/* reset --retrain */
	l = ledger_over(&s->disk.store, LEDGER_WRITE, &ignored);
	ledger_distrust_marks(l, &ignored);
	ledger_commit(l, &ignored);
	ledger_close(l);
}

void world_event(struct sim *s, const struct event *ev)
{
	int box = (int)(ev->a % (unsigned)s->setup->n_boxes);

	watching_loses(s, ev);
	if (stalwart_event(s, ev))
		return;

	switch (ev->kind) {
	case EVENT_REPORT:
		report(s, ev);
		break;
	case EVENT_MAIL:
		mail(s, ev);
		break;
	case EVENT_MOVE:
		move(s, ev);
		break;
	case EVENT_FLAG:
		flag(s, ev);
		break;
	case EVENT_KEYWORD:
		keyword(s, ev);
		break;
	case EVENT_EXPUNGE:
		expunge(s, ev);
		break;
	case EVENT_TROUBLE:
		trouble(s, ev);
		break;
	case EVENT_VALIDITY:
		renumber(s, box);
		break;
	case EVENT_SNAPSHOT:
		for (int i = 0; i < s->setup->n_boxes; i++)
			back_up(s, i);
		break;
	case EVENT_RESTORE:
		for (int i = 0; i < s->setup->n_boxes; i++)
			if (i == box || ev->b & 1)
				restore(s, i);
		break;
	case EVENT_CLOCK:
		pass_time(s, ev);
		break;
	case EVENT_RSPAMD:
		spamd_change(&s->spamd, ev->a);
		break;
	case EVENT_LEDGER:
		lose_ledger(s, ev);
		break;
	case EVENT_RUN:
	case EVENT_WATCH:
	case EVENTS:
		break;
	}
}

void world_grows(struct sim *s)
{
	for (int i = 0; i < s->setup->n_boxes; i++) {
		struct event ev = {.b = (uint32_t)i};
		struct mail m = new_mail(s, &ev, s->setup->box[i].user);

		place(s, i, m);
	}
}

void world_shrinks(struct sim *s)
{
	for (int i = 0; i < s->setup->n_boxes; i++) {
		int newest = world_find(s, i, s->world.box[i].next - 1);

		if (newest >= 0 && !s->setup->box[i].spool && !s->setup->box[i].stalwart)
			world_remove(s, newest);
	}
}

void world_heal(struct sim *s)
{
	for (int i = 0; i < s->world.n_mail; i++)
		if (!s->world.mail[i].for_ever)
			s->world.mail[i].trouble = TROUBLE_NONE;
	stalwart_heal(s);
}

uint64_t world_hash(const struct sim *s)
{
	uint64_t h = 0;

	for (int i = 0; i < s->setup->n_boxes; i++)
		h = rng_mix(h, s->world.box[i].version * 977 + s->world.box[i].next);
	for (int i = 0; i < s->world.n_mail; i++) {
		const struct mail *m = &s->world.mail[i];
		const struct flags *f = &m->flags;

		h = rng_mix(h, (uint64_t)m->there | (uint64_t)f->seen << 1 |
				   (uint64_t)f->flagged << 2 | (uint64_t)f->deleted << 3 |
				   (uint64_t)f->deleted_by_us << 4 | (uint64_t)f->marks << 5 |
				   (uint64_t)m->uid << 32);
	}
	return h;
}
