/*
 * content.c: which Content- fields and which bodies are regular, and what is canonical.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "mail/content.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CT	     "Content-Type: "
#define CTE	     "Content-Transfer-Encoding: "
#define CD	     "Content-Disposition: "

static struct span span(const char *s)
{
	return (struct span){s, strlen(s)};
}

/* "type|boundary|disposition|encoding", NULL: irregular. */
static const struct {
	const char *header, *want;
} headers[] = {
    {"", "-|-|-|0"},
    {"A: b\nX-Content-Type: x/y\n", "-|-|-|0"},
    {CT "Text/HTML\n", "text/html|-|-|0"},
    {CT "text/plain; Charset=\"UTF-8\"; Name=\"A.b\"\n",
     "text/plain;charset=utf-8;name=A.b|-|-|0"},
    {CT "text/plain;\r\n\tcharset=utf-8;\r\n", "text/plain;charset=utf-8|-|-|0"},
    {CT "text/plain;name=\"a  b;\\\"c\"\n", "text/plain;name=\"a b;\\\"c\"|-|-|0"},
    {CT "text/plain;name=\"\"\n", "text/plain;name=\"\"|-|-|0"},
    {CT "text/plain;name=\"\xFC\"\n", "text/plain;name=\"\xFC\"|-|-|0"},
    {CT "text/plain;name*0=a;name*1=b;x==?\n", "text/plain;name*0=a;name*1=b;x==?|-|-|0"},
    {CT "text/plain;boundary=b\n", "text/plain;boundary=b|-|-|0"},
    {CT "multipart/mixed; Boundary=\"=_B\"; type=x\n", "multipart/mixed;type=x|=_B|-|0"},
    {CT "multipart/mixed\n", "multipart/mixed|-|-|0"},
    {CD "Attachment; FileName=\"A b.pdf\"\n", "-|-|attachment;filename=\"A b.pdf\"|0"},
    {CD "inline\n", "-|-|inline|0"},
    {CTE "7bit\n", "-|-|-|1"},
    {CTE "8BIT\n", "-|-|-|2"},
    {CTE "binary\n", "-|-|-|2"},
    {CTE " Quoted-Printable \r\n", "-|-|-|3"},
    {"content-transfer-encoding:BASE64\n", "-|-|-|4"},
    {"Content-Type : text/plain; x\n", "-|-|-|0"}, /* no field to rspamd */
    /* what not all read in the same way */
    {CT "\n", NULL},
    {CT "text\n", NULL},
    {CT "text/\n", NULL},
    {CT "/plain\n", NULL},
    {CT "text /plain\n", NULL},
    {CT "text/plain charset=utf-8\n", NULL},
    {CT "text/plain ; charset=utf-8\n", NULL},
    {CT "text/plain (x)\n", NULL},
    {CT "text/plain;;\n", NULL},
    {CT "text/plain; charset\n", NULL},
    {CT "text/plain; =x\n", NULL},
    {CT "text/plain; a= b\n", NULL},
    {CT "text/plain; a =b\n", NULL},
    {CT "text/plain; a=b c\n", NULL},
    {CT "text/plain; a=b(c)\n", NULL},
    {CT "text/plain; a=\"b\n", NULL},
    {CT "text/plain; a=\"b\\\n", NULL},
    {CT "text/plain; a=\"b\"c\n", NULL},
    {CT "text/plain; a=b\\c\n", NULL},
    {CT "text/plain; a=\xFC\n", NULL},
    {CT "text/plain; a=\"\x01\"\n", NULL},
    {CT "text/plain; a=\"\x7F\"\n", NULL},
    {CT "text/plain\n" CT "text/plain\n", NULL},
    {CT "multipart/mixed; boundary=a; boundary=b\n", NULL},
    {CT "multipart/mixed; boundary=\"a b\"\n", NULL},
    {CT "multipart/mixed; boundary=\"\"\n", NULL},
    {CT "multipart/mixed; boundary=a--\n", NULL},
    {CT "multipart/mixed; boundary==?x\n", NULL},
    {CT "multipart/mixed; boundary*0=a\n", NULL},
    {CD "\n", NULL},
    {CD "attachment; x\n", NULL},
    {CD "a/b\n", NULL},
    {CD "inline\n" CD "inline\n", NULL},
    {CTE "\n", NULL},
    {CTE "base-64\n", NULL},
    {CTE "x-uuencode\n", NULL},
    {CTE "base64; x\n", NULL},
    {CTE "base64\n" CTE "base64\n", NULL},
};

static void fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(headers); i++) {
		struct content c;
		char got[200];
		bool ok = content_read(span(headers[i].header), &c);

		if (ok != (headers[i].want != NULL))
			fail_msg("header %zu", i);
		snprintf(got, sizeof got, "%s|%s|%s|%d", c.type ? c.type : "-",
			 c.boundary ? c.boundary : "-", c.disposition ? c.disposition : "-",
			 (int)c.encoding);
		if (ok)
			assert_string_equal(got, headers[i].want);
		content_free(&c);
	}
}

static bool reads(const struct buf *b)
{
	struct content c;
	bool ok = content_read((struct span){b->data, b->len}, &c);

	content_free(&c);
	return ok;
}

static void caps(void **state)
{
	static const char nul[] = CT "text/plain; a=\"\0\"\n";
	struct content c;
	struct buf b;

	(void)state;
	buf_init(&b, 2 * CONTENT_MAX_FIELD);
	assert_int_equal(buf_adds(&b, "Content-Type:text/plain;a="), 0);
	while (b.len < strlen("Content-Type:") + CONTENT_MAX_FIELD)
		assert_int_equal(buf_adds(&b, "y"), 0);
	assert_true(reads(&b));
	assert_int_equal(buf_adds(&b, "y"), 0);
	assert_false(reads(&b));

	buf_clear(&b);
	assert_int_equal(buf_adds(&b, CT "text/plain"), 0);
	for (int i = 0; i < CONTENT_MAX_PARAMS; i++)
		assert_int_equal(buf_adds(&b, ";a=b"), 0);
	assert_true(reads(&b));
	assert_int_equal(buf_adds(&b, ";a=b"), 0);
	assert_false(reads(&b));

	buf_clear(&b);
	assert_int_equal(buf_adds(&b, CT), 0);
	for (int i = 0; i < 127; i++)
		assert_int_equal(buf_adds(&b, "t"), 0);
	assert_int_equal(buf_adds(&b, "/x"), 0);
	assert_true(reads(&b));
	b.data[strlen(CT) + 127] = 't';
	assert_int_equal(buf_adds(&b, "/x"), 0);
	assert_false(reads(&b));
	buf_free(&b);

	assert_false(content_read((struct span){nul, sizeof nul - 1}, &c));
	content_free(&c);
}

#define LINE "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/"

static const struct {
	const char *header, *body;
	bool regular;
} bodies[] = {
    {CTE "base64\n", "QUJD\nQUI=\n", true},
    {CTE "base64\n", "QUJD\r\nQQ==\r\n\r\n", true},
    {CTE "base64\n", "QU\nJD", true},
    {CTE "base64\n", "QQ=\n=", true},
    {CTE "base64\n", "", true},
    {CTE "base64\n", "QQ==QUJD", false},
    {CTE "base64\n", "QQ==\nQUJD\n", false},
    {CTE "base64\n", "QQ=", false},
    {CTE "base64\n", "QQ", false},
    {CTE "base64\n", "Q===", false},
    {CTE "base64\n", "QUJD====", false},
    {CTE "base64\n", "QUJD.", false},
    {CTE "base64\n", "QUJD \n", false},
    {CTE "base64\n", "QU\rJD", false},
    {CTE "base64\n", "QUJD\r", false},
    {CTE "base64\n", "QUJ\xC4", false},
    {CTE "quoted-printable\n", "a=3Db=\nc=\r\nd=c3\t~\r\n", true},
    {CTE "quoted-printable\n", "a=\n", true},
    {CTE "quoted-printable\n", "a=", false},
    {CTE "quoted-printable\n", "a=3", false},
    {CTE "quoted-printable\n", "a=3\n", false},
    {CTE "quoted-printable\n", "a=zz", false},
    {CTE "quoted-printable\n", "a= \n", false},
    {CTE "quoted-printable\n", "a=\rb", false},
    {CTE "quoted-printable\n", "a\rb", false},
    {CTE "quoted-printable\n", "a\r", false},
    {CTE "quoted-printable\n", "\xFC", false},
    {CTE "quoted-printable\n", "\x7F", false},
    {CTE "quoted-printable\n", "\x01", false},
    {CTE "7bit\n", "QUJDREVGR0hJSktM", true},
    {CTE "7bit\n", "\u00fc", false},
    {CTE "8bit\n", "\u00fc", true},
    {CTE "8bit\n", "\xFC", false}, /* no Content-Type: text to rspamd if it is UTF-8 */
    {CTE "8bit\n" CT "text/plain\n", "\xFC", true},
    /* nothing declared, and rspamd guesses */
    {"", "", true},
    {"", "x y", true},
    {"", "\n \nx y\n", true},
    {"", "<p>x=1&y=2&z=3</p>", true},
    {"", "\u00fc=41=41=41", true},
    {"", "a b=41=41", true},
    {"", "a b=41=41=4f", false},
    {"", "x", false},
    {"", "QUJDREVGR0hJSktM", false},
    {"", "\n QUJD=\n", false},
    {"", LINE LINE " and more", false}, /* 128 of them */
    {"", LINE "/" LINE, false},
    {"", LINE "." LINE, true},
    {"", "begin 644 x y", false},
    {"", "begin", false},
    {"", "\xFC", false},
    {CT "text/plain\n", "\xFC", true},
    /* parts that no multipart has, but rspamd */
    {CTE "8bit\n", "x\n--y\nz\ncontent-type: a/b\n", false},
    {CTE "8bit\n", "--y\rCONTENT-x", false},
    {CTE "quoted-printable\n", "--y\nContent-x", false},
    {CTE "quoted-printable\n", "=2D-y\nContent-x", true},
    {CTE "8bit\n", "Content-x\n--y\nz", true},
    {CTE "8bit\n", "x --y\nContent-x", true},
    {CTE "8bit\n", "--y\n Content-x", true},
    {CTE "8bit\n", "--y\nContent", true},
};

static void regular_bodies(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		struct content c;

		assert_true(content_read(span(bodies[i].header), &c));
		if (content_body_is_regular(&c, span(bodies[i].body)) != bodies[i].regular)
			fail_msg("body %zu", i);
		content_free(&c);
	}
}

static const struct {
	const char *header;
	enum digest_mode mode;
} modes[] = {
    {"", DIGEST_TEXT},
    {CTE "quoted-printable\n", DIGEST_TEXT},
    {CTE "base64\n", DIGEST_EXACT},
    {CT "text/plain\n" CTE "base64\n", DIGEST_TEXT},
    {CT "text/x; charset=us-ascii\n", DIGEST_TEXT},
    {CT "text/x; charset=ISO-8859-15\n", DIGEST_TEXT},
    {CT "text/x; charset=windows-1252\n", DIGEST_TEXT},
    {CT "text/x; charset=koi8-r\n", DIGEST_TEXT},
    {CT "text/x; charset=windows-1200\n", DIGEST_LINES},
    {CT "text/x; charset=iso-8859-\n", DIGEST_LINES},
    {CT "text/x; charset=utf-7\n", DIGEST_LINES},
    {CT "text/x; charset=utf-16\n", DIGEST_LINES},
    {CT "text/x; charset=utf-16\n" CTE "base64\n", DIGEST_EXACT},
    {CT "text/x; charset=utf-8; charset=utf-8\n", DIGEST_LINES},
    {CT "text/x; charset*=utf-8\n", DIGEST_LINES},
    {CT "message/delivery-status\n", DIGEST_TEXT},
    {CT "message/delivery-statuses\n", DIGEST_LINES},
    {CT "message/partial\n", DIGEST_LINES},
    {CT "image/png\n", DIGEST_LINES},
    {CT "image/png\n" CTE "base64\n", DIGEST_EXACT},
};

static void how_it_is_hashed(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(modes); i++) {
		struct content c;

		assert_true(content_read(span(modes[i].header), &c));
		if (content_mode(&c) != modes[i].mode)
			fail_msg("mode %zu", i);
		content_free(&c);
	}
}

static void messages(void **state)
{
	static const struct {
		const char *header;
		bool message;
	} m[] = {
	    {CT "message/rfc822\n", true},
	    {CT "Message/RFC822; name=x\n", true},
	    {CT "message/global\n", true},
	    {CT "message/news\n" CTE "8bit\n", true},
	    {CT "message/rfc822\n" CTE "base64\n", false},
	    {CT "message/rfc8222\n", false},
	    {CT "message/partial\n", false},
	    {"", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(m); i++) {
		struct content c;

		assert_true(content_read(span(m[i].header), &c));
		if (content_is_message(&c) != m[i].message)
			fail_msg("message %zu", i);
		content_free(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fields),	      cmocka_unit_test(caps),
	    cmocka_unit_test(regular_bodies), cmocka_unit_test(how_it_is_hashed),
	    cmocka_unit_test(messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
