/*
 * mbox.c: where a message ends, what is quoted, and that nothing costs more memory than the
 * cap.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mail/mbox.h"

#define FROM "From a@b Thu Nov 26 10:59:00 2026\n"

static struct mbox m;
static struct buf body;
static struct err e;
static FILE *file;

static void begin(const char *text, size_t len, size_t cap)
{
	file = tmpfile();
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	rewind(file);
	mbox_begin(&m, file);
	buf_init(&body, cap);
}

static void end(void)
{
	buf_free(&body);
	fclose(file);
}

static void next_is(const char *expected)
{
	uint64_t size;

	assert_int_equal(mbox_next(&m, &body, &size, &e), 1);
	assert_int_equal(size, strlen(expected));
	assert_int_equal(body.len, size);
	if (size > 0)
		assert_memory_equal(body.data, expected, size);
}

static void no_more(void)
{
	uint64_t size;

	for (int i = 0; i < 2; i++)
		assert_int_equal(mbox_next(&m, &body, &size, &e), 0);
}

static void check(const char *text, const char *const *expected)
{
	begin(text, strlen(text), 1000);
	for (; *expected; expected++)
		next_is(*expected);
	no_more();
	end();
}

static void test_separators(void **state)
{
	(void)state;
	check("", (const char *[]){NULL});
	check(FROM, (const char *[]){"", NULL});
	check(FROM FROM "a\n", (const char *[]){"", "a\n", NULL});
	check(FROM "a\n\n" FROM "b\n\n", (const char *[]){"a\n", "b\n", NULL});
	/* One blank line is the separator's own; the others are the message's. */
	check(FROM "a\n\n\n\n" FROM "b", (const char *[]){"a\n\n\n", "b", NULL});
	check(FROM "a\r\n\r\n" FROM "b\r\n\r\n", (const char *[]){"a\r\n", "b\r\n", NULL});
	/* Without a blank line before it, or without a time in it, it is text. */
	check(FROM "a\n" FROM "b\n", (const char *[]){"a\n" FROM "b\n", NULL});
	check(FROM "a\n\nFrom here on\n", (const char *[]){"a\n\nFrom here on\n", NULL});
	check(FROM "a\n\nfrom a 10:59\n", (const char *[]){"a\n\nfrom a 10:59\n", NULL});
	/* A file that is no mbox is one message. */
	check("a\n\nb\n", (const char *[]){"a\n\nb\n", NULL});
}

static void test_quotes(void **state)
{
	(void)state;
	check(FROM ">From a\n>>From b\n> From c\n>Fro\n>\n",
	      (const char *[]){"From a\n>From b\n> From c\n>Fro\n>\n", NULL});
	check(FROM "a >From b\n", (const char *[]){"a >From b\n", NULL});
}

/* What is a separator, or quoted, is seen at the beginning of a line only, however long it is.
 */
static void test_long_lines(void **state)
{
	static char text[20000], expected[20000];
	size_t n = 0;

	(void)state;
	n += (size_t)snprintf(text, sizeof text, "From %0*d 10:59\n", 5000,
			      0); /* a separator, if it is read */
	begin(text, n, sizeof text);
	/* Its time lies behind what is looked at: then it is text. */
	assert_int_equal(strlen(text), n);
	next_is(text);
	no_more();
	end();

	n = (size_t)snprintf(text, sizeof text, "From a 10:59 %0*d\n", 9000, 0);
	n += (size_t)snprintf(text + n, sizeof text - n, "%0*d>From x\n", 4096, 0);
	snprintf(expected, sizeof expected, "%0*d>From x\n", 4096, 0);
	begin(text, n, sizeof text);
	next_is(expected);
	no_more();
	end();
}

static void test_cap(void **state)
{
	static const char text[] = FROM "12345678\n9\n\n" FROM "1234567\n\n" FROM "x\n";
	uint64_t size;

	(void)state;
	begin(text, sizeof text - 1, 8);
	assert_int_equal(mbox_next(&m, &body, &size, &e), 1);
	assert_int_equal(size, 11);
	assert_true(body.len <= 8);
	next_is("1234567\n");
	next_is("x\n");
	no_more();
	end();
}

static void test_any_bytes(void **state)
{
	static const char text[] = FROM "a\0b\xff\n\0\n\n" FROM "c\n";
	uint64_t size;

	(void)state;
	begin(text, sizeof text - 1, 100);
	assert_int_equal(mbox_next(&m, &body, &size, &e), 1);
	assert_int_equal(size, 7);
	assert_memory_equal(body.data, "a\0b\xff\n\0\n", 7);
	next_is("c\n");
	end();
}

static void test_cannot_be_read(void **state)
{
	uint64_t size;

	(void)state;
	file = fopen("/", "r");
	assert_non_null(file);
	mbox_begin(&m, file);
	buf_init(&body, 100);
	assert_int_equal(mbox_next(&m, &body, &size, &e), -1);
	assert_int_equal(e.scope, ERR_MAILBOX);
	assert_int_equal(e.kind, ERR_DATA);
	assert_string_equal(e.text, "Is a directory");
	end();
}

static void test_is_separator(void **state)
{
	static const struct {
		const char *line;
		bool yes;
	} lines[] = {
	    {"From a 10:59", true},   {"From 1:59", false}, {"From 10:5", false},
	    {"From  10:59 x", true},  {"From", false},	    {">From a 10:59", false},
	    {"From: a 10:59", false}, {"", false},	    {"From a b1:23", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		assert_int_equal(mbox_is_separator(lines[i].line, strlen(lines[i].line)),
				 lines[i].yes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_separators),	 cmocka_unit_test(test_quotes),
	    cmocka_unit_test(test_long_lines),	 cmocka_unit_test(test_cap),
	    cmocka_unit_test(test_any_bytes),	 cmocka_unit_test(test_cannot_be_read),
	    cmocka_unit_test(test_is_separator),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
