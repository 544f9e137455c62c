#include "imap/sequence.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static int read_item(struct ranges *s, const char *text, size_t len, struct err *e)
{
	const char *colon = memchr(text, ':', len);
	size_t head = colon ? (size_t)(colon - text) : len;
	uint64_t a = 0, b = 0;
	bool good = text_number(text, head, UINT32_MAX, &a);

	if (colon)
		good = good && text_number(colon + 1, len - head - 1, UINT32_MAX, &b);
	else
		b = a;
	if (!good || a == 0 || b == 0)
		return err_set(e, ERR_SERVER, ERR_PROTOCOL, "a set of UIDs that is none");
	return ranges_append(s, (uint32_t)a, (uint32_t)b, e);
}

int sequence_read(struct ranges *s, const char *text, size_t len, struct err *e)
{
	const char *comma;

	while ((comma = memchr(text, ',', len)) != NULL) {
		size_t n = (size_t)(comma - text);

		if (read_item(s, text, n, e) == -1)
			return -1;
		text += n + 1;
		len -= n + 1;
	}
	return read_item(s, text, len, e);
}

int sequence_take(struct ranges *s, size_t max, char *text, size_t size, struct ranges *taken,
		  size_t *n, struct err *e)
{
	struct ranges dropped = {0};
	size_t used = 0;
	uint64_t count = 0;
	int rc;

	text[0] = '\0';
	for (size_t i = 0; i < s->n && count < max; i++) {
		struct range part = s->range[i];
		char item[32];
		int len;

		if ((uint64_t)part.last - part.first + 1 > max - count)
			part.last = part.first + (uint32_t)(max - count) - 1;
		len = snprintf(item, sizeof item, part.first == part.last ? "%s%u" : "%s%u:%u",
			       used ? "," : "", part.first, part.last);
		if (len < 0 || used + (size_t)len + 1 > size)
			break;
		memcpy(text + used, item, (size_t)len + 1);
		used += (size_t)len;
		count += (uint64_t)part.last - part.first + 1;
	}
	*n = (size_t)count;
	rc = ranges_take(s, count, taken ? taken : &dropped, e);
	ranges_free(&dropped);
	return rc;
}
