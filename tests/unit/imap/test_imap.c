/*
 * imap.c and what is below it, against a server that this test plays itself, on a loopback
 * socket: no answer comes before the test gives it, in pieces as the test wants them, and time
 * passes only where somebody waits for it.
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
#include <curl/curl.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/stop.h"
#include "imap/imap.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { TIMEOUT = 30, PATIENT_MS = 60 * 1000, BODY_MAX = 1000 };

/* ---- the clock, in place of clock.c ---- */

static int64_t now = 1;

int64_t clock_ms(void)
{
	return now;
}

int64_t clock_now(void)
{
	return 0;
}

void clock_iso(int64_t when, char out[21])
{
	(void)when;
	memcpy(out, "1970-01-01T00:00:00Z", 21);
}

/* ---- the server ---- */

/* A command without its tag, and the answer; @ in it is the tag. */
struct exchange {
	const char *command, *answer;
};

static struct {
	int listener, fd;
	char url[64];
	const char *caps, *refusal;    /* refusal: of the login; NULL: none */
	const char *const *challenge;  /* of the login; ends with NULL */
	struct buf said;	       /* what the client said to log in */
	const struct exchange *script; /* what is left; ends with a NULL command */
	struct buf in, out;	       /* lines that came; bytes to be sent */
	size_t sent, step;	       /* step: so many at a time; 0: all */
	int64_t step_ms;	       /* that each of them takes */
	int waits;
} server;

static struct conf_account account;
static struct imap *s;
static struct err e;
static struct imap_message message;

static void must_send(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		assert_true(n > 0);
		data += n;
		len -= (size_t)n;
	}
}

/* A line without its end, read in a thread of its own. false at the end of the connection. */
static bool read_line(int fd, char *line, size_t size)
{
	size_t n = 0;

	while (n + 1 < size && recv(fd, line + n, 1, 0) == 1) {
		if (line[n] == '\n') {
			line[n - 1] = '\0';
			return true;
		}
		n++;
	}
	return false;
}

/* Greeting, login as the test wants it, and the CAPABILITY behind it. */
static void *log_in(void *arg)
{
	char line[512], answer[1024];
	bool done = false;

	(void)arg;
	server.fd = accept(server.listener, NULL, NULL);
	(void)send(server.fd, "* OK hello\r\n", 12, MSG_NOSIGNAL);
	while (!done && read_line(server.fd, line, sizeof line)) {
		char *verb = line + strcspn(line, " ");
		bool caps, failed = false;
		int n = 0;

		if (*verb)
			*verb++ = '\0';
		caps = strcmp(verb, "CAPABILITY") == 0;
		done = caps && line[0] == 'L';
		if (strcmp(verb, "LOGOUT") == 0)
			break;
		if (!caps)
			buf_addf(&server.said, "%s\n", verb);
		for (size_t i = 0; !caps && server.challenge[i]; i++) {
			char challenge[64];

			n = snprintf(challenge, sizeof challenge, "+ %s\r\n",
				     server.challenge[i]);
			(void)send(server.fd, challenge, (size_t)n, MSG_NOSIGNAL);
			if (!read_line(server.fd, answer, sizeof answer))
				return NULL;
			buf_addf(&server.said, "%s\n", answer);
		}
		failed = !caps && server.refusal;
		n = snprintf(answer, sizeof answer, "%s%s%s%s %s\r\n",
			     caps ? "* CAPABILITY IMAP4rev1 " : "", caps ? server.caps : "",
			     caps ? "\r\n" : "", line, failed ? server.refusal : "OK done");
		(void)send(server.fd, answer, (size_t)n, MSG_NOSIGNAL);
	}
	return NULL;
}

/* Take what the client sent, and put the answers of the script into server.out. */
static void take_commands(void)
{
	char data[8192], *end;
	ssize_t n;

	while ((n = recv(server.fd, data, sizeof data, MSG_DONTWAIT)) > 0)
		assert_int_equal(buf_add(&server.in, data, (size_t)n), 0);
	while (server.in.len > 0 && (end = strstr(server.in.data, "\r\n")) != NULL) {
		char *line = server.in.data, *verb = strchr(line, ' ');
		size_t len = (size_t)(end + 2 - line);

		assert_true(verb && verb < end);
		*verb++ = *end = '\0';
		if (server.script && server.script->command) {
			assert_string_equal(verb, server.script->command);
			for (const char *p = server.script->answer; *p; p++)
				assert_int_equal(*p == '@' ? buf_adds(&server.out, line)
							   : buf_add(&server.out, p, 1),
						 0);
			server.script++;
		}
		memmove(line, line + len, server.in.len - len + 1);
		server.in.len -= len;
	}
}

/* Send what is due and wait until it has come. */
static void send_step(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t n = server.out.len - server.sent;

	if (server.step && n > server.step)
		n = server.step;
	must_send(server.fd, server.out.data + server.sent, n);
	server.sent += n;
	now += server.step_ms;
	assert_int_equal(poll(&p, 1, PATIENT_MS), 1);
}

static void play(void *ctx, int fd, short events, int ms)
{
	(void)ctx;
	assert_in_range(ms, 0, 1000);
	server.waits++;
	take_commands();
	if (fd == -1)
		return;
	assert_true(events == POLLIN || events == POLLOUT);
	if (server.sent < server.out.len)
		send_step(fd);
	else
		now += ms;
}

static void reset_server(void)
{
	buf_clear(&server.in);
	buf_clear(&server.out);
	server.sent = server.step = 0;
	server.step_ms = 0;
	server.script = NULL;
	server.waits = 0;
}

static void listen_somewhere(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;

	server.fd = -1;
	server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* Who does not come is not waited for. */
	assert_int_equal(setsockopt(server.listener, SOL_SOCKET, SO_RCVTIMEO,
				    &(struct timeval){.tv_sec = PATIENT_MS / 1000},
				    sizeof(struct timeval)),
			 0);
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
	buf_init(&server.said, 1 << 20);
	buf_init(&server.in, 1 << 20);
	buf_init(&server.out, 64 << 20);
}

/* Connect and log in with the account as it is; s is NULL where that failed. */
static void connect_session(const char *caps, const char *const *challenge)
{
	pthread_t thread;

	reset_server();
	server.caps = caps;
	server.challenge = challenge;
	assert_int_equal(pthread_create(&thread, NULL, log_in, NULL), 0);
	s = imap_open(&account, &e);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void open_session(const char *caps)
{
	static const char *const none[] = {NULL};
	const struct waiter w = {play, NULL};
	int on = 1;

	listen_somewhere();
	connect_session(caps, none);
	if (s == NULL)
		fail_msg("%s", e.text);
	setsockopt(server.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	imap_set_waiter(s, &w);
}

static void close_session(void)
{
	imap_close(s);
	s = NULL;
	imap_message_free(&message);
	close(server.fd);
	close(server.listener);
	buf_free(&server.said);
	buf_free(&server.in);
	buf_free(&server.out);
}

static void script(const struct exchange *x)
{
	reset_server();
	server.script = x;
}

#define SCRIPT(...) script((const struct exchange[]){__VA_ARGS__, {NULL, NULL}})

static void check_error(enum err_scope scope, enum err_kind kind, const char *text)
{
	assert_string_equal(e.text, text);
	assert_int_equal(e.scope, scope);
	assert_int_equal(e.kind, kind);
}

/* ---- every cut ---- */

/* What an event says, as text. */
static void trace(struct buf *out, const struct imap_event *ev, const struct imap_message *m,
		  unsigned first)
{
	if (ev->kind == IMAP_EVENT_DONE) {
		buf_addf(out, "done %u %d %s\n", ev->command - first, (int)ev->status,
			 ev->text);
		return;
	}
	buf_addf(out, "fetch has=%x uid=%u size=%u date=%lld flags=%x body=%zu:", m->has,
		 m->uid, m->size, (long long)m->date, m->flags, m->body.len);
	buf_add(out, m->body.data ? m->body.data : "", m->body.len);
	buf_adds(out, "\n");
}

/* All kinds of responses, wanted or not. */
static const char transcript[] =
    "* 5 EXISTS\r\n"
    "\r\n"
    "* 1 FETCH (UID 7 RFC822.SIZE 5 INTERNALDATE \"22-Nov-2026 10:00:00 +0100\" "
    "FLAGS (\\Seen $LearnedSpam) BODY[] {5}\r\nab\r\n))\r\n"
    "* OK [UIDNEXT 12] still here\r\n"
    "* 2 FETCH (BODY[] \"quo\\\"ted\" UID 8)\r\n"
    "@ OK first done\r\n"
    "+ go on (\r\n"
    "* 3 FETCH (UID 9 BODY[] NIL)\r\n"
    "* LIST (\\HasNoChildren) \"/\" {3}\r\na b\r\n"
    "* 4 FETCH (MODSEQ (917) BODYSTRUCTURE (\"text\" (\"a\" {1}\r\n)) NIL) UID 10 "
    "BODY[] ~{2}\r\n\0\xFF FLAGS ())\r\n"
    "* 2 EXPUNGE\r\n"
    "* VANISHED (EARLIER) 1:9\r\n"
    "* SEARCH 1 2 3 (MODSEQ 5)\r\n"
    "* ESEARCH (TAG \"L9\") UID ALL 1:5\r\n"
    "* 4 FETCH (UID 11 BODY[] {1001}\r\n"; /* the body follows, too large */

static const char transcript_end[] = ")\r\n"
				     "* 4 FETCH (UID 12 BODY[] {0}\r\n RFC822.SIZE 0)\r\n"
				     "# NO [X] second \x1B[0m (\r\n";

static const char want[] = "fetch has=1f uid=7 size=5 date=1795338000 flags=9 body=5:ab\r\n)\n"
			   "fetch has=11 uid=8 size=0 date=0 flags=0 body=7:quo\"ted\n"
			   "done 0 0 first done\n"
			   "fetch has=41 uid=9 size=0 date=0 flags=0 body=0:\n"
			   "fetch has=19 uid=10 size=0 date=0 flags=0 body=2:\0\xFF\n"
			   "fetch has=21 uid=11 size=0 date=0 flags=0 body=0:\n"
			   "fetch has=13 uid=12 size=0 date=0 flags=0 body=0:\n"
			   "done 1 1 [X] second \\x1b[0m (\n";

/* The transcript with the tags of these two commands. */
static void write_transcript(struct buf *out, unsigned first)
{
	buf_clear(out);
	for (size_t i = 0; i < sizeof transcript - 1; i++) {
		if (transcript[i] == '@')
			buf_addf(out, "L%u", first);
		else
			buf_add(out, transcript + i, 1);
	}
	for (int i = 0; i < BODY_MAX + 1; i++)
		buf_adds(out, ")");
	for (size_t i = 0; i < sizeof transcript_end - 1; i++) {
		if (transcript_end[i] == '#')
			buf_addf(out, "L%u", first + 1);
		else
			buf_add(out, transcript_end + i, 1);
	}
}

/* Poll until there is nothing more. It must not have waited, and say what it waits for. */
static struct wait drain(struct buf *got, unsigned first)
{
	struct imap_event ev;
	struct wait wait = {.fd = -2};
	int rc;

	while ((rc = imap_poll(s, BODY_MAX, &ev, &message, &wait, &e)) == 1)
		trace(got, &ev, &message, first);
	if (rc == -1)
		fail_msg("%s", e.text);
	assert_int_equal(server.waits, 0);
	assert_true(wait.fd >= 0);
	assert_int_equal(wait.events, POLLIN);
	assert_int_equal(wait.ms, 1000);
	return wait;
}

/* Send the transcript in pieces of step bytes, the first of cut bytes. */
static void check_cut(size_t cut, size_t step)
{
	struct buf text, got;
	struct wait wait;
	unsigned first = imap_send(s, &e, "NOOP");

	assert_int_not_equal(imap_send(s, &e, "NOOP"), 0);
	buf_init(&text, 1 << 16);
	buf_init(&got, 1 << 16);
	write_transcript(&text, first);
	wait = drain(&got, first);
	for (size_t at = 0, n = cut; at < text.len; at += n, n = step) {
		struct pollfd p = {.fd = wait.fd, .events = POLLIN};

		n = n < text.len - at ? n : text.len - at;
		if (n == 0)
			continue;
		must_send(server.fd, text.data + at, n);
		assert_int_equal(poll(&p, 1, PATIENT_MS), 1);
		/* What is sent at once may come in more than one piece. */
		do {
			wait = drain(&got, first);
		} while (at + n == text.len && got.len < sizeof want - 1 &&
			 poll(&p, 1, PATIENT_MS) == 1);
	}
	assert_int_equal(got.len, sizeof want - 1);
	assert_memory_equal(got.data, want, sizeof want - 1);
	assert_int_equal(imap_selected(s)->exists, 4);
	assert_int_equal(imap_selected(s)->uidnext, 12);
	buf_free(&text);
	buf_free(&got);
}

static void test_every_cut(void **state)
{
	(void)state;
	open_session("");
	for (size_t step = 1; step < 20; step++)
		check_cut(step, step);
	check_cut(1, 5000);
	check_cut(5000, 5000);
	for (size_t cut = 1; cut < sizeof transcript + BODY_MAX + sizeof transcript_end; cut++)
		check_cut(cut, 5000);
	close_session();
}

/* ---- what goes wrong ---- */

/* Send this and poll to the error. */
static void check_lie(const char *text, const char *why)
{
	struct imap_event ev;
	char full[512];
	int rc;

	open_session("");
	assert_int_not_equal(imap_send(s, &e, "NOOP"), 0);
	buf_adds(&server.out, text);
	do {
		rc = imap_next(s, BODY_MAX, &ev, &message, &e);
	} while (rc == 0);
	snprintf(full, sizeof full, "account a: %s %s", server.url, why);
	check_error(ERR_SERVER, strncmp(why, "sent ", 5) == 0 ? ERR_PROTOCOL : ERR_TEMPORARY,
		    full);
	close_session();
}

static const struct {
	const char *text, *why;
} lies[] = {
    {"* 1 FETCH (UID 7 BODY[] {3}\r\nabcd)\r\n",
     "sent a literal that does not have the length it announced (message UID 7)"},
    {"* 1 FETCH (BODY[] {3}\r\nab)\r\n* 2 EXISTS\r\n",
     "sent a literal that does not have the length it announced"},
    {"* 1 FETCH (FLAGS (UID 3) UID 8 BODY[] {9}\r\nab)\r\n* 2 EXISTS\r\n",
     "sent a literal that does not have the length it announced (message UID 8)"},
    {"* 1 FETCH (UID 9 BODY[] {5}\r\nab)\r\n", "did not answer for 30 seconds (message UID 9)"},
    {"* 1 FETCH (UID 9)\r\n", "did not answer for 30 seconds"},
    {"* 1 FETCH (UID 9 BODY[] {1}\r\na BODY[] {1}\r\nb)\r\n",
     "sent two bodies of one message (message UID 9)"},
    {"* 1 FETCH (UID 9 BODY[] \"a\" BODY[] \"b\")\r\n",
     "sent two bodies of one message (message UID 9)"},
    {"* 1 FETCH (BODY[] {67537}\r\n", "sent a literal larger than allowed"},
    {"* 1 FETCH (BODY[1] {65537}\r\n", "sent a literal larger than allowed"},
    {"* 1 FETCH (X (BODY[] {65537}\r\n", "sent a literal larger than allowed"},
    {"* LIST (BODY[] {65537}\r\n", "sent a literal larger than allowed"},
    {"* 1 FETCH (BODY[] {1}\r\na {65537}\r\n", "sent a literal larger than allowed"},
    {"* 1 FETCH (BODY[] (a))\r\n", "sent a body that is no string"},
    {"* 1 FETCH (UID x)\r\n", "sent a word where a number belongs"},
    {"* 1 FETCH (UID)\r\n", "sent a word where a number belongs"},
    {"* 1 FETCH (UID 4294967296)\r\n", "sent a word where a number belongs"},
    {"* 1 FETCH (FLAGS \\Seen)\r\n", "sent flags that are no list"},
    {"* 1 FETCH (FLAGS (\"x\"))\r\n", "sent flags that are no words"},
    {"* 1 FETCH (\"UID\" 7)\r\n", "sent a FETCH response that is no list of names and values"},
    {"* 1 FETCH UID 7\r\n", "sent a FETCH response without its list"},
    {"* 1\r\n", "sent a number without its response"},
    {"* (a)\r\n", "sent an untagged response without a name"},
    {"*\r\n", "sent an untagged response without a name"},
    {"(a)\r\n", "sent a line that is no response"},
    {"{1}\r\na\r\n", "sent a line that is no response"},
    {"L1 OK again\r\n", "sent an answer to a command that was not given"},
    {"L3 OK early\r\n", "sent an answer to a command that was not given"},
    {"L0 OK x\r\n", "sent an answer to a command that was not given"},
    {"L18446744073709551618 OK\r\n", "sent an answer to a command that was not given"},
    {"l2 OK x\r\n", "sent an answer to a command that was not given"},
    {"L OK x\r\n", "sent an answer to a command that was not given"},
    {"L2 OK x\r\nL2 OK x\r\n", "sent an answer to a command that was not given"},
    {"L2 WELL x\r\n", "sent an answer without a status"},
    {"L2\r\n", "sent an answer without a status"},
    {"L2 (OK)\r\n", "sent an answer without a status"},
    {"* LIST NIL \"/\" x\r\n", "sent a LIST response without attributes"},
    {"* LIST (\"a\") \"/\" x\r\n", "sent LIST attributes that are no list"},
    {"* OK [UIDVALIDITY 5] a\r\n* OK [UIDVALIDITY 6] b\r\n",
     "sent another UIDVALIDITY in the middle of a session"},
    {"* BYE see you\r\n", "ended the session: see you"},
    {"* BYE\r\n", "ended the session: no reason given"},
    {"* bye (\r\n", "ended the session: ("},
    {"((((((((((((((((((((((((((((((((((\r\n", "sent lists nested too deep"},
    {"* a\x01\r\n", "sent a control character outside a literal"},
};

static void test_lies(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(lies); i++)
		check_lie(lies[i].text, lies[i].why);
}

/* The text of one response has a cap, whatever it is made of. */
static void test_long_responses(void **state)
{
	static const char *const parts[] = {"* X", "* SEARCH"};
	struct imap_event ev;
	int rc;

	(void)state;
	for (size_t i = 0; i < COUNT(parts); i++)
		for (int literals = 0; literals < 2; literals++) {
			open_session("");
			server.step = 100000;
			buf_adds(&server.out, parts[i]);
			for (int n = 0; n < (literals ? 40 : 300000); n++) {
				buf_adds(&server.out, literals ? " {60000}\r\n" : " \"\"");
				for (int k = 0; literals && k < 1000; k++)
					buf_adds(&server.out, "123456789 123456789 123456789 "
							      "123456789 123456789 123456789 ");
			}
			do {
				rc = imap_next(s, BODY_MAX, &ev, &message, &e);
			} while (rc == 0);
			if (strstr(e.text, literals ? "a response that is too long"
						    : "a response of too many words") == NULL)
				fail_msg("%s", e.text);
			close_session();
		}
}

static void test_closed(void **state)
{
	struct imap_event ev;
	char text[256];

	(void)state;
	open_session("");
	must_send(server.fd, "* 1 FETCH (UID 7 BODY[] {5}\r\nab", 31);
	shutdown(server.fd, SHUT_WR);
	assert_int_equal(imap_next(s, BODY_MAX, &ev, &message, &e), -1);
	snprintf(text, sizeof text, "account a: %s closed the connection (message UID 7)",
		 server.url);
	check_error(ERR_SERVER, ERR_TEMPORARY, text);
	close_session();
}

/* ---- time ---- */

static void check_timeout(void)
{
	struct imap_event ev;
	int rc;

	do {
		rc = imap_next(s, 1000 * BODY_MAX, &ev, &message, &e);
	} while (rc == 0);
	if (strstr(e.text, "did not answer for 30 seconds") == NULL)
		fail_msg("%s", e.text);
	assert_int_equal(e.kind, ERR_TEMPORARY);
}

/* Silence: found out after the time-out, neither before nor later. */
static void test_silence(void **state)
{
	int64_t begun;

	(void)state;
	open_session("");
	begun = now;
	assert_int_not_equal(imap_send(s, &e, "NOOP"), 0);
	check_timeout();
	assert_int_equal(now - begun, TIMEOUT * 1000);
	close_session();
}

/* A byte now and then is no answer; a whole response, or 256 KiB of one, is. */
static void test_drips(void **state)
{
	struct imap_event ev;
	int64_t begun;

	(void)state;
	open_session("");
	begun = now;
	server.step = 1;
	server.step_ms = 900;
	for (int i = 0; i < 100; i++)
		buf_adds(&server.out, "x");
	check_timeout();
	assert_in_range(now - begun, TIMEOUT * 1000, TIMEOUT * 1000 + 1000);
	close_session();

	open_session("");
	server.step = 1000;
	server.step_ms = 900;
	buf_adds(&server.out, "* 1 FETCH (BODY[] {900000}\r\n");
	for (int i = 0; i < 900000; i++)
		buf_adds(&server.out, "y");
	check_timeout();
	assert_in_range(server.sent, 30000, 40000);
	close_session();

	open_session("");
	server.step = 10000;
	server.step_ms = 900; /* 262144 bytes take 24.3 s, the whole of it 81 s */
	buf_adds(&server.out, "* 1 FETCH (BODY[] {900000}\r\n");
	for (int i = 0; i < 900000; i++)
		buf_adds(&server.out, "y");
	buf_adds(&server.out, ")\r\n");
	begun = now;
	assert_int_equal(imap_next(s, 900000, &ev, &message, &e), 0);
	assert_int_equal(message.body.len, 900000);
	assert_true(now - begun > 2 * TIMEOUT * 1000);
	close_session();
}

/* "Still here", for ever: ten time-outs long. Or so fast that no time passes. */
static void test_talks_on(void **state)
{
	struct imap_event ev;
	char text[256];

	(void)state;
	for (int fast = 0; fast < 2; fast++) {
		static const char line[] = "* OK Still here\r\n";
		int64_t begun;

		open_session("");
		begun = now;
		server.step = fast ? 1 << 20 : sizeof line - 1;
		server.step_ms = fast ? 0 : 900;
		for (int i = 0; i < (fast ? 1100000 : 400); i++)
			buf_adds(&server.out, line);
		assert_int_equal(imap_next(s, BODY_MAX, &ev, &message, &e), -1);
		snprintf(text, sizeof text,
			 "account a: %s keeps sending and never finishes its answer",
			 server.url);
		check_error(ERR_SERVER, ERR_PROTOCOL, text);
		if (fast)
			assert_int_equal(now, begun);
		else
			assert_in_range(now - begun, 10 * TIMEOUT * 1000,
					10 * TIMEOUT * 1000 + 2000);
		close_session();
	}
}

/*
 * Who polls has other work: the time that he does not wait for the server is not the server's,
 * neither before a response nor in the middle of one. imap_poll finds the end of it by itself.
 */
static void test_time_elsewhere(void **state)
{
	struct imap_event ev;
	struct wait wait;
	int rc = 0, polls = 0;

	(void)state;
	open_session("");
	assert_int_equal(imap_poll(s, BODY_MAX, &ev, &message, &wait, &e), 0);
	now += 100 * TIMEOUT * 1000;
	assert_int_equal(imap_poll(s, BODY_MAX, &ev, &message, &wait, &e), 0);
	must_send(server.fd, "* 1 FETCH (UID 7 BO", 19);
	for (int i = 0; i < 10; i++) {
		now += 100 * TIMEOUT * 1000;
		rc = imap_poll(s, BODY_MAX, &ev, &message, &wait, &e);
		assert_int_equal(rc, 0);
	}
	/* 12 times a second was asked for and waited; the last of 30 is the end. */
	for (polls = 11; rc == 0; polls++) {
		now += wait.ms;
		rc = imap_poll(s, BODY_MAX, &ev, &message, &wait, &e);
	}
	assert_int_equal(rc, -1);
	assert_int_equal(polls, TIMEOUT);
	assert_non_null(strstr(e.text, "did not answer for 30 seconds (message UID 7)"));
	assert_int_equal(server.waits, 0);
	close_session();
}

/* A poll does not read for ever: others want their turn. */
static void test_turns(void **state)
{
	struct imap_event ev;
	struct wait wait;
	int turns = 0, rc;

	(void)state;
	open_session("");
	for (int i = 0; i < 600000; i++)
		buf_adds(&server.out, "* OK [X] a line of thirty\r\n");
	buf_adds(&server.out, "* 1 FETCH ()\r\n");
	server.step = 1 << 20;
	while ((rc = imap_poll(s, BODY_MAX, &ev, &message, &wait, &e)) == 0) {
		if (wait.fd == -1) {
			assert_int_equal(wait.ms, 0);
			turns++;
		} else {
			send_step(wait.fd);
		}
	}
	assert_int_equal(rc, 1);
	assert_int_equal(ev.kind, IMAP_EVENT_FETCH);
	assert_in_range(turns, 1, 100);
	close_session();
}

/* ---- bodies ---- */

static void test_bodies(void **state)
{
	static const struct {
		const char *announced;
		size_t len;
		unsigned has;
	} bodies[] = {
	    {"{999}", 999, IMAP_HAS_BODY},	{"{1000}", 1000, IMAP_HAS_BODY},
	    {"{1001}", 1001, IMAP_HAS_LARGE},	{"~{1000}", 1000, IMAP_HAS_BODY},
	    {"{67536}", 67536, IMAP_HAS_LARGE}, {"{0}", 0, IMAP_HAS_BODY},
	};
	struct imap_event ev;

	(void)state;
	open_session("");
	for (size_t i = 0; i < COUNT(bodies); i++) {
		size_t kept = bodies[i].has == IMAP_HAS_BODY ? bodies[i].len : 0;

		reset_server();
		server.step = 777;
		buf_addf(&server.out, "* 1 fetch (body[] %s\r\n", bodies[i].announced);
		for (size_t k = 0; k < bodies[i].len; k++)
			buf_addf(&server.out, "%c", (int)('a' + k % 26));
		buf_adds(&server.out, " uid 5)\r\n");
		assert_int_equal(imap_next(s, BODY_MAX, &ev, &message, &e), 0);
		assert_int_equal(message.has, bodies[i].has | IMAP_HAS_UID);
		assert_int_equal(message.body.len, kept);
		assert_true(message.body.size <= kept + 1);
		for (size_t k = 0; k < kept; k++)
			assert_int_equal(message.body.data[k], 'a' + k % 26);
	}
	/* The next FETCH empties the message. */
	reset_server();
	buf_adds(&server.out,
		 "* 1 FETCH (BODY[] {2}\r\nxy)\r\n* 2 FETCH (FLAGS (\\deleted))\r\n");
	assert_int_equal(imap_next(s, BODY_MAX, &ev, &message, &e), 0);
	assert_string_equal(message.body.data, "xy");
	assert_int_equal(imap_next(s, BODY_MAX, &ev, &message, &e), 0);
	assert_int_equal(message.has, IMAP_HAS_FLAGS);
	assert_int_equal(message.flags, IMAP_DELETED);
	assert_null(message.body.data);
	close_session();
}

/* Fields of a header, as servers give them back: does a filter say that it is spam? */
static void test_headers(void **state)
{
	static const struct {
		const char *text;
		unsigned has;
		bool filtered;
	} headers[] = {
	    {"BODY[HEADER.FIELDS (X-Spam X-Spam-Flag)]<0> {13}\r\nX-Spam: Yes\r\n", 1, true},
	    {"BODY[HEADER.FIELDS (X-SPAM)] {13}\r\nX-Spam: Yes\r\n", 1, true},
	    {"body[header.fields (\"X-Spam\")]<0> \"X-Spam: Yes\"", 1, true},
	    {"BODY[HEADER.FIELDS (X-SPAM)]<0> {14}\r\nX-Spam: No\r\n\r\n", 1, false},
	    {"BODY[HEADER.FIELDS (X-SPAM)]<0> {2}\r\n\r\n", 1, false},
	    {"BODY[HEADER.FIELDS (X-SPAM)]<0> {0}\r\n", 1, false},
	    {"BODY[HEADER.FIELDS (X-SPAM)]<0> {14}\r\n\0\r\nX-Spam: Yes", 1, true},
	    {"BODY[HEADER.FIELDS (X-SPAM)]<0> \"\"", 1, false},
	    {"BODY[HEADER.FIELDS (X-SPAM)]<0> NIL", 0, false},
	};
	static const char *const bad[] = {
	    "BODY[HEADER.FIELDS X-SPAM]<0> {0}\r\n",	"BODY[HEADER.FIELDS (X-SPAM) {0}\r\n",
	    "BODY[HEADER.FIELDS (X-SPAM)] ({0}\r\n)",	"BODY[HEADER.FIELDS (X-SPAM)]",
	    "BODY[HEADER.FIELDS (X-SPAM)] {65537}\r\n",
	};
	struct imap_event ev;

	(void)state;
	open_session("");
	for (size_t i = 0; i < COUNT(headers); i++) {
		const char *text = headers[i].text;
		/* One of them has a NUL inside. */
		size_t len = strlen(text) + (i == 6 ? 1 + strlen(text + strlen(text) + 1) : 0);

		reset_server();
		server.step = 3;
		buf_adds(&server.out, "* 1 FETCH (FLAGS (NonJunk) ");
		buf_add(&server.out, text, len);
		buf_adds(&server.out, " UID 5)\r\n");
		assert_int_equal(imap_next(s, BODY_MAX, &ev, &message, &e), 0);
		assert_int_equal(message.has, IMAP_HAS_UID | IMAP_HAS_FLAGS |
						  (headers[i].has ? IMAP_HAS_HEADER : 0));
		assert_int_equal(message.flags, IMAP_NOT_JUNK);
		assert_int_equal(message.filtered, headers[i].filtered);
	}
	close_session();
	for (size_t i = 0; i < COUNT(bad); i++) {
		open_session("");
		reset_server();
		buf_addf(&server.out, "* 1 FETCH (UID 5 %s)\r\n", bad[i]);
		assert_int_equal(imap_next(s, BODY_MAX, &ev, &message, &e), -1);
		assert_int_equal(e.kind, ERR_PROTOCOL);
		close_session();
	}
}

static const struct {
	const char *text;
	bool good;
	int64_t date;
} dates[] = {
    {"\"01-Jan-1970 00:00:00 +0000\"", true, 0},
    {"\" 1-Jan-1970 00:00:00 +0000\"", true, 0},
    {"\"17-Jul-1996 02:44:25 -0700\"", true, 837596665},
    {"\"17-Jul-1996 02:44:25 +0530\"", true, 837551665},
    {"\"31-Dec-1969 23:59:59 +0000\"", true, -1},
    {"\"00-Jan-1970 00:00:00 +0000\"", false, 0},
    {"\"01-Jux-1970 00:00:00 +0000\"", false, 0},
    {"\"01-Jan-19x0 00:00:00 +0000\"", false, 0},
    {"\"01-Jan-1970 0x:00:00 +0000\"", false, 0},
    {"\"01-Jan-1970 00:00:00 +00x0\"", false, 0},
    {"\"01-Jan-1970 00:00:00\"", false, 0},
    {"\"\"", false, 0},
    {"NIL", false, 0},
    {"(a (b) c)", false, 0},
    {"{1}\r\nx", false, 0},
};

static void test_dates(void **state)
{
	struct imap_event ev;

	(void)state;
	open_session("");
	for (size_t i = 0; i < COUNT(dates); i++) {
		reset_server();
		buf_addf(&server.out, "* 1 FETCH (INTERNALDATE %s UID 5)\r\n", dates[i].text);
		assert_int_equal(imap_next(s, BODY_MAX, &ev, &message, &e), 0);
		assert_int_equal(message.has,
				 IMAP_HAS_UID | (dates[i].good ? IMAP_HAS_DATE : 0));
		if (dates[i].good)
			assert_int_equal(message.date, dates[i].date);
	}
	close_session();
}

/* ---- commands ---- */

static void test_pipeline(void **state)
{
	static const int order[] = {3, 0, 7, 1, 2, 6, 5, 4};
	struct imap_event ev;
	unsigned command[IMAP_PIPELINE];

	(void)state;
	open_session("");
	for (int round = 0; round < 3; round++) {
		reset_server();
		for (int i = 0; i < IMAP_PIPELINE; i++) {
			command[i] = imap_send(s, &e, "NOOP %d", i);
			assert_int_not_equal(command[i], 0);
		}
		assert_int_equal(imap_send(s, &e, "NOOP"), 0);
		check_error(ERR_SERVER, ERR_LOCAL,
			    "account a: an IMAP command that is one too many at a time");
		for (int i = 0; i < IMAP_PIPELINE; i++)
			buf_addf(&server.out, "L%u %s %d\r\n", command[order[i]],
				 i % 3 == 0   ? "OK"
				 : i % 3 == 1 ? "no"
					      : "Bad",
				 i);
		for (int i = 0; i < IMAP_PIPELINE; i++) {
			char text[16];

			snprintf(text, sizeof text, "%d", i);
			assert_int_equal(imap_next(s, BODY_MAX, &ev, &message, &e), 0);
			assert_int_equal(ev.kind, IMAP_EVENT_DONE);
			assert_int_equal(ev.command, command[order[i]]);
			assert_int_equal(ev.status, i % 3 == 0	 ? IMAP_OK
						    : i % 3 == 1 ? IMAP_NO
								 : IMAP_BAD_COMMAND);
			assert_string_equal(ev.text, text);
		}
	}
	assert_int_equal(imap_send(s, &e, "X %8200s", "x"), 0);
	check_error(ERR_SERVER, ERR_LOCAL, "account a: an IMAP command that is too long");
	close_session();
}

static void test_refused(void **state)
{
	(void)state;
	open_session("UIDPLUS MOVE");
	assert_true(imap_has(s, IMAP_CAP_UIDPLUS));
	assert_true(imap_has(s, IMAP_CAP_MOVE));
	assert_false(imap_has(s, IMAP_CAP_ACL));
	SCRIPT({"LIST \"\" \"*\"", "@ NO not now\r\n"},
	       {"SELECT \"Entw&APw-rfe\"", "* OK [UIDVALIDITY 1] x\r\n@ OK done\r\n"},
	       {"UID EXPUNGE 1:5", "@ NO [NOPERM] Permission denied\r\n"},
	       {"UID STORE 1 +FLAGS.SILENT (\\Deleted)",
		"* 1 FETCH (UID 1 BODY[] {1}\r\nx)\r\n@ BAD Over quota\r\n"},
	       {"EXPUNGE", "@ OK done\r\n"}, {"SELECT \"&Jjo\"", "@ NO [NONEXISTENT] none\r\n"},
	       {"NOOP", "@ NO \x1B[31m\r\n"});
	assert_int_equal(imap_find_special_use(s, "\\Junk", (char[9]){""}, 9, &e), -1);
	check_error(ERR_MAILBOX, ERR_UNREACHABLE, "account a: LIST refused: not now");
	assert_int_equal(imap_select(s, "Entw&APw-rfe", false, &e), 0);
	assert_int_equal(imap_command(s, &e, "UID EXPUNGE %s", "1:5"), -1);
	check_error(ERR_MAILBOX, ERR_UNREACHABLE,
		    "account a: mailbox Entw\xC3\xBCrfe: UID EXPUNGE refused: [NOPERM] "
		    "Permission denied");
	assert_int_equal(imap_command(s, &e, "UID STORE 1 +FLAGS.SILENT (\\Deleted)"), -1);
	check_error(ERR_MAILBOX, ERR_UNREACHABLE,
		    "account a: mailbox Entw\xC3\xBCrfe: UID STORE refused: Over quota");
	assert_int_equal(imap_command(s, &e, "EXPUNGE"), 0);
	/* What is no UTF-7 is shown as it is. */
	assert_int_equal(imap_select(s, "&Jjo", false, &e), -1);
	check_error(ERR_MAILBOX, ERR_UNREACHABLE,
		    "account a: mailbox &Jjo: SELECT refused: [NONEXISTENT] none");
	assert_int_equal(imap_command(s, &e, "NOOP"), -1);
	check_error(ERR_MAILBOX, ERR_UNREACHABLE, "account a: NOOP refused: \\x1b[31m");
	close_session();
}

static void test_select(void **state)
{
	static const struct {
		const char *answer;
		struct imap_mailbox box;
	} cases[] = {
	    {"* 23 EXISTS\r\n* OK [UIDVALIDITY 4294967295] x\r\n* OK [UIDNEXT 12] x\r\n"
	     "* OK [HIGHESTMODSEQ 18446744073709551615] x\r\n"
	     "* OK [PERMANENTFLAGS (\\Answered \\Deleted \\*)] x\r\n@ OK [READ-WRITE] x\r\n",
	     {UINT32_MAX, 12, 23, UINT64_MAX, false, true, true, IMAP_KEYWORDS, 0, 0}},
	    {"* OK [UIDVALIDITY 1] x\r\n@ OK x\r\n", /* nothing said: all allowed */
	     {1, 0, 0, 0, false, false, true, IMAP_KEYWORDS, 0, 0}},
	    {"* OK [UIDVALIDITY 1] x\r\n* OK [PERMANENTFLAGS ()] x\r\n@ OK [READ-ONLY] x\r\n",
	     {1, 0, 0, 0, true, true, false, 0, 0, 0}},
	    {"* OK [UIDVALIDITY 1] x\r\n* OK [PERMANENTFLAGS (\\Seen $learnedspam "
	     "\\Deleted $LearnSkipped)] x\r\n@ OK x\r\n",
	     {1, 0, 0, 0, false, true, true, IMAP_LEARNED_SPAM | IMAP_LEARN_SKIPPED, 0, 0}},
	    {"* OK [UIDVALIDITY 1] x\r\n* OK [PERMANENTFLAGS (\\Seen \\*)] x\r\n@ OK x\r\n",
	     {1, 0, 0, 0, false, true, false, IMAP_KEYWORDS, 0, 0}},
	    /* Lists that do not end. */
	    {"* OK [UIDVALIDITY 1] x\r\n* OK [PERMANENTFLAGS (\\Deleted] x\r\n@ OK x\r\n",
	     {1, 0, 0, 0, false, true, true, 0, 0, 0}},
	    {"* OK [UIDVALIDITY 1] x\r\n* OK [PERMANENTFLAGS (\\Deleted\r\n@ OK x\r\n",
	     {1, 0, 0, 0, false, true, true, 0, 0, 0}},
	    {"* OK [UIDVALIDITY 1] x\r\n* OK [PERMANENTFLAGS\r\n@ OK x\r\n",
	     {1, 0, 0, 0, false, true, false, 0, 0, 0}},
	    /* Numbers that are none are not said. */
	    {"* OK [UIDNEXT 4294967296] x\r\n* OK [HIGHESTMODSEQ x] x\r\n* x EXISTS\r\n"
	     "* OK [NOMODSEQ] x\r\n* OK UIDVALIDITY 5\r\n* OK [UIDVALIDITY] x\r\n"
	     "* 3 EXPUNGE\r\n* 2 EXISTS\r\n* 1 EXPUNGE\r\n* 1 RECENT\r\n"
	     "@ OK [UIDVALIDITY 7]\r\n",
	     {7, 0, 1, 0, false, false, true, IMAP_KEYWORDS, 1, 0}},
	};
	char text[256];

	(void)state;
	open_session("");
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct imap_mailbox *m = imap_selected(s), *w = &cases[i].box;

		SCRIPT({"SELECT \"x\"", cases[i].answer});
		assert_int_equal(imap_select(s, "x", false, &e), 0);
		assert_int_equal(m->uidvalidity, w->uidvalidity);
		assert_int_equal(m->uidnext, w->uidnext);
		assert_int_equal(m->exists, w->exists);
		assert_true(m->modseq == w->modseq);
		assert_int_equal(m->read_only, w->read_only);
		assert_int_equal(m->permanent_known, w->permanent_known);
		assert_int_equal(m->can_delete, w->can_delete);
		assert_int_equal(m->keywords, w->keywords);
		assert_int_equal(m->recent, w->recent);
	}
	SCRIPT({"EXAMINE \"x\"", "* OK [UIDVALIDITY 0] x\r\n@ OK x\r\n"});
	assert_int_equal(imap_select(s, "x", true, &e), -1);
	snprintf(text, sizeof text,
		 "account a: mailbox x: %s gives no UIDVALIDITY, so messages cannot be told "
		 "apart",
		 server.url);
	check_error(ERR_MAILBOX, ERR_PROTOCOL, text);
	close_session();
}

/* A name is a name: nothing in it is a pattern, or ends it. */
static void test_names(void **state)
{
	char quoted[16], longest[2000];

	(void)state;
	open_session("CONDSTORE ACL");
	SCRIPT({"EXAMINE \"a*b%c \\\"d\\\\e\" (CONDSTORE)",
		"* OK [UIDVALIDITY 1] x\r\n@ OK done\r\n"},
	       {"MYRIGHTS \"100%\"", "* MYRIGHTS \"100%\" lr\r\n@ OK done\r\n"});
	assert_int_equal(imap_select(s, "a*b%c \"d\\e", true, &e), 0);
	assert_int_equal(imap_my_rights(s, "100%", quoted, sizeof quoted, &e), 0);
	assert_string_equal(quoted, "lr");
	assert_int_equal(imap_select(s, "", true, &e), -1);
	check_error(ERR_MAILBOX, ERR_CONFIG, "account a: \"\" cannot be a mailbox name");
	assert_int_equal(imap_select(s, "a\r\nL9 LOGOUT", true, &e), -1);
	assert_int_equal(imap_select(s, "a\nb", true, &e), -1);
	memset(longest, '"', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	assert_int_equal(imap_select(s, longest, true, &e), -1);

	assert_int_equal(imap_quote("123456789012", quoted, sizeof quoted), 0);
	assert_string_equal(quoted, "\"123456789012\"");
	assert_int_equal(imap_quote("1234567890123", quoted, sizeof quoted), -1);
	assert_int_equal(imap_quote("", quoted, sizeof quoted), -1);
	close_session();
}

/* Of another mailbox: the selected one stays what it is. */
static void test_status(void **state)
{
	static const struct {
		const char *answer;
		uint32_t uidvalidity, uidnext;
	} cases[] = {
	    {"* STATUS \"b c\" (UIDVALIDITY 7 UIDNEXT 4294967295)\r\n@ OK done\r\n", 7,
	     UINT32_MAX},
	    {"* STATUS {3}\r\nb c (messages 3 uidnext 5 uidvalidity 9)\r\n@ OK done\r\n", 9, 5},
	    {"* STATUS x ()\r\n@ OK done\r\n", 0, 0},
	    {"* STATUS x\r\n@ OK done\r\n", 0, 0},
	    {"* STATUS x (UIDNEXT)\r\n@ OK done\r\n", 0, 0},
	    {"* STATUS x (UIDNEXT (5) UIDVALIDITY 6)\r\n@ OK done\r\n", 6, 0},
	    {"* STATUS x (UIDNEXT 4294967296 UIDVALIDITY -1)\r\n@ OK done\r\n", 0, 0},
	    {"@ OK done\r\n", 0, 0},
	};
	uint32_t uidvalidity, uidnext;

	(void)state;
	open_session("");
	SCRIPT({"SELECT \"x\"", "* OK [UIDVALIDITY 1] x\r\n* OK [UIDNEXT 2] x\r\n@ OK x\r\n"});
	assert_int_equal(imap_select(s, "x", false, &e), 0);
	for (size_t i = 0; i < COUNT(cases); i++) {
		SCRIPT({"STATUS \"b c\" (UIDVALIDITY UIDNEXT)", cases[i].answer});
		assert_int_equal(imap_status(s, "b c", &uidvalidity, &uidnext, &e), 0);
		assert_int_equal(uidvalidity, cases[i].uidvalidity);
		assert_int_equal(uidnext, cases[i].uidnext);
		assert_int_equal(imap_selected(s)->uidnext, 2);
	}
	SCRIPT({"STATUS \"b\" (UIDVALIDITY UIDNEXT)", "@ NO [NONEXISTENT] none\r\n"},
	       {"NOOP", "* STATUS b (UIDNEXT 8)\r\n@ OK nobody asked\r\n"});
	assert_int_equal(imap_status(s, "b", &uidvalidity, &uidnext, &e), -1);
	check_error(ERR_MAILBOX, ERR_UNREACHABLE,
		    "account a: mailbox x: STATUS refused: [NONEXISTENT] none");
	assert_int_equal(imap_command(s, &e, "NOOP"), 0);
	assert_int_equal(imap_status(s, "", &uidvalidity, &uidnext, &e), -1);
	check_error(ERR_MAILBOX, ERR_CONFIG, "account a: \"\" cannot be a mailbox name");
	close_session();
}

static void test_rights(void **state)
{
	char rights[8];

	(void)state;
	open_session("ACL");
	assert_true(imap_has(s, IMAP_CAP_ACL));
	SCRIPT({"MYRIGHTS \"x\"", "* MYRIGHTS {1}\r\nx {3}\r\nlrs\r\n@ OK done\r\n"},
	       {"MYRIGHTS \"x\"", "* MYRIGHTS x \"\"\r\n@ OK done\r\n"},
	       {"MYRIGHTS \"x\"", "* MYRIGHTS x 12345678\r\n* MYRIGHTS\r\n@ OK done\r\n"},
	       {"MYRIGHTS \"x\"", "@ NO none of your business\r\n"});
	assert_int_equal(imap_my_rights(s, "x", rights, sizeof rights, &e), 0);
	assert_string_equal(rights, "lrs");
	for (int i = 0; i < 2; i++) { /* none, and too many */
		assert_int_equal(imap_my_rights(s, "x", rights, sizeof rights, &e), -1);
		assert_int_equal(e.scope, ERR_MAILBOX);
		assert_int_equal(e.kind, ERR_PROTOCOL);
	}
	assert_int_equal(imap_my_rights(s, "x", rights, sizeof rights, &e), -1);
	check_error(ERR_MAILBOX, ERR_UNREACHABLE,
		    "account a: MYRIGHTS refused: none of your business");
	close_session();
}

static void check_use(const char *name)
{
	char got[32];

	assert_int_equal(imap_find_special_use(s, "\\Junk", got, sizeof got, &e), 0);
	assert_string_equal(got, name);
	assert_null(server.script->command);
}

#define RETURN_WAY "LIST \"\" \"*\" RETURN (SPECIAL-USE)"
#define SELECT_WAY "LIST (SPECIAL-USE) \"\" \"*\""
#define PLAIN_WAY  "LIST \"\" \"*\""
#define JUNK	   "* LIST (\\Junk) \"/\" Junk\r\n@ OK done\r\n"

/* Each way in turn, until one has an answer. */
static void test_special_use(void **state)
{
	char got[32];

	(void)state;
	open_session("LIST-EXTENDED SPECIAL-USE");
	SCRIPT({RETURN_WAY, JUNK});
	check_use("Junk");
	SCRIPT({RETURN_WAY, "@ BAD what\r\n"}, {SELECT_WAY, JUNK});
	check_use("Junk");
	SCRIPT({RETURN_WAY, "* LIST () \"/\" Junk\r\n@ OK done\r\n"},
	       {SELECT_WAY, "@ NO what\r\n"}, {PLAIN_WAY, JUNK});
	check_use("Junk");
	SCRIPT({RETURN_WAY, "* LIST (\\HasNoChildren \\jUNK) NIL \"a \\\"b\"\r\n"
			    "* LIST (\\Junk) \"/\" second\r\n@ OK done\r\n"});
	check_use("a \"b");
	SCRIPT({RETURN_WAY, "* LIST (\\Junk \\NonExistent) \"/\" gone\r\n* LIST (\\Noselect "
			    "\\Junk) \"/\" no\r\n"
			    "* LIST (\\Junk) \"/\" {5}\r\na\r\nb \r\n@ OK done\r\n"});
	check_use("a\r\nb ");
	SCRIPT({RETURN_WAY,
		"* LIST (\\Junk) \"/\" \"12345678901234567890123456789012\"\r\n"
		"* LIST (\\Junk) \"/\" \"\"\r\n* LIST (\\Junk) \"/\"\r\n"
		"* LIST (\\Junk) \"/\" (x)\r\n* LIST (\\Trash) \"/\" Trash\r\n@ OK done\r\n"},
	       {SELECT_WAY, "@ OK done\r\n"}, {PLAIN_WAY, "@ OK done\r\n"});
	assert_int_equal(imap_find_special_use(s, "\\Junk", got, sizeof got, &e), -1);
	check_error(ERR_MAILBOX, ERR_CONFIG,
		    "account a: no mailbox has the special use \\Junk; give the mailbox by its "
		    "name, or set the special use on the server");
	SCRIPT({RETURN_WAY, "* BYE\r\n"});
	assert_int_equal(imap_find_special_use(s, "\\Junk", got, sizeof got, &e), -1);
	assert_int_equal(e.scope, ERR_SERVER);
	close_session();

	open_session("SPECIAL-USE");
	SCRIPT({SELECT_WAY, JUNK});
	check_use("Junk");
	close_session();
	open_session("");
	SCRIPT({PLAIN_WAY, JUNK});
	check_use("Junk");
	close_session();
}

static void add_name(void *ctx, const char *name)
{
	buf_addf(ctx, "%s|", name);
}

static void test_list_names(void **state)
{
	struct buf names;

	(void)state;
	buf_init(&names, 1000);
	open_session("LIST-EXTENDED");
	SCRIPT({PLAIN_WAY, "* LIST () \"/\" INBOX\r\n* LIST (\\Noselect) \"/\" top\r\n"
			   "* LIST (\\Junk) \"/\" \"top/&AOk-\"\r\n* LIST () NIL {3}\r\na*b\r\n"
			   "* LIST () \"/\" {1}\r\n\r\n@ OK done\r\n"},
	       {PLAIN_WAY, "@ BAD no\r\n"});
	assert_int_equal(imap_list_names(s, add_name, &names, &e), 0);
	assert_string_equal(names.data, "INBOX|top/&AOk-|a*b|\r|");
	assert_int_equal(imap_list_names(s, add_name, &names, &e), -1);
	assert_int_equal(e.scope, ERR_MAILBOX);
	/* Nobody asks any more. */
	SCRIPT({"NOOP", "* LIST () \"/\" more\r\n@ OK done\r\n"});
	assert_int_equal(imap_command(s, &e, "NOOP"), 0);
	assert_string_equal(names.data, "INBOX|top/&AOk-|a*b|\r|");
	close_session();
	buf_free(&names);
}

/* ---- SEARCH ---- */

static void check_search(const char *command, const char *answer, size_t n, uint64_t count,
			 const char *why)
{
	struct ranges found = {0};
	int rc;

	assert_int_equal(ranges_add(&found, 77, 77, &e), 0); /* is to go */
	SCRIPT({command, answer});
	server.step = 1 << 16; /* more does not fit into a socket */
	rc = imap_search(s, "ALL", &found, &e);
	assert_int_equal(rc, why ? -1 : 0);
	if (why == NULL) {
		assert_int_equal(found.n, n);
		assert_int_equal(ranges_count(&found), count);
		assert_false(ranges_has(&found, 77));
	} else if (strstr(e.text, why) == NULL) {
		fail_msg("%s", e.text);
	}
	ranges_free(&found);
}

static void test_search(void **state)
{
	static const char *const bad[] = {
	    "* SEARCH 1 x\r\n",		 "* SEARCH 0\r\n",	  "* SEARCH 4294967296\r\n",
	    "* ESEARCH UID ALL 1:*\r\n", "* ESEARCH ALL ALL\r\n",
	};

	(void)state;
	open_session("");
	check_search("UID SEARCH ALL", "* SEARCH\r\n@ OK\r\n", 0, 0, NULL);
	check_search("UID SEARCH ALL", "@ OK\r\n", 0, 0, NULL);
	check_search("UID SEARCH ALL", "* SEARCH 9 5 3 2 4294967295 1 (MODSEQ 78)\r\n@ OK\r\n",
		     4, 6, NULL);
	check_search("UID SEARCH ALL", "* SEARCH 5 3\r\n* SEARCH 4 1\r\n@ OK\r\n", 2, 4, NULL);
	check_search("UID SEARCH ALL", "@ NO never\r\n", 0, 0, "SEARCH refused: never");
	close_session();
	open_session("ESEARCH");
	check_search("UID SEARCH RETURN (ALL) ALL",
		     "* ESEARCH (TAG \"L5\") UID COUNT 9 ALL 1:5,9,20:12 MODSEQ 3\r\n@ OK\r\n",
		     3, 15, NULL);
	check_search("UID SEARCH RETURN (ALL) ALL",
		     "* ESEARCH (ALL 3) ALL (4)\r\n* ESEARCH ALL\r\n* ESEARCH\r\n@ OK\r\n", 0,
		     0, NULL);
	check_search("UID SEARCH RETURN (ALL) ALL", "* SEARCH 7\r\n@ OK\r\n", 1, 1, NULL);
	close_session();
	for (size_t i = 0; i < COUNT(bad); i++) {
		open_session("");
		check_search("UID SEARCH ALL", bad[i], 0, 0,
			     "sent a SEARCH answer that is no set of UIDs");
		close_session();
	}
}

/* A million numbers on one line, in descending order, none beside the other. */
static void test_search_million(void **state)
{
	enum { MILLION = 1000 * 1000 };
	struct buf answer;

	(void)state;
	for (int more = 0; more < 2; more++) {
		buf_init(&answer, 20 << 20);
		buf_adds(&answer, "* SEARCH");
		for (uint32_t i = MILLION + more * 100000u; i > 0; i--)
			buf_addf(&answer, " %u", 1000000000u + i * 2);
		buf_adds(&answer, "\r\n@ OK done\r\n");
		open_session("");
		if (more == 0)
			check_search("UID SEARCH ALL", answer.data, MILLION, MILLION, NULL);
		else /* its own fault, not that of the other accounts */
			check_search(
			    "UID SEARCH ALL", answer.data, 0, 0,
			    "sent a SEARCH answer with more gaps than any mailbox has");
		assert_true(more == 0 || e.scope == ERR_SERVER);
		close_session();
		buf_free(&answer);
	}
}

/* ---- connections ---- */

/* No program that we start has our socket; no proxy of the environment is asked. */
static void test_socket(void **state)
{
	struct imap_event ev;
	struct wait wait;

	(void)state;
	assert_int_equal(setenv("ALL_PROXY", "http://127.0.0.1:1", 1), 0);
	assert_int_equal(setenv("all_proxy", "socks5://127.0.0.1:1", 1), 0);
	open_session("");
	assert_int_equal(imap_poll(s, BODY_MAX, &ev, &message, &wait, &e), 0);
	assert_true(fcntl(wait.fd, F_GETFD) & FD_CLOEXEC);
	close_session();
	unsetenv("ALL_PROXY");
	unsetenv("all_proxy");
}

/* Every way to log in: what we say, line by line. */
static const struct {
	const char *caps;
	enum conf_auth auth;
	const char *user, *password;
	const char *challenge[4];
	const char *said;
} logins[] = {
    {"AUTH=PLAIN AUTH=LOGIN",
     CONF_AUTH_PASSWORD,
     "user",
     "pass",
     {""},
     "AUTHENTICATE PLAIN\nAHVzZXIAcGFzcw==\n"},
    {"AUTH=LOGIN LOGINDISABLED",
     CONF_AUTH_PASSWORD,
     "user",
     "pass",
     {"VXNlcm5hbWU6", "UGFzc3dvcmQ6"},
     "AUTHENTICATE LOGIN\ndXNlcg==\ncGFzcw==\n"},
    {"", CONF_AUTH_PASSWORD, "u ser", "p\"a\\ss", {NULL}, "LOGIN \"u ser\" \"p\\\"a\\\\ss\"\n"},
    {"AUTH=OAUTHBEARER AUTH=XOAUTH2 AUTH=PLAIN",
     CONF_AUTH_OAUTHBEARER,
     "a=b,c",
     "tok",
     {""},
     "AUTHENTICATE OAUTHBEARER\nbixhPWE9M0RiPTJDYywBYXV0aD1CZWFyZXIgdG9rAQE=\n"},
    {"AUTH=OAUTHBEARER AUTH=XOAUTH2 AUTH=PLAIN",
     CONF_AUTH_XOAUTH2,
     "a=b,c",
     "tok",
     {""},
     "AUTHENTICATE XOAUTH2\ndXNlcj1hPWIsYwFhdXRoPUJlYXJlciB0b2sBAQ==\n"},
    /* A challenge more than there should be. */
    {"AUTH=PLAIN",
     CONF_AUTH_PASSWORD,
     "u",
     "p",
     {"", "x"},
     "AUTHENTICATE PLAIN\nAHUAcA==\n*\n"},
    {"AUTH=OAUTHBEARER",
     CONF_AUTH_OAUTHBEARER,
     "u",
     "t",
     {"", "e30="},
     "AUTHENTICATE OAUTHBEARER\nbixhPXUsAWF1dGg9QmVhcmVyIHQBAQ==\nAQ==\n"},
    {"AUTH=XOAUTH2",
     CONF_AUTH_XOAUTH2,
     "u",
     "t",
     {"", "e30="},
     "AUTHENTICATE XOAUTH2\ndXNlcj11AWF1dGg9QmVhcmVyIHQBAQ==\n\n"},
};

static void test_logins(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(logins); i++) {
		char user[16], password[16], text[256];

		for (int refuse = 0; refuse < 2; refuse++) {
			listen_somewhere();
			snprintf(user, sizeof user, "%s", logins[i].user);
			snprintf(password, sizeof password, "%s", logins[i].password);
			account.user = user;
			account.password.where = password;
			account.auth = logins[i].auth;
			server.refusal = refuse ? "NO [X] go \x1B away" : NULL;
			connect_session(logins[i].caps, logins[i].challenge);
			server.refusal = NULL;
			assert_string_equal(server.said.data, logins[i].said);
			assert_true((s == NULL) == refuse);
			close_session();
			if (!refuse)
				continue;
			snprintf(text, sizeof text,
				 "account a: %s refused the login of %s ([X] go \\x1b away); "
				 "check user and password of this account",
				 server.url, user);
			check_error(ERR_SERVER, ERR_AUTH, text);
		}
	}
}

static void check_login(const char *caps, enum conf_auth auth, const char *refusal,
			enum err_kind kind, const char *why)
{
	static const char *const one[] = {"", NULL};
	char text[256];

	listen_somewhere();
	account.auth = auth;
	server.refusal = refusal;
	connect_session(caps, one);
	server.refusal = NULL;
	assert_null(s);
	snprintf(text, sizeof text, "account a: %s %s", server.url, why);
	check_error(ERR_SERVER, kind, text);
	close_session();
}

static void test_no_login(void **state)
{
	(void)state;
	check_login("AUTH=PLAIN", CONF_AUTH_PASSWORD, "NO [UNAVAILABLE] x", ERR_TEMPORARY,
		    "cannot log anyone in now: [UNAVAILABLE] x");
	check_login("AUTH=PLAIN", CONF_AUTH_PASSWORD, "WELL x", ERR_PROTOCOL,
		    "sent an answer without a status");
	check_login("LOGINDISABLED", CONF_AUTH_PASSWORD, NULL, ERR_AUTH,
		    "offers no way to log in with a password; see auth in learnspool.conf(5)");
	check_login("AUTH=PLAIN", CONF_AUTH_OAUTHBEARER, NULL, ERR_AUTH,
		    "offers no way to log in with OAUTHBEARER; see auth in learnspool.conf(5)");
	check_login("AUTH=PLAIN", CONF_AUTH_XOAUTH2, NULL, ERR_AUTH,
		    "offers no way to log in with XOAUTH2; see auth in learnspool.conf(5)");
}

/* Accept, say this, and read whatever comes. */
static void *greet(void *arg)
{
	const char *greeting = arg;
	char data[512];

	server.fd = accept(server.listener, NULL, NULL);
	(void)send(server.fd, greeting, strlen(greeting), MSG_NOSIGNAL);
	while (recv(server.fd, data, sizeof data, 0) > 0)
		;
	return NULL;
}

static void check_wrong_port(const char *scheme, const char *greeting, const char *cure)
{
	pthread_t thread;
	char port[16];

	listen_somewhere();
	account.timeout = 2;
	snprintf(port, sizeof port, "%s", strrchr(server.url, ':'));
	snprintf(server.url, sizeof server.url, "%s://127.0.0.1%s", scheme, port);
	assert_int_equal(pthread_create(&thread, NULL, greet, (void *)(uintptr_t)greeting), 0);
	assert_null(imap_open(&account, &e));
	assert_int_equal(pthread_join(thread, NULL), 0);
	close_session();
	assert_int_equal(e.scope, ERR_SERVER);
	assert_int_equal(e.kind, ERR_UNREACHABLE);
	if (strstr(e.text, cure) == NULL)
		fail_msg("%s", e.text);
}

static void test_wrong_port(void **state)
{
	(void)state;
	check_wrong_port("imaps", "* OK hello\r\n",
			 "speaks no TLS on this port; use imap:// with this port (STARTTLS");
	check_wrong_port("imap", "",
			 "accepted the connection and said nothing for 2 seconds; perhaps this "
			 "port wants imaps://");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_cut),	   cmocka_unit_test(test_lies),
	    cmocka_unit_test(test_long_responses), cmocka_unit_test(test_closed),
	    cmocka_unit_test(test_silence),	   cmocka_unit_test(test_drips),
	    cmocka_unit_test(test_talks_on),	   cmocka_unit_test(test_time_elsewhere),
	    cmocka_unit_test(test_turns),	   cmocka_unit_test(test_bodies),
	    cmocka_unit_test(test_headers),	   cmocka_unit_test(test_dates),
	    cmocka_unit_test(test_pipeline),	   cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_select),	   cmocka_unit_test(test_names),
	    cmocka_unit_test(test_rights),	   cmocka_unit_test(test_status),
	    cmocka_unit_test(test_special_use),	   cmocka_unit_test(test_list_names),
	    cmocka_unit_test(test_search),	   cmocka_unit_test(test_search_million),
	    cmocka_unit_test(test_socket),	   cmocka_unit_test(test_logins),
	    cmocka_unit_test(test_no_login),	   cmocka_unit_test(test_wrong_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
