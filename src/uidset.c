#include "uidset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

void uidset_free(struct uidset *s)
{
	free(s->range);
	*s = (struct uidset){0};
}

void uidset_clear(struct uidset *s)
{
	s->n = 0;
}

/* The index of the first range that ends at or after uid. */
static size_t uidset_find(const struct uidset *s, uint32_t uid)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->range[mid].last < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int uidset_grow(struct uidset *s)
{
	size_t size = s->size ? s->size * 2 : 16;
	struct uid_range *p;

	if (s->n < s->size)
		return 0;
	if (s->n >= UIDSET_MAX_RANGES)
		return -1;
	p = realloc(s->range, size * sizeof *p);
	if (p == NULL)
		return -1;
	s->range = p;
	s->size = size;
	return 0;
}

int uidset_add(struct uidset *s, uint32_t first, uint32_t last)
{
	size_t i, j;

	if (first > last)
		return uidset_add(s, last, first);
	if (first == 0)
		return -1;
	/* Ranges that touch first-1 .. last+1 become one with the new one. */
	i = uidset_find(s, first - 1 ? first - 1 : 1);
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
		if (uidset_grow(s) == -1)
			return -1;
		memmove(s->range + i + 1, s->range + i, (s->n - i) * sizeof *s->range);
		s->n++;
	}
	s->range[i] = (struct uid_range){first, last};
	return 0;
}

static int uidset_add_item(struct uidset *s, const char *text, size_t len)
{
	const char *colon = memchr(text, ':', len);
	size_t head = colon ? (size_t)(colon - text) : len;
	uint64_t a, b;

	if (!text_number(text, head, UINT32_MAX, &a) || a == 0)
		return -1;
	b = a;
	if (colon && (!text_number(colon + 1, len - head - 1, UINT32_MAX, &b) || b == 0))
		return -1;
	return uidset_add(s, (uint32_t)a, (uint32_t)b);
}

int uidset_add_text(struct uidset *s, const char *text, size_t len)
{
	const char *comma;

	while ((comma = memchr(text, ',', len)) != NULL) {
		size_t n = (size_t)(comma - text);

		if (uidset_add_item(s, text, n) == -1)
			return -1;
		text += n + 1;
		len -= n + 1;
	}
	return uidset_add_item(s, text, len);
}

int uidset_union(struct uidset *s, const struct uidset *other)
{
	for (size_t i = 0; i < other->n; i++)
		if (uidset_add(s, other->range[i].first, other->range[i].last) == -1)
			return -1;
	return 0;
}

int uidset_minus(const struct uidset *s, const struct uidset *other, struct uidset *out)
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
			    uidset_add(out, (uint32_t)at, (uint32_t)(end - 1)) == -1)
				return -1;
			if (!hole)
				break;
			at = (uint64_t)other->range[k].last + 1;
		}
	}
	return 0;
}

bool uidset_has(const struct uidset *s, uint32_t uid)
{
	size_t i = uidset_find(s, uid);

	return i < s->n && s->range[i].first <= uid;
}

uint64_t uidset_count(const struct uidset *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += (uint64_t)s->range[i].last - s->range[i].first + 1;
	return n;
}

size_t uidset_take(struct uidset *s, size_t max, char *text, size_t size, struct uidset *taken)
{
	size_t count = 0, used = 0, i;

	text[0] = '\0';
	if (s->n == 0)
		return 0;
	for (i = 0; i < s->n && count < max; i++) {
		struct uid_range *r = &s->range[i], part = *r;
		char item[32];
		int n;

		if ((uint64_t)part.last - part.first + 1 > max - count)
			part.last = part.first + (uint32_t)(max - count) - 1;
		n = snprintf(item, sizeof item, part.first == part.last ? "%s%u" : "%s%u:%u",
			     used ? "," : "", part.first, part.last);
		if (n < 0 || used + (size_t)n + 1 > size)
			break;
		if (taken && uidset_add(taken, part.first, part.last) == -1)
			break;
		memcpy(text + used, item, (size_t)n + 1);
		used += (size_t)n;
		count += part.last - part.first + 1;
		if (part.last < r->last) {
			r->first = part.last + 1;
			break;
		}
	}
	memmove(s->range, s->range + i, (s->n - i) * sizeof *s->range);
	s->n -= i;
	return count;
}
