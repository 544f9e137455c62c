/*
 * mime.c: what is identity of a message and what is not, where the original begins, what people
 * are shown, what is encrypted, and that no bytes cost more than their caps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "fake/memory.h"
#include "mail/mime.h"

#ifndef VECTORS
#define VECTORS "tests/unit/vectors" /* from the top of the source */
#endif

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { MB = 1024 * 1024 };

/* A copy of exactly its size, so that a sanitizer sees one byte too far. */
static int read_copy(const char *msg, size_t len, struct mime_info *info, struct err *e)
{
	char *copy = malloc(len > 0 ? len : 1);
	int rc;

	assert_non_null(copy);
	memcpy(copy, msg, len);
	err_clear(e);
	rc = mime_read(copy, len, info, e);
	assert_true(mime_original(copy, len) <= len);
	free(copy);
	return rc;
}

static struct mime_info read_ok(const char *msg, size_t len)
{
	struct mime_info info;
	struct err e;

	if (read_copy(msg, len, &info, &e) != 0)
		fail_msg("%s", e.text);
	return info;
}

static struct mime_info read_text(const char *msg)
{
	return read_ok(msg, strlen(msg));
}

static bool same(const char *a, const char *b)
{
	struct mime_info x = read_text(a), y = read_text(b);

	return digest_equal(&x.digest, &y.digest);
}

static struct buf read_file(const char *name)
{
	char path[256], chunk[4096];
	struct buf b;
	size_t n;
	FILE *f;

	assert_true(snprintf(path, sizeof path, "%s/%s", VECTORS, name) < (int)sizeof path);
	buf_init(&b, MB);
	f = fopen(path, "r");
	if (f == NULL)
		fail_msg("cannot open %s", path);
	while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
		assert_int_equal(buf_add(&b, chunk, n), 0);
	fclose(f);
	return b;
}

/* The digests that docs/digest.md prints, and that digest_ref.py must get as well. */
static void vectors(void **state)
{
	struct buf list = read_file("digests");
	int n = 0;

	(void)state;
	for (char *line = strtok(list.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		struct buf msg = read_file(line + DIGEST_HEX);
		struct mime_info info = read_ok(msg.data, msg.len);
		struct digest want;

		line[DIGEST_HEX - 1] = '\0';
		assert_true(digest_parse(line, &want));
		if (!digest_equal(&info.digest, &want))
			fail_msg("digest of %s", line + DIGEST_HEX);
		buf_free(&msg);
		n++;
	}
	assert_true(n >= 11);
	buf_free(&list);
}

#define HEAD  "From: a@example.org\nSubject: one two\n"
#define MIXED "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="
#define TEXT  "Content-Type: text/plain; charset=utf-8\n"
#define GIF   "Content-Type: image/gif\nContent-Transfer-Encoding: base64\n\n"
#define TWO   HEAD MIXED "b\n\n--b\n" TEXT "\nbody text\n--b\n" GIF "R0lGODlh\n--b--\n"

#define SAYS "Hello Bob, see you.\n"

/* What transport, storage and re-encoding do: one digest. */
static const char *const equal[][2] = {
    {HEAD "\n" SAYS,
     "Received: by mx\n\tfor a\nReturn-Path: <a>\nDelivered-To: a\n"
     "DKIM-Signature: v=1\nARC-Seal: i=1\nX-Any: 1\n" HEAD "X-Other: 2\n\n" SAYS},
    {HEAD "\n" SAYS, "From a@example.org Thu Jan  1 00:00:00 1970\n" HEAD "\n" SAYS},
    {HEAD "\n" SAYS, ">From a@example.org Thu Jan  1 00:00:00 1970\n" HEAD "\n" SAYS},
    {HEAD "\n" SAYS, "From: <other@example.org>\nTo: b\nDate: now\nMessage-ID: <x>\n"
		     "Subject: one two\n\n" SAYS},
    {HEAD "\n" SAYS, "From: a@example.org\r\nSubject: one two\r\n\r\nHello Bob, see you.\r\n"},
    {HEAD "\n" SAYS, HEAD "\nHello Bob, see you."},
    {HEAD "\n" SAYS, HEAD "\nHello Bob,  see you.\t \n\n\n"},
    {HEAD "\n" SAYS, HEAD "Content-Transfer-Encoding: 7bit\n\n" SAYS},
    {HEAD "\n" SAYS, "FROM: a@example.org\nSubject:one\n\ttwo \n\n" SAYS},
    {HEAD "\n" SAYS, "From: a@example.org\nsubject: =?us-ascii?q?one_two?=\n\n" SAYS},
    {HEAD "\n" SAYS,
     "From: a@example.org\nSubject: =?utf-8?b?b25l?= =?utf-8?q?_two?=\n\n" SAYS},
    {HEAD "\n" SAYS, HEAD "Subject : no field to rspamd\n\n" SAYS},
    {"From: Ann <a@b>\n\n" SAYS, "From: =?utf-8?q?Ann?= <c@d>\n\n" SAYS},
    {"X-Mailer: a\n\n" SAYS, "Received: by mx\nX-MAILER: a\n\n" SAYS},
    {HEAD TEXT "\n\u00fc =\n", HEAD TEXT "Content-Transfer-Encoding: quoted-printable\n\n"
					 "=C3=\n=BC =3D=20\n"},
    {HEAD TEXT "\n\u00fc =\n", HEAD TEXT "Content-Transfer-Encoding: BASE64\n\nw7w\ngPQo=\n"},
    {HEAD TEXT "\n\u00fc =\n", HEAD TEXT "Content-Transfer-Encoding: 8bit\n\n\u00fc =\n"},
    {HEAD TEXT "\n\u00fc =\n", HEAD TEXT "Content-Transfer-Encoding: binary\n\n\u00fc =\n"},
    {HEAD TEXT "\n" SAYS, HEAD "content-type:Text/PLAIN;\n\tCharset=\"UTF-8\"\n\n" SAYS},
    {TWO, HEAD MIXED "\"=_other\"\n\n--=_other\n" TEXT "\nbody text\n--=_other\n" GIF
		     "R0lG\nODlh\n--=_other--\n"},
    {TWO, HEAD "Content-Type: multipart/mixed;\n\tBOUNDARY=b\n"
	       "Content-Transfer-Encoding: 8bit\n\n\n--b\n" TEXT "X-Any: 1\n"
	       "Content-Transfer-Encoding: base64\n\nYm9keSB0ZXh0Cg==\n--b\n" GIF
	       "R0lGODlh\n\n--b--\n\n"},
    {HEAD MIXED "b\n\npreamble\n--b\n" TEXT "\nbody text\n--b--\nepilogue\n",
     HEAD MIXED "c\n\npreamble\n--c\n" TEXT "\nbody text\n--c--\nepilogue\n\n"},
    {HEAD TEXT "\nFrom me\n", HEAD TEXT "\n>From me\n"},
};

/* What rspamd reads differently, or another parser does: another digest. */
static const char *const different[][2] = {
    {HEAD "\nx y\n", HEAD "\nx z\n"},
    {HEAD "\nx y\n", HEAD "\nxy\n"},
    {HEAD "\nx y\n", "From: a@example.org\nSubject: one  three\n\nx y\n"},
    {HEAD "\nx y\n", "From: a@example.org\nSubject: One two\n\nx y\n"},
    {HEAD "\nx y\n", "From: a@example.org\n\nx y\n"},
    {HEAD "\nx y\n", HEAD "Subject: another one below\n\nx y\n"},
    {HEAD "\nx y\n", "From: long and learnable <a@example.org>\nSubject: one two\n\nx y\n"},
    {HEAD "\nx y\n", "From: long and learnable\nSubject: one two\n\nx y\n"},
    {HEAD "\nx y\n", HEAD "X-Mailer: thing\n\nx y\n"},
    {HEAD "\nx y\n", HEAD "User-Agent: thing\n\nx y\n"},
    {HEAD "\nx y\n", HEAD "X-MimeOLE: thing\n\nx y\n"},
    {HEAD "Organization: thing\n\nx y\n", HEAD "Organisation: thing\n\nx y\n"},
    {HEAD "\nx y\n", HEAD "Content-Type: text/plain\n\nx y\n"},
    {HEAD "\nx y\n", HEAD "Content-Type: text\n\nx y\n"},
    {HEAD "\nx y\n", HEAD "Content-Type: text/html\n\nx y\n"},
    {HEAD "\nx y\n", HEAD "Content-Disposition: attachment\n\nx y\n"},
    {HEAD "\nx y\n", HEAD "\nx y\n\ny\n"},
    {HEAD "\nx y\n", HEAD "junk\n\nx y\n"},
    {HEAD "\nx y\n", "\n" HEAD "\nx y\n"},
    {HEAD "\nx y\n", HEAD "X: \r \n\nx y\n"},
    {HEAD "X: a\n\nx y\n", HEAD "X: a\rContent-Type: text/html\n\nx y\n"},
    {"Subject: =?koi8-r?q?=C1?=\n\nx y\n", "Subject: =?koi8-u?q?=C1?=\n\nx y\n"},
    {"Subject: =?utf-8?b?YQ==Yg==?=\n\nx y\n", "Subject: a\n\nx y\n"},
    /* undeclared, rspamd guesses */
    {HEAD "\nQUJDREVGR0hJSktM\n", HEAD "Content-Transfer-Encoding: 7bit\n\nQUJDREVGR0hJSktM\n"},
    {HEAD MIXED "b\nContent-Transfer-Encoding: 8bit\n\n--b\n\nQUJDREVGR0hJSktM\n--b--\n",
     HEAD MIXED "b\n\n--b\n\nQUJDREVGR0hJSktM\n--b--\n"},
    {HEAD "Content-Transfer-Encoding: base64\n\nQUJD\n",
     HEAD "Content-Transfer-Encoding: base-64\n\nQUJD\n"},
    {HEAD "Content-Transfer-Encoding: x-uuencode\n\nx y\n",
     HEAD "Content-Transfer-Encoding: 8bit\n\nx y\n"},
    /* parts: what, in which order, in what, with which name */
    {TWO, HEAD MIXED "b\n\n--b\n" TEXT "\nbody text\n--b\n" GIF "R0lGODli\n--b--\n"},
    {TWO, HEAD MIXED "b\n\n--b\n" GIF "R0lGODlh\n--b\n" TEXT "\nbody text\n--b--\n"},
    {TWO, HEAD MIXED "b\n\n--b\n" TEXT "\nbody text\n--b--\n"},
    {TWO, HEAD MIXED "b\n\n--b\n" TEXT "\nbody text\n--b\n\nR0lGODlh\n--b--\n"},
    {TWO, HEAD MIXED "b\n\n--b\n" TEXT
		     "\nbody text\n--b\nContent-Disposition: inline;filename=a\n" GIF
		     "R0lGODlh\n--b--\n"},
    {TWO, HEAD "Content-Type: multipart/alternative; boundary=b\n\n--b\n" TEXT
	       "\nbody text\n--b\n" GIF "R0lGODlh\n--b--\n"},
    {TWO, HEAD MIXED "b\n\n--b\n" MIXED "c\n\n--c\n" TEXT "\nbody text\n--c--\n--b\n" GIF
		     "R0lGODlh\n--b--\n"},
    {TWO, HEAD MIXED "b\n\n--b\n" TEXT "\nbody text\n--b\n" GIF "R0lGODlh\n"},
    {TWO, HEAD MIXED "b\n\npreamble\n--b\n" TEXT "\nbody text\n--b\n" GIF "R0lGODlh\n--b--\n"},
    {HEAD MIXED "b\n\n--b\n" TEXT "\nx y\n--b--\nepilogue\n",
     HEAD MIXED "b\n\nepilogue\n--b\n" TEXT "\nx y\n--b--\n"},
    /* lines that are a delimiter to rspamd with one boundary, and text with another */
    {HEAD MIXED "b\n\n--b\n\nx\n--B\n\ny\n--b--\n",
     HEAD MIXED "c\n\n--c\n\nx\n--B\n\ny\n--c--\n"},
    {HEAD MIXED "b\n\n--b\n\nx\n--b--\n--b\n\ny\n",
     HEAD MIXED "c\n\n--c\n\nx\n--c--\n--b\n\ny\n"},
    {HEAD MIXED "b\n\n--b\n\nx\n--b \n\ny\n--b--\n",
     HEAD MIXED "b\n\n--b\n\nx\n--b\n\ny\n--b--\n"},
    {HEAD MIXED "a; boundary=b\n\n--a\n\nx\n--b\n\ny\n--a--\n",
     HEAD MIXED "c\n\n--c\n\nx\n--b\n\ny\n--c--\n"},
    {HEAD MIXED "b\n\n--b\n\n--x\nContent-Type: text/html\n\nx y\n--b--\n",
     HEAD MIXED "b\n\n--b\nContent-Transfer-Encoding: quoted-printable\n\n"
		"=2D-x\nContent-Type: text/html\n\nx y\n--b--\n"},
    /* parts nobody finds are text, and still count */
    {HEAD MIXED "\n\nx y\n", HEAD MIXED "\n\ny y\n"},
    {HEAD MIXED "b\n\nx y\n", HEAD MIXED "b\n\ny y\n"},
    /* attached messages: their Subject, and what is in them and what behind */
    {HEAD "Content-Type: message/rfc822\n\nSubject: a\n\nx y\n",
     HEAD "Content-Type: message/rfc822\n\nSubject: b\n\nx y\n"},
    {HEAD "Content-Type: message/rfc822\n\nSubject: a\n\nx y\n",
     HEAD "Content-Type: message/rfc822\n\nSubject: a\n\ny y\n"},
    {HEAD "Content-Type: message/rfc822\n\nSubject: a\n\nx y\n", HEAD "\nSubject: a\n\nx y\n"},
    {HEAD MIXED "b\n\n--b\nContent-Type: message/rfc822\n\n" MIXED
		"c\n\n--c\n\n1 1\n--c\n\n2 2\n--c--\n--b--\n",
     HEAD MIXED "b\n\n--b\nContent-Type: message/rfc822\n\n" MIXED
		"c\n\n--c\n\n1 1\n--c--\n--b\n\n2 2\n--b--\n"},
};

static void identity(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(equal); i++)
		if (!same(equal[i][0], equal[i][1]))
			fail_msg("equal pair %zu", i);
	for (size_t i = 0; i < COUNT(different); i++)
		if (same(different[i][0], different[i][1]))
			fail_msg("different pair %zu", i);
}

/* An attached message is the same one, whatever its own transport header says. */
static void attached(void **state)
{
	(void)state;
	assert_true(same(HEAD "Content-Type: message/rfc822\n\nSubject: a\n\nx y\n",
			 HEAD "Content-Type: Message/RFC822\n\n"
			      "Received: by mx\nSubject: =?utf-8?q?a?=\nTo: b\n\nx y\n\n"));
}

/* Each of them was one with the first under version 1, with a payload that rspamd reads. */
#define B64 HEAD "Content-Type: text/plain; charset="
static const char *const payloads[][5] = {
    {B64 "us-ascii\nContent-Transfer-Encoding: base64\n\nc2hvcnQ=\n",
     B64 "us-ascii\nContent-Transfer-Encoding: base64\n\nc2hvcnQ=\nb25lIHBheWxvYWQK\n",
     B64 "us-ascii\nContent-Transfer-Encoding: base64\n\nc2hvcnQ=b3RoZXIgcGF5bG9hZAo=\n",
     B64 "us-ascii\nContent-Transfer-Encoding: base64\n\nc2hvcnQ=====dGhpcmQK\n",
     B64 "us-ascii\nContent-Transfer-Encoding: base64\n\nc2hvcnQ=\n.b25lIHBheWxvYWQK\n"},
    {HEAD MIXED "b\n\n--b\n\nx y\n--b--\n", HEAD MIXED "b\n\n--b\n\nx y\n--b--\npayload\n",
     HEAD MIXED "b\n\n--b\n\nx y\n--b--\n--b\n\npayload\n--b--\n",
     HEAD MIXED "b\n\npayload\n--b\n\nx y\n--b--\n",
     HEAD MIXED "b\n\n--b\n\nx y\n--b--\n\n--c\n\npayload\n"},
    {B64 "us-ascii\n\n+AHAAYQB5- x\n", B64 "utf-7\n\n+AHAAYQB5- x\n",
     B64 "utf-16\n\n+AHAAYQB5- x\n", B64 "utf-8\n\n+AHAAYQB5- x\n",
     HEAD "Content-Type: text/plain\n\n+AHAAYQB5- x\n"},
};

static void payloads_are_told_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(payloads); i++)
		for (size_t a = 0; a < 5; a++)
			for (size_t b = 0; b < a; b++)
				if (same(payloads[i][a], payloads[i][b]))
					fail_msg("payload %zu: %zu is %zu", i, a, b);
}

/* "|": where the original begins. */
static const char *const originals[] = {
    "|From: a\n\nx",
    "|",
    "|\n\nx",
    "|no header at all",
    "|Received: by mx\nFrom: a\n\nx",
    "X-Sieve-Redirected-From: a@b\n|From: a\n\nx",
    "Return-Path: <a>\nReceived: b\n\tc\nX-Sieve: 1\nX-Sieve-Redirected-From: a\n|From: a\n\nx",
    "X-Sieve-Redirected-From: a\n|Received: by first\nReturn-Path: <a>\nFrom: a\n\nx",
    "Return-Path: <a>\r\nX-Sieve-Redirected-From:\r\n a@b\r\n\t(folded)\r\n|From: a\r\n\r\nx",
    "From a@b Thu Jan  1 00:00:00 1970\nX-Sieve-Redirected-From: a@b\n|From: a\n\nx",
    "x-sieve-redirected-from : a@b\n|From: a\n\nx",
    "X-Learnspool-Report: 1\n|From: a\n\nx",
    "X-Learnspool-Report: 1\n|X-Learnspool-Report: 2\nFrom: a\n\nx",
    "X-Sieve-Redirected-From: a\nX-Learnspool-Report: 1\n|Received: by first\nFrom: a\n\nx",
    "X-Sieve-Redirected-From: a\n|Received: by mx\nX-Sieve-Redirected-From: b\nFrom: a\n\nx",
    "X-Sieve-Redirected-From: a\n|Message-ID: <new>\nFrom: a\n\nx",
    "|X-Sieve-Redirected-From: a\n\nno other header",
    /* what an author wrote stands above: nothing is cut */
    "|From: a\nX-Sieve-Redirected-From: a\n\nx",
    "|Sender: a\nX-Learnspool-Report: 1\n\nx",
    "|To: a\nX-Learnspool-Report: 1\n\nx",
    "|Cc: a\nX-Learnspool-Report: 1\n\nx",
    "|subject: a\nX-Learnspool-Report: 1\n\nx",
    "|Date: a\nX-Learnspool-Report: 1\n\nx",
    "|Message-Id: a\nX-Learnspool-Report: 1\n\nx",
    "|Mime-Version: a\nX-Learnspool-Report: 1\n\nx",
    "|X-Mailer: a\nX-Learnspool-Report: 1\n\nx",
    "|CONTENT-Anything: a\nX-Learnspool-Report: 1\n\nx",
    /* no marker, or no field, or not in the header */
    "|X-Learnspool-Report\nFrom: a\n\nx",
    "|X-Learnspool-Reports: 1\nFrom: a\n\nx",
    "|Received: by mx\njunk\nX-Learnspool-Report: 1\nFrom: a\n\nx",
    "|Received: by mx\n X-Learnspool-Report: 1\nFrom: a\n\nx",
    "|Received: by mx\n\nX-Learnspool-Report: 1\n\nx",
    "|Received: by mx\r\n\r\nX-Learnspool-Report: 1\r\n\r\nx",
    /* nothing would be left, or what is no header any more */
    "|X-Learnspool-Report: 1\njunk\nFrom: a\n\nx",
    "|X-Learnspool-Report: 1\nFrom a@b Thu Jan  1 00:00:00 1970\nFrom: a\n\nx",
    "|X-Learnspool-Report: 1\n",
    "|X-Sieve-Redirected-From: 1",
    "|X-Learnspool-Report: 1\nFrom: nothing ends this header\n",
    /* a line that is read in more than one way */
    "|X-Learnspool-Report: 1\rFrom: a\nFrom: a\n\nx",
    "|X-Any: 1\n \nX-Learnspool-Report: 1\nFrom: a\n\nx",
};

static void original(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(originals); i++) {
		const char *bar = strchr(originals[i], '|');
		size_t at = (size_t)(bar - originals[i]), len = strlen(originals[i]) - 1;
		char *msg = malloc(len + 1);

		assert_non_null(msg);
		memcpy(msg, originals[i], at);
		memcpy(msg + at, bar + 1, len - at);
		if (mime_original(msg, len) != at)
			fail_msg("original %zu: %zu", i, mime_original(msg, len));
		free(msg);
	}
}

/* What the collection puts on top is cut for rspamd, and changes no digest. */
static void original_is_no_identity(void **state)
{
	struct buf b = read_file("relayed.eml");
	size_t at = mime_original(b.data, b.len);
	struct mime_info whole = read_ok(b.data, b.len), cut = read_ok(b.data + at, b.len - at);

	(void)state;
	assert_int_equal(strncmp(b.data + at, "DKIM-Signature:", 15), 0);
	assert_true(digest_equal(&whole.digest, &cut.digest));
	buf_free(&b);
}

/* A marker is none unless it and the name of the next field lie inside of the window. */
static void original_is_capped(void **state)
{
	static const char mark[] = "X-Learnspool-Report: 1\n";

	(void)state;
	for (size_t end = MIME_MAX_HEADER - 8; end < MIME_MAX_HEADER + 2; end++) {
		size_t want = end + strlen("From:") <= MIME_MAX_HEADER ? end : 0;
		struct buf b;

		buf_init(&b, 2 * MIME_MAX_HEADER);
		assert_int_equal(buf_adds(&b, "X-Long: "), 0);
		while (b.len < end - strlen(mark) - 1)
			assert_int_equal(buf_adds(&b, "y"), 0);
		assert_int_equal(buf_addf(&b, "\n%sFrom: a\n\nx", mark), 0);
		assert_int_equal(mime_original(b.data, b.len), want);
		buf_free(&b);
	}
}

static void for_people(void **state)
{
	struct mime_info info = read_text("From: =?utf-8?q?J=C3=BCrgen?=\n "
					  "<j@example.org>\nSubject: a\x1b[31m =?utf-8?b?4oCu?="
					  "\r\nDate: Sun, 22 Nov 2026 11:00:00 +0100\n\nx\n");
	char line[1000];

	(void)state;
	assert_string_equal(info.from, "J\u00fcrgen <j@example.org>");
	assert_string_equal(info.subject, "a [31m \\xe2\\x80\\xae");
	assert_string_equal(info.date, "2026-11-22T10:00:00Z");
	assert_false(info.encrypted);

	info = read_text("Date: yesterday\n\nx\n");
	assert_string_equal(info.from, "");
	assert_string_equal(info.subject, "");
	assert_string_equal(info.date, "");

	memset(line, 'y', sizeof line);
	memcpy(line, "Subject: ", 9);
	info = read_ok(line, sizeof line);
	assert_int_equal(strlen(info.subject), MIME_TEXT_MAX - 1);
	assert_string_equal(info.subject + MIME_TEXT_MAX - 5, "y...");
}

static const struct {
	const char *msg;
	bool encrypted;
} secrets[] = {
    {"Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\n\n"
     "--b\n\nx\n--b--\n",
     true},
    {"Content-Type: Application/PKCS7-MIME; smime-type=enveloped-data\n\nx\n", true},
    {"Content-Type: application/x-pkcs7-mime; smime-type=\"Enveloped-Data\"\n\nx\n", true},
    {"Content-Type: application/pkcs7-mime; smime-type=authEnveloped-data\n\nx\n", true},
    {"Content-Type: application/pkcs7-mime; name=smime.p7m\n\nx\n", true},
    {"Content-Type: application/pkcs7-mime; smime-type=signed-data\n\nx\n", false},
    {"Content-Type: application/pkcs7-mime; smime-type=certs-only\n\nx\n", false},
    {"Content-Type: application/pkcs7-signature\n\nx\n", false},
    {"Content-Type: multipart/signed; boundary=b\n\n--b\n\nx\n--b--\n", false},
    {"Subject: x\n\n-----BEGIN PGP MESSAGE-----\n\nhQ\n", true},
    {"Subject: x\n\n\r\n \n-----BEGIN PGP MESSAGE-----\n\nhQ\n", true},
    {"Subject: x\nContent-Transfer-Encoding: quoted-printable\n\n"
     "-----BEGIN=20PGP MESSAGE-----\n",
     true},
    {"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nhi\n--b\n"
     "Content-Type: application/pgp-encrypted\n\nx\n--b--\n",
     true},
    {"Subject: x\n\nhello\n-----BEGIN PGP MESSAGE-----\n", false},
    {"Subject: x\n\n-----BEGIN PGP SIGNED MESSAGE-----\n", false},
    {"Subject: x\n\n-----BEGIN PGP MESSAGE----", false},
    {"Content-Type: image/png\n\n-----BEGIN PGP MESSAGE-----\n", false},
};

static void encrypted(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(secrets); i++)
		if (read_text(secrets[i].msg).encrypted != secrets[i].encrypted)
			fail_msg("message %zu", i);
}

/* Past a cap all is one leaf: it is read to its last byte, and is what it was cut from. */
static void check_past_cap(struct buf *b, const char *boundary)
{
	struct mime_info was = read_ok(b->data, b->len), now;
	char *at;

	b->data[b->len - 2]++;
	now = read_ok(b->data, b->len);
	assert_false(digest_equal(&was.digest, &now.digest));
	b->data[b->len - 2]--;
	/* The boundaries around it are part of what it means. */
	at = memmem(b->data, b->len, boundary, strlen(boundary));
	if (boundary[0] == '\0')
		return;
	assert_non_null(at);
	at[strlen(boundary) - 1]++;
	now = read_ok(b->data, b->len);
	assert_false(digest_equal(&was.digest, &now.digest));
	at[strlen(boundary) - 1]--;
}

/* n levels of multiparts, of attached messages, or of both in turn, with a text inside. */
static struct buf nested(int n, const char *kinds, const char *text)
{
	struct buf b;

	buf_init(&b, 2 * MB);
	for (int i = 0; i < n; i++)
		if (kinds[(size_t)i % strlen(kinds)] == 'm')
			assert_int_equal(buf_addf(&b,
						  "Content-Type: multipart/mixed; boundary=b%d"
						  "\n\n--b%d\n",
						  i, i),
					 0);
		else
			assert_int_equal(buf_adds(&b, "Content-Type: message/rfc822\n\n"), 0);
	assert_int_equal(buf_addf(&b, "Subject: inside\n\n%s\n", text), 0);
	for (int i = n; i-- > 0;)
		if (kinds[(size_t)i % strlen(kinds)] == 'm')
			assert_int_equal(buf_addf(&b, "--b%d--\n", i), 0);
	return b;
}

static bool same_nested(int n, const char *kinds, const char *x, const char *y)
{
	struct buf a = nested(n, kinds, x), b = nested(n, kinds, y);
	struct mime_info ia = read_ok(a.data, a.len), ib = read_ok(b.data, b.len);

	buf_free(&a);
	buf_free(&b);
	return digest_equal(&ia.digest, &ib.digest);
}

/* Inside of so many, a text is still text; inside of more it stands as it is. */
static void depth_is_capped(void **state)
{
	static const char *const kinds[] = {"m", "a", "ma"};

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		assert_true(same_nested(MIME_MAX_DEPTH, kinds[i], "a b", "a  b"));
		assert_false(same_nested(MIME_MAX_DEPTH, kinds[i], "a b", "a c"));
		assert_false(same_nested(MIME_MAX_DEPTH + 1, kinds[i], "a b", "a  b"));
		assert_false(same_nested(10000, kinds[i], "a b", "a  b"));
		for (int n = MIME_MAX_DEPTH + 1; n < 10000; n += 9000) {
			struct buf b = nested(n, kinds[i], "a b");

			check_past_cap(&b, kinds[i][0] == 'm' ? "boundary=b0" : "");
			buf_free(&b);
		}
	}
}

/* Depth is how deep, not how many. */
static void siblings_are_not_deep(void **state)
{
	struct mime_info was, now;
	struct buf b;

	(void)state;
	buf_init(&b, MB);
	assert_int_equal(buf_adds(&b, HEAD MIXED "b\n\n"), 0);
	for (int i = 0; i < 2 * MIME_MAX_DEPTH; i++)
		assert_int_equal(
		    buf_adds(&b, "--b\nContent-Type: message/rfc822\n\nA: b\n\nx  y\n"), 0);
	assert_int_equal(buf_adds(&b, "--b--\n"), 0);
	was = read_ok(b.data, b.len);
	memcpy(b.data + b.len - strlen("x  y\n--b--\n"), "x \t", 3);
	now = read_ok(b.data, b.len);
	assert_true(digest_equal(&was.digest, &now.digest));
	buf_free(&b);
}

/* n parts; the last says text. */
static struct buf many(int n, const char *text)
{
	struct buf b;

	buf_init(&b, MB);
	assert_int_equal(buf_adds(&b, HEAD MIXED "b\n\n"), 0);
	while (n-- > 1)
		assert_int_equal(buf_adds(&b, "--b\n\nx\n"), 0);
	assert_int_equal(buf_addf(&b, "--b\n\n%s\n--b--\n", text), 0);
	return b;
}

static void parts_are_capped(void **state)
{
	static const int counts[] = {MIME_MAX_PARTS, MIME_MAX_PARTS + 1, 100000};

	(void)state;
	for (size_t i = 0; i < COUNT(counts); i++) {
		struct buf a = many(counts[i], "x y"), b = many(counts[i], "x  y");
		struct mime_info ia = read_ok(a.data, a.len), ib = read_ok(b.data, b.len);

		assert_int_equal(digest_equal(&ia.digest, &ib.digest), i == 0);
		if (i > 0)
			check_past_cap(&a, "boundary=b");
		buf_free(&a);
		buf_free(&b);
	}
}

/* No bytes are a message as well: rspamd says what it thinks of it. */
static void empty(void **state)
{
	struct mime_info info, other;
	struct err e;

	(void)state;
	assert_int_equal(mime_read(NULL, 0, &info, &e), 0);
	other = read_ok("", 0);
	assert_true(digest_equal(&info.digest, &other.digest));
	other = read_text("x");
	assert_false(digest_equal(&info.digest, &other.digest));
}

/* What a value has beyond its cap counts as well, but is not decoded any more. */
static void fields_are_capped(void **state)
{
	static const char *const names[] = {"Subject:", "From:"};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		size_t n = strlen(names[i]);
		struct mime_info info, more;
		struct buf b;

		buf_init(&b, MB);
		assert_int_equal(buf_adds(&b, names[i]), 0);
		while (b.len < n + MIME_MAX_FIELD)
			assert_int_equal(buf_adds(&b, "y "), 0);
		assert_int_equal(buf_adds(&b, "\n\nx y\n"), 0);
		info = read_ok(b.data, b.len);
		b.data[n + 1] = '\t';
		more = read_ok(b.data, b.len);
		assert_true(digest_equal(&info.digest, &more.digest));

		b.len = n + MIME_MAX_FIELD;
		assert_int_equal(buf_adds(&b, "y\n\nx y\n"), 0);
		info = read_ok(b.data, b.len);
		b.data[n + 1] = ' ';
		more = read_ok(b.data, b.len);
		assert_false(digest_equal(&info.digest, &more.digest));
		b.data[n + 1] = '\t';
		b.data[n + MIME_MAX_FIELD] = 'z';
		more = read_ok(b.data, b.len);
		assert_false(digest_equal(&info.digest, &more.digest));
		buf_free(&b);
	}
}

/* Hostile messages: a head, a piece that is repeated to a megabyte, a tail. */
static const struct {
	const char *head, *piece, *tail;
} hostile[] = {
    {"X-Long: ", "y", "\n\nx\n"},
    {"X-Folded:", " y\n", "\nx\n"},
    {"", "X: y\n", "\nx\n"},
    {"Subject: ", "=?utf-8?q?=C3?= ", "\n\nx\n"},
    {"Subject: ", "=?koi8-r?q?a?= =?big5?q?a?= ", "\n\nx\n"},
    {"Subject: ", "=?a?q?", "\n\nx\n"},
    {"Subject: ", "\xFF", "\n\nx\n"},
    {"From: ", "a@b,", "\n\nx\n"},
    {"From: ", "(", "\n\nx\n"},
    {"Date: ", "1 ", "\n\nx\n"},
    {"Content-Type: multipart/mixed", "; p*0=\"x", "; boundary=b\n\n--b\nx\n"},
    {"Content-Type: multipart/mixed; boundary=", "y", "\n\n--y\nx\n"},
    {"Content-Type: multipart/mixed; boundary=b\n\n", "preamble\n", ""},
    {"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n", "--bb\n", ""},
    {"Content-Type: multipart/mixed; boundary=b\n\n--b--\n", "--b\n", ""},
    {"Content-Type: multipart/mixed; boundary=b\n\n", "--b\nContent-Type: x\n\n\n", "--b--"},
    {"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n", "\r", "\n--b--"},
    {"", "Content-Type: text/plain\n", "\nx"},
    {"", "Subject: =?utf-8?q?x?=\n", "\nx"},
    {"", "From: a <b@c>\n", "\nx"},
    {"Content-Type: text/plain", "; a=b", "\n\nx"},
    {"Content-Type: text/plain; a=\"", "\\", "\"\n\nx"},
    {"Content-Type: multipart/mixed; boundary=\"------\"\n\n", "-", ""},
    {"Content-Transfer-Encoding: base64\n\n", "QUJD", "=\n"},
    {"Content-Transfer-Encoding: base64\n\n", "Q===", ""},
    {"Content-Transfer-Encoding: base64\n\n", "!", ""},
    {"Content-Transfer-Encoding: quoted-printable\n\n", "=", ""},
    {"Content-Transfer-Encoding: quoted-printable\n\n", "=0D", ""},
    {"\n", "\r", ""},
    {"\n", "\n", "x"},
    {"\n", " \t", "x"},
    {"\n", ">", "From x"},
    {"\n", "\x80\xFF", ""},
    {"", "From x\n", ""},
    {"", "\xFF\xFE", ""},
    {"", ":", ""},
};

/* Any bytes are a message: each is read, in a time that alarm() allows. */
static void hostile_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(hostile); i++) {
		struct buf b;

		buf_init(&b, 2 * MB);
		assert_int_equal(buf_adds(&b, hostile[i].head), 0);
		while (b.len < MB)
			assert_int_equal(buf_adds(&b, hostile[i].piece), 0);
		assert_int_equal(buf_adds(&b, hostile[i].tail), 0);
		read_ok(b.data, b.len);
		buf_free(&b);
	}
}

/* A NUL is a byte like any other. */
static void nul_bytes(void **state)
{
	static const struct {
		const char *msg;
		size_t len;
	} m[] = {
#define BYTES(s) {s, sizeof s - 1}
	    BYTES("Subject: a\0b\nContent-Type: text/html\n\nx\0y\n"),
	    BYTES("Subject: a b\nContent-Type: text/html\n\nx\0y\n"),
	    BYTES("Subject: ab\nContent-Type: text/html\n\nx\0y\n"),
	    BYTES("Subject: a\0c\nContent-Type: text/html\n\nx\0y\n"),
	    BYTES("Subject: a b\nContent-Type: text/html\n\nx\0z\n"),
	    BYTES("Subject: a b\nContent-Type: text/html\0\n\nx\0z\n"),
#undef BYTES
	};
	struct mime_info info[COUNT(m)], received;

	(void)state;
	for (size_t i = 0; i < COUNT(m); i++) {
		info[i] = read_ok(m[i].msg, m[i].len);
		for (size_t k = 0; k < i; k++)
			assert_false(digest_equal(&info[i].digest, &info[k].digest));
	}
	received = read_ok("X: \0\nSubject: a b\nContent-Type: text/html\n\nx\0z\n", 47);
	assert_true(digest_equal(&received.digest, &info[4].digest));
}

/* Cut anywhere, or with any one byte changed, it is read without a byte too far. */
static void damaged(void **state)
{
	static const char *const names[] = {"mixed.eml", "attached.eml", "relayed.eml"};
	static const char junk[] = {'\0', '\n', '\r', '-', '=', '?', ':', '\xFF'};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		struct buf b = read_file(names[i]);

		for (size_t len = 0; len <= b.len; len++)
			read_ok(b.data, len);
		for (size_t at = 0; at < b.len; at++) {
			char was = b.data[at];

			b.data[at] = junk[at % sizeof junk];
			read_ok(b.data, b.len);
			b.data[at] = was;
		}
		buf_free(&b);
	}
}

static long peak_kb(void)
{
	struct rusage r;

	assert_int_equal(getrusage(RUSAGE_SELF, &r), 0);
	return r.ru_maxrss;
}

static const struct {
	const char *head, *piece;
} large[] = {
    {HEAD GIF, "R0lGODlhR0lGODlhR0lGODlhR0lGODlh\n"},
    {HEAD, "X: y\n"},
    {HEAD "X: ", "yyyyyyyyyyyyyyyy"},
    {HEAD MIXED "b\n\n", "preamble, preamble, preamble\n"},
    {HEAD MIXED "b\n\n--b\n" TEXT "\n", "text text text text text text\n"},
    {HEAD "Content-Type: message/rfc822\n\n", "Subject: y\n"},
};

/* Four megabytes of message cost no more memory than one line, wherever they are. */
static void memory_is_bounded(void **state)
{
	struct mime_info info;
	struct err e;
	struct buf b;

	(void)state;
	buf_init(&b, 5 * MB);
	assert_int_equal(buf_reserve(&b, 5 * MB), 0);
	for (size_t i = 0; i < COUNT(large); i++) {
		long before;

		buf_clear(&b);
		assert_int_equal(buf_adds(&b, large[i].head), 0);
		while (b.len < 4 * MB)
			assert_int_equal(buf_adds(&b, large[i].piece), 0);
		before = peak_kb();
		assert_int_equal(mime_read(b.data, b.len, &info, &e), 0);
		assert_in_range(peak_kb() - before, 0, 1024);
	}
	buf_free(&b);
}

static int set_up(void **state)
{
	(void)state;
	alarm(300); /* what hangs must not hang the build */
	mime_init();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mime_shutdown();
	return 0;
}

/* Each allocation that fails is an error, and nothing is lost. */
static void no_memory(void **state)
{
	static const char text[] =
	    "From: a@b\nSubject: =?utf-8?q?x?=\nContent-Type: multipart/mixed; boundary=b\n\n"
	    "--b\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: "
	    "quoted-printable\n\na=FCb\n--b\nContent-Type: text/html\n"
	    "Content-Transfer-Encoding: base64\n\nPGI+YTwvYj4=\n--b\n"
	    "Content-Type: message/rfc822\n\nSubject: in\n\ntext\n--b--\n";
	bool failed = true;
	unsigned n = 1;

	(void)state;
	for (; failed; n++) {
		struct mime_info info;
		struct err e;
		int rc;

		fake_memory_fails(n);
		rc = mime_read(text, sizeof text - 1, &info, &e);
		failed = fake_memory_failed();
		fake_memory_fails(0);
		if (rc != (failed ? -1 : 0) || (failed && e.kind != ERR_LOCAL))
			fail_msg("allocation %u: %s", n, rc ? e.text : "no error");
	}
	assert_true(n > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_memory),
	    cmocka_unit_test(vectors),
	    cmocka_unit_test(identity),
	    cmocka_unit_test(attached),
	    cmocka_unit_test(payloads_are_told_apart),
	    cmocka_unit_test(original),
	    cmocka_unit_test(original_is_no_identity),
	    cmocka_unit_test(original_is_capped),
	    cmocka_unit_test(for_people),
	    cmocka_unit_test(encrypted),
	    cmocka_unit_test(depth_is_capped),
	    cmocka_unit_test(siblings_are_not_deep),
	    cmocka_unit_test(parts_are_capped),
	    cmocka_unit_test(empty),
	    cmocka_unit_test(fields_are_capped),
	    cmocka_unit_test(hostile_messages),
	    cmocka_unit_test(nul_bytes),
	    cmocka_unit_test(damaged),
	    cmocka_unit_test(memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
