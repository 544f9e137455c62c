/*
 * rspamd_http.c on a real socket: a small HTTP server in a thread of its own answers by script,
 * one exchange a connection, and remembers what it was asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/stop.h"
#include "base/text.h"
#include "rspamd/rspamd.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define OK	     "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
#define LEARNED	     OK "{\"success\":true}"
#define BUSY	     "HTTP/1.1 503 busy\r\nConnection: close\r\n\r\n"
#define STATFILES    OK "{\"statfiles\":[]}"

enum { CONNECTIONS = 2, TRIES = 3 };

/* ---- the server: fields are for the test when no request is under way ---- */

static struct {
	const char *replies[16]; /* in this order; the last one for ever */
	size_t next, n;
	struct buf asked; /* the last request */
	unsigned requests;
	int listener;
	char url[64];
	pthread_t thread;
} server;

static size_t body_length(const char *head)
{
	const char *field = strcasestr(head, "\r\nContent-Length: ");
	uint64_t n = 0;

	if (field == NULL)
		return 0;
	field += strlen("\r\nContent-Length: ");
	assert_true(text_number(field, strcspn(field, "\r"), 1 << 20, &n));
	return (size_t)n;
}

static void read_request(int fd)
{
	char piece[4096];
	const char *end;
	ssize_t n;

	buf_clear(&server.asked);
	while ((n = read(fd, piece, sizeof piece)) > 0) {
		buf_add(&server.asked, piece, (size_t)n);
		end = strstr(server.asked.data, "\r\n\r\n");
		if (end && (size_t)(server.asked.data + server.asked.len - end) - 4 >=
			       body_length(server.asked.data))
			return;
	}
}

static void *serve(void *arg)
{
	int fd;

	while ((fd = accept(server.listener, NULL, NULL)) != -1) {
		const char *reply = server.replies[server.next];

		read_request(fd);
		server.requests++;
		if (server.next + 1 < server.n)
			server.next++;
		send(fd, reply, strlen(reply), MSG_NOSIGNAL);
		shutdown(fd, SHUT_WR);
		while (read(fd, (char[512]){0}, 512) > 0)
			;
		close(fd);
	}
	return arg;
}

static void server_start(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;

	buf_init(&server.asked, 1 << 20);
	server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server.listener, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(server.listener, 16), 0);
	assert_int_equal(getsockname(server.listener, (struct sockaddr *)&a, &len), 0);
	snprintf(server.url, sizeof server.url, "http://127.0.0.1:%d", ntohs(a.sin_port));
	assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void server_stop(void)
{
	shutdown(server.listener, SHUT_RDWR);
	pthread_join(server.thread, NULL);
	close(server.listener);
	buf_free(&server.asked);
}

/* ---- the client ---- */

static struct conf_rspamd conf;
static struct rspamd *r;
static struct rspamd_stat st;
static struct err e;

static void script(const char *const *replies, size_t n)
{
	memcpy(server.replies, replies, n * sizeof *replies);
	server.n = n;
	server.next = 0;
	server.requests = 0;
}

#define SCRIPT(...) \
	script((const char *const[]){__VA_ARGS__}, COUNT(((const char *[]){__VA_ARGS__})))

static void open_again(void)
{
	rspamd_close(r);
	r = rspamd_http(&conf, &e);
	if (r == NULL)
		fail_msg("%s", e.text);
}

static void submit(size_t owner)
{
	const struct rspamd_job job = {.data = "Subject: a\n\nb\n",
				       .len = 14,
				       .class = owner % 2 ? CLASS_HAM : CLASS_SPAM,
				       .deliver_to = "me@example.org",
				       .owner = owner};

	assert_int_equal(rspamd_submit(r, &job, &e), 0);
}

static struct rspamd_result result(void)
{
	struct rspamd_result got = {0};

	for (int i = 0; i < 1000; i++) {
		if (rspamd_take(r, &got))
			return got;
		rspamd_wait(r, -1, 0, 100);
	}
	fail_msg("no answer");
	return got;
}

/* Send one message, and return the answer to it. */
static struct answer learn(size_t owner)
{
	struct rspamd_result got;

	submit(owner);
	got = result();
	assert_int_equal(got.owner, owner);
	assert_false(rspamd_take(r, &got));
	return got.answer;
}

static void asked(const char *text)
{
	if (strstr(server.asked.data, text) == NULL)
		fail_msg("no %s in\n%s", text, server.asked.data);
}

static void not_asked(const char *text)
{
	if (strcasestr(server.asked.data, text) != NULL)
		fail_msg("%s in\n%s", text, server.asked.data);
}

/* ---- GET /stat ---- */

static void stat_is(const char *json, bool bayes, uint64_t spam, uint64_t ham)
{
	char reply[1024];

	snprintf(reply, sizeof reply, "%s%s", OK, json);
	SCRIPT(reply);
	memset(&st, 0xA5, sizeof st);
	assert_int_equal(rspamd_stat(r, &st, &e), 0);
	if (st.bayes != bayes || st.spam != spam || st.ham != ham)
		fail_msg("%s: %d, %lu spam, %lu ham", json, (int)st.bayes,
			 (unsigned long)st.spam, (unsigned long)st.ham);
	asked("GET /stat HTTP/1.1\r\n");
	not_asked("Password:");
	not_asked("Learn-Type:");
}

static void test_stat(void **state)
{
	(void)state;
	stat_is("{\"statfiles\":[]}", false, 0, 0);
	stat_is("{\"statfiles\":[{},{}]}", false, 0, 0);
	stat_is("{\"statfiles\":[{\"symbol\":7,\"revision\":5}]}", false, 0, 0);
	stat_is("{\"statfiles\":[{\"symbol\":\"BAYES_SPAM\",\"revision\":3},"
		"{\"symbol\":\"BAYES_HAM\",\"revision\":4}]}",
		true, 3, 4);
	stat_is("{\"statfiles\":[{\"symbol\":\"bayes_ham\",\"revision\":1},"
		"{\"symbol\":\"bayes_spam\",\"revision\":1}]}",
		true, 1, 1);
	/* A class that is named counts, whatever the symbol; of another class, nothing. */
	stat_is("{\"statfiles\":[{\"symbol\":\"SPAM\",\"class\":\"ham\",\"revision\":3},"
		"{\"symbol\":\"HAM\",\"class\":\"spam\",\"revision\":4},"
		"{\"symbol\":\"HAM\",\"class\":\"news\",\"revision\":8},"
		"{\"symbol\":\"SPAM\",\"class\":\"news\",\"revision\":8}]}",
		true, 4, 3);
	/* Several classifiers add up; what is below 1 is nothing. */
	stat_is("{\"statfiles\":[{\"symbol\":\"A_SPAM\",\"revision\":3},"
		"{\"symbol\":\"B_SPAM\",\"revision\":4},"
		"{\"symbol\":\"A_HAM\",\"revision\":2},{\"symbol\":\"B_HAM\",\"revision\":5},"
		"{\"symbol\":\"C_HAM\",\"revision\":-1},{\"symbol\":\"C_SPAM\",\"revision\":0},"
		"{\"symbol\":\"OTHER\",\"revision\":9}]}",
		true, 7, 7);
}

static const struct {
	const char *reply;
	enum err_kind kind;
	const char *text; /* after the url */
} refusals[] = {
    {"HTTP/1.1 401 Unauthorized\r\n\r\n", ERR_AUTH, ": the password was refused (401); check"},
    {"HTTP/1.1 403 Forbidden\r\n\r\n", ERR_AUTH, ": the password was refused (403); check"},
    {"HTTP/1.1 500 Invalid Command\r\n\r\n", ERR_CONFIG, ": this is a worker of rspamd"},
    {"HTTP/1.1 404 invalid command\r\n\r\n", ERR_CONFIG, ": this is a worker of rspamd"},
    {"HTTP/1.1 499 what\r\n\r\n", ERR_CONFIG,
     ": this does not answer as rspamd's controller "
     "does (status 499); check url"},
    {"HTTP/1.1 500 what\r\n\r\n", ERR_UNREACHABLE, ": answers 500 what"},
    {"HTTP/1.1 503 so\x1Bso\r\n\r\n", ERR_UNREACHABLE, ": answers 503 so\\x1bso"},
    {"HTTP/1.1 201 OK\r\n\r\n{\"statfiles\":[]}", ERR_CONFIG, "controller does (status 201)"},
    {"HTTP/1.1 402 What\r\n\r\n", ERR_CONFIG, "(status 402)"},
    {OK "{}", ERR_CONFIG, "(no statfiles in /stat)"},
    {OK, ERR_CONFIG, "(no statfiles in /stat)"},
    {OK "{\"statfiles\":{}}", ERR_CONFIG, "(no statfiles in /stat)"},
    {OK "[", ERR_CONFIG, "(no statfiles in /stat)"},
    {"", ERR_UNREACHABLE, ": cannot be reached: Server returned nothing"},
};

static void test_stat_refused(void **state)
{
	char begin[128];

	(void)state;
	snprintf(begin, sizeof begin, "rspamd %s", server.url);
	for (size_t i = 0; i < COUNT(refusals); i++) {
		SCRIPT(refusals[i].reply);
		assert_int_equal(rspamd_stat(r, &st, &e), -1);
		if (e.scope != ERR_FATAL || e.kind != refusals[i].kind ||
		    strncmp(e.text, begin, strlen(begin)) != 0 ||
		    strstr(e.text, refusals[i].text) == NULL)
			fail_msg("%s: kind %d, %s", refusals[i].reply, (int)e.kind, e.text);
	}
	/* The next one is not the worse for it. */
	SCRIPT(STATFILES);
	assert_int_equal(rspamd_stat(r, &st, &e), 0);
}

static void test_stat_stopped(void **state)
{
	(void)state;
	SCRIPT(STATFILES);
	stop_request(SIGTERM);
	assert_int_equal(rspamd_stat(r, &st, &e), -1);
	assert_int_equal(e.kind, ERR_CANCELLED);
	stop_request(0);
	assert_int_equal(rspamd_stat(r, &st, &e), 0);
}

/* ---- what is sent ---- */

static void test_request(void **state)
{
	(void)state;
	SCRIPT(LEARNED);
	assert_int_equal(learn(6).outcome, OUTCOME_LEARNED);
	asked("POST /learnspam HTTP/1.1\r\n");
	asked("\r\nContent-Type: message/rfc822\r\n");
	asked("\r\nContent-Length: 14\r\n");
	asked("\r\n\r\nSubject: a\n\nb\n");
	not_asked("Learn-Type:");
	not_asked("Classifier:");
	not_asked("Deliver-To:");
	not_asked("Password:");
	not_asked("Expect:");
	assert_int_equal(learn(7).outcome, OUTCOME_LEARNED);
	asked("POST /learnham HTTP/1.1\r\n");
	/* The header of one request is not in the next. */
	assert_null(strstr(strstr(server.asked.data, "message/rfc822") + 1, "message/rfc822"));
	assert_int_equal(server.requests, 2);
}

static void test_request_options(void **state)
{
	(void)state;
	SCRIPT(LEARNED);
	conf.bulk = true;
	conf.classifier = (char[]){"mine"};
	conf.deliver_to = (char[]){"all@example.org"};
	conf.password = (struct secret_source){SECRET_TEXT, (char[]){"hunter2"}};
	open_again();
	assert_int_equal(learn(1).outcome, OUTCOME_LEARNED);
	asked("\r\nLearn-Type: bulk\r\n");
	asked("\r\nClassifier: mine\r\n");
	asked("\r\nDeliver-To: all@example.org\r\n");
	asked("\r\nPassword: hunter2\r\n");
	conf.deliver_to_reporter = true;
	assert_int_equal(learn(1).outcome, OUTCOME_LEARNED);
	asked("\r\nDeliver-To: me@example.org\r\n");
	SCRIPT(STATFILES);
	assert_int_equal(rspamd_stat(r, &st, &e), 0);
	asked("\r\nPassword: hunter2\r\n");
	not_asked("Deliver-To:");
}

/* A path in front, and the longest url and header field that there is room for. */
static void test_long_request(void **state)
{
	char url[1100], name[1100];
	int room = (int)(1024 - strlen("/learnham") - 1);

	(void)state;
	SCRIPT(LEARNED);
	conf.url = url;
	snprintf(url, sizeof url, "%s/%0*d", server.url, room - (int)strlen(server.url) - 1, 0);
	assert_int_equal(strlen(url), room);
	assert_int_equal(learn(1).outcome, OUTCOME_LEARNED);
	asked("0/learnham HTTP/1.1");
	snprintf(url, sizeof url, "%s/%0*d", server.url, room - (int)strlen(server.url), 0);
	assert_int_equal(rspamd_submit(r, &(struct rspamd_job){.class = CLASS_HAM}, &e), -1);
	assert_int_equal(e.kind, ERR_LOCAL);
	conf.url = server.url;
	conf.classifier = name;
	snprintf(name, sizeof name, "%0*d", (int)(1023 - strlen("Classifier: ")), 0);
	assert_int_equal(learn(1).outcome, OUTCOME_LEARNED);
	asked("0\r\n");
	snprintf(name, sizeof name, "%0*d", (int)(1024 - strlen("Classifier: ")), 0);
	assert_int_equal(rspamd_submit(r, &(struct rspamd_job){.class = CLASS_HAM}, &e), -1);
	assert_int_equal(e.scope, ERR_FATAL);
	conf.classifier = NULL;
}

static void test_long_stat(void **state)
{
	char url[1100];
	int room = (int)(1024 - strlen("/stat") - 1 - strlen(server.url) - 1);

	(void)state;
	SCRIPT(STATFILES);
	conf.url = url;
	snprintf(url, sizeof url, "%s/%0*d", server.url, room, 0);
	assert_int_equal(rspamd_stat(r, &st, &e), 0);
	asked("0/stat HTTP/1.1");
	snprintf(url, sizeof url, "%s/%0*d", server.url, room + 1, 0);
	assert_int_equal(rspamd_stat(r, &st, &e), -1);
	assert_int_equal(e.kind, ERR_LOCAL);
}

static void test_empty_message(void **state)
{
	(void)state;
	SCRIPT(LEARNED);
	assert_int_equal(rspamd_submit(r, &(struct rspamd_job){.class = CLASS_HAM}, &e), 0);
	assert_int_equal(result().answer.outcome, OUTCOME_LEARNED);
	asked("\r\nContent-Length: 0\r\n");
}

static void test_password_missing(void **state)
{
	(void)state;
	conf.password = (struct secret_source){SECRET_ENV, (char[]){"TEST_HTTP_UNSET"}};
	assert_null(rspamd_http(&conf, &e));
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_non_null(strstr(e.text, "rspamd: the environment variable TEST_HTTP_UNSET"));
}

/* ---- what is answered ---- */

static void test_reason(void **state)
{
	struct answer a;

	(void)state;
	SCRIPT("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 208 <a@b> has been already learned\r\n"
	       "X-HTTP/1.1: 404 no\r\n\r\n",
	       "HTTP/1.1 204\r\n\r\n", "HTTP/1.1 204 \r\n\r\n", "HTTP/1.1 204 a\r\n\r\n",
	       OK "{\"success\":true}");
	a = learn(0);
	assert_int_equal(a.outcome, OUTCOME_KNOWN);
	assert_string_equal(a.text, "<a@b> has been already learned");
	assert_string_equal(learn(0).text, "no reason given");
	assert_string_equal(learn(0).text, "no reason given");
	assert_string_equal(learn(0).text, "a");
	assert_string_equal(learn(0).text, "");
}

/* As long as may be, and a byte more. */
static void too_long(const char *begin, size_t room, const char *end, enum outcome good)
{
	char *reply = malloc(room + 256);
	struct answer a;

	assert_non_null(reply);
	snprintf(reply, room + 256, "%s%0*d%s", begin, (int)room, 0, end);
	SCRIPT(reply);
	a = learn(0);
	if (a.outcome != good)
		fail_msg("%zu bytes: outcome %d, %s", room, (int)a.outcome, a.text);
	snprintf(reply, room + 256, "%s%0*d%s", begin, (int)room + 1, 0, end);
	a = learn(0);
	assert_int_equal(a.outcome, OUTCOME_UNANSWERED);
	assert_int_equal(a.next, ANSWER_FAILED);
	assert_int_equal(a.kind, ERR_PROTOCOL);
	assert_string_equal(a.text, "an answer longer than any of rspamd's");
	assert_int_equal(server.requests, 2); /* sent once each */
	free(reply);
}

static void test_long_answers(void **state)
{
	static const char body[] = OK "{\"success\":true,\"x\":\"";
	size_t used = strlen(body) - strlen(OK) + 2;

	(void)state;
	too_long(body, RSPAMD_BODY_MAX - used, "\"}", OUTCOME_LEARNED);
	used = strlen("HTTP/1.1 200 OK\r\nX: \r\n\r\n");
	too_long("HTTP/1.1 200 OK\r\nX: ", RSPAMD_HEADER_MAX - used,
		 "\r\n\r\n{\"success\":true}", OUTCOME_LEARNED);
	SCRIPT(LEARNED);
	assert_int_equal(learn(0).outcome, OUTCOME_LEARNED);
}

static void test_no_http(void **state)
{
	static const struct {
		const char *reply, *text;
	} bad[] = {
	    {"HTTP/1.1 1 cannot get learned: error getting reply from redis\r\n\r\n",
	     "not an HTTP answer, as from rspamd when it has lost its Redis: see whether Redis "
	     "runs"},
	    {"220 mail.example.org ESMTP\r\n", "not an HTTP answer"},
	    {"", "Server returned nothing (no headers, no data)"},
	};

	(void)state;
	conf.tries = 1;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct answer a;

		SCRIPT(bad[i].reply);
		a = learn(0);
		if (a.kind != ERR_UNREACHABLE && i != 1)
			fail_msg("%s: kind %d", bad[i].reply, (int)a.kind);
		assert_int_equal(a.outcome, OUTCOME_UNANSWERED);
		assert_int_equal(a.next, ANSWER_DOUBT);
		if (strncmp(a.text, bad[i].text, strlen(bad[i].text)) != 0)
			fail_msg("%s: %s", bad[i].reply, a.text);
	}
}

/* ---- trying again ---- */

static void test_tries(void **state)
{
	int64_t begun = clock_ms(), took;

	(void)state;
	SCRIPT(BUSY, BUSY, LEARNED);
	assert_int_equal(learn(0).outcome, OUTCOME_LEARNED);
	took = clock_ms() - begun;
	assert_int_equal(server.requests, TRIES);
	assert_int_equal(r->failures, 2);
	/* 125 to 250 ms, then 250 to 500 */
	assert_in_range(took, 375, 4000);
	/* The tries of one message are not those of the next. */
	SCRIPT(BUSY, BUSY, LEARNED);
	assert_int_equal(learn(0).outcome, OUTCOME_LEARNED);
	assert_int_equal(r->failures, 4);
}

static void test_in_vain(void **state)
{
	(void)state;
	SCRIPT(BUSY);
	assert_int_equal(learn(0).next, ANSWER_DOUBT);
	assert_int_equal(server.requests, TRIES);
	assert_int_equal(r->failures, TRIES);
	conf.tries = 1;
	for (int i = 1; i < 2 * CONNECTIONS; i++)
		assert_int_equal(learn(0).next, ANSWER_DOUBT);
	SCRIPT(LEARNED); /* one success, and it counts from the beginning */
	assert_int_equal(learn(0).next, ANSWER_SETTLED);
	SCRIPT(BUSY);
	for (int i = 0; i < 2 * CONNECTIONS; i++)
		assert_int_equal(learn(0).next, ANSWER_DOUBT);
	assert_int_equal(learn(0).next, ANSWER_STOP);
}

static void test_no_try_after_stop(void **state)
{
	(void)state;
	SCRIPT(BUSY);
	stop_request(SIGTERM);
	assert_int_equal(learn(0).next, ANSWER_DOUBT);
	assert_int_equal(server.requests, 1);
	stop_request(0);
}

static void test_refused(void **state)
{
	struct answer a;

	(void)state;
	conf.tries = 1;
	conf.url = (char[]){"http://127.0.0.1:1"};
	a = learn(0);
	assert_int_equal(a.outcome, OUTCOME_UNANSWERED);
	assert_int_equal(a.kind, ERR_UNREACHABLE);
	assert_int_equal(rspamd_stat(r, &st, &e), -1);
	assert_int_equal(e.kind, ERR_UNREACHABLE);
	assert_non_null(strstr(e.text, "rspamd http://127.0.0.1:1: cannot be reached: "));
	assert_non_null(strstr(e.text, "; start it, or check url in the rspamd block"));
}

/* ---- several at once, and waiting ---- */

static void test_several(void **state)
{
	bool seen[CONNECTIONS] = {false};

	(void)state;
	SCRIPT(LEARNED);
	for (int round = 0; round < 3; round++) {
		memset(seen, 0, sizeof seen);
		for (size_t i = 0; i < CONNECTIONS; i++)
			submit(i);
		for (size_t i = 0; i < CONNECTIONS; i++) {
			struct rspamd_result got = result();

			assert_in_range(got.owner, 0, CONNECTIONS - 1);
			assert_false(seen[got.owner]);
			seen[got.owner] = true;
		}
	}
	assert_int_equal(server.requests, 3 * CONNECTIONS);
	submit(0); /* and one that nobody waits for: closed with it */
}

static int64_t waited(int fd, short events, int ms)
{
	int64_t begun = clock_ms();

	rspamd_wait(r, fd, events, ms);
	return clock_ms() - begun;
}

static void test_wait(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_in_range(waited(-1, 0, 60), 55, 10000);
	assert_in_range(waited(fds[0], POLLIN, 60), 55, 10000);
	assert_in_range(waited(fds[0], POLLOUT, 30000), 0, 10000);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_in_range(waited(fds[0], POLLIN, 30000), 0, 10000);
	assert_in_range(waited(fds[0], 0, 60), 55, 10000);
	SCRIPT(LEARNED);
	submit(0);
	for (int i = 0; i < 100 && waited(-1, 0, 50) >= 50; i++)
		;
	while (server.requests == 0)
		rspamd_wait(r, -1, 0, 50);
	close(fds[0]);
	close(fds[1]);
}

/* A wait ends when the next try is due. */
static void test_wait_for_try(void **state)
{
	struct rspamd_result got;
	int64_t begun = clock_ms();

	(void)state;
	SCRIPT(BUSY, LEARNED);
	submit(0);
	while (!rspamd_take(r, &got)) {
		rspamd_wait(r, -1, 0, 30000);
		assert_in_range(clock_ms() - begun, 0, 15000);
	}
	assert_int_equal(got.answer.outcome, OUTCOME_LEARNED);
}

static void test_timeout(void **state)
{
	int64_t begun = clock_ms();
	struct answer a;

	(void)state;
	conf.timeout = 1;
	conf.tries = 1;
	open_again();
	SCRIPT("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
	a = learn(0);
	assert_int_equal(a.outcome, OUTCOME_UNANSWERED);
	assert_in_range(clock_ms() - begun, 0, 15000);
}

/* ---- */

static int setup(void **state)
{
	(void)state;
	conf = (struct conf_rspamd){
	    .url = server.url, .connections = CONNECTIONS, .timeout = 20, .tries = TRIES};
	r = rspamd_http(&conf, &e);
	return r == NULL;
}

static int teardown(void **state)
{
	(void)state;
	rspamd_close(r);
	r = NULL;
	return 0;
}

static int group_setup(void **state)
{
	(void)state;
	server_start();
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	server_stop();
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_stat),	     TEST(test_stat_refused),	 TEST(test_stat_stopped),
	    TEST(test_request),	     TEST(test_request_options), TEST(test_long_request),
	    TEST(test_long_stat),    TEST(test_empty_message),	 TEST(test_password_missing),
	    TEST(test_reason),	     TEST(test_long_answers),	 TEST(test_no_http),
	    TEST(test_tries),	     TEST(test_in_vain),	 TEST(test_no_try_after_stop),
	    TEST(test_refused),	     TEST(test_several),	 TEST(test_wait),
	    TEST(test_wait_for_try), TEST(test_timeout),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
