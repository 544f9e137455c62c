#include "fake/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct fake_store *of(struct store *s)
{
	return (struct fake_store *)s;
}

static int fake_begin(struct store *s, bool write, struct err *e)
{
	return of(s)->real->ops->begin(of(s)->real, write, e);
}

static int fake_commit(struct store *store, struct err *e)
{
	struct fake_store *s = of(store);

	if (++s->commits == s->fail_commit) {
		fake_event(s->events, "commit failed");
		s->dirty = false;
		s->real->ops->abort(s->real);
		return err_set(e, ERR_FATAL, ERR_TEMPORARY, "the disk is full");
	}
	fake_event(s->events, "commit");
	s->dirty = false;
	return s->real->ops->commit(s->real, e);
}

static void fake_abort(struct store *s)
{
	of(s)->dirty = false;
	of(s)->real->ops->abort(of(s)->real);
}

static bool is_broken(struct store *s, struct err *e)
{
	if (of(s)->fail_call == 0 || --of(s)->fail_call > 0)
		return false;
	err_set(e, ERR_FATAL, ERR_LOCAL, "the disk is broken");
	return true;
}

static int fake_get(struct store *s, enum store_map m, struct store_value key,
		    struct store_value *value, struct err *e)
{
	return is_broken(s, e) ? -1 : of(s)->real->ops->get(of(s)->real, m, key, value, e);
}

static int fake_put(struct store *s, enum store_map m, struct store_value key,
		    struct store_value value, struct err *e)
{
	if (is_broken(s, e))
		return -1;
	of(s)->dirty = true;
	return of(s)->real->ops->put(of(s)->real, m, key, value, e);
}

static int fake_del(struct store *s, enum store_map m, struct store_value key, struct err *e)
{
	if (is_broken(s, e))
		return -1;
	of(s)->dirty = true;
	return of(s)->real->ops->del(of(s)->real, m, key, e);
}

static int fake_seek(struct store *s, enum store_map m, struct store_value *key,
		     struct store_value *value, struct err *e)
{
	return is_broken(s, e) ? -1 : of(s)->real->ops->seek(of(s)->real, m, key, value, e);
}

static int fake_next(struct store *s, enum store_map m, struct store_value *key,
		     struct store_value *value, struct err *e)
{
	return is_broken(s, e) ? -1 : of(s)->real->ops->next(of(s)->real, m, key, value, e);
}

static int fake_backup(struct store *s, const char *file, struct err *e)
{
	return of(s)->real->ops->backup(of(s)->real, file, e);
}

/* The disk stays where it is. */
static void fake_close(struct store *s)
{
	of(s)->dirty = false;
	of(s)->real->ops->abort(of(s)->real);
}

static const struct store_ops fake_ops = {
    fake_begin, fake_commit, fake_abort, fake_get,    fake_put,
    fake_del,	fake_seek,   fake_next,	 fake_backup, fake_close,
};

void fake_store_init(struct fake_store *s, struct fake_events *events)
{
	struct err e;

	*s = (struct fake_store){.store = {&fake_ops}, .events = events};
	s->real = store_mem_open(&e);
	assert_non_null(s->real);
}

void fake_store_free(struct fake_store *s)
{
	store_close(s->real);
	s->real = NULL;
}
