#include "source/contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fake/source.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct contract_message five[] = {
    {"Subject: one\r\n\r\nfirst\r\n", 1700000001, true, false, false},
    {"Subject: two\r\n\r\nsecond, longer\r\n", 1700000002, false, false, false},
    {"Subject: three\r\n\r\nthird, longer than the second\r\n", 1700000003, true, true, false},
    {"Subject: four\r\n\r\nfourth\r\n", 1700000004, true, false, true},
    {"Subject: five\r\n\r\nfifth\r\n", 1700000005, false, false, false},
};

static struct err e;

static void ok(int rc)
{
	if (rc != 0)
		fail_msg("%s", e.text);
}

static struct source *open_five(const struct contract *c, bool read_only)
{
	struct source *s = c->make(c->ctx, five, COUNT(five));

	ok(source_open(s, read_only, &e));
	return s;
}

/* ---- open ---- */

static void check_open(const struct contract *c, bool read_only)
{
	struct source *s = open_five(c, read_only);

	assert_true(s->is_open);
	assert_int_not_equal(s->identity, 0);
	assert_int_equal(s->count, COUNT(five));
	assert_true(s->next == 0 || s->next > COUNT(five));
	assert_int_equal(s->read_only, read_only);
	if (!read_only)
		assert_int_equal(s->can_mark, !c->no_marks);
	c->drop(c->ctx, s);
}

static void check_empty(const struct contract *c)
{
	const struct source_filter all = {.max_size = UINT32_MAX, .newest = INT64_MAX};
	struct source *s = c->make(c->ctx, five, 0);
	struct ranges found = {0}, todo = {0};
	struct source_message m = {0};
	struct wait wait;

	ok(source_open(s, false, &e));
	assert_int_equal(s->count, 0);
	ok(source_list(s, 1, UINT32_MAX, &found, &e));
	assert_int_equal(found.n, 0);
	ok(source_want(s, &todo, &all, false, &e));
	assert_int_equal(source_next(s, &m, &wait, &e), SOURCE_END);
	ranges_free(&found);
	c->drop(c->ctx, s);
}

/* ---- list ---- */

static void lists(struct source *s, uint32_t first, uint32_t last, const char *want)
{
	struct ranges found = {0};

	ok(ranges_add(&found, 77, 99, &e)); /* emptied first */
	ok(source_list(s, first, last, &found, &e));
	assert_string_equal(fake_ranges(&found), want);
	ranges_free(&found);
}

static void check_list(const struct contract *c)
{
	struct source *s = open_five(c, true);

	lists(s, 1, UINT32_MAX, "1:5");
	lists(s, 2, 4, "2:4");
	lists(s, 5, 5, "5");
	lists(s, 6, 1000, "-"); /* "6:*" would be the last one */
	lists(s, UINT32_MAX, UINT32_MAX, "-");
	c->drop(c->ctx, s);
}

/* ---- want and next ---- */

enum { SEEN_MAX = 64 };

/* What came of one want. */
struct came {
	struct source_message m[SEEN_MAX];
	size_t n;
};

static void take_all(const struct contract *c, struct source *s, struct came *came)
{
	came->n = 0;
	for (;;) {
		struct source_message m = {0};
		struct wait wait;
		enum source_next rc = source_next(s, &m, &wait, &e);

		if (rc == SOURCE_END)
			break;
		if (rc == SOURCE_WAIT) {
			c->wait(c->ctx, &wait);
			continue;
		}
		if (rc == SOURCE_ERROR)
			fail_msg("%s", e.text);
		assert_true(came->n < SEEN_MAX);
		came->m[came->n++] = m;
	}
}

static void free_all(struct came *came)
{
	for (size_t i = 0; i < came->n; i++)
		source_message_free(&came->m[i]);
}

static void want(struct source *s, uint32_t first, uint32_t last, const struct source_filter *f,
		 bool alone)
{
	struct ranges todo = {0};

	ok(ranges_add(&todo, first, last, &e));
	ok(source_want(s, &todo, f, alone, &e));
	assert_int_equal(todo.n, 0);
	ranges_free(&todo);
}

/* The message with this number; each comes exactly once. */
static const struct source_message *find(const struct came *came, uint32_t id)
{
	const struct source_message *found = NULL;

	for (size_t i = 0; i < came->n; i++)
		if (came->m[i].id == id) {
			assert_null(found);
			found = &came->m[i];
		}
	assert_non_null(found);
	return found;
}

static void is_body(const struct came *came, uint32_t id, const struct contract_message *is)
{
	const struct source_message *m = find(came, id);

	assert_int_equal(m->kind, MESSAGE_BODY);
	assert_int_equal(m->body.len, strlen(is->body));
	assert_memory_equal(m->body.data, is->body, m->body.len);
	assert_int_equal(m->stamp.size, strlen(is->body));
	assert_true(m->stamp.date == is->date);
}

static const struct source_filter everything = {.max_size = UINT32_MAX, .newest = INT64_MAX};

static void check_bodies(const struct contract *c, bool alone)
{
	struct source *s = open_five(c, true);
	struct came came;

	for (int round = 0; round < 2; round++) { /* any number of rounds */
		want(s, 1, 5, &everything, alone);
		take_all(c, s, &came);
		assert_int_equal(came.n, 5);
		for (uint32_t i = 0; i < 5; i++)
			is_body(&came, i + 1, &five[i]);
		free_all(&came);
	}
	want(s, 3, 3, &everything, alone);
	take_all(c, s, &came);
	assert_int_equal(came.n, 1);
	is_body(&came, 3, &five[2]);
	free_all(&came);
	assert_int_equal(source_owed(s), 0);
	c->drop(c->ctx, s);
}

/* What need not be fetched is not, and says why. */
static void check_filter(const struct contract *c)
{
	struct source_filter f = {.max_size = (uint32_t)strlen(five[1].body),
				  .read_only_counts = !c->one_class,
				  .newest = 1700000003};
	struct source *s = open_five(c, true);
	struct came came;

	want(s, 1, 5, &f, false);
	take_all(c, s, &came);
	assert_int_equal(came.n, 5);
	is_body(&came, 1, &five[0]);
	assert_int_equal(find(&came, 2)->kind, c->one_class ? MESSAGE_BODY : MESSAGE_UNREAD);
	assert_int_equal(find(&came, 3)->kind, MESSAGE_LARGE);
	assert_int_equal(find(&came, 4)->kind, MESSAGE_HELD);
	/* Whether it was read comes before its date. */
	assert_int_equal(find(&came, 5)->kind, c->one_class ? MESSAGE_HELD : MESSAGE_UNREAD);
	for (uint32_t i = 0; i < 5; i++) {
		const struct source_message *m = find(&came, i + 1);

		if (m->stamp.size != 0 || !c->no_marks)
			assert_int_equal(m->stamp.size, strlen(five[i].body));
		assert_true(m->stamp.date == five[i].date);
		assert_true(m->kind == MESSAGE_BODY || m->body.data == NULL);
	}
	free_all(&came);
	f = everything;
	f.max_size = (uint32_t)strlen(five[1].body); /* the largest that is fetched */
	want(s, 2, 2, &f, false);
	take_all(c, s, &came);
	is_body(&came, 2, &five[1]);
	free_all(&came);
	c->drop(c->ctx, s);
}

/* What is asked for and no longer there is GONE, with nothing that could be taken for it. */
static void check_gone(const struct contract *c)
{
	struct source *s = c->make(c->ctx, five, COUNT(five));
	struct came came;

	c->expunge(c->ctx, 2);
	ok(source_open(s, false, &e));
	lists(s, 1, UINT32_MAX, "1,3:5");
	want(s, 1, 7, &everything, false);
	take_all(c, s, &came);
	assert_int_equal(came.n, 7);
	for (uint32_t id = 1; id <= 7; id++) {
		const struct source_message *m = find(&came, id);

		assert_int_equal(m->kind == MESSAGE_GONE, id == 2 || id > 5);
		if (m->kind == MESSAGE_GONE)
			assert_true(m->stamp.size == 0 && m->stamp.date == 0 && !m->body.data);
	}
	free_all(&came);
	c->drop(c->ctx, s);
}

/* ---- look ---- */

struct looked {
	struct source_sight sight[SEEN_MAX];
	size_t n, stop_at;
};

static int note(void *ctx, const struct source_sight *sight, struct err *err)
{
	struct looked *l = ctx;

	assert_true(l->n < SEEN_MAX);
	l->sight[l->n++] = *sight;
	return l->n == l->stop_at ? err_set(err, ERR_FATAL, ERR_LOCAL, "enough") : 0;
}

static int look(struct source *s, uint32_t first, uint32_t last, struct looked *l,
		size_t stop_at)
{
	struct ranges ids = {0};
	int rc;

	*l = (struct looked){.stop_at = stop_at};
	ok(ranges_add(&ids, first, last, &e));
	rc = source_look(s, &ids, note, l, &e);
	assert_string_equal(fake_ranges(&ids), first == last ? "3" : "1:9"); /* left alone */
	ranges_free(&ids);
	return rc;
}

static const struct source_sight *seen(const struct looked *l, uint32_t id)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->sight[i].id == id)
			return &l->sight[i];
	fail_msg("%u was not seen", id);
	return NULL;
}

static void check_look(const struct contract *c)
{
	struct source *s = open_five(c, true);
	struct looked l;

	ok(look(s, 1, 9, &l, 0));
	assert_int_equal(l.n, 5);
	for (uint32_t i = 0; i < 5; i++) {
		const struct source_sight *x = seen(&l, i + 1);

		assert_int_equal(x->stamp.size, c->no_marks ? 0 : strlen(five[i].body));
		assert_true(x->stamp.date == five[i].date);
		assert_int_equal(x->flagged, !c->one_class && five[i].flagged);
		assert_int_equal(x->deleted, !c->one_class && five[i].deleted);
		assert_int_equal(x->marks, 0);
	}
	ok(look(s, 3, 3, &l, 0));
	assert_int_equal(l.n, 1);
	assert_int_equal(look(s, 1, 9, &l, 1), -1); /* fn says when */
	assert_string_equal(e.text, "enough");
	ok(look(s, 3, 3, &l, 0)); /* and the source can be asked on */
	c->drop(c->ctx, s);
}

/* ---- mark ---- */

static void mark(struct source *s, uint32_t first, uint32_t last, enum mail_class class,
		 enum outcome outcome)
{
	struct ranges ids = {0};
	bool held = false;

	ok(ranges_add(&ids, first, last, &e));
	ok(source_mark(s, &ids, class, outcome, &held, &e));
	assert_true(held);
	assert_int_equal(ids.n, 0);
	ranges_free(&ids);
}

static unsigned marks_of(struct source *s, uint32_t id)
{
	struct looked l;

	ok(look(s, 1, 9, &l, 0));
	return seen(&l, id)->marks;
}

/* With believe_marks: what the mark of a message says, NONE where its body comes. */
static enum outcome believed(const struct contract *c, struct source *s, uint32_t id)
{
	struct source_filter f = everything;
	enum outcome o;
	struct came came;

	f.believe_marks = true;
	want(s, id, id, &f, false);
	take_all(c, s, &came);
	assert_int_equal(came.n, 1);
	o = came.m[0].kind == MESSAGE_MARKED ? came.m[0].mark : OUTCOME_NONE;
	assert_true(came.m[0].kind == MESSAGE_MARKED || came.m[0].kind == MESSAGE_BODY);
	free_all(&came);
	return o;
}

static void check_mark(const struct contract *c)
{
	struct source *s = open_five(c, false);
	struct came came;
	unsigned spam;

	mark(s, 1, 2, CLASS_SPAM, OUTCOME_LEARNED);
	spam = marks_of(s, 1);
	assert_int_not_equal(spam, 0);
	assert_int_equal(marks_of(s, 3), 0);
	assert_int_equal(believed(c, s, 1), OUTCOME_KNOWN);
	assert_int_equal(believed(c, s, 3), OUTCOME_NONE);
	want(s, 1, 1, &everything, false); /* not believed: here is the body */
	take_all(c, s, &came);
	is_body(&came, 1, &five[0]);
	free_all(&came);
	/* Another mark replaces it; that of the other class says nothing in this one. */
	if (!c->one_class) {
		mark(s, 1, 1, CLASS_HAM, OUTCOME_KNOWN);
		assert_int_not_equal(marks_of(s, 1), 0);
		assert_int_not_equal(marks_of(s, 1), spam);
		assert_int_equal(believed(c, s, 1), OUTCOME_NONE);
	}
	/* LARGE is skipped, and so is what rspamd was sure of without it. */
	for (int i = 0; i < 2; i++) {
		mark(s, 1, 1, CLASS_SPAM, OUTCOME_LEARNED);
		mark(s, 1, 1, CLASS_HAM, i ? OUTCOME_SURE : OUTCOME_LARGE);
		assert_int_not_equal(marks_of(s, 1), spam);
		assert_int_equal(believed(c, s, 1), OUTCOME_SKIPPED);
	}
	mark(s, 1, 1, CLASS_HAM, OUTCOME_LARGE);
	assert_int_equal(believed(c, s, 1), OUTCOME_SKIPPED);
	mark(s, 1, 1, CLASS_SPAM, OUTCOME_LEARNED);
	assert_int_equal(marks_of(s, 1), spam);
	mark(s, 1, 1, CLASS_SPAM, OUTCOME_LEARNED); /* again is no error */
	assert_int_equal(marks_of(s, 1), spam);
	mark(s, 8, 9, CLASS_SPAM, OUTCOME_LEARNED); /* nor are those that are gone */
	c->drop(c->ctx, s);
}

static void check_mark_names(const struct contract *c)
{
	struct source *s = c->make(c->ctx, five, 1);
	const char *spam = source_mark_name(s, CLASS_SPAM, OUTCOME_LEARNED),
		   *ham = source_mark_name(s, CLASS_HAM, OUTCOME_LEARNED),
		   *skipped = source_mark_name(s, CLASS_SPAM, OUTCOME_LARGE);

	if (!c->one_class)
		assert_string_not_equal(spam, ham);
	assert_string_not_equal(spam, skipped);
	assert_string_not_equal(ham, skipped);
	assert_string_equal(source_mark_name(s, CLASS_SPAM, OUTCOME_KNOWN), spam);
	assert_string_equal(source_mark_name(s, CLASS_HAM, OUTCOME_UNTRUSTED), skipped);
	c->drop(c->ctx, s);
}

/* ---- remove ---- */

static void remove_ids(struct source *s, uint32_t first, uint32_t last)
{
	const struct source_removal how = {.move_to = NULL};
	struct ranges ids = {0};

	ok(source_can_remove(s, &how, &e));
	ok(ranges_add(&ids, first, last, &e));
	ok(source_remove(s, &ids, &how, &e));
	assert_int_equal(ids.n, 0);
	ranges_free(&ids);
}

/* Exactly these: what somebody else marked as deleted stays. */
static void check_remove(const struct contract *c)
{
	struct source *s = open_five(c, false);

	s->expires = true;
	remove_ids(s, 2, 3);
	for (uint32_t id = 1; id <= 5; id++)
		assert_int_equal(c->has(c->ctx, id), id != 2 && id != 3);
	lists(s, 1, UINT32_MAX, "1,4:5");
	remove_ids(s, 2, 2); /* gone already: no error */
	assert_true(c->has(c->ctx, 4));
	c->drop(c->ctx, s);
}

/* ---- over time ---- */

/* Numbers are given once; version, where there is one, goes up with every change. */
static void check_again(const struct contract *c)
{
	struct source *s = open_five(c, false);
	uint32_t identity = s->identity;
	uint64_t version = s->version;
	struct contract_message last = five[0];
	struct came came;

	c->expunge(c->ctx, 5);
	c->deliver(c->ctx, &five[0]);
	ok(source_open(s, false, &e));
	assert_int_equal(s->identity, identity);
	assert_int_equal(s->count, 5);
	assert_true(s->next == 0 || s->next > 6);
	assert_true(version == 0 || s->version > version);
	lists(s, 1, UINT32_MAX, "1:4,6");
	want(s, 6, 6, &everything, false);
	take_all(c, s, &came);
	last.date = c->ascending ? came.m[0].stamp.date : last.date;
	is_body(&came, 6, &last);
	assert_true(!c->ascending || last.date > five[3].date);
	free_all(&came);
	c->drop(c->ctx, s);
}

/* Where there are no marks, nothing is made of one. */
static void check_no_mark(const struct contract *c)
{
	struct source *s = open_five(c, false);
	struct ranges ids = {0};
	bool held = true;

	ok(ranges_add(&ids, 1, 2, &e));
	ok(source_mark(s, &ids, CLASS_SPAM, OUTCOME_LEARNED, &held, &e));
	assert_false(held);
	ranges_free(&ids);
	assert_int_equal(marks_of(s, 1), 0);
	assert_int_equal(believed(c, s, 1), OUTCOME_NONE);
	assert_null(source_mark_name(s, CLASS_SPAM, OUTCOME_LEARNED));
	c->drop(c->ctx, s);
}

void contract_check(const struct contract *c)
{
	check_open(c, true);
	check_open(c, false);
	check_empty(c);
	check_list(c);
	check_bodies(c, false);
	check_bodies(c, true);
	check_filter(c);
	check_gone(c);
	check_look(c);
	if (c->no_marks) {
		check_no_mark(c);
	} else {
		check_mark(c);
		check_mark_names(c);
	}
	if (c->can_remove)
		check_remove(c);
	check_again(c);
}
