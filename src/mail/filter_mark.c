#include "mail/filter_mark.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

struct field {
	const char *name, *values[6]; /* the first words of what says spam; up to NULL */
};

static const struct field fields[] = {
    {"X-Spam", {"yes"}},
    {"X-Spam-Flag", {"yes"}},
    {"X-Spam-Status", {"yes"}},
    {"X-Rspamd-Action", {"add header", "rewrite subject", "reject", "quarantine", "discard"}},
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The text begins with this, and a word ends there. */
static bool begins_with(const char *text, size_t len, const char *words)
{
	size_t n = strlen(words);

	return len >= n && strncasecmp(text, words, n) == 0 &&
	       (len == n || !isalnum((unsigned char)text[n]));
}

/* One field, "Name: value", with its folded lines. */
static bool says_spam(const char *text, size_t len)
{
	const char *colon = memchr(text, ':', len), *value, *end = text + len;
	size_t name = colon ? (size_t)(colon - text) : 0;

	while (name > 0 && is_blank(text[name - 1]))
		name--;
	for (size_t i = 0; name > 0 && i < sizeof fields / sizeof *fields; i++) {
		const struct field *f = &fields[i];

		if (name != strlen(f->name) || strncasecmp(text, f->name, name) != 0)
			continue;
		for (value = colon + 1; value < end && is_blank(*value);)
			value++;
		for (size_t k = 0; f->values[k]; k++)
			if (begins_with(value, (size_t)(end - value), f->values[k]))
				return true;
	}
	return false;
}

bool filter_mark_is_spam(const char *header, size_t len)
{
	const char *end = header + len, *next;

	for (const char *field = header; field < end; field = next) {
		next = field;
		do { /* lines that begin with a blank go on */
			next = memchr(next, '\n', (size_t)(end - next));
			next = next ? next + 1 : end;
		} while (next < end && (*next == ' ' || *next == '\t'));
		if (says_spam(field, (size_t)(next - field)))
			return true;
	}
	return false;
}
