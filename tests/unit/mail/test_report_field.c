/*
 * marker.c: what X-Learnspool-Report may look like and where it may stand, the envelope's
 * fields above it, and who reported.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mail/report_field.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define MAIL  "From: a@example.net\r\nSubject: s\r\n\r\nbody\r\n"
#define FIELD "X-Learnspool-Report: "

/* From a copy of exactly its size, so that a sanitizer sees one byte too far. above is cleared.
 */
static struct report_field read_bytes(const char *msg, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);
	struct report_field m;

	assert_non_null(copy);
	memcpy(copy, msg, len);
	report_field_read(copy, len, &m);
	assert_true(m.above.data >= copy && m.above.data + m.above.len <= copy + len);
	m.above.data = NULL;
	free(copy);
	return m;
}

static struct report_field read_text(const char *msg)
{
	return read_bytes(msg, strlen(msg));
}

/* ---- the value ---- */

static const struct {
	const char *value;
	bool malformed;
	enum mail_class class;
	const char *user, *token;
} values[] = {
    {"v1; class=spam; user=alice@example.org; token=t0k", false, CLASS_SPAM,
     "alice@example.org", "t0k"},
    {"v1; class=ham; user=bob", false, CLASS_HAM, "bob", ""},
    {"v1; class=ham", false, CLASS_HAM, "", ""},
    {"v1;class=ham;user=bob;token=t", false, CLASS_HAM, "bob", "t"},
    {"  v1 ;  class=ham ;  token=t  ", false, CLASS_HAM, "", "t"},
    {"v1; token=t; user=bob; class=ham", false, CLASS_HAM, "bob", "t"},

    /* As Pigeonhole folds it, and as others may: unfolded before it is read. */
    {"v1; class=spam; user=alice@example.org;\r\n\ttoken=t0k", false, CLASS_SPAM,
     "alice@example.org", "t0k"},
    {"\r\n v1;\r\n\tclass=spam;\r\n  token=t0k", false, CLASS_SPAM, "", "t0k"},
    {"v1; class=spam;\n\ttoken=t0k", false, CLASS_SPAM, "", "t0k"},

    /* Users are compared in lower case, tokens as they are. */
    {"v1; class=ham; user=Alice@Example.ORG; token=AbC", false, CLASS_HAM, "alice@example.org",
     "AbC"},
    {"v1; class=ham; user=m\xc3\xbcller@example.org", false, CLASS_HAM,
     "m\xc3\xbcller@example.org", ""},
    {"v1; class=ham; user=a b@example.org", false, CLASS_HAM, "a b@example.org", ""},
    {"v1; class=ham; token=a=b==", false, CLASS_HAM, "", "a=b=="},
    {"v1; class=ham; user=a=b@example.org", false, CLASS_HAM, "a=b@example.org", ""},
    {"v1; class=ham; user=; token=", false, CLASS_HAM, "", ""},

    /* What a later version may add is passed over. */
    {"v1; class=ham; colour=red; token=t", false, CLASS_HAM, "", "t"},
    {"v1; class=ham; class2=spam; =; a=", false, CLASS_HAM, "", ""},
    {"v1; class=ham; username=a; user=bob; users=c", false, CLASS_HAM, "bob", ""},
    {"v1; class=ham; tokens=a; token=t; token2=c", false, CLASS_HAM, "", "t"},

    {"", true, CLASS_NONE, NULL, NULL},
    {"v1", true, CLASS_NONE, NULL, NULL},
    {"v1; token=t", true, CLASS_NONE, NULL, NULL},
    {"v2; class=ham", true, CLASS_NONE, NULL, NULL},
    {"V1; class=ham", true, CLASS_NONE, NULL, NULL},
    {"class=ham; v1", true, CLASS_NONE, NULL, NULL},
    {"v1 class=ham", true, CLASS_NONE, NULL, NULL},
    {"v1; class=junk", true, CLASS_NONE, NULL, NULL},
    {"v1; class=none", true, CLASS_NONE, NULL, NULL},
    {"v1; class=HAM", true, CLASS_NONE, NULL, NULL},
    {"v1; Class=ham", true, CLASS_NONE, NULL, NULL},
    {"v1; class =ham", true, CLASS_NONE, NULL, NULL},
    {"v1; class= ham", true, CLASS_NONE, NULL, NULL},
    {"v1; class=ham; class=ham", true, CLASS_NONE, NULL, NULL},
    {"v1; class=ham; class=spam", true, CLASS_NONE, NULL, NULL},
    {"v1; class=ham; user=a; user=b", true, CLASS_NONE, NULL, NULL},
    {"v1; class=ham; token=a; token=b", true, CLASS_NONE, NULL, NULL},
    {"v1; class=ham; token", true, CLASS_NONE, NULL, NULL},
    {"v1; class=ham;", true, CLASS_NONE, NULL, NULL},
    {"v1;; class=ham", true, CLASS_NONE, NULL, NULL},
    {"v1, class=ham", true, CLASS_NONE, NULL, NULL},

    /* A login with a semicolon cannot say anything in another's name. */
    {"v1; class=ham; user=mallory; user=alice", true, CLASS_NONE, NULL, NULL},
    {"v1; class=ham; user=mallory;alice; token=t", true, CLASS_NONE, NULL, NULL},

    {"v1; class=ham; user=a\x01", true, CLASS_NONE, NULL, NULL},
    {"v1; class=ham; user=a\x1b[31m", true, CLASS_NONE, NULL, NULL},
    {"v1; class=ham; user=a\vb", true, CLASS_NONE, NULL, NULL},
};

static void test_value(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(values); i++) {
		char msg[1024];
		struct report_field m;

		snprintf(msg, sizeof msg, FIELD "%s\r\n" MAIL, values[i].value);
		m = read_text(msg);
		if (!m.found || m.malformed != values[i].malformed)
			fail_msg("\"%s\": found %d, malformed %d", values[i].value, m.found,
				 m.malformed);
		if (m.malformed)
			continue;
		assert_int_equal(m.class, values[i].class);
		assert_string_equal(m.user, values[i].user);
		assert_string_equal(m.token, values[i].token);
	}
}

static void test_nul(void **state)
{
	static const char msg[] = FIELD "v1; class=ham; user=alice\0bob\r\n" MAIL;
	struct report_field m = read_bytes(msg, sizeof msg - 1);

	(void)state;
	assert_true(m.found && m.malformed);
}

/* The longest that fits, and one byte more. */
static void test_length(void **state)
{
	static const char head[] = "v1; class=ham; user=";

	(void)state;
	for (int more = 0; more <= 1; more++) {
		char user[REPORT_FIELD_MAX + 1] = "", msg[2 * REPORT_FIELD_MAX];
		size_t n = REPORT_FIELD_MAX - sizeof head + (size_t)more;
		struct report_field m;

		memset(user, 'a', n);
		snprintf(msg, sizeof msg, FIELD "%s%s\r\n" MAIL, head, user);
		m = read_text(msg);
		assert_true(m.found);
		assert_int_equal(m.malformed, more);
		if (!more)
			assert_string_equal(m.user, user);
	}
}

/* ---- where it stands ---- */

#define V1 FIELD "v1; class=ham; user=alice; token=t\r\n"
#define RP "Return-Path: <Alice@example.org>\r\n"
#define DT "Delivered-To: ham@example.org\r\n"
#define RCV                                                                               \
	"Received: by mx.example.org (Postfix, from userid 1); Sun, 1 Jan 2023 00:00:00 " \
	"+0000\r\n"
#define XS "X-Sieve: Pigeonhole Sieve 0.5.19 (4eae2f79)\r\n"
#define XR "X-Sieve-Redirected-From: reports@learnspool.invalid\r\n"
#define ID "Message-ID: <dovecot-sieve-1-2-0@mx.example.org>\r\n"

static const struct {
	const char *what, *msg;
	bool found;
	unsigned return_paths, delivered_tos;
	const char *return_path;
	size_t above;
} places[] = {
    {"a report, as it is", RP DT RCV RCV XS XR V1 MAIL, true, 1, 1, "alice@example.org",
     sizeof(RP DT RCV RCV XS XR) - 1},
    {"of a mail without Message-ID", RP DT RCV RCV XS XR ID V1 MAIL, true, 1, 1,
     "alice@example.org", sizeof(RP DT RCV RCV XS XR ID) - 1},
    {"nothing above", V1 MAIL, true, 0, 0, "", 0},
    {"from an mbox", "From alice Sun Jan  1 00:00:00 2023\n" RP V1 MAIL, true, 1, 0,
     "alice@example.org", sizeof("From alice Sun Jan  1 00:00:00 2023\n" RP) - 1},
    {"the field's name in another case",
     "x-LEARNSPOOL-report: v1; class=ham; user=alice\r\n" MAIL, true, 0, 0, "", 0},
    {"two markers: the upper one counts", RP V1 RP RP FIELD "v1; class=spam\r\n" MAIL, true, 1,
     0, "alice@example.org", sizeof(RP) - 1},
    {"sent on as it is", RP DT RCV RCV RP DT RCV RCV XS XR V1 MAIL, true, 2, 2,
     "alice@example.org", sizeof(RP DT RCV RCV RP DT RCV RCV XS XR) - 1},
    {"a null sender", "Return-Path: <>\r\n" V1 MAIL, true, 1, 0, "",
     sizeof("Return-Path: <>\r\n") - 1},
    {"a sender without brackets", "Return-Path: alice@example.org\r\n" V1 MAIL, true, 1, 0,
     "alice@example.org", sizeof("Return-Path: alice@example.org\r\n") - 1},
    {"the upper Return-Path is the envelope's", RP "Return-Path: <bob@example.org>\r\n" V1 MAIL,
     true, 2, 0, "alice@example.org", sizeof(RP "Return-Path: <bob@example.org>\r\n") - 1},
    {"a Return-Path with a control character", "Return-Path: <a\x01@example.org>\r\n" V1 MAIL,
     true, 1, 0, "", sizeof("Return-Path: <a\x01@example.org>\r\n") - 1},

    {"below what authors write", RP DT RCV "Subject: s\r\n" V1 MAIL, false, 1, 0,
     "alice@example.org", 0},
    {"below a From", RCV "From: a@example.net\r\n" V1 MAIL, false, 0, 0, "", 0},
    {"below a line that is no field", RP "not a field\r\n" V1 MAIL, false, 1, 0,
     "alice@example.org", 0},
    {"below a Message-ID that Pigeonhole did not write", RP DT ID V1 MAIL, false, 1, 0,
     "alice@example.org", 0},
    {"in the body", RP MAIL V1, false, 1, 0, "alice@example.org", 0},
    {"in an attached message", RP "Content-Type: message/rfc822\r\n\r\n" V1 MAIL, false, 1, 0,
     "alice@example.org", 0},
    {"nothing below it", RP V1, false, 1, 0, "alice@example.org", 0},

    {"a redirect without our field", RP DT RCV XS XR MAIL, false, 1, 1, "alice@example.org",
     sizeof(RP DT RCV XS XR) - 1},

    /* Without a marker the topmost Return-Path is the server's, wherever it wrote it. */
    {"an ordinary mail", RP DT RCV MAIL, false, 1, 0, "alice@example.org", 0},
    {"as Stalwart writes it", DT RCV "Authentication-Results: mx; spf=pass\r\n" RP MAIL, false,
     1, 0, "alice@example.org", 0},
    {"a forged one below", RP RCV "Return-Path: <bob@example.org>\r\n" MAIL, false, 1, 0,
     "alice@example.org", 0},
    {"none", RCV MAIL, false, 0, 0, "", 0},
    {"one in the body", MAIL RP, false, 0, 0, "", 0},
    {"empty", "", false, 0, 0, "", 0},
};

static void test_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(places); i++) {
		struct report_field m = read_text(places[i].msg);

		if (m.found != places[i].found || m.return_paths != places[i].return_paths ||
		    m.delivered_tos != places[i].delivered_tos ||
		    m.above.len != places[i].above ||
		    strcmp(m.return_path, places[i].return_path) != 0)
			fail_msg(
			    "%s: found %d, %u Return-Path <%s>, %u Delivered-To, %zu above",
			    places[i].what, m.found, m.return_paths, m.return_path,
			    m.delivered_tos, m.above.len);
	}
}

/* No cut of a report reads past its end, and none of them is another report. */
static void test_truncated(void **state)
{
	static const char msg[] = RP DT RCV RCV XS XR ID V1 MAIL;

	(void)state;
	for (size_t len = 0; len < sizeof msg; len++) {
		struct report_field m = read_bytes(msg, len);

		if (m.found && !m.malformed)
			assert_string_equal(m.user, "alice");
	}
}

/* ---- who ---- */

static const struct {
	const char *msg, *who;
} reporters[] = {
    {RP FIELD "v1; class=ham; user=Bob@example.org\r\n" MAIL, "bob@example.org"},
    {RP FIELD "v1; class=ham\r\n" MAIL, "alice@example.org"},
    {RP FIELD "v1; class=ham; user=bob; user=carol\r\n" MAIL, "alice@example.org"},
    {RP XR MAIL, "alice@example.org"},
    {RP MAIL, "alice@example.org"},
    {"Return-Path: <>\r\n" MAIL, ""},
    {MAIL, ""},
};

static void test_reporter(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(reporters); i++) {
		struct report_field m = read_text(reporters[i].msg);

		assert_string_equal(report_field_reporter(&m), reporters[i].who);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_value),     cmocka_unit_test(test_nul),
	    cmocka_unit_test(test_length),    cmocka_unit_test(test_place),
	    cmocka_unit_test(test_truncated), cmocka_unit_test(test_reporter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
