#include "fake/stalwart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct fake_stalwart *of(struct stalwart *s)
{
	return (struct fake_stalwart *)s;
}

static int begin(struct fake_stalwart *s, enum fake_call what, struct err *e)
{
	if (s->before)
		s->before(s, what);
	s->calls[what]++;
	if (s->fail != what || s->fail_after < 0 || s->fail_after-- > 0)
		return 0;
	*e = s->error;
	return -1;
}

static int refuse(const char *permission, struct err *e)
{
	return err_set(e, ERR_SERVER, ERR_AUTH, "the permission %s is missing", permission);
}

/* ---- what there is ---- */

struct fake_sample *fake_sample_of(struct fake_stalwart *s, const char *name)
{
	/* Who asks for many asks for them in their order, this way or that. */
	for (size_t i = 0; i < s->n; i++) {
		size_t k = (s->found + (i % 2 ? s->n - (i + 1) / 2 : i / 2)) % s->n;

		if (strcmp(s->sample[k].is.name, name) != 0)
			continue;
		s->found = k;
		return &s->sample[k];
	}
	return NULL;
}

struct fake_sample *fake_decide_at(struct fake_stalwart *s, size_t place, const char *account,
				   const char *blob, enum mail_class class)
{
	struct fake_sample *x;

	assert_true(place <= s->n);
	if (s->n == s->size) {
		s->size = 2 * s->size + 16;
		s->sample = realloc(s->sample, s->size * sizeof *s->sample);
		assert_non_null(s->sample);
	}
	x = &s->sample[place];
	memmove(x + 1, x, (s->n++ - place) * sizeof *x);
	*x = (struct fake_sample){.is = {.class = class}};
	snprintf(x->is.name, sizeof x->is.name, "s-%u", ++s->made);
	snprintf(x->is.account, sizeof x->is.account, "%s", account);
	snprintf(x->is.blob, sizeof x->is.blob, "%s", blob);
	return x;
}

struct fake_sample *fake_decide(struct fake_stalwart *s, const char *account, const char *blob,
				enum mail_class class)
{
	return fake_decide_at(s, s->n, account, blob, class);
}

static void take_out(struct fake_stalwart *s, size_t i)
{
	free(s->sample[i].body);
	memmove(&s->sample[i], &s->sample[i + 1], (--s->n - i) * sizeof *s->sample);
}

void fake_vanish(struct fake_stalwart *s, const char *name)
{
	struct fake_sample *x = fake_sample_of(s, name);

	if (x)
		take_out(s, (size_t)(x - s->sample));
}

static bool is_last(const struct fake_stalwart *s, size_t i)
{
	for (size_t k = i + 1; k < s->n; k++)
		if (strcmp(s->sample[k].is.account, s->sample[i].is.account) == 0 &&
		    strcmp(s->sample[k].is.blob, s->sample[i].is.blob) == 0)
			return false;
	return true;
}

void fake_train(struct fake_stalwart *s)
{
	for (size_t i = s->n; i > 0; i--)
		if (!is_last(s, i - 1))
			take_out(s, i - 1);
}

/* ---- the list ---- */

/* The sample at this place of the list that was asked for. */
static const struct fake_sample *at(const struct fake_stalwart *s, bool newest, size_t i)
{
	return &s->sample[newest ? s->n - 1 - i : i];
}

static void put(struct stalwart_page *p, const struct fake_sample *x)
{
	snprintf(p->id[p->n++].text, sizeof p->id->text, "%s", x->is.name);
}

static int fake_list(struct stalwart *stalwart, bool newest, const char *after, size_t max,
		     struct stalwart_page *out, struct err *e)
{
	struct fake_stalwart *s = of(stalwart);
	size_t i = 0;

	*out = (struct stalwart_page){0};
	assert_true(max > 0 && max <= STALWART_PAGE_MAX);
	if (begin(s, FAKE_LIST, e) == -1)
		return -1;
	if (s->not_see)
		return refuse(STALWART_MAY_SEE, e);
	if (after) {
		const struct fake_sample *x = fake_sample_of(s, after);

		if (x == NULL)
			return 0;
		i = (size_t)(x - s->sample);
		i = newest ? s->n - i : i + 1;
	}
	if (s->endless && i == s->n)
		i = 0;
	if (s->page_max > 0 && s->page_max < max)
		max = s->page_max;
	out->id = calloc(max + 1, sizeof *out->id);
	if (out->id == NULL)
		return err_no_memory(e);
	out->position = i;
	for (; i < s->n && out->n < max; i++) {
		if (at(s, newest, i)->unlisted)
			continue;
		put(out, at(s, newest, i));
		if (s->twice && out->n == 1 && max > 1)
			put(out, at(s, newest, i));
	}
	out->total = s->endless ? out->position + out->n + 1 : s->n;
	return 1;
}

static int fake_get(struct stalwart *stalwart, const struct stalwart_id *id, size_t n,
		    struct sample *out, struct err *e)
{
	struct fake_stalwart *s = of(stalwart);

	assert_true(n > 0 && n <= STALWART_GET_MAX);
	memset(out, 0, n * sizeof *out);
	if (begin(s, FAKE_GET, e) == -1)
		return -1;
	for (size_t i = 0; i < n && !s->not_see; i++) {
		const struct fake_sample *x = fake_sample_of(s, id[i].text);

		if (x && !x->hidden)
			out[i] = x->is;
	}
	return 0;
}

static int fake_meet(struct stalwart *stalwart, const struct sample *sample, size_t n,
		     bool must, struct err *e)
{
	struct fake_stalwart *s = of(stalwart);

	(void)sample;
	assert_true(n > 0 && n <= STALWART_GET_MAX);
	if (begin(s, FAKE_MEET, e) == -1)
		return -1;
	return s->not_name && must ? refuse(STALWART_MAY_NAME, e) : 0;
}

static const char *fake_address(struct stalwart *stalwart, const char *account, bool must,
				struct err *e)
{
	struct fake_stalwart *s = of(stalwart);

	if (begin(s, FAKE_ADDRESS, e) == -1)
		return NULL;
	if (s->not_name && !must)
		return account;
	if (s->not_name)
		return refuse(STALWART_MAY_NAME, e) ? NULL : account;
	snprintf(s->address, sizeof s->address, "%s@example.org", account);
	return s->address;
}

static int fake_destroy(struct stalwart *stalwart, const struct stalwart_id *id, size_t n,
			struct err *e)
{
	struct fake_stalwart *s = of(stalwart);

	assert_true(n > 0 && n <= STALWART_GET_MAX);
	if (begin(s, FAKE_DESTROY, e) == -1)
		return -1;
	if (s->not_destroy)
		return refuse(STALWART_MAY_DESTROY, e);
	for (size_t i = 0; i < n && !s->not_see; i++)
		fake_vanish(s, id[i].text);
	return 0;
}

/* ---- downloads ---- */

static int fake_begin(struct stalwart *stalwart, const struct sample *what, uint32_t max_size,
		      uint32_t owner, struct err *e)
{
	struct fake_stalwart *s = of(stalwart);
	size_t i = s->running;

	assert_true(i < JMAP_DOWNLOADS);
	if (begin(s, FAKE_BEGIN, e) == -1)
		return -1;
	snprintf(s->download[i].blob, sizeof s->download[i].blob, "%s", what->blob);
	snprintf(s->download[i].name, sizeof s->download[i].name, "%s", what->name);
	s->download[i].owner = owner;
	s->download[i].max_size = max_size;
	s->running++;
	s->waited = 0;
	return 0;
}

static struct fake_sample *find_blob(struct fake_stalwart *s, size_t i)
{
	struct fake_sample *x = fake_sample_of(s, s->download[i].name);

	for (size_t k = 0; x == NULL && k < s->n; k++)
		if (strcmp(s->sample[k].is.blob, s->download[i].blob) == 0)
			x = &s->sample[k];
	return x && !x->no_blob ? x : NULL;
}

static void answer(struct fake_stalwart *s, size_t i, struct jmap_result *out)
{
	struct fake_sample *x = find_blob(s, i);
	char text[2 * SAMPLE_BLOB_MAX + 20];
	const char *body = x && x->body ? x->body : text;

	*out = (struct jmap_result){.fate = JMAP_MISSING, .owner = s->download[i].owner};
	if (x == NULL || s->not_read)
		return;
	snprintf(text, sizeof text, "Subject: %s\r\n\r\n%s\r\n", x->is.blob, x->is.blob);
	if (x->breaks > 0) {
		x->breaks--;
		out->fate = JMAP_BROKEN;
		out->flaw = "the connection broke";
		return;
	}
	out->size = (uint32_t)strlen(body);
	out->fate = out->size > s->download[i].max_size ? JMAP_LARGE : JMAP_BODY;
	buf_init(&out->body, 1 << 20);
	if (out->fate == JMAP_BODY)
		assert_int_equal(buf_adds(&out->body, body), 0);
}

static int fake_take(struct stalwart *stalwart, struct jmap_result *out, struct wait *wait,
		     struct err *e)
{
	struct fake_stalwart *s = of(stalwart);

	assert_true(s->running > 0);
	if (begin(s, FAKE_TAKE, e) == -1)
		return -1;
	if (s->waited++ < s->waits) {
		*wait = (struct wait){-1, 0, 10};
		return 0;
	}
	s->waited = 0;
	answer(s, 0, out);
	s->running--;
	memmove(&s->download[0], &s->download[1], s->running * sizeof s->download[0]);
	return 1;
}

static size_t fake_running(const struct stalwart *s)
{
	return ((const struct fake_stalwart *)s)->running;
}

static uint32_t fake_ready_size(const struct stalwart *s)
{
	(void)s;
	return 0;
}

static void fake_abandon(struct stalwart *s)
{
	of(s)->running = 0;
}

/* ---- permissions ---- */

static int fake_may(struct stalwart *stalwart, const char *permission, struct err *e)
{
	struct fake_stalwart *s = of(stalwart);
	const struct {
		const char *name;
		bool missing;
	} all[] = {{STALWART_MAY_SEE, s->not_see},
		   {STALWART_MAY_READ, s->not_read},
		   {STALWART_MAY_DESTROY, s->not_destroy},
		   {STALWART_MAY_NAME, s->not_name}};

	if (begin(s, FAKE_MAY, e) == -1)
		return -1;
	for (size_t i = 0; i < sizeof all / sizeof *all && !s->silent; i++)
		if (strcmp(all[i].name, permission) == 0)
			return !all[i].missing;
	return 2;
}

static void fake_close(struct stalwart *s)
{
	of(s)->running = 0;
}

static const struct stalwart_ops fake_ops = {
    .list = fake_list,
    .get = fake_get,
    .meet = fake_meet,
    .address = fake_address,
    .destroy = fake_destroy,
    .begin = fake_begin,
    .take = fake_take,
    .running = fake_running,
    .ready_size = fake_ready_size,
    .abandon = fake_abandon,
    .may = fake_may,
    .close = fake_close,
};

void fake_stalwart_init(struct fake_stalwart *s)
{
	*s = (struct fake_stalwart){.stalwart = {&fake_ops, "self"}, .fail_after = -1};
}

void fake_stalwart_free(struct fake_stalwart *s)
{
	while (s->n > 0)
		take_out(s, s->n - 1);
	free(s->sample);
	s->sample = NULL;
	s->size = 0;
}

void fake_stalwart_fails(struct fake_stalwart *s, enum fake_call what, int after,
			 enum err_scope scope, enum err_kind kind)
{
	s->fail = what;
	s->fail_after = after;
	err_set(&s->error, scope, kind, "as the test wants it");
}
