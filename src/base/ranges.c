#include "base/ranges.h"

#include <stdlib.h>
#include <string.h>

void ranges_free(struct ranges *s)
{
	free(s->range);
	*s = (struct ranges){0};
}

void ranges_clear(struct ranges *s)
{
	s->n = 0;
}

/* The index of the first range that ends at or after number. */
static size_t find(const struct ranges *s, uint32_t number)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->range[mid].last < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int too_many(struct err *e)
{
	return err_set(e, ERR_FATAL, ERR_LOCAL,
		       "more than %d gaps between the messages of a mailbox; let the "
		       "server compact it",
		       RANGES_MAX);
}

/* Make room for one more range. */
static int grow(struct ranges *s, struct err *e)
{
	size_t size = s->size ? s->size * 2 : 16;
	struct range *p;

	if (s->n < s->size)
		return 0;
	if (s->n >= RANGES_MAX)
		return too_many(e);
	p = realloc(s->range, size * sizeof *p);
	if (p == NULL)
		return err_no_memory(e);
	s->range = p;
	s->size = size;
	return 0;
}

int ranges_add(struct ranges *s, uint32_t first, uint32_t last, struct err *e)
{
	size_t i, j;

	if (first > last)
		return ranges_add(s, last, first, e);
	/* Merge ranges that touch first - 1 .. last + 1 with the new one. */
	i = find(s, first > 1 ? first - 1 : 1);
	for (j = i; j < s->n && (last == UINT32_MAX || s->range[j].first <= last + 1); j++)
		;
	if (j > i) {
		if (s->range[i].first < first)
			first = s->range[i].first;
		if (s->range[j - 1].last > last)
			last = s->range[j - 1].last;
		memmove(s->range + i + 1, s->range + j, (s->n - j) * sizeof *s->range);
		s->n -= j - i - 1;
	} else {
		if (grow(s, e) == -1)
			return -1;
		memmove(s->range + i + 1, s->range + i, (s->n - i) * sizeof *s->range);
		s->n++;
	}
	s->range[i] = (struct range){first, last};
	return 0;
}

int ranges_append(struct ranges *s, uint32_t first, uint32_t last, struct err *e)
{
	if (first > last)
		return ranges_append(s, last, first, e);
	if (s->n > 0) {
		struct range *r = &s->range[s->n - 1];

		if (first > 1 && first - 1 == r->last) {
			r->last = last;
			return 0;
		}
		if (last < UINT32_MAX && last + 1 == r->first) {
			r->first = first;
			return 0;
		}
	}
	/* In any order, numbers are more ranges than when they are sorted. Not for a few: it
	 * takes time. */
	if (s->n >= RANGES_MAX) {
		ranges_sort(s);
		if (s->n > RANGES_MAX / 2)
			return too_many(e);
	}
	if (grow(s, e) == -1)
		return -1;
	s->range[s->n++] = (struct range){first, last};
	return 0;
}

static int by_first(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

void ranges_sort(struct ranges *s)
{
	size_t n = 0;

	if (s->n > 1)
		qsort(s->range, s->n, sizeof *s->range, by_first);
	for (size_t i = 0; i < s->n; i++) {
		struct range r = s->range[i], *before = n > 0 ? &s->range[n - 1] : NULL;

		if (before && (before->last == UINT32_MAX || r.first <= before->last + 1))
			before->last = r.last > before->last ? r.last : before->last;
		else
			s->range[n++] = r;
	}
	s->n = n;
}

int ranges_union(struct ranges *s, const struct ranges *other, struct err *e)
{
	for (size_t i = 0; i < other->n; i++)
		if (ranges_add(s, other->range[i].first, other->range[i].last, e) == -1)
			return -1;
	return 0;
}

int ranges_minus(const struct ranges *s, const struct ranges *other, struct ranges *out,
		 struct err *e)
{
	size_t j = 0;

	for (size_t i = 0; i < s->n; i++) {
		uint64_t at = s->range[i].first, last = s->range[i].last;

		while (j < other->n && other->range[j].last < at)
			j++;
		for (size_t k = j; at <= last; k++) {
			bool hole = k < other->n && other->range[k].first <= last;
			uint64_t end = hole ? other->range[k].first : last + 1;

			if (end > at &&
			    ranges_add(out, (uint32_t)at, (uint32_t)(end - 1), e) == -1)
				return -1;
			if (!hole)
				break;
			at = (uint64_t)other->range[k].last + 1;
		}
	}
	return 0;
}

int ranges_take(struct ranges *s, uint64_t max, struct ranges *taken, struct err *e)
{
	size_t i;

	for (i = 0; i < s->n && max > 0; i++) {
		struct range *r = &s->range[i];
		uint64_t n = (uint64_t)r->last - r->first + 1;
		uint32_t last = n > max ? r->first + (uint32_t)(max - 1) : r->last;

		if (ranges_add(taken, r->first, last, e) == -1)
			return -1;
		if (n > max) {
			r->first = last + 1;
			break;
		}
		max -= n;
	}
	if (i > 0)
		memmove(s->range, s->range + i, (s->n - i) * sizeof *s->range);
	s->n -= i;
	return 0;
}

bool ranges_has(const struct ranges *s, uint32_t number)
{
	size_t i = find(s, number);

	return i < s->n && s->range[i].first <= number;
}

bool ranges_next(const struct ranges *s, uint32_t *number)
{
	size_t i = *number < UINT32_MAX ? find(s, *number + 1) : s->n;

	if (i == s->n)
		return false;
	*number = s->range[i].first > *number ? s->range[i].first : *number + 1;
	return true;
}

uint64_t ranges_count(const struct ranges *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += (uint64_t)s->range[i].last - s->range[i].first + 1;
	return n;
}
