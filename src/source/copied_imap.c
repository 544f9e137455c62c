/*
 * What a removal that was cut short left in two places: copied to the mailbox that messages
 * move to, and not yet deleted here. Only servers without MOVE can do that.
 */
#include "source/source_imap_priv.h"

#include <stdio.h>
#include <stdlib.h>

/* UIDVALIDITY and UIDNEXT (0 where the server does not say it) in one number. */
int source_imap_target(struct source *source, const struct source_removal *how, uint64_t *end,
		       struct err *e)
{
	struct source_imap *s = (struct source_imap *)source;
	char wire[NAME_MAX_WIRE];
	uint32_t identity, next;

	if (imap_has(s->imap, IMAP_CAP_MOVE))
		return 0;
	if (source_imap_target_name(s, how->move_to, wire, e) == -1 ||
	    imap_status(s->imap, wire, &identity, &next, e) == -1)
		return -1;
	*end = (uint64_t)(identity > 0 ? identity : 1) << 32 | next;
	return 0;
}

/* A message that may have been copied. */
struct twin {
	struct record_stamp stamp;
	bool deleted; /* it was: only then we mark it */
	uint32_t id;
	uint32_t copies; /* in the first one with this stamp: how many the target has */
};

struct twins {
	struct twin *twin; /* owned; sorted by stamp; in each those that were copied first */
	size_t n, size;
};

static int compare_stamps(const struct record_stamp *a, const struct record_stamp *b)
{
	if (a->date != b->date)
		return a->date < b->date ? -1 : 1;
	return (a->size > b->size) - (a->size < b->size);
}

static int compare_twins(const void *one, const void *other)
{
	const struct twin *a = one, *b = other;
	int rc = compare_stamps(&a->stamp, &b->stamp);

	if (rc == 0 && a->deleted != b->deleted)
		rc = a->deleted ? -1 : 1;
	return rc ? rc : (a->id > b->id) - (a->id < b->id);
}

static int note_twin(void *ctx, const struct source_sight *sight, struct err *e)
{
	struct twins *t = ctx;

	if (t->n == t->size) {
		size_t size = t->size ? 2 * t->size : 64;
		struct twin *twin = realloc(t->twin, size * sizeof *twin);

		if (twin == NULL)
			return err_no_memory(e);
		t->twin = twin;
		t->size = size;
	}
	t->twin[t->n++] = (struct twin){sight->stamp, sight->deleted, sight->id, 0};
	return 0;
}

/* The first one with this stamp, or NULL. */
static struct twin *find_twin(const struct twins *t, const struct record_stamp *stamp)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_stamps(&t->twin[middle].stamp, stamp) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < t->n && compare_stamps(&t->twin[low].stamp, stamp) == 0 ? &t->twin[low]
									     : NULL;
}

static int note_copy(void *ctx, const struct source_sight *sight, struct err *e)
{
	struct twin *first = find_twin(ctx, &sight->stamp);

	(void)e;
	if (first)
		first->copies++;
	return 0;
}

/* Look for copies behind end in the target, and come back. */
static int count_copies(struct source_imap *s, const char *to, uint64_t end, struct twins *t,
			struct err *e)
{
	const uint32_t identity = (uint32_t)(end >> 32), first = (uint32_t)end;
	struct ranges behind = {0};
	char wire[NAME_MAX_WIRE], command[128];
	int rc;

	if (first == 0)
		return 0;
	if (source_imap_target_name(s, to, wire, e) == -1 ||
	    imap_select(s->imap, wire, true, e) == -1)
		return -1;
	rc = ranges_add(&behind, first, UINT32_MAX, e);
	snprintf(command, sizeof command, "UID FETCH %u:* " METADATA, first);
	if (rc == 0 && imap_selected(s->imap)->uidvalidity == identity &&
	    imap_selected(s->imap)->exists > 0)
		rc = source_imap_fetch(s, &behind, IMAP_HAS_UID | IMAP_HAS_SIZE | IMAP_HAS_DATE,
				       command, note_copy, t, e);
	ranges_free(&behind);
	if (rc == -1 || imap_select(s->imap, s->name, false, e) == -1)
		return -1;
	if (imap_selected(s->imap)->uidvalidity == s->source.identity)
		return 0;
	return err_set(e, ERR_MAILBOX, ERR_TEMPORARY,
		       "account %s: mailbox %s: was made anew this moment", s->account->name,
		       s->conf->name);
}

/*
 * COPY keeps size and INTERNALDATE (RFC 3501), and UIDs are copied in their order; so of
 * several messages of the same size and second the first ones are those that are there.
 */
int source_imap_copied(struct source *source, const struct ranges *ids,
		       const struct source_removal *how, uint64_t end, struct ranges *copied,
		       struct err *e)
{
	struct source_imap *s = (struct source_imap *)source;
	struct twins t = {0};
	uint32_t copies = 0;
	int rc = source_look(source, ids, note_twin, &t, e);

	if (rc == 0 && t.n > 0) {
		qsort(t.twin, t.n, sizeof *t.twin, compare_twins);
		rc = count_copies(s, how->move_to, end, &t, e);
	}
	for (size_t i = 0; rc == 0 && i < t.n; i++) {
		const struct twin *x = &t.twin[i];

		if (i == 0 || compare_stamps(&t.twin[i - 1].stamp, &x->stamp) != 0)
			copies = x->copies;
		if (copies > 0 || x->deleted)
			rc = ranges_append(copied, x->id, x->id, e);
		copies -= copies > 0;
	}
	ranges_sort(copied);
	free(t.twin);
	return rc;
}
