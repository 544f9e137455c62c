/*
 * wrapped.c: which messages somebody forwarded, and why there is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake/memory.h"
#include "mail/mime.h"
#include "mail/wrapped.h"

#define TOP(type) "From: alice@example.org\nSubject: Fwd\nContent-Type: " type "\n\n"
#define MIXED	  TOP("multipart/mixed; boundary=b")
#define NOTE	  "--b\nContent-Type: text/plain\n\nlook at this\n"
#define ATTACHED  "--b\nContent-Type: message/rfc822\n\n"
#define A	  "Subject: a\n\nbuy a\n"
#define B	  "Subject: b\n\nbuy b\n"
/* A in base64. */
#define A64	"U3ViamVjdDogYQoKYnV5IGEK\n"
#define ENCODED "Content-Transfer-Encoding: base64\n"

static const struct {
	const char *forward;
	const char *a, *b; /* the messages; NULL: no more */
	const char *why;   /* a part of the reason where there is none */
} forwards[] = {
    {MIXED NOTE ATTACHED A "--b--\n", "Subject: a\n\nbuy a", NULL, NULL},
    {MIXED ATTACHED A "--b\nContent-Type: message/rfc822\n\n" B "--b--\n",
     "Subject: a\n\nbuy a", "Subject: b\n\nbuy b", NULL},
    {TOP("message/rfc822") A, A, NULL, NULL},
    {TOP("message/global") A, A, NULL, NULL},
    /* With CRLF, as everything over IMAP. */
    {"Subject: Fwd\r\nContent-Type: message/rfc822\r\n\r\nSubject: a\r\n\r\nbuy\r\n",
     "Subject: a\r\n\r\nbuy\r\n", NULL, NULL},
    /* A digest names no types. */
    {TOP("multipart/digest; boundary=b") "--b\n\n" A "--b\n\n" B "--b--\n",
     "Subject: a\n\nbuy a", "Subject: b\n\nbuy b", NULL},
    {TOP("multipart/mixed; boundary=o") "--o\n\nhello\n--o\nContent-Type: multipart/digest; "
					"boundary=b\n\n--b\n\n" A "--b--\n--o--\n",
     "Subject: a\n\nbuy a", NULL, NULL},
    /* Outlook encodes what must not be encoded, or sends a file. */
    {MIXED "--b\nContent-Type: message/rfc822\n" ENCODED "\n" A64 "--b--\n", A, NULL, NULL},
    {MIXED NOTE "--b\nContent-Type: application/octet-stream; name=\"Angebot.EML\"\n" ENCODED
		"\n" A64 "--b--\n",
     A, NULL, NULL},
    {MIXED NOTE "--b\nContent-Type: application/octet-stream\n"
		"Content-Disposition: attachment; filename=a.eml\n" ENCODED "\n" A64 "--b--\n",
     A, NULL, NULL},
    /* What is attached to an attached message belongs to that. */
    {TOP("message/rfc822") MIXED NOTE ATTACHED A "--b--\n", MIXED NOTE ATTACHED A "--b--\n",
     NULL, NULL},
    /* RFC 5965 */
    {TOP("multipart/report; report-type=feedback-report; boundary=b") NOTE
     "--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\n" ATTACHED A
     "--b--\n",
     "Subject: a\n\nbuy a", NULL, NULL},
    {TOP("multipart/report; report-type=feedback-report; boundary=b") NOTE
     "--b\nContent-Type: text/rfc822-headers\n\nSubject: a\n--b--\n",
     NULL, NULL, "only the headers"},
    {TOP("multipart/report; report-type=delivery-status; boundary=b") NOTE ATTACHED A "--b--\n",
     NULL, NULL, "a delivery report"},
    {TOP("multipart/report; boundary=b") NOTE ATTACHED A "--b--\n", NULL, NULL,
     "a delivery report"},
    /* One of two cannot be read: the other alone would end the report of both. */
    {MIXED ATTACHED A "--b\nContent-Type: message/rfc822; name=Re: your invoice.eml\n\n" B
		      "--b--\n",
     NULL, NULL, "malformed header field"},
    {MIXED ATTACHED A "--b\nX-Odd\nContent-Type: MESSAGE/RFC822\n\n" B "--b--\n", NULL, NULL,
     "malformed header field"},
    {MIXED ATTACHED A "--b\nContent-Type: image/png; name=a b.png\n\nxxxx\n--b--\n",
     "Subject: a\n\nbuy a", NULL, NULL},
    /* None. */
    {"", NULL, NULL, "cannot be told apart"},
    {"Subject: Fwd\n\n---- Forwarded message ----\nSubject: a\n\nbuy\n", NULL, NULL,
     "no attached message"},
    {TOP("text/plain") "Subject: a\n\nbuy a\n", NULL, NULL, "no attached message"},
    {MIXED NOTE "--b\nContent-Type: application/octet-stream; name=a.eml.exe\n\nSubject: a\n\n"
		"--b--\n",
     NULL, NULL, "no attached message"},
    {MIXED NOTE "--b\nContent-Type: application/ms-tnef; name=winmail.dat\n" ENCODED "\nAAAA\n"
		"--b--\n",
     NULL, NULL, "winmail.dat"},
    {MIXED NOTE "--b\nContent-Type: message/rfc822\n\n\nno header\n--b--\n", NULL, NULL,
     "no attached message"},
    {MIXED NOTE, NULL, NULL, "cannot be told apart"},
    {MIXED NOTE "--B\n" ATTACHED A "--b--\n", NULL, NULL, "cannot be told apart"},
    {TOP("multipart/mixed") NOTE ATTACHED A "--b--\n", NULL, NULL, "cannot be told apart"},
};

static void is(const struct wrapped *w, size_t i, const char *text)
{
	assert_true(i < w->n);
	assert_int_equal(w->message[i].len, strlen(text));
	assert_memory_equal(w->message[i].data, text, strlen(text));
}

static void test_forwards(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof forwards / sizeof *forwards; i++) {
		size_t expected = forwards[i].b ? 2 : forwards[i].a ? 1 : 0;
		struct wrapped w;
		struct err e;

		assert_int_equal(
		    wrapped_read(forwards[i].forward, strlen(forwards[i].forward), &w, &e), 0);
		if (w.n != expected ||
		    (forwards[i].why && strstr(w.why, forwards[i].why) == NULL))
			fail_msg("%zu: %zu messages, %s", i, w.n, w.why);
		if (forwards[i].a)
			is(&w, 0, forwards[i].a);
		if (forwards[i].b)
			is(&w, 1, forwards[i].b);
		wrapped_free(&w);
		assert_int_equal(w.n, 0);
	}
}

/* A forward of so many messages, inside so many multiparts. */
static size_t build(char *text, size_t size, int depth, int messages)
{
	size_t n = 0;

	for (int i = 0; i < depth; i++) {
		if (i > 0)
			n += (size_t)snprintf(text + n, size - n, "--b%d-\n", i - 1);
		n += (size_t)snprintf(text + n, size - n,
				      "Content-Type: multipart/mixed; boundary=b%d-\n\n", i);
	}
	for (int i = 0; i < messages; i++)
		n += (size_t)snprintf(text + n, size - n,
				      "--b%d-\nContent-Type: message/rfc822\n\n" A, depth - 1);
	for (int i = depth; i-- > 0;)
		n += (size_t)snprintf(text + n, size - n, "--b%d---\n", i);
	return n;
}

static void test_caps(void **state)
{
	static const struct {
		int depth, messages;
		size_t found;
		const char *why;
	} cases[] = {
	    {1, WRAPPED_MAX, WRAPPED_MAX, ""},
	    {1, WRAPPED_MAX + 1, 0, "more than 100"},
	    {WRAPPED_DEPTH, 1, 1, ""},
	    {WRAPPED_DEPTH + 1, 1, 0, "cannot be told apart"},
	};
	static char text[20000];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t len = build(text, sizeof text, cases[i].depth, cases[i].messages);
		struct wrapped w;
		struct err e;

		assert_int_equal(wrapped_read(text, len, &w, &e), 0);
		assert_int_equal(w.n, cases[i].found);
		assert_non_null(strstr(w.why, cases[i].why));
		wrapped_free(&w);
	}
}

/* Each allocation that fails: an error, whatever was found before it. */
static void test_no_memory(void **state)
{
	static const char text[] = MIXED NOTE ATTACHED A
	    "--b\nContent-Type: message/rfc822\n" ENCODED "\n" A64 "--b--\n";
	bool failed = true;
	unsigned n = 1;

	(void)state;
	for (; failed; n++) {
		struct wrapped w;
		struct err e;
		int rc;

		fake_memory_fails(n);
		rc = wrapped_read(text, sizeof text - 1, &w, &e);
		failed = fake_memory_failed();
		fake_memory_fails(0);
		if (rc != (failed ? -1 : 0) || (failed && e.kind != ERR_LOCAL))
			fail_msg("allocation %u: %s", n, rc ? e.text : "no error");
		wrapped_free(&w);
	}
	assert_true(n > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_forwards),
	    cmocka_unit_test(test_caps),
	    cmocka_unit_test(test_no_memory),
	};
	int rc;

	mime_init();
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	mime_shutdown();
	return rc;
}
