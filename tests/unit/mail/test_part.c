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

#include <glib.h>

#include "mail/part.h"

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

/* Which headers are regular, and what stands behind what is. */
static const struct {
	const char *whole, *header, *body;
	bool regular;
} headers[] = {
    {"A: b\nC: d\n\nx", "A: b\nC: d\n", "x", true},
    {"A: b\r\n c\r\n\r\nx", "A: b\r\n c\r\n", "x", true},
    {"A: b\n\r\nx", "A: b\n", "x", true},
    {"A : b\n\nx", "A : b\n", "x", true},
    {"\nx", "", "x", true},
    {"\n", "", "", true},
    {"A: b\njunk\nC: d\n\nx", "A: b\n", "junk\nC: d\n\nx", false},
    {"A: b\nC: d\re\n\nx", "A: b\n", "C: d\re\n\nx", false},
    {"A: b\nC: d\r\r\n\nx", "A: b\n", "C: d\r\r\n\nx", false},
    {"A: b\nC: d\n \n\nx", "A: b\n", "C: d\n \n\nx", false},
    {"A: b\nC: d\n\t\r\n e\n\nx", "A: b\n", "C: d\n\t\r\n e\n\nx", false},
    {"A: b\nC: d\n", "", "A: b\nC: d\n", false}, /* nothing ends it */
    {"A: b", "", "A: b", false},
    {"", "", "", false},
    {" A: b\n\nx", "", " A: b\n\nx", false},
    {"junk\n\nx", "", "junk\n\nx", false},
    {"From a\nA: b\n\nx", "", "From a\nA: b\n\nx", false},
};

static void regular_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(headers); i++) {
		struct span header, body;

		if (part_header(span(headers[i].whole), &header, &body) != headers[i].regular)
			fail_msg("header %zu", i);
		check(header, headers[i].header);
		check(body, headers[i].body);
	}
	check(part_without_from(span("From a\nA: b\n\n")), "A: b\n\n");
	check(part_without_from(span(">From a\nA: b\n\n")), "A: b\n\n");
	check(part_without_from(span("From a\n\nx")), "From a\n\nx");
	check(part_without_from(span("From a\nx\n\n")), "From a\nx\n\n");
	check(part_without_from(span("From: a\nA: b\n\n")), "From: a\nA: b\n\n");
	check(part_without_from(span("From a")), "From a");
}

/* Preamble, parts and epilogue of a body whose boundary is b, in brackets; NULL: irregular. */
static const struct {
	const char *body, *parts;
} bodies[] = {
    {"--b\none\n--b\ntwo\n--b--\n", "()[one][two]()"},
    {"--b\r\none\r\n\r\n--b\r\ntwo\r\n--b--", "()[one\r\n][two]()"},
    {"pre\n--b\none\n--b--\nepi\n", "(pre\n)[one](epi\n)"},
    {"--b\none\n--bb\n--b-\n --b\n-- b\nx--b\n--b--",
     "()[one\n--bb\n--b-\n --b\n-- b\nx--b]()"},
    {"--b\n\n--b--\n", "()[]()"},
    {"--b\none\n--b--x\n--b----\n--b--\n", "()[one\n--b--x\n--b----]()"},
    {"--b\none\n--b--\nepi\n--c\n", "()[one](epi\n--c\n)"},
    /* never opened or closed, or twice */
    {"--b\none", NULL},
    {"--b\none\n", NULL},
    {"--b--\n", NULL},
    {"--b--\n--b\none\n--b--\n", NULL},
    {"--b\none\n--b--\n--b\ntwo\n--b--\n", NULL},
    {"--b\none\n--b--\n--b--\n", NULL},
    {"nothing\n-b\n", NULL},
    {"", NULL},
    /* a part without a byte, which rspamd reads from its delimiter on */
    {"--b\n--b\none\n--b--\n", NULL},
    {"--b\n--b--\n", NULL},
    /* a delimiter to some */
    {"--b\none\n--B\ntwo\n--b--\n", NULL},
    {"--b\none\n--b \ntwo\n--b--\n", NULL},
    {"--b\none\n--b\t\ntwo\n--b--\n", NULL},
    {"--b\none\n--b-- \n--b--\n", NULL},
    {"--b\none\n--b --\n--b--\n", NULL},
    {"--b\none\n--b--\nepi\n--B--\n", NULL},
    {"--b\none\r--b\ntwo\n--b--\n", NULL},
    {"--b\none\n--b\rtwo\n--b--\n", NULL},
    {"--b\none\n--b--\r", NULL},
    {"--b\r\r\none\n--b--\n", NULL},
};

static void parts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		struct part_iter it;
		struct span part;
		char got[100] = "";
		size_t n;

		if (part_multipart(span(bodies[i].body), span("b"), &it) !=
		    (bodies[i].parts != NULL))
			fail_msg("body %zu", i);
		if (bodies[i].parts == NULL)
			continue;
		snprintf(got, sizeof got, "(%.*s)", (int)it.preamble.len, it.preamble.data);
		while (part_next(&it, &part)) {
			n = strlen(got);
			snprintf(got + n, sizeof got - n, "[%.*s]", (int)part.len, part.data);
		}
		assert_false(part_next(&it, &part)); /* the end stays the end */
		n = strlen(got);
		snprintf(got + n, sizeof got - n, "(%.*s)", (int)it.epilogue.len,
			 it.epilogue.data);
		assert_string_equal(got, bodies[i].parts);
	}
}

static void unfolded(void **state)
{
	char *flat = part_unfold(span(" \t a\r\n\tb  c \r\n"));

	(void)state;
	assert_string_equal(flat, "a b c");
	g_free(flat);
	flat = part_unfold(span(""));
	assert_string_equal(flat, "");
	g_free(flat);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(header_and_body), cmocka_unit_test(fields),
	    cmocka_unit_test(regular_headers), cmocka_unit_test(parts),
	    cmocka_unit_test(unfolded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
