#include "learn/flight.h"

#include <stdlib.h>

struct slot {
	enum { SLOT_FREE, SLOT_STAGED, SLOT_SENT } state;
	struct flight_item item;
};

struct flight {
	struct rspamd *rspamd; /* borrowed */
	size_t bytes, bytes_max;
	size_t staged, sent;
	size_t n;
	struct slot slot[]; /* n of them */
};

struct flight *flight_new(struct rspamd *rspamd, size_t bytes_max)
{
	size_t n = (size_t)rspamd->connections;
	struct flight *f = calloc(1, sizeof *f + n * sizeof f->slot[0]);

	if (f == NULL)
		return NULL;
	f->rspamd = rspamd;
	f->bytes_max = bytes_max;
	f->n = n;
	return f;
}

void flight_free(struct flight *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->n; i++)
		buf_free(&f->slot[i].item.body);
	free(f);
}

bool flight_has_room(const struct flight *f, size_t size)
{
	return f->staged + f->sent < f->n && (f->bytes == 0 || f->bytes + size <= f->bytes_max);
}

void flight_stage(struct flight *f, struct flight_item *item)
{
	struct slot *s = f->slot;

	while (s->state != SLOT_FREE)
		s++;
	s->state = SLOT_STAGED;
	s->item = *item;
	item->body = (struct buf){0};
	f->bytes += s->item.body.len;
	f->staged++;
}

size_t flight_staged(const struct flight *f)
{
	return f->staged;
}

size_t flight_sent(const struct flight *f)
{
	return f->sent;
}

bool flight_has(const struct flight *f, const struct digest *d)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->slot[i].state != SLOT_FREE &&
		    digest_equal(&f->slot[i].item.info.digest, d))
			return true;
	return false;
}

static int send_slot(struct flight *f, size_t i, struct err *e)
{
	struct flight_item *item = &f->slot[i].item;
	const struct rspamd_job job = {
	    .data = item->body.data + item->original,
	    .len = item->body.len - item->original,
	    .class = item->class,
	    .deliver_to = item->deliver_to[0] ? item->deliver_to : NULL,
	    .owner = i,
	};

	if (rspamd_submit(f->rspamd, &job, e) == -1)
		return -1;
	f->slot[i].state = SLOT_SENT;
	f->staged--;
	f->sent++;
	return 0;
}

int flight_send(struct flight *f, struct err *e)
{
	for (size_t i = 0; i < f->n && f->staged > 0; i++)
		if (f->slot[i].state == SLOT_STAGED && send_slot(f, i, e) == -1)
			return -1;
	return 0;
}

void flight_wait(struct flight *f, const struct wait *wait, int ms)
{
	if (wait && wait->ms < ms)
		ms = wait->ms;
	rspamd_wait(f->rspamd, wait ? wait->fd : -1, wait ? wait->events : 0, ms);
}

/* The item leaves its slot; its body is no longer needed. */
static void release(struct flight *f, struct slot *s, struct flight_item *item)
{
	f->bytes -= s->item.body.len;
	buf_free(&s->item.body);
	*item = s->item;
	s->state = SLOT_FREE;
}

bool flight_answer(struct flight *f, struct flight_item *item, struct answer *answer)
{
	struct rspamd_result r;

	if (!rspamd_take(f->rspamd, &r))
		return false;
	*answer = r.answer;
	f->sent--;
	release(f, &f->slot[r.owner], item);
	return true;
}

bool flight_unstage(struct flight *f, struct flight_item *item)
{
	for (size_t i = 0; i < f->n && f->staged > 0; i++)
		if (f->slot[i].state == SLOT_STAGED) {
			f->staged--;
			release(f, &f->slot[i], item);
			return true;
		}
	return false;
}
