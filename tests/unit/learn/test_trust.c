/*
 * trust.c: which reports are believed. The header blocks are those that real servers wrote;
 * what a stranger can choose in them (HELO, sender, recipient) is tried in every way against
 * them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "learn/trust.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define TOKEN	 "0123456789abcdef0123456789abcdef"
#define VARIABLE "LEARNSPOOL_TEST_TOKEN"

static char variable[] = VARIABLE;

/* Blocks of fields, top to bottom, down to the report field. */
#define LMTP_TCP                                                                             \
	"Return-Path: <alice@example.org>\r\nDelivered-To: ham@example.org\r\n"              \
	"Received: from mx.example.org ([127.0.0.1])\r\n\tby mail.example.org with LMTP\r\n" \
	"\tid aB3cDeFgHiJ\r\n\t(envelope-from <alice@example.org>)\r\n"                      \
	"\tfor <ham@example.org>; Sun, 22 Nov 2026 12:12:12 +0000\r\n"
#define LMTP_UNIX                                                                   \
	"Return-Path: <alice@example.org>\r\nDelivered-To: ham@example.org\r\n"     \
	"Received: from mx.example.org\r\n\tby mail.example.org with LMTP\r\n\tid " \
	"aB3cDeFgHiJ\r\n"                                                           \
	"\t(envelope-from <alice@example.org>)\r\n"                                 \
	"\tfor <ham@example.org>; Sun, 22 Nov 2026 12:12:12 +0000\r\n"
#define PICKUP                                                                                \
	"Received: by mx.example.org (Postfix, from userid 65534)\r\n\tid 5996F98A144; Sun, " \
	"22 "                                                                                 \
	"Nov 2026 12:12:12 +0000 (UTC)\r\n"
#define POSTFIX(peer)                                                    \
	"Received: from " peer                                           \
	"\r\n\tby mx.example.org (Postfix) with ESMTP id 4F1Z0k3Bzz\r\n" \
	"\tfor <ham@example.org>; Sun, 22 Nov 2026 12:12:12 +0000 (UTC)\r\n"
#define SIEVE                                             \
	"X-Sieve: Pigeonhole Sieve 0.5.19 (4eae2f79)\r\n" \
	"X-Sieve-Redirected-From: reports@learnspool.invalid\r\n"
#define SAYS(value) "X-Learnspool-Report: " value "\r\n"
#define GOOD	    SAYS("v1; class=ham; user=alice@example.org; token=" TOKEN)
#define MAIL	    "From: a@example.net\r\nSubject: s\r\n\r\nbody\r\n"

static struct report_field marker_of(const char *msg)
{
	struct report_field m;

	report_field_read(msg, strlen(msg), &m);
	return m;
}

/* A configuration whose token is in the environment, or that has none. */
static struct conf_reports conf_of(bool token, const char *senders, const char *received)
{
	struct conf_reports c = {.quorum = 1};

	if (token)
		c.token = (struct secret_source){SECRET_ENV, variable};
	c.senders = (char *)(uintptr_t)senders;
	c.received = (char *)(uintptr_t)received;
	return c;
}

static struct trust *open_ok(const struct conf_reports *c)
{
	struct err e = {0};
	struct trust *t = trust_open(c, &e);

	if (t == NULL)
		fail_msg("%s", e.text);
	return t;
}

/* Does trust_refuses say what is expected? why NULL: believed. */
static void check(const char *what, const struct conf_reports *c, const char *msg,
		  const char *why)
{
	struct trust *t = open_ok(c);
	struct report_field m = marker_of(msg);
	const char *got = trust_refuses(t, &m, CLASS_HAM);

	if ((got == NULL) != (why == NULL) || (why && strstr(got, why) == NULL))
		fail_msg("%s: \"%s\" instead of \"%s\"", what, got ? got : "believed",
			 why ? why : "believed");
	trust_close(t);
}

#define NO_MARKER "bears no X-Learnspool-Report"
#define MALFORMED "malformed"
#define CLASS	  "the other class"
#define WRONG	  "token is not ours"
#define TWICE	  "delivered twice"
#define HOST	  "a host that is not ours"
#define SENDER	  "envelope sender is not allowed"

/* ---- the token and where it stands ---- */

static const struct {
	const char *what, *msg, *why;
} tokens[] = {
    {"a report by sendmail", LMTP_TCP PICKUP SIEVE GOOD MAIL, NULL},
    {"no marker", LMTP_TCP PICKUP SIEVE MAIL, NO_MARKER},
    {"an ordinary mail", LMTP_TCP MAIL, NO_MARKER},
    {"nothing", "", NO_MARKER},
    {"a marker in the author's part", LMTP_TCP "From: a@example.net\r\n" GOOD MAIL, NO_MARKER},
    {"no class", LMTP_TCP SAYS("v1; token=" TOKEN) MAIL, MALFORMED},
    {"two tokens", LMTP_TCP SAYS("v1; class=ham; token=x; token=" TOKEN) MAIL, MALFORMED},
    {"the other class", LMTP_TCP SAYS("v1; class=spam; token=" TOKEN) MAIL, CLASS},
    {"no token", LMTP_TCP SAYS("v1; class=ham") MAIL, WRONG},
    {"an empty token", LMTP_TCP SAYS("v1; class=ham; token=") MAIL, WRONG},
    {"the token's first byte differs",
     LMTP_TCP SAYS("v1; class=ham; token=1123456789abcdef0123456789abcdef") MAIL, WRONG},
    {"the token's last byte differs",
     LMTP_TCP SAYS("v1; class=ham; token=0123456789abcdef0123456789abcdee") MAIL, WRONG},
    {"a part of the token",
     LMTP_TCP SAYS("v1; class=ham; token=0123456789abcdef0123456789abcde") MAIL, WRONG},
    {"more than the token", LMTP_TCP SAYS("v1; class=ham; token=" TOKEN "0") MAIL, WRONG},
    {"the token in upper case",
     LMTP_TCP SAYS("v1; class=ham; token=0123456789ABCDEF0123456789ABCDEF") MAIL, WRONG},
    {"a wrong one above the right one", LMTP_TCP SAYS("v1; class=ham; token=x") GOOD MAIL,
     WRONG},
    {"a report that was sent on", LMTP_TCP PICKUP LMTP_TCP PICKUP SIEVE GOOD MAIL, TWICE},
    {"the same without Delivered-To",
     "Return-Path: <mallory@example.net>\r\n" PICKUP LMTP_UNIX SIEVE GOOD MAIL, TWICE},
    {"two Delivered-To", "Delivered-To: a\r\nDelivered-To: b\r\n" GOOD MAIL, TWICE},
};

static void test_token(void **state)
{
	struct conf_reports c = conf_of(true, NULL, NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(tokens); i++)
		check(tokens[i].what, &c, tokens[i].msg, tokens[i].why);
}

/* ---- the way that it came ---- */

static const struct {
	const char *what, *fields, *why;
} ways[] = {
    {"none at all", "", NULL},
    {"sendmail(1), LMTP by TCP", LMTP_TCP PICKUP, NULL},
    {"sendmail(1), LMTP by a unix socket", LMTP_UNIX PICKUP, NULL},
    {"SMTP from this machine", LMTP_UNIX POSTFIX("mail.example.org (localhost [127.0.0.1])"),
     NULL},
    {"SMTP by IPv6", LMTP_UNIX POSTFIX("mail.example.org (localhost [IPv6:::1])"), NULL},
    {"IPv6 in its longest form",
     LMTP_UNIX POSTFIX("mail.example.org (localhost [IPv6:0:0:0:0:0:0:0:1])"), NULL},
    {"TLS",
     LMTP_UNIX
     "Received: from mail.example.org (localhost [127.0.0.1])\r\n\t(using TLSv1.3 with "
     "cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\r\n\t key-exchange X25519 "
     "server-signature RSA-PSS (2048 bits) server-digest SHA256)\r\n\t(No client "
     "certificate requested)\r\n\tby mx.example.org (Postfix) with ESMTPS id "
     "4F1Z0k3Bzz;\r\n\tSun, 22 Nov 2026 12:12:12 +0000 (UTC)\r\n",
     NULL},
    {"OpenSMTPD's sendmail",
     LMTP_UNIX
     "Received: from localhost (mx.example.org [local])\r\n\tby mx.example.org "
     "(OpenSMTPD) with ESMTPA id 1ba2c3d4\r\n\tfor <ham@example.org>;\r\n\tSun, 22 Nov "
     "2026 12:12:12 +0000 (UTC)\r\n",
     NULL},
    {"Exim's sendmail",
     LMTP_UNIX "Received: from alice by mx.example.org with local (Exim 4.96)\r\n\t"
	       "(envelope-from <alice@example.org>)\r\n\tid 1oxyZ1-0001aB-2C\r\n\tfor "
	       "ham@example.org;\r\n\tSun, 22 Nov 2026 12:12:12 +0000\r\n",
     NULL},
    {"Sendmail's two hops",
     LMTP_UNIX
     "Received: from mx.example.org (localhost [127.0.0.1])\r\n\tby mx.example.org "
     "(8.17.1.9/8.17.1.9) with ESMTP id 2AMCCCcc001234\r\n\tfor <ham@example.org>; Sun, "
     "22 Nov 2026 12:12:12 GMT\r\nReceived: (from alice@localhost)\r\n\tby "
     "mx.example.org (8.17.1.9/8.17.1.9/Submit) id 2AMCCCcc001233;\r\n\tSun, 22 Nov "
     "2026 12:12:12 GMT\r\n",
     NULL},
    {"qmail-inject",
     "Received: (qmail 28612 invoked by uid 1000); 22 Nov 2026 12:12:12 -0000\r\n", NULL},
    {"Cyrus over a unix socket",
     "Received: from mx.example.org ([unix socket])\r\n\tby mail.example.org (Cyrus 3.6.1) "
     "with "
     "LMTPA;\r\n\tSun, 22 Nov 2026 12:12:12 +0000\r\n" PICKUP,
     NULL},
    {"through amavis",
     LMTP_UNIX POSTFIX(
	 "localhost (localhost [127.0.0.1])") "Received: from mx.example.org "
					      "([127.0.0.1])\r\n\tby localhost (mx.example.org "
					      "[127.0.0.1]) (amavisd-new, port "
					      "10024)\r\n\twith ESMTP id aBcDeF; Sun, 22 Nov "
					      "2026 12:12:12 +0000 (UTC)\r\n" PICKUP,
     NULL},

    {"from outside", LMTP_UNIX POSTFIX("evil.example.net (unknown [203.0.113.9])"), HOST},
    {"from outside, and sent on here",
     LMTP_TCP PICKUP POSTFIX("evil.example.net (unknown [203.0.113.9])"), HOST},
    {"another of this network", LMTP_UNIX POSTFIX("x (unknown [127.0.0.2])"), HOST},
    {"from outside by IPv6", LMTP_UNIX POSTFIX("x (unknown [IPv6:2001:db8::9])"), HOST},
    {"an address that begins like ours", LMTP_UNIX POSTFIX("x (unknown [127.0.0.10])"), HOST},
    {"an address that ends like ours", LMTP_UNIX POSTFIX("x (unknown [227.0.0.1])"), HOST},
    {"LMTP from outside",
     "Received: from evil ([203.0.113.9])\r\n\tby mail.example.org with LMTP\r\n", HOST},
    {"no address and no LMTP", "Received: from evil by mx.example.org with ESMTP id 1\r\n",
     HOST},
    {"LMTP in another shape", "Received: from evil via x by mx.example.org with LMTP\r\n",
     HOST},
    {"a link-local address", "Received: from [127.0.0.1] (x [fe80::1%eth0]) by mx\r\n", HOST},
    {"a comment inside of a comment, and one between words",
     "Received: from mx (a (b) c) by (d) mail.example.org with (e) LMTP (f)\r\n", NULL},
    {"a comment that does not end", "Received: from mx by mail with (LMTP\r\nLMTP-Id: 1\r\n",
     HOST},
    {"the next field is none of its words", "Received: from mx by mail with\r\nLMTP-Id: 1\r\n",
     HOST},
    {"no address in brackets", "Received: from mx ([x]) by mail.example.org with LMTP\r\n",
     HOST},
    {"no address in brackets, and more behind it",
     "Received: from mx ([xy] localhost) by mail.example.org with LMTP\r\n", HOST},
    {"local with more behind it", "Received: from mx by mail with locally\r\n", HOST},
    {"less than LMTP", "Received: from mx by mail with LMT P\r\n", HOST},
    {"an empty field", "Received: \r\n" POSTFIX("x (unknown [203.0.113.9])"), HOST},

    /* What a stranger can write into a field of our own server's. */
    {"HELO [127.0.0.1]", LMTP_UNIX POSTFIX("[127.0.0.1] (unknown [203.0.113.9])"), HOST},
    {"HELO [local]", LMTP_UNIX POSTFIX("[local] (unknown [203.0.113.9])"), HOST},
    {"HELO [127.0.0.1", LMTP_UNIX POSTFIX("[127.0.0.1 (unknown [203.0.113.9])"), HOST},
    {"HELO by", LMTP_UNIX POSTFIX("by (unknown [203.0.113.9])"), HOST},
    {"HELO by, and LMTP in the recipient",
     "Received: from by (unknown [203.0.113.9])\r\n\tby mx.example.org (Postfix) with ESMTP id "
     "4F1Z0k3Bzz\r\n\tfor <\"ham+x with LMTP\"@example.org>; Sun, 22 Nov 2026 12:12:12 "
     "+0000\r\n",
     HOST},
    {"LMTP in the sender",
     "Received: from evil by mx.example.org with ESMTP (envelope-from <\"x with LMTP "
     "y\"@example.net>)\r\n",
     HOST},
    {"Exim, HELO [127.0.0.1]",
     LMTP_UNIX
     "Received: from [203.0.113.9] (helo=[127.0.0.1])\r\n\tby mx.example.org with esmtp "
     "(Exim 4.96)\r\n",
     HOST},
    {"Exim, a name and HELO [127.0.0.1]",
     LMTP_UNIX "Received: from host.example.net ([203.0.113.9] helo=[127.0.0.1])\r\n\tby "
	       "mx.example.org with esmtps (Exim 4.96)\r\n",
     HOST},
    {"Exim, ident",
     LMTP_UNIX "Received: from [203.0.113.9] (ident=x by mx with local)\r\n\tby mx.example.org "
	       "with esmtp (Exim 4.96)\r\n",
     HOST},
    {"the address in parentheses (Exchange), HELO [127.0.0.1]",
     "Received: from [127.0.0.1] (203.0.113.9) by ex.example.org (127.0.0.1) with Microsoft "
     "SMTP "
     "Server\r\n",
     HOST},
    {"the address without anything around it, HELO [127.0.0.1]",
     "Received: from [127.0.0.1] (x IPv6:2001:db8::9) by mx.example.org (OpenSMTPD) with "
     "ESMTP\r\n",
     HOST},
    {"qmail",
     "Received: (qmail 1 invoked from network); 22 Nov 2026 12:12:12 -0000\r\nReceived: from "
     "unknown (HELO by) (203.0.113.9)\r\n  by mx.example.org with SMTP; 22 Nov 2026 12:12:12 "
     "-0000\r\n",
     HOST},
    {"qmail with ident",
     "Received: from unknown (HELO x) (with@203.0.113.9)\r\n  by mx.example.org with SMTP\r\n",
     HOST},
    {"the old transport fields left out",
     LMTP_TCP POSTFIX("evil.example.net (evil.example.net [203.0.113.9])") SIEVE, HOST},
    {"a trusted hop forged below the real one",
     LMTP_TCP POSTFIX("evil.example.net (unknown [203.0.113.9])") PICKUP SIEVE, HOST},
};

static void test_way(void **state)
{
	struct conf_reports c = conf_of(true, NULL, NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(ways); i++) {
		char msg[4096];

		snprintf(msg, sizeof msg, "%s" GOOD MAIL, ways[i].fields);
		check(ways[i].what, &c, msg, ways[i].why);
	}
}

/* received says which addresses are ours, instead of loopback, and asks for the path alone too.
 */
static void test_received(void **state)
{
	static const char one[] = LMTP_UNIX POSTFIX("mail (mail [192.0.2.7])") GOOD MAIL;
	static const char six[] = LMTP_UNIX POSTFIX("mail (mail [IPv6:2001:db8::7])") GOOD MAIL;
	static const char *const lists[] = {
	    "192.0.2.7 2001:db8::7",
	    "192.0.2.7,2001:db8::7",
	    " , 2001:DB8:0:0:0:0:0:7,, 192.0.2.7 ,",
	    "IPv6:2001:db8::7\t192.0.2.7",
	    "2001:db8::7 ::ffff:192.0.2.7", /* an IPv4 address as IPv6 writes it */
	};

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(lists); i++) {
		struct conf_reports c = conf_of(i % 2, NULL, lists[i / 2]);

		check(lists[i / 2], &c, one, NULL);
		check(lists[i / 2], &c, six, NULL);
		check("loopback is not in the list", &c, LMTP_TCP GOOD MAIL, HOST);
		check("not in the list", &c, POSTFIX("x (x [192.0.2.70])") GOOD MAIL, HOST);
		check("no marker", &c, LMTP_UNIX MAIL, NO_MARKER);
	}
}

/* ---- senders ---- */

static const struct {
	const char *senders, *sender;
	bool allowed;
} senders[] = {
    {"alice@example.org", "<alice@example.org>", true},
    {"alice@example.org", "<Alice@EXAMPLE.org>", true},
    {"ALICE@example.org", "<alice@example.org>", true},
    {"alice@example.org", "alice@example.org", true},
    {"alice@example.org", "<bob@example.org>", false},
    {"alice@example.org", "<malice@example.org>", false},
    {"alice@example.org", "<alice@example.org.example.net>", false},
    {"alice@example.org", "<>", false},
    {"alice@example.org", "", false},
    {"@example.org", "<alice@example.org>", true},
    {"@example.org", "<alice@Example.ORG>", true},
    {"@example.org", "<alice@sub.example.org>", false},
    {"@example.org", "<alice@badexample.org>", false},
    {"@example.org", "<alice@example.org@example.net>", false},
    {"@example.org", "<\"a@b\"@example.org>", true},
    {"@example.org", "<alice>", false},
    {"@example.org", "<@example.org>", true},
    {"a@example.net, @example.org", "<alice@example.org>", true},
    {"a@example.net,@example.org", "<a@example.net>", true},
    {" a@example.net\tb@example.net ,, ", "<b@example.net>", true},
    {" a@example.net\tb@example.net ,, ", "<c@example.net>", false},
};

static void test_senders(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(senders); i++) {
		struct conf_reports c = conf_of(false, senders[i].senders, NULL);
		char msg[1024];

		snprintf(msg, sizeof msg, "Return-Path: %s\r\n" MAIL, senders[i].sender);
		check(senders[i].sender, &c, msg, senders[i].allowed ? NULL : SENDER);
	}
}

/* Below the server's own Return-Path a stranger may write others. */
static void test_forged_sender(void **state)
{
	struct conf_reports c = conf_of(false, "@example.org", NULL);

	(void)state;
	check("none", &c, MAIL, SENDER);
	check("below the real one", &c,
	      "Return-Path: <m@example.net>\r\nReturn-Path: <alice@example.org>\r\n" MAIL,
	      SENDER);
	check("below a Received", &c,
	      "Return-Path: <m@example.net>\r\n" PICKUP
	      "Return-Path: <alice@example.org>\r\n" GOOD MAIL,
	      SENDER);
	check("twice the same", &c, LMTP_TCP LMTP_TCP GOOD MAIL, SENDER);
	check("a From of ours", &c,
	      "Return-Path: <m@example.net>\r\nFrom: alice@example.org\r\n\r\nbody\r\n",
	      SENDER);
	check("a real one", &c, LMTP_TCP MAIL, NULL);
}

/* Every test that is configured must pass. */
static void test_all(void **state)
{
	struct conf_reports c = conf_of(true, "@example.org", NULL);

	(void)state;
	check("all is well", &c, LMTP_TCP PICKUP GOOD MAIL, NULL);
	check("the sender alone", &c, LMTP_TCP MAIL, NO_MARKER);
	check("the token alone", &c, "Return-Path: <m@example.net>\r\n" PICKUP GOOD MAIL,
	      SENDER);
}

/* ---- what is configured ---- */

static void test_open(void **state)
{
	struct conf_reports nothing = conf_of(false, NULL, NULL);
	struct trust *t = open_ok(&nothing);

	(void)state;
	assert_false(trust_is_asked(t));
	trust_close(t);
	check("nothing is asked", &nothing, MAIL, NULL);
	check("not even a class", &nothing, SAYS("v1; class=spam") MAIL, NULL);
	trust_close(NULL);
	for (int i = 0; i < 3; i++) {
		struct conf_reports c =
		    conf_of(i == 0, i == 1 ? "a@b" : NULL, i == 2 ? "::1" : NULL);

		t = open_ok(&c);
		assert_true(trust_is_asked(t));
		trust_close(t);
	}
}

static void test_open_fails(void **state)
{
	struct conf_reports c = conf_of(true, NULL, NULL);
	struct err e = {0};

	(void)state;
	unsetenv(VARIABLE);
	assert_null(trust_open(&c, &e));
	setenv(VARIABLE, TOKEN, 1);
	assert_int_equal(e.scope, ERR_FATAL);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_null(strstr(e.text, TOKEN));
}

static const struct {
	const char *senders, *received, *error;
} lists[] = {
    {NULL, NULL, NULL},
    {"@example.org, alice@example.net", "127.0.0.1 ::1 IPv6:2001:db8::7", NULL},
    {"example.org", NULL, "senders: example.org is neither"},
    {"@example.org example.net", NULL, "write @example.net"},
    {NULL, "mx.example.org", "received: mx.example.org is no address"},
    {NULL, "127.0.0.1, 10.0.0.0/8", "received: 10.0.0.0/8"},
    {NULL, "[127.0.0.1]", "received: [127.0.0.1]"},
    {NULL, "127.0.0.1;::1", "received"},
    {"x", NULL, "senders: x is neither"}, /* short, and still a word */
    {"@example.org x", NULL, "senders: x is neither"},
    {NULL, "1 ::1", "received: 1 is no address"},
    /* 45, 46 and 47 characters: as long as an address can be, and longer */
    {NULL, "0000:0000:0000:0000:0000:ffff:192.168.100.228", NULL},
    {NULL, "00000:0000:0000:0000:0000:ffff:192.168.100.228", "is no address"},
    {NULL, "000000:0000:0000:0000:0000:ffff:192.168.100.228", "is no address"},
    {NULL, "IPv6:", "received: IPv6: is no address"},
};

static void test_lists(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(lists); i++) {
		struct conf_reports c = conf_of(false, lists[i].senders, lists[i].received);
		struct err e = {0};
		int rc = trust_check(&c, &e);

		assert_int_equal(rc, lists[i].error ? -1 : 0);
		if (lists[i].error == NULL)
			continue;
		assert_int_equal(e.kind, ERR_CONFIG);
		if (strstr(e.text, lists[i].error) == NULL)
			fail_msg("\"%s\" instead of \"%s\"", e.text, lists[i].error);
		assert_null(trust_open(&c, &e));
	}
}

/* An allowed sender must not be as many reporters as they like. */
static void test_reporter(void **state)
{
	static const char msg[] = "Return-Path: <mallory@example.org>\r\n" GOOD MAIL;
	static const struct {
		bool token;
		const char *senders, *received, *who;
	} cases[] = {
	    {true, NULL, NULL, "alice@example.org"},
	    {true, "@example.org", NULL, "alice@example.org"},
	    {false, NULL, "::1", "alice@example.org"},
	    {false, NULL, NULL, "alice@example.org"},
	    {false, "@example.org", NULL, "mallory@example.org"},
	};
	struct report_field m = marker_of(msg);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct conf_reports c =
		    conf_of(cases[i].token, cases[i].senders, cases[i].received);
		struct trust *t = open_ok(&c);

		assert_string_equal(trust_reporter(t, &m), cases[i].who);
		trust_close(t);
	}
}

static int set_token(void **state)
{
	(void)state;
	return setenv(VARIABLE, TOKEN, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_token),	  cmocka_unit_test(test_way),
	    cmocka_unit_test(test_received),	  cmocka_unit_test(test_senders),
	    cmocka_unit_test(test_forged_sender), cmocka_unit_test(test_all),
	    cmocka_unit_test(test_open),	  cmocka_unit_test(test_open_fails),
	    cmocka_unit_test(test_lists),	  cmocka_unit_test(test_reporter),
	};

	return cmocka_run_group_tests(tests, set_token, NULL);
}
