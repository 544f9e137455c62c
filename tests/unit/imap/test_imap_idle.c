/*
 * imap_idle.c against a server that this test plays: it sends its answers ahead, since their
 * tags are known, and then looks at what the client made of them and said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "imap/imap_idle.h"

enum { PATIENT_MS = 60 * 1000, TIMEOUT = 1 };

static struct {
	int listener, fd;
	char url[64];
	char heard[16 * 1024]; /* what the client said last, with "\n" for each line end */
} server;

static struct conf_account account;
static struct imap *s;
static struct err e;

static void say(const char *text)
{
	assert_int_equal(send(server.fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* A line without its end; false at the end of the connection. */
static bool read_line(char *line, size_t size)
{
	for (size_t n = 0; n + 1 < size && recv(server.fd, line + n, 1, 0) == 1; n++)
		if (line[n] == '\n') {
			line[n - 1] = '\0';
			return true;
		}
	return false;
}

/* Whatever it is asked until the session knows what the server can do. */
static void *log_in(void *arg)
{
	char line[512], answer[1024];
	bool done = false;

	(void)arg;
	server.fd = accept(server.listener, NULL, NULL);
	say("* OK hello\r\n");
	while (!done && read_line(line, sizeof line)) {
		done = strcmp(line, "L1 CAPABILITY") == 0;
		snprintf(answer, sizeof answer, "%s%.*s OK\r\n",
			 strstr(line, "CAPABILITY") ? "* CAPABILITY IMAP4rev1 IDLE NOTIFY\r\n"
						    : "",
			 (int)strcspn(line, " "), line);
		say(answer);
	}
	return NULL;
}

static void open_session(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	pthread_t thread;

	server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server.listener, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(server.listener, 5), 0);
	assert_int_equal(getsockname(server.listener, (struct sockaddr *)&a, &len), 0);
	snprintf(server.url, sizeof server.url, "imap://127.0.0.1:%d", ntohs(a.sin_port));
	account = (struct conf_account){
	    .name = "a",
	    .url = server.url,
	    .user = "user",
	    .insecure = true,
	    .password = {SECRET_TEXT, "pass"},
	    .timeout = TIMEOUT,
	};
	assert_int_equal(pthread_create(&thread, NULL, log_in, NULL), 0);
	s = imap_open(&account, &e);
	assert_int_equal(pthread_join(thread, NULL), 0);
	if (s == NULL)
		fail_msg("%s", e.text);
	assert_true(imap_has(s, IMAP_CAP_IDLE) && imap_has(s, IMAP_CAP_NOTIFY));
}

static void close_session(void)
{
	imap_close(s);
	close(server.fd);
	close(server.listener);
}

/* What the client said since this was asked last. */
static const char *heard(void)
{
	struct pollfd p = {.fd = server.fd, .events = POLLIN};
	ssize_t n;
	char *to = server.heard;

	assert_int_equal(poll(&p, 1, PATIENT_MS), 1);
	n = recv(server.fd, server.heard, sizeof server.heard - 1, 0);
	assert_true(n > 0);
	for (ssize_t i = 0; i < n; i++)
		if (server.heard[i] != '\r')
			*to++ = server.heard[i];
	*to = '\0';
	return server.heard;
}

static void select_inbox(void)
{
	say("* 3 EXISTS\r\n* OK [UIDVALIDITY 7] v\r\nL2 OK open\r\n");
	assert_int_equal(imap_select(s, "INBOX", true, &e), 0);
	assert_string_equal(heard(), "L2 EXAMINE \"INBOX\"\n");
}

static void begin_idle(bool flags)
{
	open_session();
	select_inbox();
	say("+ idling\r\n");
	if (imap_idle_begin(s, flags, &e) == -1)
		fail_msg("%s", e.text);
	assert_string_equal(heard(), "L3 IDLE\n");
	assert_true(imap_is_idle(s));
}

/* Say this: is it news? */
static int is_news(const char *text)
{
	struct wait wait;
	struct pollfd p;
	int rc = imap_news(s, &wait, &e);

	assert_int_equal(rc, 0);
	assert_true(wait.fd >= 0 && wait.events == POLLIN && wait.ms > 0);
	p = (struct pollfd){.fd = wait.fd, .events = POLLIN};
	say(text);
	assert_int_equal(poll(&p, 1, PATIENT_MS), 1);
	rc = imap_news(s, &wait, &e);
	if (rc == 1)
		assert_int_equal(imap_news(s, &wait, &e), 0); /* it is said once */
	return rc;
}

static void test_idle(void **state)
{
	(void)state;
	begin_idle(false);
	assert_int_equal(is_news("* 4 EXISTS\r\n* 1 RECENT\r\n"), 1);
	assert_int_equal(is_news("* 4 EXISTS\r\n"), 0);
	assert_int_equal(is_news("* OK Still here\r\n"), 0);
	assert_int_equal(is_news("* 2 FETCH (FLAGS (\\Seen))\r\n"), 0);
	assert_int_equal(is_news("* 1 EXPUNGE\r\n"), 0);
	assert_int_equal(is_news("* 4 EXISTS\r\n"), 1); /* one went, one came */
	assert_int_equal(is_news("* 2 EXPUNGE\r\n* 4 EXISTS\r\n"), 1);
	assert_int_equal(is_news("* STATUS INBOX (UIDNEXT 9)\r\n"), 1);
	assert_true(imap_is_idle(s));
	say("* 5 EXISTS\r\nL3 OK done\r\n");
	assert_int_equal(imap_idle_end(s, &e), 0);
	assert_string_equal(heard(), "DONE\n");
	assert_false(imap_is_idle(s));
	/* What came at the end is not lost, nor what comes while it begins again. */
	say("* 6 EXISTS\r\n+ idling\r\n");
	assert_int_equal(imap_idle_begin(s, false, &e), 0);
	assert_string_equal(heard(), "L4 IDLE\n");
	assert_int_equal(imap_news(s, &(struct wait){0}, &e), 1);
	assert_int_equal(is_news("* 6 EXISTS\r\n"), 0);
	close_session();
}

static void test_flags(void **state)
{
	(void)state;
	begin_idle(true);
	assert_int_equal(is_news("* 2 FETCH (FLAGS (\\Seen))\r\n"), 1);
	assert_int_equal(is_news("* 2 FETCH (FLAGS (\\Flagged))\r\n"), 0);
	assert_int_equal(is_news("* 2 FETCH (UID 5 FLAGS (\\Seen $LearnedSpam))\r\n"), 0);
	assert_int_equal(is_news("* 2 FETCH (UID 5)\r\n"), 0);
	close_session();
}

static void test_refused(void **state)
{
	(void)state;
	open_session();
	select_inbox();
	say("* 4 EXISTS\r\nL3 NO not here\r\n");
	assert_int_equal(imap_idle_begin(s, false, &e), -1);
	assert_int_equal(e.scope, ERR_MAILBOX);
	assert_string_equal(e.text, "account a: IDLE refused: not here");
	assert_false(imap_is_idle(s));
	/* The session goes on. */
	say("L4 OK\r\n");
	assert_int_equal(imap_command(s, &e, "NOOP"), 0);
	close_session();
}

/* No "+": as silent, or as talkative, as any other command may be. */
static void test_no_answer(void **state)
{
	int64_t begun = clock_ms();

	(void)state;
	open_session();
	select_inbox();
	assert_int_equal(imap_idle_begin(s, false, &e), -1);
	assert_int_equal(e.kind, ERR_TEMPORARY);
	assert_non_null(strstr(e.text, "did not answer for 1 seconds"));
	assert_in_range(clock_ms() - begun, 1000, 20000);
	close_session();
}

/* Silence for longer than the time-out is no fault in IDLE, and is one at its end. */
static void test_silence(void **state)
{
	struct wait wait;

	(void)state;
	begin_idle(false);
	assert_int_equal(is_news("* 4 EXI"), 0); /* half a line, and then nothing */
	for (int i = 0; i < 3; i++) {
		poll(NULL, 0, TIMEOUT * 600);
		assert_int_equal(imap_news(s, &wait, &e), 0);
	}
	assert_int_equal(is_news("STS\r\n"), 1);
	assert_int_equal(imap_idle_end(s, &e), -1);
	assert_non_null(strstr(e.text, "did not answer for 1 seconds"));
	close_session();
}

static void check_end(const char *text, enum err_kind kind, const char *why)
{
	struct wait wait;
	struct pollfd p;
	int rc = 0;

	begin_idle(false);
	assert_int_equal(imap_news(s, &wait, &e), 0);
	p = (struct pollfd){.fd = wait.fd, .events = POLLIN};
	if (text)
		say(text);
	else
		shutdown(server.fd, SHUT_RDWR);
	while (rc == 0) {
		assert_int_equal(poll(&p, 1, PATIENT_MS), 1);
		rc = imap_news(s, &wait, &e);
	}
	assert_int_equal(rc, -1);
	assert_int_equal(e.scope, ERR_SERVER);
	assert_int_equal(e.kind, kind);
	if (strstr(e.text, why) == NULL)
		fail_msg("%s", e.text);
	close_session();
}

static void test_ends(void **state)
{
	(void)state;
	check_end("* BYE going down\r\n", ERR_TEMPORARY, "ended the session: going down");
	check_end(NULL, ERR_TEMPORARY, "closed the connection");
	check_end("garbage (((\r\n", ERR_PROTOCOL, "sent a line that ends inside a list");
	check_end("L9 OK garbage\r\n", ERR_PROTOCOL, "sent an answer to a command");
	check_end("* (a)\r\n", ERR_PROTOCOL, "sent an untagged response without a name");
	check_end("* OK [NOTIFICATIONOVERFLOW] too much\r\n", ERR_TEMPORARY,
		  "tells no more of news");
}

/* A server may end IDLE as it likes: the session goes on, and the caller is told. */
static void test_ended_by_the_server(void **state)
{
	(void)state;
	begin_idle(false);
	assert_int_equal(is_news("L3 OK enough\r\n"), 0);
	assert_false(imap_is_idle(s));
	assert_int_equal(imap_idle_end(s, &e), 0); /* nothing to end, and no DONE */
	say("+ again\r\n");
	assert_int_equal(imap_idle_begin(s, false, &e), 0);
	assert_string_equal(heard(), "L4 IDLE\n");
	close_session();
}

static void *flood(void *arg)
{
	static char block[1 << 16];
	size_t n = 0;

	(void)arg;
	while (n + 16 < sizeof block)
		n += (size_t)snprintf(block + n, sizeof block - n, "* OK x\r\n");
	while (send(server.fd, block, n, MSG_NOSIGNAL) > 0)
		;
	return NULL;
}

/* For ever: others get their turn in between, and in the end it is too much. */
static void test_flood(void **state)
{
	struct wait wait;
	pthread_t thread;
	int rc = 0, turns = 0;

	(void)state;
	begin_idle(false);
	assert_int_equal(pthread_create(&thread, NULL, flood, NULL), 0);
	while (rc == 0) {
		rc = imap_news(s, &wait, &e);
		turns++;
	}
	assert_int_equal(rc, -1);
	assert_non_null(strstr(e.text, "keeps sending and never finishes"));
	assert_true(turns > 10);
	shutdown(server.fd, SHUT_RDWR);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close_session();
}

static void test_notify(void **state)
{
	static const char *const names[] = {"INBOX", "a \"b\" \\c"};
	static char long_name[900];
	const char *many[10];

	(void)state;
	open_session();
	say("L2 OK\r\n");
	assert_int_equal(imap_notify(s, names, 2, false, &e), 0);
	assert_string_equal(heard(),
			    "L2 NOTIFY SET (mailboxes (\"INBOX\" \"a \\\"b\\\" \\\\c\") "
			    "(MessageNew MessageExpunge))\n");
	assert_int_equal(is_news("* STATUS INBOX (UIDNEXT 9 MESSAGES 4)\r\n"), 1);
	assert_int_equal(is_news("* OK hello\r\n"), 0);
	say("L3 OK\r\n");
	assert_int_equal(imap_command(s, &e, "NOOP"), 0);
	(void)heard();
	say("* STATUS INBOX (UIDNEXT 10)\r\nL4 OK\r\n");
	assert_int_equal(imap_command(s, &e, "NOOP"), 0);
	(void)heard();
	assert_int_equal(imap_news(s, &(struct wait){0}, &e), 1); /* it came with the NOOP */
	say("L5 OK\r\n");
	assert_int_equal(imap_notify(s, names, 1, true, &e), 0);
	assert_non_null(strstr(heard(), "(MessageNew MessageExpunge FlagChange)"));
	say("L6 NO [BADEVENT (MessageNew)] no\r\n");
	assert_int_equal(imap_notify(s, names, 1, false, &e), -1);
	assert_int_equal(e.scope, ERR_MAILBOX);
	(void)heard();
	memset(long_name, 'x', sizeof long_name - 1);
	for (size_t i = 0; i < 10; i++)
		many[i] = long_name;
	assert_int_equal(imap_notify(s, many, 10, false, &e), -1);
	assert_int_equal(e.scope, ERR_MAILBOX);
	assert_non_null(strstr(e.text, "too long for one NOTIFY"));
	close_session();
}

static void test_count(void **state)
{
	struct imap_counts c;

	(void)state;
	open_session();
	say("* STATUS \"a\" (MESSAGES 4 UIDNEXT 9 X 3 UIDVALIDITY 7 UNSEEN 2)\r\nL2 OK\r\n");
	assert_int_equal(imap_count(s, "a", &c, &e), 0);
	assert_string_equal(heard(), "L2 STATUS \"a\" (UIDVALIDITY UIDNEXT MESSAGES UNSEEN)\n");
	assert_true(c.uidvalidity == 7 && c.uidnext == 9 && c.messages == 4 && c.unseen == 2);
	say("L3 NO gone\r\n");
	assert_int_equal(imap_count(s, "a", &c, &e), -1);
	assert_int_equal(e.scope, ERR_MAILBOX);
	assert_true(c.uidvalidity == 0 && c.uidnext == 0 && c.messages == 0 && c.unseen == 0);
	close_session();
}

static void test_differ(void **state)
{
	static const struct {
		struct imap_counts is;
		bool plain, flags;
	} cases[] = {
	    {{7, 9, 4, 2}, false, false}, {{8, 9, 4, 2}, true, true},
	    {{7, 10, 4, 2}, true, true},  {{7, 9, 5, 2}, true, true},
	    {{7, 9, 3, 2}, false, false}, {{7, 9, 4, 1}, false, true},
	    {{7, 10, 3, 2}, true, true},  {{0, 0, 0, 0}, true, true},
	};
	const struct imap_counts was = {7, 9, 4, 2};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(imap_counts_differ(&was, &cases[i].is, false), cases[i].plain);
		assert_int_equal(imap_counts_differ(&was, &cases[i].is, true), cases[i].flags);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_idle),    cmocka_unit_test(test_flags),
	    cmocka_unit_test(test_refused), cmocka_unit_test(test_no_answer),
	    cmocka_unit_test(test_silence), cmocka_unit_test(test_ends),
	    cmocka_unit_test(test_flood),   cmocka_unit_test(test_ended_by_the_server),
	    cmocka_unit_test(test_notify),  cmocka_unit_test(test_count),
	    cmocka_unit_test(test_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
