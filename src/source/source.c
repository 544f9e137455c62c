/* What every source is asked for, with its contract checked at the door. */
#include "source/source_ops.h"

#include <assert.h>

int source_open(struct source *s, bool read_only, struct err *e)
{
	int rc = s->ops->open(s, read_only, e);

	assert(rc == -1 || s->identity != 0);
	if (rc == 0 && read_only)
		s->read_only = true;
	s->is_open = rc == 0;
	return rc;
}

int source_list(struct source *s, uint32_t first, uint32_t last, struct ranges *found,
		struct err *e)
{
	assert(first >= 1 && first <= last);
	return s->ops->list(s, first, last, found, e);
}

int source_want(struct source *s, struct ranges *todo, const struct source_filter *f,
		bool alone, struct err *e)
{
	int rc = s->ops->want(s, todo, f, alone, e);

	assert(rc == -1 || todo->n == 0);
	return rc;
}

enum source_next source_next(struct source *s, struct source_message *m, struct wait *wait,
			     struct err *e)
{
	enum source_next rc;

	assert(m->body.data == NULL);
	rc = s->ops->next(s, m, wait, e);
	assert(rc != SOURCE_MESSAGE || m->id != 0);
	assert(rc != SOURCE_MESSAGE || m->kind == MESSAGE_BODY || m->body.data == NULL);
	return rc;
}

uint32_t source_next_size(const struct source *s)
{
	return s->ops->next_size(s);
}

uint32_t source_owed(const struct source *s)
{
	return s->ops->owed(s);
}

int source_decided(struct source *s, struct ranges *found, struct err *e)
{
	ranges_clear(found);
	return s->decided && s->ops->decided ? s->ops->decided(s, found, e) : 0;
}

int source_look(struct source *s, const struct ranges *ids, source_sight_fn *fn, void *ctx,
		struct err *e)
{
	return ids->n > 0 ? s->ops->look(s, ids, fn, ctx, e) : 0;
}

int source_mark(struct source *s, struct ranges *ids, enum mail_class class,
		enum outcome outcome, bool *held, struct err *e)
{
	assert(!s->read_only);
	*held = s->can_mark && !s->unmarked;
	return *held ? s->ops->mark(s, ids, class, outcome, held, e) : 0;
}

const char *source_mark_name(const struct source *s, enum mail_class class,
			     enum outcome outcome)
{
	return s->unmarked ? NULL : s->ops->mark_name(class, outcome);
}

int source_fail(struct source *s, uint32_t id, const char *why, struct err *e)
{
	return s->ops->fail && !s->read_only ? s->ops->fail(s, id, why, e) : 0;
}

int source_can_remove(struct source *s, const struct source_removal *how, struct err *e)
{
	return s->ops->can_remove(s, how, e);
}

int source_remove(struct source *s, struct ranges *ids, const struct source_removal *how,
		  struct err *e)
{
	assert(!s->read_only && s->expires);
	return ids->n > 0 ? s->ops->remove(s, ids, how, e) : 0;
}

int source_target(struct source *s, const struct source_removal *how, uint64_t *end,
		  struct err *e)
{
	*end = 0;
	return how->move_to && s->ops->target ? s->ops->target(s, how, end, e) : 0;
}

int source_copied(struct source *s, const struct ranges *ids, const struct source_removal *how,
		  uint64_t end, struct ranges *copied, struct err *e)
{
	assert(how->move_to && end != 0);
	return s->ops->copied && ids->n > 0 ? s->ops->copied(s, ids, how, end, copied, e) : 0;
}

const char *source_name(const struct source *s, uint32_t id)
{
	return s->ops->name ? s->ops->name(s, id) : NULL;
}

void source_close(struct source *s)
{
	if (s)
		s->ops->close(s);
}

void source_message_free(struct source_message *m)
{
	buf_free(&m->body);
}
