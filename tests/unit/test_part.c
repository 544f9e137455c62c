/*
 * part.c: where headers, fields and parts begin and end, on well-formed and on hostile bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "part.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct span span(const char *s)
{
	return (struct span){s, strlen(s)};
}

static void check(struct span s, const char *want)
{
	if (s.len != strlen(want) || (s.len > 0 && memcmp(s.data, want, s.len) != 0))
		fail_msg("\"%.*s\" is not \"%s\"", (int)s.len, s.data, want);
}

static const struct {
	const char *whole, *header, *body;
} splits[] = {
    {"A: b\n\nbody\n", "A: b\n", "body\n"},
    {"A: b\r\n\r\nbody\r\n", "A: b\r\n", "body\r\n"},
    {"A: b\n\n\nbody", "A: b\n", "\nbody"},
    {"A: b\nC: d", "A: b\nC: d", ""},
    {"A: b\n", "A: b\n", ""},
    {"\nbody", "", "body"},
    {"\r\nbody", "", "body"},
    {"", "", ""},
    {"no header\n\nhere", "", "no header\n\nhere"},
    {" folded: nothing\n\nx", "", " folded: nothing\n\nx"},
    {": no name\n\nx", "", ": no name\n\nx"},
    {"A: b\njunk\nC: d\n\nx", "A: b\njunk\nC: d\n", "x"},
    {"A: b\n \n\nx", "A: b\n \n", "x"}, /* a folded blank line is no empty line */
    {"A: b\r\r\n\r\nx", "A: b\r\r\n", "x"},
    {"A: b\r\rx\n\ny", "A: b\r\rx\n", "y"}, /* a lone CR ends nothing */
    {"From a@b Thu\nA: b\n\nx", "A: b\n", "x"},
    {">From a@b Thu\nA: b\n\nx", "A: b\n", "x"},
    {"From a@b Thu\nhello", "", "hello"},
    {"From a@b Thu\n", "", ""},
    {"From a@b Thu\n\nx", "", "x"},
    {"From : a@b\n\nx", "From : a@b\n", "x"}, /* a field, not an mbox line */
    {"A: b\nFrom a@b Thu\n\nx", "A: b\nFrom a@b Thu\n", "x"},
};

static void header_and_body(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(splits); i++) {
		struct span header, body;

		part_split(span(splits[i].whole), &header, &body);
		check(header, splits[i].header);
		check(body, splits[i].body);
	}
}

static void fields(void **state)
{
	struct span header = span("A: b\r\n c\r\n\td\r\nB\t :x\nj\xFCnk: 1\nthree words: 2\n"
				  ": 3\nEmpty:\nLast: z");
	static const char *const want[][2] = {
	    {"A", " b\r\n c\r\n\td"}, {"B", "x"},  {"", "j\xFCnk: 1"},
	    {"", "three words: 2"},   {"", ": 3"}, {"Empty", ""},
	    {"Last", " z"},
	};
	struct span rest = header, name, value;

	(void)state;
	for (size_t i = 0; i < COUNT(want); i++) {
		assert_true(part_field_next(&rest, &name, &value));
		check(name, want[i][0]);
		check(value, want[i][1]);
	}
	assert_false(part_field_next(&rest, &name, &value));

	assert_true(part_field(header, "LAST", &value));
	check(value, " z");
	assert_false(part_field(header, "Las", &value));
	assert_int_equal(value.len, 0);
	assert_true(part_field(span("S: 1\ns: 2\n"), "S", &value)); /* the first one counts */
	check(value, " 1");
}

/* The parts of a body whose boundary is b, each in brackets. */
static const struct {
	const char *body, *parts;
} bodies[] = {
    {"--b\none\n--b\ntwo\n--b--\n", "[one][two]"},
    {"--b\r\none\r\n\r\n--b\r\ntwo\r\n--b--", "[one\r\n][two]"},
    {"preamble\n--b\none\n--b--\nepilogue\n--b\nnot me\n--b--\n", "[one]"},
    {"--b \t\none\n--b-- \t\r\n", "[one]"},
    {"--b\none\n--bb\n--b-\n --b\n-- b\nx--b\n--b--", "[one\n--bb\n--b-\n --b\n-- b\nx--b]"},
    {"--b\none", "[one]"}, /* never closed */
    {"--b\none\n", "[one\n]"},
    {"--b\n", "[]"},
    {"--b", "[]"},
    {"--b\n--b\n--b--\n", "[][]"},
    {"--b\n\n--b--\n", "[]"},
    {"--b--\n--b\none\n", ""},
    {"nothing\n-b\n", ""},
    {"", ""},
};

static void parts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		struct part_iter it = {.rest = span(bodies[i].body), .delimiter = span("--b")};
		struct span part;
		char got[100] = "";

		while (part_next(&it, &part)) {
			size_t n = strlen(got);

			snprintf(got + n, sizeof got - n, "[%.*s]", (int)part.len, part.data);
		}
		assert_false(part_next(&it, &part)); /* the end stays the end */
		assert_string_equal(got, bodies[i].parts);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(header_and_body),
	    cmocka_unit_test(fields),
	    cmocka_unit_test(parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
