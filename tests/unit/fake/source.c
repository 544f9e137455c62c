#include "fake/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct fake_source *of(struct source *s)
{
	return (struct fake_source *)s;
}

const char *fake_ranges(const struct ranges *r)
{
	static char text[4096];
	size_t len = 0;

	memcpy(text, "-", 2);
	for (size_t i = 0; i < r->n; i++) {
		const struct range *x = &r->range[i];
		const char *comma = i ? "," : "";

		len += (size_t)(x->first == x->last
				    ? snprintf(text + len, sizeof text - len, "%s%u", comma,
					       x->first)
				    : snprintf(text + len, sizeof text - len, "%s%u:%u", comma,
					       x->first, x->last));
		assert_true(len < sizeof text);
	}
	return text;
}

struct fake_message *fake_find(struct fake_source *s, uint32_t id)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->message[i].id == id)
			return &s->message[i];
	return NULL;
}

struct fake_message *fake_deliver(struct fake_source *s, const char *text, int64_t date)
{
	struct fake_message *m = &s->message[s->n++];

	assert_true(s->n <= FAKE_MESSAGES);
	*m = (struct fake_message){.id = s->next++, .date = date, .breaks = 1};
	if (text)
		snprintf(m->body, sizeof m->body, "%s", text);
	else
		snprintf(m->body, sizeof m->body, "Subject: %s %s %u\r\n\r\nText.\r\n",
			 s->source.account, s->source.mailbox, m->id);
	if (s->version)
		s->version++;
	return m;
}

void fake_expunge(struct fake_source *s, uint32_t id)
{
	struct fake_message *m = fake_find(s, id);

	assert_non_null(m);
	memmove(m, m + 1, (size_t)(&s->message[s->n] - (m + 1)) * sizeof *m);
	s->n--;
	if (s->version)
		s->version++;
}

void fake_fail(struct fake_source *s, int which, enum err_scope scope, enum err_kind kind)
{
	s->fail = which;
	s->fail_after = 0;
	err_set(&s->broken, scope, kind, "account %s: broken on purpose", s->source.account);
}

const char *fake_there(const struct fake_source *s)
{
	struct ranges r = {0};
	const char *text;

	for (size_t i = 0; i < s->n; i++)
		assert_int_equal(ranges_add(&r, s->message[i].id, s->message[i].id, NULL), 0);
	text = fake_ranges(&r);
	ranges_free(&r);
	return text;
}

static int fails(struct fake_source *s, int which, struct err *e)
{
	if ((int)s->fail != which || s->fail_after-- > 0)
		return 0;
	s->fail = FAIL_NONE;
	*e = s->broken;
	return -1;
}

static struct record_stamp stamp_of(const struct fake_message *m)
{
	return (struct record_stamp){(uint32_t)strlen(m->body), m->date};
}

/* ---- the contract ---- */

static int fake_open(struct source *source, bool read_only, struct err *e)
{
	struct fake_source *s = of(source);

	fake_event(s->events, "open %s %s", source->account, read_only ? "ro" : "rw");
	if (fails(s, FAIL_OPEN, e) == -1)
		return -1;
	source->read_only = read_only || s->server_read_only;
	source->identity = s->identity;
	source->next = s->next;
	source->count = s->count ? s->count : (uint32_t)s->n;
	source->version = s->version;
	source->can_mark = s->can_mark && !source->read_only;
	return 0;
}

static int fake_list(struct source *source, uint32_t first, uint32_t last, struct ranges *found,
		     struct err *e)
{
	struct fake_source *s = of(source);

	ranges_clear(found);
	if (first > 1 || (last < UINT32_MAX && last + 1 != s->next)) /* not just everything */
		fake_event(s->events, "list %u:%u", first, last);
	if (fails(s, FAIL_LIST, e) == -1)
		return -1;
	for (size_t i = 0; i < s->n; i++)
		if (s->message[i].id >= first && s->message[i].id <= last &&
		    ranges_add(found, s->message[i].id, s->message[i].id, e) == -1)
			return -1;
	return 0;
}

static int fake_want(struct source *source, struct ranges *todo, const struct source_filter *f,
		     bool alone, struct err *e)
{
	struct fake_source *s = of(source);

	fake_event(s->events, "want %s%s", fake_ranges(todo), alone ? " alone" : "");
	if (fails(s, FAIL_WANT, e) == -1)
		return -1;
	ranges_free(&s->todo);
	s->todo = *todo;
	*todo = (struct ranges){0};
	s->filter = *f;
	s->waited = 0;
	return 0;
}

/* The number that comes next, out of todo; 0 at the end. */
static uint32_t next_id(struct fake_source *s)
{
	struct ranges *t = &s->todo;
	struct range *r;

	if (t->n == 0)
		return 0;
	r = s->backwards ? &t->range[t->n - 1] : &t->range[0];
	return s->backwards ? r->last : r->first;
}

static void drop_id(struct fake_source *s, uint32_t id)
{
	struct ranges one = {0}, rest = {0};

	assert_int_equal(ranges_add(&one, id, id, NULL), 0);
	assert_int_equal(ranges_minus(&s->todo, &one, &rest, NULL), 0);
	ranges_free(&one);
	ranges_free(&s->todo);
	s->todo = rest;
}

static enum outcome mark_of(const struct fake_source *s, const struct fake_message *m)
{
	unsigned ours = s->source.class == CLASS_SPAM ? FAKE_MARK_SPAM : FAKE_MARK_HAM;

	return m->marks & ours		      ? OUTCOME_KNOWN
	       : m->marks & FAKE_MARK_SKIPPED ? OUTCOME_SKIPPED
					      : OUTCOME_NONE;
}

static enum message_kind judge(const struct fake_source *s, const struct fake_message *m,
			       enum outcome *mark)
{
	const struct source_filter *f = &s->filter;

	*mark = mark_of(s, m);
	if (*mark != OUTCOME_NONE && f->believe_marks)
		return MESSAGE_MARKED;
	if (f->read_only_counts && !m->seen)
		return MESSAGE_UNREAD;
	if (m->date > f->newest)
		return MESSAGE_HELD;
	if (strlen(m->body) > f->max_size)
		return MESSAGE_LARGE;
	return m->how == FAKE_REFUSE ? MESSAGE_UNREADABLE : MESSAGE_BODY;
}

static enum source_next give(struct fake_source *s, struct fake_message *in,
			     struct source_message *m, struct err *e)
{
	enum outcome mark;

	m->id = in->id;
	m->kind = judge(s, in, &mark);
	if (m->kind == MESSAGE_BODY && in->how == FAKE_BREAK && in->breaks > 0) {
		in->breaks--;
		s->owed = in->id;
		fake_event(s->events, "break %u", in->id);
		err_set(e, ERR_SERVER, ERR_UNREACHABLE, "account %s: the connection broke",
			s->source.account);
		return SOURCE_ERROR;
	}
	if (m->kind == MESSAGE_BODY && in->how == FAKE_NOTHING) {
		m->kind = MESSAGE_GONE;
		return SOURCE_MESSAGE;
	}
	m->stamp = stamp_of(in);
	m->mark = m->kind == MESSAGE_MARKED ? mark : OUTCOME_NONE;
	if (m->kind == MESSAGE_UNREADABLE)
		snprintf(m->words, sizeof m->words, "cannot be opened");
	if (m->kind != MESSAGE_BODY)
		return SOURCE_MESSAGE;
	buf_init(&m->body, sizeof in->body);
	assert_int_equal(buf_add(&m->body, in->body, strlen(in->body)), 0);
	return SOURCE_MESSAGE;
}

static enum source_next fake_next(struct source *source, struct source_message *m,
				  struct wait *wait, struct err *e)
{
	struct fake_source *s = of(source);
	uint32_t id = next_id(s);
	struct fake_message *in = fake_find(s, id);

	s->owed = 0;
	if (id == 0)
		return SOURCE_END;
	if (s->waited++ < s->waits) {
		*wait = (struct wait){-1, 0, 10};
		return SOURCE_WAIT;
	}
	s->waited = 0;
	drop_id(s, id);
	if (in)
		return give(s, in, m, e);
	m->id = id;
	m->kind = MESSAGE_GONE;
	return SOURCE_MESSAGE;
}

static uint32_t fake_next_size(const struct source *source)
{
	struct fake_source *s = (struct fake_source *)(uintptr_t)source;
	const struct fake_message *m = fake_find(s, next_id(s));

	return m && !s->no_sizes ? (uint32_t)strlen(m->body) : 0;
}

static uint32_t fake_owed(const struct source *source)
{
	return ((const struct fake_source *)source)->owed;
}

static int fake_look(struct source *source, const struct ranges *ids, source_sight_fn *fn,
		     void *ctx, struct err *e)
{
	struct fake_source *s = of(source);

	fake_event(s->events, "look %s", fake_ranges(ids));
	if (fails(s, FAIL_LOOK, e) == -1)
		return -1;
	for (size_t i = 0; i < s->n; i++) {
		const struct fake_message *m = &s->message[s->backwards ? s->n - 1 - i : i];
		const struct source_sight sight = {
		    .id = m->id,
		    .stamp = stamp_of(m),
		    .marks = m->marks,
		    .flagged = m->flagged,
		    .deleted = m->deleted,
		};

		if (ranges_has(ids, m->id) && fn(ctx, &sight, e) == -1)
			return -1;
	}
	return 0;
}

static unsigned mark_bit(enum mail_class class, enum outcome outcome)
{
	if (outcome != OUTCOME_LEARNED && outcome != OUTCOME_KNOWN)
		return FAKE_MARK_SKIPPED;
	return class == CLASS_SPAM ? FAKE_MARK_SPAM : FAKE_MARK_HAM;
}

static const char *fake_mark_name(enum mail_class class, enum outcome outcome)
{
	static const char *const names[] = {[FAKE_MARK_SPAM] = "spam",
					    [FAKE_MARK_HAM] = "ham",
					    [FAKE_MARK_SKIPPED] = "skipped"};

	return names[mark_bit(class, outcome)];
}

static int fake_mark(struct source *source, struct ranges *ids, enum mail_class class,
		     enum outcome outcome, bool *held, struct err *e)
{
	struct fake_source *s = of(source);

	assert_false(s->dirty && *s->dirty);
	fake_event(s->events, "mark %s %s", fake_mark_name(class, outcome), fake_ranges(ids));
	if (fails(s, FAIL_MARK, e) == -1)
		return -1;
	for (size_t i = 0; i < s->n && !s->holds_none; i++)
		if (ranges_has(ids, s->message[i].id))
			s->message[i].marks = mark_bit(class, outcome);
	*held = !s->holds_none;
	ranges_clear(ids);
	if (s->version)
		s->version++;
	return 0;
}

static int fake_can_remove(struct source *source, const struct source_removal *how,
			   struct err *e)
{
	struct fake_source *s = of(source);

	fake_event(s->events, "can remove%s%s", how->move_to ? " to " : "",
		   how->move_to ? how->move_to : "");
	if (!s->cannot)
		return 0;
	return err_set(e, ERR_MAILBOX, ERR_CONFIG, "account %s: cannot remove",
		       source->account);
}

static int fake_remove(struct source *source, struct ranges *ids,
		       const struct source_removal *how, struct err *e)
{
	struct fake_source *s = of(source);

	assert_false(s->dirty && *s->dirty);
	fake_event(s->events, "%s %s", how->move_to ? "move" : "remove", fake_ranges(ids));
	if (fails(s, FAIL_REMOVE, e) == -1)
		return -1;
	for (size_t i = s->n; i-- > 0 && !s->keeps;)
		if (ranges_has(ids, s->message[i].id))
			fake_expunge(s, s->message[i].id);
	ranges_clear(ids);
	return 0;
}

static int fake_target(struct source *source, const struct source_removal *how, uint64_t *end,
		       struct err *e)
{
	struct fake_source *s = of(source);

	(void)how;
	if (s->target == 0)
		return 0;
	fake_event(s->events, "target");
	*end = s->target;
	return fails(s, FAIL_TARGET, e);
}

static int fake_copied(struct source *source, const struct ranges *ids,
		       const struct source_removal *how, uint64_t end, struct ranges *copied,
		       struct err *e)
{
	struct fake_source *s = of(source);

	assert_non_null(how->move_to);
	fake_event(s->events, "copied %s behind %llu", fake_ranges(ids),
		   (unsigned long long)end);
	if (fails(s, FAIL_COPIED, e) == -1)
		return -1;
	for (size_t i = 0; i < s->n; i++)
		if (ranges_has(ids, s->message[i].id) && s->message[i].copied)
			assert_int_equal(
			    ranges_add(copied, s->message[i].id, s->message[i].id, e), 0);
	return 0;
}

static void fake_close(struct source *source)
{
	fake_event(of(source)->events, "close %s", source->account);
	ranges_free(&of(source)->todo);
	source->is_open = false;
}

static const struct source_ops fake_ops = {
    .open = fake_open,
    .list = fake_list,
    .want = fake_want,
    .next = fake_next,
    .next_size = fake_next_size,
    .owed = fake_owed,
    .look = fake_look,
    .mark = fake_mark,
    .mark_name = fake_mark_name,
    .can_remove = fake_can_remove,
    .remove = fake_remove,
    .target = fake_target,
    .copied = fake_copied,
    .close = fake_close,
};

void fake_source_init(struct fake_source *s, const char *account, const char *mailbox,
		      enum mail_class class, struct fake_events *events)
{
	memset(s, 0, sizeof *s);
	s->source = (struct source){
	    .ops = &fake_ops,
	    .account = account,
	    .mailbox = mailbox,
	    .class = class,
	    .dated = true,
	    .expires = true,
	};
	s->events = events;
	s->identity = 1000;
	s->next = 1;
	s->version = 1;
	s->can_mark = true;
}

void fake_source_free(struct fake_source *s)
{
	ranges_free(&s->todo);
}
