/*
 * wrappers.c: how many messages show it, which ones are read, and the bounds of both.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake/fixture.h"
#include "fake/source.h"
#include "learn/wrappers.h"

static const char plain[] = "Subject: a\r\n\r\nText.\r\n";
static const char forward[] = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
			      "Content-Type: message/rfc822\r\n\r\nSubject: a\r\n\r\nb\r\n"
			      "--b--\r\n";

static struct fake_events events;
static struct fake_source src;
static struct wrappers w;
static struct err e;

static int setup(void **state)
{
	(void)state;
	fake_events_clear(&events);
	fake_source_init(&src, "a", "INBOX", CLASS_SPAM, &events);
	src.source.may_unwrap = true;
	w = (struct wrappers){0};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_source_free(&src);
	return 0;
}

static void count(const char *body, int n)
{
	struct buf b;

	buf_init(&b, 4096);
	assert_int_equal(buf_adds(&b, body), 0);
	for (int i = 0; i < n; i++)
		assert_int_equal(wrappers_count(&w, &src.source, &b, &e), 0);
	buf_free(&b);
}

static void is(unsigned found, unsigned bodies)
{
	assert_int_equal(w.found, found);
	assert_int_equal(w.bodies, bodies);
}

static void test_count(void **state)
{
	(void)state;
	count(plain, 2);
	count(forward, 3);
	is(3, 5);
	count(plain, 15);
	is(3, 20);
	count(forward, 1); /* 20 are enough */
	is(3, 20);
	w = (struct wrappers){0};
	src.source.may_unwrap = false;
	count(forward, 1);
	is(0, 0);
}

static void many(unsigned found, unsigned bodies, bool are)
{
	char text[512] = "";

	w = (struct wrappers){.bodies = bodies, .found = found};
	assert_int_equal(wrappers_are_many(&w, "me", "Spam", text, sizeof text), are);
	if (are)
		assert_non_null(strstr(text, "account me: mailbox Spam: "));
	else
		assert_string_equal(text, "");
}

static void test_many(void **state)
{
	char text[512];

	(void)state;
	many(2, 2, false);
	many(3, 3, true);
	many(3, 5, true);
	many(3, 6, false); /* not the most */
	many(4, 6, true);
	many(10, 20, false);
	many(11, 20, true);
	many(0, 0, false);
	w = (struct wrappers){.bodies = 5, .found = 4};
	assert_true(wrappers_are_many(&w, "me", "Spam", text, sizeof text));
	assert_non_null(strstr(text, "4 of 5 messages have a message attached"));
}

static void deliver(const char *body, int n)
{
	for (int i = 0; i < n; i++)
		fake_deliver(&src, body, 1000);
}

static void read_them(void)
{
	assert_int_equal(source_open(&src.source, true, &e), 0);
	assert_int_equal(wrappers_read(&w, &src.source, &e), 0);
	source_close(&src.source);
}

/* The newest five, however many there are, and those that cannot be had do not count. */
static void test_read(void **state)
{
	(void)state;
	deliver(forward, 4);
	read_them();
	is(4, 4);
	fake_events_have(&events, "want 1:4; ");
	w = (struct wrappers){0};
	deliver(forward, 1);
	read_them();
	is(5, 5);
	w = (struct wrappers){0};
	deliver(plain, 3);
	src.message[6].how = FAKE_REFUSE;
	src.message[5].how = FAKE_NOTHING;
	src.waits = 2;
	read_them();
	is(2, 3);
	fake_events_have(&events, "want 4:8; ");
}

static void test_read_window(void **state)
{
	(void)state;
	src.next = 1001;
	deliver(forward, 1);
	read_them();
	fake_events_have(&events, "list 2:1001; "); /* 1000 numbers at most */
	fake_events_clear(&events);
	src.next = 1000;
	read_them();
	fake_events_lack(&events, "list 0:");
	fake_events_lack(&events, "list 2:");
	src.next = 0; /* the source does not say */
	read_them();
	fake_events_have(&events, "want 1001");
	src.next = 1;
	read_them();
}

static void test_read_nothing(void **state)
{
	(void)state;
	read_them();
	fake_events_lack(&events, "list ");
	fake_events_lack(&events, "want ");
	src.count = 1; /* one that is not there */
	read_them();
	fake_events_lack(&events, "want ");
	src.count = 0;
	deliver(forward, 1);
	src.source.may_unwrap = false;
	read_them();
	fake_events_lack(&events, "want ");
	is(0, 0);
}

static void broken_at(int which)
{
	fake_fail(&src, which, ERR_SERVER, ERR_UNREACHABLE);
	assert_int_equal(source_open(&src.source, true, &e), 0);
	assert_int_equal(wrappers_read(&w, &src.source, &e), -1);
	assert_string_equal(e.text, "account a: broken on purpose");
	source_close(&src.source);
}

static void test_fails(void **state)
{
	(void)state;
	deliver(forward, 2);
	broken_at(FAIL_LIST);
	broken_at(FAIL_WANT);
	src.message[0].how = FAKE_BREAK;
	assert_int_equal(source_open(&src.source, true, &e), 0);
	assert_int_equal(wrappers_read(&w, &src.source, &e), -1);
	assert_int_equal(e.scope, ERR_SERVER);
	source_close(&src.source);
	is(0, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_count),	    TEST(test_many),	     TEST(test_read),
	    TEST(test_read_window), TEST(test_read_nothing), TEST(test_fails),
	};

	return cmocka_run_group_tests(tests, fixture_mime, fixture_mime_end);
}
