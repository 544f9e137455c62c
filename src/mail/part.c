#include "mail/part.h"

#include <string.h>

#include <glib.h>

#include "base/text.h"

static bool spans_equal_nocase(struct span a, struct span b)
{
	return a.len == b.len && g_ascii_strncasecmp(a.data, b.data, a.len) == 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Take the first line off s, including its line end. */
static struct span line_next(struct span *s)
{
	const char *lf = s->len > 0 ? memchr(s->data, '\n', s->len) : NULL;
	struct span line = {s->data, lf ? (size_t)(lf - s->data) + 1 : s->len};

	s->data += line.len;
	s->len -= line.len;
	return line;
}

static void trim_line_end(struct span *s)
{
	if (s->len == 0 || s->data[s->len - 1] != '\n')
		return;
	s->len--;
	if (s->len > 0 && s->data[s->len - 1] == '\r')
		s->len--;
}

static bool line_is_empty(struct span line)
{
	trim_line_end(&line);
	return line.len == 0;
}

/* Length of a field's name, without the blanks that RFC 822 allowed before the colon; 0: none.
 */
static size_t field_name(struct span line, size_t *value)
{
	size_t name = 0, i;

	while (name < line.len && line.data[name] > ' ' && line.data[name] < 127 &&
	       line.data[name] != ':')
		name++;
	for (i = name; i < line.len && is_blank(line.data[i]); i++)
		;
	if (name == 0 || i == line.len || line.data[i] != ':')
		return 0;
	*value = i + 1;
	return name;
}

static bool is_from_line(struct span line)
{
	size_t quote = line.len > 0 && line.data[0] == '>';

	return line.len >= quote + 5 && memcmp(line.data + quote, "From ", 5) == 0;
}

void part_split(struct span entity, struct span *header, struct span *body)
{
	struct span rest = entity, line = line_next(&rest);
	size_t value;

	*header = (struct span){entity.data, 0};
	*body = entity;
	if (is_from_line(line) && field_name(line, &value) == 0) {
		header->data = rest.data;
		*body = rest;
		line = line_next(&rest);
	}
	if (!line_is_empty(line) && field_name(line, &value) == 0)
		return;
	while (!line_is_empty(line))
		line = line_next(&rest);
	header->len = (size_t)(line.data - header->data);
	*body = rest;
}

bool part_field_next(struct span *header, struct span *name, struct span *value)
{
	struct span line;
	size_t skip = 0;

	if (header->len == 0)
		return false;
	line = line_next(header);
	*name = (struct span){line.data, field_name(line, &skip)};
	*value = (struct span){line.data + skip, line.len - skip};
	while (header->len > 0 && is_blank(header->data[0]))
		value->len += line_next(header).len;
	trim_line_end(value);
	return true;
}

bool part_field(struct span header, const char *name, struct span *value)
{
	struct span found;

	while (part_field_next(&header, &found, value))
		if (text_equal_nocase(found.data, found.len, name))
			return true;
	*value = (struct span){"", 0};
	return false;
}

/* Is there a CR that is not part of CRLF? Some parsers take it for a line end. */
static bool has_stray_cr(struct span s)
{
	const char *end = s.data + s.len, *cr = s.data;

	while (s.len > 0 && (cr = memchr(cr, '\r', (size_t)(end - cr))) != NULL)
		if (++cr == end || *cr != '\n')
			return true;
	return false;
}

static bool line_is_blank(struct span line)
{
	trim_line_end(&line);
	for (size_t i = 0; i < line.len; i++)
		if (!is_blank(line.data[i]))
			return false;
	return true;
}

bool part_field_is_regular(struct span value)
{
	struct span rest = value;

	if (has_stray_cr(value))
		return false;
	line_next(&rest);
	while (rest.len > 0)
		if (line_is_blank(line_next(&rest)))
			return false;
	return true;
}

bool part_header(struct span entity, struct span *header, struct span *body)
{
	struct span rest = entity, name, value;

	while (rest.len > 0) {
		struct span here = rest, line = line_next(&rest);

		*header = (struct span){entity.data, (size_t)(here.data - entity.data)};
		*body = line_is_empty(line) ? rest : here;
		if (line_is_empty(line))
			return true;
		rest = here;
		if (!part_field_next(&rest, &name, &value) || name.len == 0 ||
		    !part_field_is_regular(value))
			return false;
	}
	*header = (struct span){entity.data, 0};
	*body = entity;
	return false;
}

struct span part_without_from(struct span message)
{
	struct span below = message, first = line_next(&below), rest = below;
	size_t value;

	if (is_from_line(first) && field_name(first, &value) == 0 &&
	    field_name(line_next(&rest), &value) > 0)
		return below;
	return message;
}

enum delimiter {
	DELIMITER_NONE,
	DELIMITER_OPEN,
	DELIMITER_CLOSE,
	DELIMITER_ODD, /* one to some parsers, but not to others */
};

static void trim_blanks(struct span *s)
{
	while (s->len > 0 && memchr(" \t\v\f", s->data[s->len - 1], 4) != NULL)
		s->len--;
}

/* What kind of line it is, by the text after its "--". */
static enum delimiter delimiter_of(struct span text, struct span boundary)
{
	struct span name = text;

	if (text.len < boundary.len)
		return DELIMITER_NONE;
	if (memcmp(text.data, boundary.data, boundary.len) == 0) {
		if (text.len == boundary.len)
			return DELIMITER_OPEN;
		if (text.len == boundary.len + 2 &&
		    memcmp(text.data + boundary.len, "--", 2) == 0)
			return DELIMITER_CLOSE;
	}
	name.len = boundary.len;
	if (!spans_equal_nocase(name, boundary))
		return DELIMITER_NONE;
	name = (struct span){text.data + boundary.len, text.len - boundary.len};
	trim_blanks(&name);
	if (name.len >= 2 && memcmp(name.data + name.len - 2, "--", 2) == 0) {
		name.len -= 2;
		trim_blanks(&name);
	}
	return name.len == 0 ? DELIMITER_ODD : DELIMITER_NONE;
}

/* The line at s, which begins with "--": the text after that, and where the next line begins.
 */
static struct span dashed_line(const char *s, const char *end, const char **next)
{
	struct span text = {s + 2, 0};

	for (s += 2; s < end && *s != '\r' && *s != '\n'; s++)
		text.len++;
	if (s < end && *s == '\r')
		s++;
	if (s < end && *s == '\n')
		s++;
	*next = s;
	return text;
}

/* Move *rest past the next delimiter line; *before: what precedes that line. */
static enum delimiter delimiter_next(struct span *rest, struct span boundary,
				     struct span *before)
{
	const char *at = rest->data, *end = at + rest->len, *next;

	while (at < end && (at = memmem(at, (size_t)(end - at), "--", 2)) != NULL) {
		char above = at > rest->data ? at[-1] : '\n';
		enum delimiter d = DELIMITER_NONE;

		if (above == '\n' || above == '\r')
			d = delimiter_of(dashed_line(at, end, &next), boundary);
		if (d == DELIMITER_NONE) {
			while (at < end && *at == '-')
				at++;
			continue;
		}
		/* To some parsers a lone CR ends a line. */
		if (above == '\r' || next[-1] == '\r')
			d = DELIMITER_ODD;
		*before = (struct span){rest->data, (size_t)(at - rest->data)};
		*rest = (struct span){next, (size_t)(end - next)};
		return d;
	}
	return DELIMITER_NONE;
}

bool part_multipart(struct span body, struct span boundary, struct part_iter *out)
{
	struct span rest = body, before;
	enum delimiter d = delimiter_next(&rest, boundary, &out->preamble);

	out->boundary = boundary;
	out->rest = rest;
	if (d != DELIMITER_OPEN)
		return false;
	while (d == DELIMITER_OPEN) {
		d = delimiter_next(&rest, boundary, &before);
		if (d == DELIMITER_NONE || before.len == 0)
			return false;
	}
	out->epilogue = rest;
	return d == DELIMITER_CLOSE &&
	       delimiter_next(&rest, boundary, &before) == DELIMITER_NONE;
}

bool part_next(struct part_iter *it, struct span *part)
{
	enum delimiter d;

	if (it->rest.data == NULL)
		return false;
	d = delimiter_next(&it->rest, it->boundary, part);
	trim_line_end(part);
	if (d != DELIMITER_OPEN)
		it->rest = (struct span){NULL, 0};
	return true;
}

char *part_unfold(struct span value)
{
	char *flat = g_malloc(value.len + 1);
	size_t n = 0;

	for (size_t i = 0; i < value.len; i++) {
		char c = value.data[i];

		if (!is_blank(c) && c != '\r' && c != '\n')
			flat[n++] = c;
		else if (n > 0 && flat[n - 1] != ' ')
			flat[n++] = ' ';
	}
	if (n > 0 && flat[n - 1] == ' ')
		n--;
	flat[n] = '\0';
	return flat;
}
