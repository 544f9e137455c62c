#include "part.h"

#include <string.h>

#include "text.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Take the first line off s, line end and all. */
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

/* Bytes of a field's name, without the blanks that RFC 822 allowed before the colon; 0: none.
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

/* Is line, which begins like the delimiter, one? It may end in "--" and has blanks behind it.
 */
static bool is_delimiter(struct span line, size_t len, bool *last)
{
	size_t i = len;

	trim_line_end(&line);
	*last = line.len >= len + 2 && memcmp(line.data + len, "--", 2) == 0;
	if (*last)
		i += 2;
	while (i < line.len && (is_blank(line.data[i]) || line.data[i] == '\r'))
		i++;
	return i == line.len;
}

/* Move *rest behind the next delimiter line; before: what stood before that line. */
static bool delimiter_next(struct part_iter *it, struct span *before, bool *last)
{
	struct span s = it->rest;
	const char *hit;

	while (s.len > 0 &&
	       (hit = memmem(s.data, s.len, it->delimiter.data, it->delimiter.len)) != NULL) {
		bool at_start = hit == it->rest.data || hit[-1] == '\n';
		struct span line;

		s.len -= (size_t)(hit - s.data);
		s.data = hit;
		line = line_next(&s);
		if (!at_start || !is_delimiter(line, it->delimiter.len, last))
			continue;
		*before = (struct span){it->rest.data, (size_t)(hit - it->rest.data)};
		trim_line_end(before);
		it->rest = s;
		return true;
	}
	return false;
}

bool part_next(struct part_iter *it, struct span *part)
{
	static const struct span end = {NULL, 0};
	bool last = false;

	if (!it->open && (!delimiter_next(it, part, &last) || last))
		it->rest = end;
	it->open = true;
	if (it->rest.data == NULL)
		return false;
	if (!delimiter_next(it, part, &last)) {
		*part = it->rest;
		last = true;
	}
	if (last)
		it->rest = end;
	return true;
}
