#include "mail/report_field.h"

#include <ctype.h>
#include <string.h>

#include "mail/mime.h"
#include "base/text.h"

/* Copy a field's value, unfolded, without blanks around it; false if it is too long. */
static bool unfold(struct span v, char out[REPORT_FIELD_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < v.len; i++) {
		char c = v.data[i];

		if (c == '\r' || c == '\n')
			continue;
		if (c == '\t')
			c = ' ';
		if ((unsigned char)c < ' ' || n + 1 >= REPORT_FIELD_MAX)
			return false;
		if (c != ' ' || n > 0)
			out[n++] = c;
	}
	while (n > 0 && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
	return true;
}

static void lower(char *s)
{
	for (; *s; s++)
		*s = (char)tolower((unsigned char)*s);
}

/* Take one "name=value" of the field. Unknown names are allowed for later versions, duplicates
 * are not. */
static bool take_pair(struct report_field *m, const char *pair)
{
	char *to = NULL;

	if (strncmp(pair, "class=", 6) == 0) {
		if (m->class != CLASS_NONE)
			return false;
		m->class = class_parse(pair + 6);
		return m->class != CLASS_NONE;
	}
	if (strncmp(pair, "user=", 5) == 0)
		to = m->user;
	else if (strncmp(pair, "token=", 6) == 0)
		to = m->token;
	if (to == NULL)
		return strchr(pair, '=') != NULL;
	if (to[0] != '\0')
		return false;
	pair = strchr(pair, '=') + 1;
	memcpy(to, pair, strlen(pair) + 1);
	return true;
}

static bool parse_value(struct report_field *m, char *value)
{
	char *rest = value, *pair;
	bool first = true;

	while ((pair = strsep(&rest, ";")) != NULL) {
		size_t n;

		pair += strspn(pair, " ");
		for (n = strlen(pair); n > 0 && pair[n - 1] == ' ';)
			pair[--n] = '\0';
		if (first ? strcmp(pair, "v1") != 0 : !take_pair(m, pair))
			return false;
		first = false;
	}
	return m->class != CLASS_NONE;
}

static void read_field(struct report_field *m, struct span value)
{
	char text[REPORT_FIELD_MAX];

	m->found = true;
	m->malformed = !unfold(value, text) || !parse_value(m, text);
	lower(m->user);
}

/* "<alice@example.org>" without its angle brackets. */
static void read_return_path(struct report_field *m, struct span value)
{
	char text[REPORT_FIELD_MAX], *p = text;
	size_t n;

	if (m->return_paths++ > 0 || !unfold(value, text))
		return;
	n = strlen(p);
	if (n >= 2 && p[0] == '<' && p[n - 1] == '>') {
		p[n - 1] = '\0';
		p++;
	}
	memcpy(m->return_path, p, strlen(p) + 1);
	lower(m->return_path);
}

/* Read the fields above the report field, or above the original if there is none. */
static void read_top(struct report_field *m, const char *msg, size_t end)
{
	struct span header, body, name, value;

	part_split((struct span){msg, end}, &header, &body);
	while (part_field_next(&header, &name, &value)) {
		if (text_equal_nocase(name.data, name.len, "X-Learnspool-Report")) {
			read_field(m, value);
			break;
		}
		if (text_equal_nocase(name.data, name.len, "Return-Path"))
			read_return_path(m, value);
		else if (text_equal_nocase(name.data, name.len, "Delivered-To"))
			m->delivered_tos++;
		m->above = (struct span){msg, (size_t)(header.data - msg)};
	}
}

void report_field_read(const char *msg, size_t len, struct report_field *out)
{
	size_t end = mime_original(msg, len);
	struct span header, body, value;

	*out = (struct report_field){.above = {msg, 0}};
	if (end > 0) {
		read_top(out, msg, end);
		return;
	}
	/* Ordinary mail: servers add the envelope sender above all other fields. */
	part_split((struct span){msg, len < MIME_MAX_HEADER ? len : MIME_MAX_HEADER}, &header,
		   &body);
	if (part_field(header, "Return-Path", &value))
		read_return_path(out, value);
}

const char *report_field_reporter(const struct report_field *m)
{
	return m->found && !m->malformed && m->user[0] ? m->user : m->return_path;
}
