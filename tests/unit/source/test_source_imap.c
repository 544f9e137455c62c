/*
 * source_imap.c through account_imap.c, against a server in memory (fake/imapd.h): what holds
 * for every source, over servers of every kind; then what only a mailbox has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <poll.h>
#include <sched.h>

#include "base/clock.h"
#include "base/log.h"
#include "fake/imapd.h"
#include "fake/source.h"
#include "source/account.h"
#include "source/contract.h"

enum { DATE = 1700000000 };

static struct imapd server;
static struct conf_mailbox mailbox;
static struct conf_account conf;
static struct account *account;
static struct source *src;
static struct err e;

static void ok(int rc)
{
	if (rc != 0)
		fail_msg("%s", e.text);
}

static void start(void)
{
	imapd_start(&server);
	mailbox = (struct conf_mailbox){
	    .name = (char *)(uintptr_t)server.inbox.name, .class = CLASS_SPAM, .expire = true};
	conf = imapd_account(&server, &mailbox);
	account = account_imap(&conf);
	assert_non_null(account);
}

/* Connect (again); the source is not open. */
static void connect_source(void)
{
	source_close(src);
	src = NULL;
	account_disconnect(account);
	ok(account_connect(account, &e));
	src = account_source(account, 0);
	assert_non_null(src);
}

static void stop_server(void)
{
	source_close(src);
	src = NULL;
	account_free(account);
	account = NULL;
	imapd_stop(&server);
}

/* Wait for the server, which is prompt. */
static void wait_for_server(const struct wait *w)
{
	struct pollfd p = {.fd = w->fd, .events = w->events};

	assert_true(w->ms >= 0);
	if (w->fd >= 0)
		assert_int_not_equal(poll(&p, 1, w->ms), -1);
}

/* ---- the contract ---- */

/* What a server lacks and does, one bit each. */
enum {
	NO_UIDPLUS = 1 << 0,
	NO_CONDSTORE = 1 << 1,
	NO_ESEARCH = 1 << 2,
	BACKWARDS = 1 << 3,
	CHATTY = 1 << 4,
	DRIP = 1 << 5,
	STRICT = 1 << 6,
	AUTH_PLAIN = 1 << 7,
	NO_UIDNEXT = 1 << 8,
	JEALOUS = 1 << 9,
	KINDS = 1 << 10,
};

static unsigned kind;

static void add(void *ctx, const struct contract_message *m)
{
	(void)ctx;
	imapd_deliver(&server, m->body, m->date,
		      (m->seen ? IMAPD_SEEN : 0U) | (m->flagged ? IMAPD_FLAGGED : 0U) |
			  (m->deleted ? IMAPD_DELETED : 0U));
}

static struct source *make(void *ctx, const struct contract_message *m, size_t n)
{
	imapd_init(&server);
	server.no_uidplus = kind & NO_UIDPLUS;
	server.no_condstore = kind & NO_CONDSTORE;
	server.no_esearch = kind & NO_ESEARCH;
	server.backwards = kind & BACKWARDS;
	server.chatty = kind & CHATTY;
	server.drip = kind & DRIP;
	server.strict = kind & STRICT;
	server.auth_plain = kind & AUTH_PLAIN;
	server.no_uidnext = kind & NO_UIDNEXT;
	server.jealous = kind & JEALOUS;
	for (size_t i = 0; i < n; i++)
		add(ctx, &m[i]);
	start();
	connect_source();
	return src;
}

static void expunge(void *ctx, uint32_t id)
{
	(void)ctx;
	imapd_expunge(&server, id);
}

static bool has(void *ctx, uint32_t id)
{
	(void)ctx;
	return imapd_find(&server.inbox, id) != NULL;
}

static void wait_for(void *ctx, const struct wait *w)
{
	(void)ctx;
	wait_for_server(w);
}

static void drop(void *ctx, struct source *s)
{
	(void)ctx;
	assert_ptr_equal(s, src);
	stop_server();
}

static void check_kind(unsigned k)
{
	const struct contract c = {.make = make,
				   .expunge = expunge,
				   .deliver = add,
				   .has = has,
				   .wait = wait_for,
				   .drop = drop,
				   .can_remove = !(k & NO_UIDPLUS),
				   .one_class = false,
				   .ctx = NULL};

	kind = k;
	contract_check(&c);
}

/* Every kind alone, each with each other, and all at once. */
static void test_contract(void **state)
{
	(void)state;
	check_kind(0);
	for (unsigned a = 1; a < KINDS; a <<= 1) {
		check_kind(a);
		for (unsigned b = 1; b < a; b <<= 1)
			check_kind(a | b);
	}
	check_kind(KINDS - 1);
	check_kind((KINDS - 1) & ~(unsigned)NO_UIDPLUS);
}

/* ---- what only a mailbox has ---- */

static const char *const bodies[] = {
    "Subject: one\r\n\r\nfirst\r\n",   "Subject: two\r\n\r\nsecond\r\n",
    "Subject: three\r\n\r\nthird\r\n", "Subject: four\r\n\r\nfourth\r\n",
    "Subject: five\r\n\r\nfifth\r\n",
};

static int setup(void **state)
{
	(void)state;
	imapd_init(&server);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stop_server();
	return 0;
}

static void deliver(size_t n)
{
	for (size_t i = 0; i < n; i++)
		imapd_deliver(&server, bodies[i % 5], DATE + (int64_t)i, IMAPD_SEEN);
}

static struct imapd_message *message(uint32_t uid)
{
	struct imapd_message *m = imapd_find(&server.inbox, uid);

	assert_non_null(m);
	return m;
}

/* A mailbox of n messages, opened. */
static void open_box(size_t n)
{
	deliver(n);
	start();
	connect_source();
	ok(source_open(src, false, &e));
	imapd_log_clear(&server);
}

static void open_again(void)
{
	connect_source();
	ok(source_open(src, false, &e));
	imapd_log_clear(&server);
}

static void check_error(enum err_scope scope, enum err_kind error, const char *part)
{
	if (strstr(e.text, part) == NULL)
		fail_msg("no \"%s\" in: %s", part, e.text);
	assert_int_equal(e.scope, scope);
	assert_int_equal(e.kind, error);
}

static size_t logged(const char *part)
{
	return fake_events_count(imapd_log(&server), part);
}

static void log_is(const char *want)
{
	fake_events_are(imapd_log(&server), want);
}

static const struct source_filter everything = {.max_size = UINT32_MAX, .newest = INT64_MAX};

static void want(uint32_t first, uint32_t last, const struct source_filter *f, bool alone)
{
	struct ranges todo = {0};

	ok(ranges_add(&todo, first, last, &e));
	ok(source_want(src, &todo, f, alone, &e));
	ranges_free(&todo);
}

/* What came of want, by number. */
static struct {
	bool came[IMAPD_MESSAGES + 1];
	enum message_kind kind[IMAPD_MESSAGES + 1];
	enum outcome mark[IMAPD_MESSAGES + 1];
	size_t n;
	char words[RECORD_ANSWER_MAX + 1]; /* of the last UNREADABLE */
	char text[4096];
} got;

static void note(const struct source_message *m)
{
	const struct imapd_message *there = imapd_find(&server.inbox, m->id);

	assert_in_range(m->id, 1, IMAPD_MESSAGES);
	assert_false(got.came[m->id]);
	got.came[m->id] = true;
	got.kind[m->id] = m->kind;
	got.mark[m->id] = m->mark;
	got.n++;
	if (m->kind == MESSAGE_UNREADABLE)
		memcpy(got.words, m->words, sizeof got.words);
	if (m->kind != MESSAGE_GONE)
		assert_int_equal(m->stamp.size, there->size);
	if (m->kind != MESSAGE_BODY)
		return;
	assert_int_equal(m->body.len, strlen(there->body));
	assert_memory_equal(m->body.data ? m->body.data : "", there->body, m->body.len);
}

/* One message, or the end, waited for. */
static enum source_next take_one(void)
{
	struct source_message m = {0};
	enum source_next rc;
	struct wait wait;

	while ((rc = source_next(src, &m, &wait, &e)) == SOURCE_WAIT)
		wait_for_server(&wait);
	if (rc == SOURCE_MESSAGE)
		note(&m);
	source_message_free(&m);
	return rc;
}

static void forget(void)
{
	memset(&got, 0, sizeof got);
}

/* Take all; "1:3 body, 4 gone", and " error" where it ends so. */
static const char *taken(void)
{
	static const char *const names[] = {"body",   "large", "marked",     "undecided",
					    "unread", "held",  "unreadable", "gone"};
	enum source_next rc;
	size_t len = 0;

	forget();
	while ((rc = take_one()) == SOURCE_MESSAGE)
		;
	for (uint32_t id = 1, last; id <= IMAPD_MESSAGES && len < sizeof got.text;
	     id = last + 1) {
		last = id;
		if (!got.came[id])
			continue;
		while (last < IMAPD_MESSAGES && got.came[last + 1] &&
		       got.kind[last + 1] == got.kind[id])
			last++;
		len += (size_t)snprintf(got.text + len, sizeof got.text - len, "%s%u",
					len > 0 ? ", " : "", id);
		if (last > id)
			len += (size_t)snprintf(got.text + len, sizeof got.text - len, ":%u",
						last);
		len += (size_t)snprintf(got.text + len, sizeof got.text - len, " %s",
					names[got.kind[id]]);
	}
	snprintf(got.text + len, sizeof got.text - len, "%s",
		 rc == SOURCE_ERROR ? " error" : "");
	return got.text;
}

/* ---- the account ---- */

static void test_log_in(void **state)
{
	(void)state;
	for (int plain = 0; plain < 2; plain++) {
		imapd_init(&server);
		server.auth_plain = plain;
		start();
		conf.password.where = (char *)(uintptr_t) "wrong";
		assert_int_equal(account_connect(account, &e), -1);
		check_error(ERR_SERVER, ERR_AUTH, "AUTHENTICATIONFAILED");
		assert_true(account->refused);
		assert_false(account->connected);
		conf.password.where = (char *)(uintptr_t) "pass";
		ok(account_connect(account, &e));
		assert_true(account->connected);
		stop_server();
	}
}

static int64_t time_ms, leap; /* of a clock that goes on by this whenever it is read */

static int64_t leaping(void)
{
	return time_ms += leap;
}

static void no_pause(int ms)
{
	(void)ms;
}

/* Connect with little patience to a server that refuses. */
static void check_slow(int patience, int64_t ms, const char *password, bool slow)
{
	const struct clock_source clock = {leaping, leaping, no_pause};

	leap = ms;
	account->patience = patience;
	conf.password.where = (char *)(uintptr_t)password;
	clock_use(&clock);
	assert_int_equal(account_connect(account, &e), -1);
	clock_use(NULL);
	assert_int_equal(e.scope, ERR_SERVER);
	assert_int_equal(account->slow, slow);
}

/* Slow is what failed after all of a patience that was less than the configuration's. */
static void test_patience(void **state)
{
	(void)state;
	start();
	server.refuse = "LOGIN"; /* [UNAVAILABLE] */
	check_slow(50, 50 * 1000, "pass", true);
	check_slow(50, 0, "pass", false);
	check_slow(60, 60 * 1000, "pass", false);
	check_slow(0, 60 * 1000, "pass", false);
	server.refuse = NULL;
	check_slow(50, 50 * 1000, "wrong", false); /* more patience would not help */
	assert_int_equal(e.kind, ERR_AUTH);
}

/* After the connection broke the account is connected again, and the source made anew. */
static void test_connect_again(void **state)
{
	struct ranges found = {0};

	(void)state;
	open_box(3);
	server.cut = "UID SEARCH";
	assert_int_equal(source_list(src, 1, UINT32_MAX, &found, &e), -1);
	check_error(ERR_SERVER, ERR_TEMPORARY, "closed the connection");
	open_again();
	ok(source_list(src, 1, UINT32_MAX, &found, &e));
	assert_string_equal(fake_ranges(&found), "1:3");
	ranges_free(&found);
}

static void test_conf(void **state)
{
	(void)state;
	start();
	mailbox.seen_only = mailbox.proof = true;
	mailbox.hold = 77;
	connect_source();
	assert_string_equal(src->account, "a");
	assert_string_equal(src->mailbox, "INBOX");
	assert_int_equal(src->class, CLASS_SPAM);
	assert_true(src->seen_only && src->proof && src->dated && src->expires);
	assert_null(src->owner);
	assert_int_equal(src->hold, 77);
	/* Its user's own: the reporter is whose log-in it is, and dates are not the report's.
	 */
	mailbox.keep = CONF_KEEP_YES;
	mailbox.class = CLASS_HAM;
	mailbox.seen_only = mailbox.proof = mailbox.expire = false;
	connect_source();
	assert_int_equal(src->class, CLASS_HAM);
	assert_false(src->seen_only || src->proof || src->dated || src->expires);
	assert_string_equal(src->owner, "a"); /* a user without a domain may be anybody's */
	conf.reporter = (char *)(uintptr_t) "r@x";
	connect_source();
	assert_string_equal(src->owner, "r@x");
	mailbox.keep = CONF_KEEP_NO;
	mailbox.trusted = CONF_KEEP_YES;
	connect_source();
	assert_false(src->dated);
}

/* ---- open ---- */

static void test_open_sets(void **state)
{
	(void)state;
	open_box(3);
	assert_int_equal(src->identity, 7);
	assert_int_equal(src->next, 4);
	assert_int_equal(src->count, 3);
	assert_int_equal(src->version, server.inbox.modseq);
	assert_null(src->folder);
	server.no_uidnext = server.no_condstore = true;
	connect_source();
	imapd_log_clear(&server);
	ok(source_open(src, true, &e));
	log_is("EXAMINE \"INBOX\"; ");
	assert_int_equal(src->next, 0);
	assert_int_equal(src->version, 0);
}

static void test_open_refused(void **state)
{
	(void)state;
	start();
	mailbox.name = (char *)(uintptr_t) "Trahs";
	connect_source();
	assert_int_equal(source_open(src, true, &e), -1);
	check_error(ERR_MAILBOX, ERR_CONFIG, "most like it: \"Trash\"; correct");
	server.refuse = "EXAMINE"; /* it is there, and not to be had */
	mailbox.name = (char *)(uintptr_t) "Trash";
	connect_source();
	assert_int_equal(source_open(src, true, &e), -1);
	check_error(ERR_MAILBOX, ERR_UNREACHABLE, "EXAMINE refused: [UNAVAILABLE] not now");
	server.refuse = "EXAMINE \"Trahs\"";
	server.cut = "LIST";
	mailbox.name = (char *)(uintptr_t) "Trahs";
	connect_source();
	assert_int_equal(source_open(src, true, &e), -1);
	check_error(ERR_SERVER, ERR_TEMPORARY, "closed the connection");
	server.cut = "EXAMINE";
	connect_source();
	assert_int_equal(source_open(src, true, &e), -1);
	check_error(ERR_SERVER, ERR_TEMPORARY, "closed the connection");
	server.no_validity = true;
	mailbox.name = (char *)(uintptr_t) "INBOX";
	connect_source();
	assert_int_equal(source_open(src, true, &e), -1);
	check_error(ERR_MAILBOX, ERR_PROTOCOL, "no UIDVALIDITY");
	mailbox.name = (char *)(uintptr_t) "\xFF";
	connect_source();
	assert_int_equal(source_open(src, true, &e), -1);
	check_error(ERR_MAILBOX, ERR_CONFIG, "cannot be a mailbox name");
}

static void test_open_special_use(void **state)
{
	(void)state;
	server.inbox.name = "Gel&APY-scht";
	server.inbox.use = "\\Junk";
	deliver(1);
	start();
	mailbox.name = (char *)(uintptr_t) "\\Junk";
	mailbox.special_use = true;
	connect_source();
	ok(source_open(src, true, &e));
	assert_string_equal(src->folder, "Gel\xC3\xB6scht");
	assert_string_equal(src->mailbox, "\\Junk");
	fake_events_have(imapd_log(&server), "EXAMINE \"Gel&APY-scht\"");
	server.refuse = "EXAMINE";
	connect_source();
	assert_int_equal(source_open(src, true, &e), -1);
	check_error(ERR_MAILBOX, ERR_UNREACHABLE, "EXAMINE refused");
	mailbox.name = (char *)(uintptr_t) "\\Archive";
	connect_source();
	assert_int_equal(source_open(src, true, &e), -1);
	check_error(ERR_MAILBOX, ERR_CONFIG, "no mailbox has the special use \\Archive");
}

static void test_read_only(void **state)
{
	(void)state;
	server.read_only = true;
	open_box(1);
	assert_true(src->read_only);
	assert_false(src->can_mark);
}

/* What could be done, where it is opened for reading only: by its rights. */
static void check_rights(const char *rights, bool mark, bool remove)
{
	const struct source_removal how = {.move_to = NULL};

	server.rights = rights;
	connect_source();
	ok(source_open(src, true, &e));
	assert_true(src->read_only);
	assert_int_equal(src->can_mark, mark);
	assert_int_equal(source_can_remove(src, &how, &e), remove ? 0 : -1);
	if (!remove)
		check_error(ERR_MAILBOX, ERR_CONFIG, "no right to delete");
}

static void test_rights(void **state)
{
	(void)state;
	deliver(1);
	start();
	check_rights("lrswite", true, true);
	check_rights("lrsitd", false, true); /* RFC 2086 */
	check_rights("lrswit", true, false);
	check_rights("lrswie", true, false);
	check_rights("", true, true); /* it will not say */
	server.cut = "MYRIGHTS";
	connect_source();
	assert_int_equal(source_open(src, true, &e), -1);
	assert_int_equal(e.scope, ERR_SERVER);
}

static void test_list_lies(void **state)
{
	struct ranges found = {0};

	(void)state;
	server.search_lies = true;
	for (int i = 0; i < 2; i++) {
		setup(NULL);
		server.search_lies = true;
		server.no_esearch = i;
		open_box(3);
		assert_int_equal(source_list(src, 1, UINT32_MAX, &found, &e), -1);
		check_error(ERR_SERVER, ERR_PROTOCOL, "more messages than it has");
		stop_server();
	}
	ranges_free(&found);
}

/* ---- bodies ---- */

/* More than fit into a batch, or into the metadata of one command. */
static void test_many(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		setup(NULL);
		server.backwards = i & 1;
		server.twice = i & 2;
		open_box(600);
		imapd_expunge(&server, 257);
		imapd_expunge(&server, 300);
		want(1, 700, &everything, false);
		assert_string_equal(taken(), "1:256 body, 257 gone, 258:299 body, 300 gone, "
					     "301:600 body, 601:700 gone");
		assert_int_equal(got.n, 700);
		/* A slice, or what is left of it, is not asked for message by message. */
		assert_in_range(logged("BODY.PEEK[]"), 600 / 64, 600 / 16);
		assert_int_equal(logged("RFC822.SIZE"), 3);
		for (size_t m = 0; m < server.inbox.n; m++)
			assert_int_equal(server.inbox.message[m].flags, IMAPD_SEEN);
		assert_int_equal(source_next_size(src), 0);
		assert_int_equal(source_owed(src), 0);
		stop_server();
	}
}

/* The server never waits for us: two batches, and what comes behind this slice, are asked for.
 */
static void test_ahead(void **state)
{
	const int64_t patient = clock_ms() + 60 * 1000;

	(void)state;
	open_box(300);
	want(1, 300, &everything, false);
	forget();
	assert_int_equal(take_one(), SOURCE_MESSAGE);
	while (logged("BODY.PEEK[]") < 2 || logged("UID FETCH 257:300 (UID FLAGS") < 1) {
		assert_true(clock_ms() < patient);
		sched_yield();
	}
	assert_int_equal(logged("BODY.PEEK[]"), 2);
}

/* Nobody's mail is marked as read by us. */
static void test_stays_unseen(void **state)
{
	(void)state;
	open_box(2);
	message(1)->flags = 0;
	want(1, 2, &everything, false);
	assert_string_equal(taken(), "1:2 body");
	assert_int_equal(message(1)->flags, 0);
}

/* Alone: the next one is asked for only when the one before has come. */
static void test_alone(void **state)
{
	(void)state;
	open_box(5);
	want(1, 5, &everything, true);
	forget();
	for (uint32_t id = 1; id <= 5; id++) {
		assert_int_equal(take_one(), SOURCE_MESSAGE);
		assert_true(got.came[id]);
		assert_int_equal(logged("BODY.PEEK[]"), id);
		assert_int_equal(source_next_size(src), id < 5 ? strlen(bodies[id % 5]) : 0);
	}
	assert_int_equal(take_one(), SOURCE_END);
	fake_events_have(imapd_log(&server), "UID FETCH 1 (UID BODY.PEEK[]); UID FETCH 2 ");
}

/* A batch takes no more bytes than are worth it; one message may. */
static void test_batch_bytes(void **state)
{
	(void)state;
	open_box(6);
	for (uint32_t id = 1; id <= 6; id++)
		message(id)->size = 200 * 1024; /* lines are counted otherwise than they come */
	message(2)->size = 900 * 1024;
	want(1, 6, &everything, false);
	assert_string_equal(taken(), "1:6 unreadable"); /* and less than half of it came */
	fake_events_have(imapd_log(&server), "UID FETCH 1 (UID BODY.PEEK[]); ");
	fake_events_have(imapd_log(&server), "UID FETCH 2 (UID BODY.PEEK[]); ");
	fake_events_have(imapd_log(&server), "UID FETCH 3:4 (UID BODY.PEEK[]); ");
	fake_events_have(imapd_log(&server), "UID FETCH 5:6 (UID BODY.PEEK[]); ");
}

/* A refused batch is asked for one by one; what is refused then cannot be read. */
static void test_refused_one(void **state)
{
	(void)state;
	for (int backwards = 0; backwards < 2; backwards++) {
		setup(NULL);
		server.backwards = backwards;
		open_box(5);
		message(3)->how = IMAPD_REFUSE;
		want(1, 5, &everything, false);
		assert_string_equal(taken(), "1:2 body, 3 unreadable, 4:5 body");
		assert_string_equal(got.words, "[SERVERBUG] cannot be read\\x1b");
		fake_events_in_order(imapd_log(&server), "UID FETCH 1:5 (UID BODY.PEEK[])",
				     "UID FETCH 3 (UID BODY.PEEK[])");
		/* What came before the refusal is not asked for again. */
		assert_int_equal(logged("FETCH 1 ("), backwards);
		assert_int_equal(logged("FETCH 5 ("), !backwards);
		stop_server();
	}
}

/* The fewest that are a batch: the other one is readable. */
static void test_refused_of_two(void **state)
{
	(void)state;
	open_box(2);
	for (uint32_t uid = 1; uid <= 2; uid++) {
		message(uid)->how = IMAPD_REFUSE;
		want(1, 2, &everything, false);
		assert_string_equal(taken(),
				    uid == 1 ? "1 unreadable, 2 body" : "1 body, 2 unreadable");
		message(uid)->how = IMAPD_GIVE;
	}
}

/* In batches that are both on their way. */
static void test_refused_in_both(void **state)
{
	(void)state;
	open_box(128);
	message(10)->how = message(100)->how = IMAPD_REFUSE;
	want(1, 128, &everything, false);
	assert_string_equal(
	    taken(), "1:9 body, 10 unreadable, 11:99 body, 100 unreadable, 101:128 body");
}

static void refuse(uint32_t first, uint32_t last)
{
	for (uint32_t id = first; id <= last; id++)
		message(id)->how = IMAPD_REFUSE;
}

/* Five in a row are the mailbox's fault; one that comes in between is none. */
static void test_refused_all(void **state)
{
	(void)state;
	open_box(9);
	refuse(1, 4);
	refuse(6, 9);
	want(1, 9, &everything, false);
	assert_string_equal(taken(), "1:4 unreadable, 5 body, 6:9 unreadable");
	refuse(5, 5);
	open_again();
	want(5, 9, &everything, true);
	assert_string_equal(taken(), "5:8 unreadable error");
	check_error(ERR_MAILBOX, ERR_TEMPORARY, "does not give messages: [SERVERBUG]");
}

static void test_refused_metadata(void **state)
{
	(void)state;
	open_box(3);
	server.refuse = "UID FETCH 1:3 (UID FLAGS";
	want(1, 3, &everything, false);
	assert_string_equal(taken(), " error");
	check_error(ERR_MAILBOX, ERR_TEMPORARY, "does not give messages: [UNAVAILABLE]");
}

/* Not given, or not what was announced. */
static void test_bodies_of_all_kinds(void **state)
{
	static const struct {
		int how;
		const char *want, *words;
	} cases[] = {
	    {IMAPD_OMIT, "1 body, 2 gone, 3 body", ""},
	    {IMAPD_NIL, "1 body, 2 unreadable, 3 body",
	     "the mail server gave 0 bytes of a message of 24"},
	    {IMAPD_EMPTY, "1 body, 2 unreadable, 3 body",
	     "the mail server gave 0 bytes of a message of 24"},
	    {IMAPD_SHORT, "1 body, 2 unreadable, 3 body",
	     "the mail server gave 4 bytes of a message of 24"},
	};

	(void)state;
	open_box(3);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int alone = 0; alone < 2; alone++) {
			message(2)->how = cases[i].how;
			want(1, 3, &everything, alone);
			assert_string_equal(taken(), cases[i].want);
			assert_string_equal(got.words, cases[i].words);
		}
	message(2)->how = IMAPD_QUOTED;
	message(2)->body = "Subject: quoted";
	message(2)->size = 15;
	want(1, 3, &everything, false);
	assert_string_equal(taken(), "1:3 body");
	/* Nothing is all there is of a message that is announced so. */
	message(2)->body = "";
	message(2)->size = 0;
	message(2)->how = IMAPD_EMPTY;
	want(1, 3, &everything, false);
	assert_string_equal(taken(), "1:3 body");
}

/* What Courier gives instead of a message that it cannot open, and a user's mail like it. */
static void test_placeholder(void **state)
{
	static const char courier[] = "From: System Administrator <root@localhost>\r\n"
				      "Subject: message unavailable\r\n\r\n"
				      "This message is no longer available on the server.\r\n";
	char other[sizeof courier];

	(void)state;
	memcpy(other, courier, sizeof courier);
	other[0]++;
	imapd_deliver(&server, courier, DATE, 0);
	imapd_deliver(&server, other, DATE, 0);
	imapd_deliver(&server, courier + 1, DATE, 0);
	imapd_deliver(&server, "x", DATE, 0);
	imapd_deliver(&server, "", DATE, 0)->size = 1;
	open_box(0);
	want(1, 5, &everything, false);
	assert_string_equal(taken(), "1 unreadable, 2:4 body, 5 unreadable");
}

/* RFC822.SIZE is not exact everywhere. */
static void test_sizes(void **state)
{
	const struct source_filter f = {.max_size = 30, .newest = INT64_MAX};
	const uint32_t len = (uint32_t)strlen(bodies[0]); /* 23 */

	(void)state;
	open_box(1);
	message(1)->size = 2 * len + 1; /* half of it, rounded down, is enough */
	want(1, 1, &everything, false);
	assert_string_equal(taken(), "1 body");
	message(1)->size = 2 * len + 2;
	want(1, 1, &everything, false);
	assert_string_equal(taken(), "1 unreadable");
	message(1)->size = 31; /* announced above the limit: not asked for */
	imapd_log_clear(&server);
	want(1, 1, &f, false);
	assert_string_equal(taken(), "1 large");
	assert_int_equal(logged("BODY"), 0);
	message(1)->size = 3; /* above it, and not announced */
	message(1)->body = "Subject: a body that is longer than thirty bytes\r\n\r\n";
	want(1, 1, &f, false);
	assert_string_equal(taken(), "1 large");
	assert_int_equal(logged("BODY"), 1);
}

/* ---- what is not fetched ---- */

static void test_unread(void **state)
{
	struct source_filter f = everything;

	(void)state;
	open_box(4);
	message(2)->flags = IMAPD_FLAGGED;
	message(3)->flags = 0;
	f.read_only_counts = true;
	want(1, 4, &f, false);
	assert_string_equal(taken(), "1 body, 2:3 unread, 4 body");
	/* Bodies are asked for in one command as far as they stand in line. */
	fake_events_have(imapd_log(&server), "UID FETCH 1 (UID BODY.PEEK[]); ");
	fake_events_have(imapd_log(&server), "UID FETCH 4 (UID BODY.PEEK[]); ");
	assert_int_equal(logged("BODY"), 2);
}

static void test_believe_marks(void **state)
{
	static const struct {
		unsigned flags;
		enum outcome spam, ham;
	} cases[] = {
	    {0, OUTCOME_NONE, OUTCOME_NONE},
	    {IMAPD_SPAM, OUTCOME_KNOWN, OUTCOME_NONE},
	    {IMAPD_HAM, OUTCOME_NONE, OUTCOME_KNOWN},
	    {IMAPD_SKIPPED, OUTCOME_SKIPPED, OUTCOME_SKIPPED},
	    {IMAPD_SPAM | IMAPD_SKIPPED, OUTCOME_KNOWN, OUTCOME_NONE},
	    {IMAPD_HAM | IMAPD_SKIPPED, OUTCOME_NONE, OUTCOME_KNOWN},
	    {IMAPD_SPAM | IMAPD_HAM, OUTCOME_NONE, OUTCOME_NONE},
	    {IMAPD_SPAM | IMAPD_HAM | IMAPD_SKIPPED, OUTCOME_NONE, OUTCOME_NONE},
	};
	const uint32_t n = sizeof cases / sizeof *cases;
	struct source_filter f = everything;

	(void)state;
	open_box(n);
	for (uint32_t i = 0; i < n; i++)
		message(i + 1)->flags = cases[i].flags;
	for (int ham = 0; ham < 2; ham++) {
		mailbox.class = ham ? CLASS_HAM : CLASS_SPAM;
		open_again();
		f.believe_marks = true;
		want(1, n, &f, false);
		taken();
		for (uint32_t i = 0; i < n; i++) {
			enum outcome o = ham ? cases[i].ham : cases[i].spam;

			assert_int_equal(got.kind[i + 1],
					 o == OUTCOME_NONE ? MESSAGE_BODY : MESSAGE_MARKED);
			assert_int_equal(got.mark[i + 1], o);
		}
		f.believe_marks = false;
		want(1, n, &f, false);
		assert_string_equal(taken(), "1:8 body");
	}
}

static void test_newest(void **state)
{
	struct source_filter f = everything;

	(void)state;
	open_box(4); /* dated DATE, DATE + 1 ... */
	message(3)->date = 0;
	want(1, 4, &f, false);
	assert_string_equal(taken(), "1:4 body");
	f.newest = DATE + 1;
	want(1, 4, &f, false);
	assert_string_equal(taken(), "1:2 body, 3:4 held"); /* 3 may have come just now */
}

/* ---- a connection that ends in a body ---- */

static void check_cut(uint32_t uid, bool alone)
{
	char named[64];

	message(uid)->how = IMAPD_CUT;
	want(1, 5, &everything, alone);
	forget();
	for (uint32_t id = 1; id < uid; id++)
		assert_int_equal(take_one(), SOURCE_MESSAGE);
	assert_int_equal(take_one(), SOURCE_ERROR);
	snprintf(named, sizeof named, "(message UID %u)", uid);
	check_error(ERR_SERVER, ERR_TEMPORARY, named);
	assert_int_equal(source_owed(src), uid);
	for (uint32_t id = 1; id <= 5; id++)
		assert_int_equal(got.came[id], id < uid);
	open_again();
	assert_int_equal(source_owed(src), 0);
	want(uid, 5, &everything, alone);
	while (take_one() == SOURCE_MESSAGE)
		;
	assert_int_equal(got.n, 5);
}

static void test_owed(void **state)
{
	(void)state;
	open_box(5);
	for (uint32_t uid = 1; uid <= 5; uid++) {
		check_cut(uid, false);
		check_cut(uid, true);
	}
	/* Not named by the server before it breaks, and yet known: there is only one. */
	server.backwards = true;
	message(2)->how = IMAPD_CUT;
	want(2, 2, &everything, true);
	assert_int_equal(take_one(), SOURCE_ERROR);
	assert_int_equal(source_owed(src), 2);
}

/* ---- look ---- */

static char looked[4096];

static int note_sight(void *ctx, const struct source_sight *sight, struct err *err)
{
	size_t len = strlen(looked);

	(void)ctx, (void)err;
	snprintf(looked + len, sizeof looked - len, "%u%s%s%s; ", sight->id,
		 sight->marks ? " marked" : "", sight->flagged ? " flagged" : "",
		 sight->deleted ? " deleted" : "");
	return 0;
}

static int look(uint32_t first, uint32_t last)
{
	struct ranges ids = {0};
	int rc;

	looked[0] = '\0';
	ok(ranges_add(&ids, first, last, &e));
	rc = source_look(src, &ids, note_sight, NULL, &e);
	ranges_free(&ids);
	return rc;
}

/* Flags of the first message, without a UID, alone, and a message that nobody asked for. */
static void test_look_unsolicited(void **state)
{
	(void)state;
	server.chatty = true;
	open_box(4);
	message(1)->flags = IMAPD_DELETED | IMAPD_HAM;
	message(3)->flags = IMAPD_FLAGGED | IMAPD_SKIPPED;
	ok(look(2, IMAPD_ABSENT - 1));
	assert_string_equal(looked, "2; 3 marked flagged; 4; ");
	ok(look(1, 2)); /* once: its flags alone are no sight */
	assert_string_equal(looked, "1 marked deleted; 2; ");
}

static void test_look_refused(void **state)
{
	(void)state;
	open_box(3);
	server.refuse = "UID FETCH";
	assert_int_equal(look(1, 3), -1);
	check_error(ERR_MAILBOX, ERR_UNREACHABLE, "refused: [UNAVAILABLE] not now");
	server.refuse = NULL;
	server.cut = "UID FETCH";
	assert_int_equal(look(1, 3), -1);
	check_error(ERR_SERVER, ERR_TEMPORARY, "closed the connection");
}

/* Refused, and some are gone, which may be why: those that are left, once more. */
static void test_look_at_what_is_left(void **state)
{
	(void)state;
	open_box(5);
	imapd_expunge(&server, 3);
	server.refuse = "UID FETCH 1:4 ";
	ok(look(1, 4));
	assert_string_equal(looked, "1; 2; 4; ");
	server.refuse = "UID FETCH ";
	assert_int_equal(look(1, 4), -1);
	assert_int_equal(e.scope, ERR_MAILBOX);
	imapd_expunge(&server, 4);
	imapd_expunge(&server, 5);
	ok(look(3, 5)); /* nobody is left to ask for */
	assert_string_equal(looked, "");
}

/* ---- marks ---- */

static bool mark(uint32_t first, uint32_t last, enum mail_class class, enum outcome outcome)
{
	struct ranges ids = {0};
	bool held = false;

	ok(ranges_add(&ids, first, last, &e));
	ok(source_mark(src, &ids, class, outcome, &held, &e));
	assert_int_equal(ids.n, held ? 0 : ids.n);
	ranges_free(&ids);
	return held;
}

static void test_mark(void **state)
{
	(void)state;
	server.strict = true;
	open_box(5);
	message(2)->flags = IMAPD_SEEN | IMAPD_HAM;
	message(3)->flags = IMAPD_FLAGGED | IMAPD_SKIPPED | IMAPD_HAM;
	message(4)->flags = IMAPD_HAM;
	assert_true(mark(1, 3, CLASS_SPAM, OUTCOME_LEARNED));
	log_is("UID STORE 1:3 +FLAGS ($LearnedSpam); "
	       "UID STORE 2:3 -FLAGS.SILENT ($LearnedHam); "
	       "UID STORE 3 -FLAGS.SILENT ($LearnSkipped); ");
	assert_int_equal(message(1)->flags, IMAPD_SEEN | IMAPD_SPAM);
	assert_int_equal(message(2)->flags, IMAPD_SEEN | IMAPD_SPAM);
	assert_int_equal(message(3)->flags, IMAPD_FLAGGED | IMAPD_SPAM);
	assert_int_equal(message(4)->flags, IMAPD_HAM);
	imapd_log_clear(&server);
	assert_true(mark(1, 3, CLASS_SPAM, OUTCOME_KNOWN)); /* nothing to take off */
	log_is("UID STORE 1:3 +FLAGS ($LearnedSpam); ");
	assert_true(mark(1, 1, CLASS_SPAM, OUTCOME_ENCRYPTED));
	assert_int_equal(message(1)->flags, IMAPD_SEEN | IMAPD_SKIPPED);
	assert_true(mark(1, 1, CLASS_HAM, OUTCOME_LEARNED));
	assert_int_equal(message(1)->flags, IMAPD_SEEN | IMAPD_HAM);
}

/* Sets that do not fit into one command: of too many messages, or too long. */
static void test_mark_many(void **state)
{
	struct ranges even = {0};
	bool held;

	(void)state;
	open_box(3000);
	for (uint32_t uid = 2; uid <= 3000; uid += 2)
		message(uid)->flags = IMAPD_HAM;
	assert_true(mark(1, 3000, CLASS_SPAM, OUTCOME_LEARNED));
	for (uint32_t uid = 1; uid <= 3000; uid++)
		assert_int_equal(message(uid)->flags & ~(unsigned)IMAPD_SEEN, IMAPD_SPAM);
	assert_int_equal(logged("+FLAGS"), 3);
	for (uint32_t uid = 1002; uid <= 3000; uid += 2)
		ok(ranges_add(&even, uid, uid, &e));
	ok(source_mark(src, &even, CLASS_HAM, OUTCOME_LEARNED, &held, &e));
	for (uint32_t uid = 1; uid <= 3000; uid++)
		assert_int_equal(message(uid)->flags & ~(unsigned)IMAPD_SEEN,
				 uid > 1000 && uid % 2 == 0 ? IMAPD_HAM : IMAPD_SPAM);
	assert_true(held);
	ranges_free(&even);
}

/* The version after our own marks is no news, but where others' flags count it stays. */
static void test_mark_version(void **state)
{
	uint64_t before;

	(void)state;
	open_box(2);
	assert_true(mark(1, 2, CLASS_SPAM, OUTCOME_LEARNED));
	assert_int_equal(src->version, server.inbox.modseq);
	mailbox.seen_only = true;
	open_again();
	before = src->version;
	assert_true(mark(1, 2, CLASS_HAM, OUTCOME_LEARNED));
	assert_int_equal(src->version, before);
	assert_true(server.inbox.modseq > before);
}

/* A mailbox that takes no keywords, as it says at once or only when it is asked. */
static void test_mark_refused(void **state)
{
	(void)state;
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	open_box(3);
	server.few_keywords = true;
	assert_false(mark(1, 3, CLASS_SPAM, OUTCOME_LEARNED));
	assert_false(src->can_mark);
	imapd_log_clear(&server);
	assert_false(mark(1, 3, CLASS_SPAM, OUTCOME_LEARNED)); /* not asked again */
	log_is("");
	open_again();
	assert_false(src->can_mark);
	assert_false(src->read_only);
	assert_false(mark(1, 3, CLASS_SPAM, OUTCOME_LEARNED));
	log_is("");
}

/* Another mark can be put on, but not be taken off. */
static void test_mark_stays(void **state)
{
	(void)state;
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	open_box(3);
	message(2)->flags = IMAPD_HAM;
	server.refuse = "UID STORE 2 -FLAGS";
	assert_false(mark(1, 3, CLASS_SPAM, OUTCOME_LEARNED));
	assert_false(src->can_mark);
}

static void test_mark_cut(void **state)
{
	struct ranges ids = {0};
	bool held;

	(void)state;
	open_box(3);
	server.cut = "UID STORE";
	ok(ranges_add(&ids, 1, 3, &e));
	assert_int_equal(source_mark(src, &ids, CLASS_SPAM, OUTCOME_LEARNED, &held, &e), -1);
	check_error(ERR_SERVER, ERR_TEMPORARY, "closed the connection");
	ranges_free(&ids);
}

/* ---- removal ---- */

static const struct source_removal deletion = {.move_to = NULL}, moving = {.move_to = "Trash"},
				   imprecise = {.move_to = NULL, .imprecise = true},
				   imprecise_moving = {.move_to = "Trash", .imprecise = true};

static int remove_ids(uint32_t first, uint32_t last, const struct source_removal *how)
{
	struct ranges ids = {0};
	int rc;

	ok(ranges_add(&ids, first, last, &e));
	rc = source_remove(src, &ids, how, &e);
	ranges_free(&ids);
	return rc;
}

/* "1,4:5" */
static const char *uids_in(const struct imapd_box *b)
{
	struct ranges r = {0};
	const char *text;

	for (size_t i = 0; i < b->n; i++)
		ok(ranges_add(&r, b->message[i].uid, b->message[i].uid, &e));
	text = fake_ranges(&r);
	ranges_free(&r);
	return text;
}

/* How often this body is in Trash. */
static size_t copies(uint32_t uid)
{
	size_t n = 0;

	for (size_t i = 0; i < server.trash.n; i++)
		n += server.trash.message[i].body == bodies[uid - 1];
	return n;
}

static void test_remove(void **state)
{
	(void)state;
	open_box(5);
	message(4)->flags |= IMAPD_DELETED; /* somebody else's */
	ok(source_can_remove(src, &deletion, &e));
	ok(remove_ids(2, 3, &deletion));
	log_is("UID STORE 2:3 +FLAGS.SILENT (\\Deleted); UID EXPUNGE 2:3; ");
	assert_string_equal(uids_in(&server.inbox), "1,4:5");
	assert_int_equal(server.trash.n, 0);
}

/* Without UIDPLUS: only where it is allowed, and nobody else marked anything. */
static void test_remove_imprecise(void **state)
{
	(void)state;
	server.no_uidplus = true;
	open_box(5);
	assert_int_equal(source_can_remove(src, &deletion, &e), -1);
	check_error(ERR_MAILBOX, ERR_CONFIG, "without-uidplus = true");
	log_is("");
	ok(source_can_remove(src, &imprecise, &e));
	ok(remove_ids(2, 3, &imprecise));
	assert_string_equal(uids_in(&server.inbox), "1,4:5");
	message(4)->flags |= IMAPD_DELETED;
	assert_int_equal(remove_ids(5, 5, &imprecise), -1);
	check_error(ERR_MAILBOX, ERR_TEMPORARY, "somebody else marked messages as deleted");
	assert_int_equal(message(5)->flags & IMAPD_DELETED, 0); /* found before it was marked */
	ok(remove_ids(4, 5, &imprecise));			/* all that is marked is ours */
	assert_string_equal(uids_in(&server.inbox), "1");
}

/* Somebody marks another one between our look and the EXPUNGE. */
static void test_remove_meddled(void **state)
{
	(void)state;
	server.no_uidplus = true;
	server.meddle = 5;
	open_box(5);
	assert_int_equal(remove_ids(2, 3, &imprecise), -1);
	check_error(ERR_MAILBOX, ERR_TEMPORARY, "somebody else marked messages as deleted");
	assert_string_equal(uids_in(&server.inbox), "1:5");
	assert_int_equal(logged("EXPUNGE"), 0);
}

static void check_moved(void)
{
	assert_string_equal(uids_in(&server.inbox), "1,4:5");
	assert_int_equal(server.trash.n, 2);
	assert_int_equal(copies(2), 1);
	assert_int_equal(copies(3), 1);
}

static void test_move(void **state)
{
	(void)state;
	server.no_uidplus = true; /* which MOVE does not need */
	open_box(5);
	message(4)->flags |= IMAPD_DELETED;
	ok(source_can_remove(src, &moving, &e));
	ok(remove_ids(2, 3, &moving));
	fake_events_have(imapd_log(&server), "UID MOVE 2:3 \"Trash\"; ");
	assert_int_equal(logged("STORE") + logged("EXPUNGE") + logged("COPY"), 0);
	check_moved();
}

static void test_move_by_copy(void **state)
{
	(void)state;
	server.no_move = true;
	open_box(5);
	message(4)->flags |= IMAPD_DELETED;
	ok(source_can_remove(src, &moving, &e));
	ok(remove_ids(2, 3, &moving));
	fake_events_have(imapd_log(&server),
			 "UID COPY 2:3 \"Trash\"; UID STORE 2:3 +FLAGS.SILENT "
			 "(\\Deleted); UID EXPUNGE 2:3; ");
	check_moved();
}

static void test_move_by_copy_imprecise(void **state)
{
	(void)state;
	server.no_move = server.no_uidplus = true;
	open_box(5);
	assert_int_equal(source_can_remove(src, &moving, &e), -1);
	check_error(ERR_MAILBOX, ERR_CONFIG, "without-uidplus = true");
	ok(source_can_remove(src, &imprecise_moving, &e));
	ok(remove_ids(2, 3, &imprecise_moving));
	check_moved();
}

static void test_move_nowhere(void **state)
{
	const struct source_removal nowhere = {.move_to = "Nowhere"},
				    unnamed = {.move_to = "\xFF"};

	(void)state;
	open_box(2);
	assert_int_equal(source_can_remove(src, &nowhere, &e), -1);
	check_error(ERR_MAILBOX, ERR_CONFIG, "cannot move mail to \"Nowhere\"");
	assert_int_equal(source_can_remove(src, &unnamed, &e), -1);
	check_error(ERR_MAILBOX, ERR_CONFIG, "cannot be the name of a mailbox");
	server.cut = "STATUS";
	assert_int_equal(source_can_remove(src, &moving, &e), -1);
	check_error(ERR_SERVER, ERR_TEMPORARY, "closed the connection");
	open_again();
	server.no_move = true;
	server.refuse = "UID COPY"; /* then nothing is deleted */
	connect_source();
	ok(source_open(src, false, &e));
	assert_int_equal(remove_ids(1, 2, &moving), -1);
	assert_int_equal(e.scope, ERR_MAILBOX);
	assert_string_equal(uids_in(&server.inbox), "1:2");
	assert_int_equal(message(1)->flags & IMAPD_DELETED, 0);
}

/* Those of first..last that were copied behind end: "2:3". */
static const char *copied(uint32_t first, uint32_t last, uint64_t end)
{
	struct ranges ids = {0}, there = {0};
	const char *text;

	ok(ranges_add(&ids, first, last, &e));
	ok(source_copied(src, &ids, &moving, end, &there, &e));
	text = fake_ranges(&there);
	ranges_free(&ids);
	ranges_free(&there);
	return text;
}

/* What an earlier run began: what was copied is only removed. */
static void resume(const struct source_removal *how, uint64_t end)
{
	const struct source_removal here = {.move_to = NULL, .imprecise = how->imprecise};
	struct ranges ids = {0}, there = {0}, left = {0};

	ok(ranges_add(&ids, 2, 3, &e));
	if (end)
		ok(source_copied(src, &ids, how, end, &there, &e));
	ok(ranges_minus(&ids, &there, &left, &e));
	ok(source_remove(src, &there, &here, &e));
	ok(source_remove(src, &left, how, &e));
	ranges_free(&ids);
	ranges_free(&there);
	ranges_free(&left);
}

/* Cut at each command, before it is done or behind; then again. Nothing is lost, or twice. */
static void check_resumed(const char *command, bool late, const struct source_removal *how,
			  bool no_uidplus, bool no_move)
{
	uint64_t end = 0;

	setup(NULL);
	server.no_uidplus = no_uidplus;
	server.no_move = no_move;
	open_box(5);
	ok(source_target(src, how, &end, &e));
	assert_int_equal(end != 0, how->move_to && no_move);
	server.cut = command;
	server.cut_late = late;
	assert_int_equal(remove_ids(2, 3, how), -1);
	assert_int_equal(e.scope, ERR_SERVER);
	assert_null(server.cut); /* it came so far */
	assert_true(how->move_to == NULL || imapd_find(&server.inbox, 2) || copies(2) == 1);
	open_again();
	resume(how, end);
	assert_string_equal(uids_in(&server.inbox), "1,4:5");
	for (uint32_t uid = 1; uid <= 5; uid++)
		assert_int_equal(copies(uid), how->move_to && (uid == 2 || uid == 3));
	stop_server();
}

static void test_resumed(void **state)
{
	(void)state;
	for (int late = 0; late < 2; late++) {
		check_resumed("UID STORE", late, &deletion, false, false);
		check_resumed("UID EXPUNGE", late, &deletion, false, false);
		check_resumed("UID STORE", late, &imprecise, true, false);
		check_resumed("EXPUNGE", late, &imprecise, true, false);
		check_resumed("UID MOVE", late, &moving, false, false);
		check_resumed("UID COPY", late, &moving, false, true);
		check_resumed("UID STORE", late, &moving, false, true);
		check_resumed("UID EXPUNGE", late, &moving, false, true);
		check_resumed("UID STORE", late, &imprecise_moving, true, true);
		check_resumed("EXPUNGE", late, &imprecise_moving, true, true);
	}
}

static void copy_to_trash(uint32_t uid)
{
	struct imapd_message m = *message(uid);

	m.uid = server.trash.uidnext++;
	server.trash.message[server.trash.n++] = m;
}

static void test_copied(void **state)
{
	const uint64_t here = (uint64_t)8 << 32 | 1, behind = (uint64_t)8 << 32 | 3,
		       other = (uint64_t)9 << 32 | 1, unknown = (uint64_t)8 << 32;

	(void)state;
	open_box(5);
	copy_to_trash(2);
	copy_to_trash(3);
	copy_to_trash(5);
	message(1)->flags |= IMAPD_DELETED; /* only a message that was copied is */
	assert_string_equal(copied(1, 4, here), "1:3");
	assert_string_equal(copied(3, 5, behind), "5"); /* the copy of 3 was there before */
	assert_string_equal(copied(1, 5, other), "1");	/* another mailbox of that name */
	assert_string_equal(copied(1, 5, unknown), "1");
	assert_string_equal(uids_in(&server.inbox), "1:5");
	assert_false(server.examined); /* and INBOX is open for changes as before */
	assert_true(mark(1, 5, CLASS_SPAM, OUTCOME_LEARNED));
	assert_int_equal(message(5)->flags, IMAPD_SEEN | IMAPD_SPAM);
}

/* Of several that look the same, as many as were copied; those that were come first. */
static void test_copied_twins(void **state)
{
	const uint64_t here = (uint64_t)8 << 32 | 1;

	(void)state;
	for (int twice = 0; twice < 2; twice++) {
		setup(NULL);
		server.twice = twice;
		open_box(5);
		for (uint32_t uid = 2; uid <= 4; uid++) {
			message(uid)->date = DATE;
			message(uid)->size = 24;
			message(uid)->body = bodies[1];
		}
		copy_to_trash(2);
		assert_string_equal(copied(1, 5, here), "2");
		copy_to_trash(3);
		assert_string_equal(copied(1, 5, here), "2:3");
		message(4)->flags |= IMAPD_DELETED;
		assert_string_equal(copied(1, 5, here), "2,4");
		stop_server();
	}
}

/* It is opened again behind that, and must be the same mailbox. */
static void test_copied_anew(void **state)
{
	struct ranges ids = {0}, there = {0};

	(void)state;
	open_box(3);
	copy_to_trash(2);
	server.inbox.uidvalidity++;
	ok(ranges_add(&ids, 1, 3, &e));
	assert_int_equal(source_copied(src, &ids, &moving, (uint64_t)8 << 32 | 1, &there, &e),
			 -1);
	check_error(ERR_MAILBOX, ERR_TEMPORARY, "was made anew");
	ranges_free(&ids);
	ranges_free(&there);
}

static void test_copied_many(void **state)
{
	(void)state;
	open_box(300);
	for (uint32_t uid = 2; uid <= 300; uid += 3)
		copy_to_trash(uid);
	assert_string_equal(copied(1, 10, (uint64_t)8 << 32 | 1), "2,5,8");
	assert_string_equal(copied(290, 300, (uint64_t)8 << 32 | 99), "296,299");
	assert_int_equal(strlen(copied(1, 300, (uint64_t)8 << 32 | 1)),
			 strlen("2,5,8,") + 30 * strlen("11,") + 67 * strlen("101,") - 1);
}

static void test_copied_cut(void **state)
{
	const uint64_t here = (uint64_t)8 << 32 | 1;
	struct ranges ids = {0}, there = {0};

	(void)state;
	open_box(3);
	copy_to_trash(2);
	ok(ranges_add(&ids, 1, 3, &e));
	server.cut = "EXAMINE";
	assert_int_equal(source_copied(src, &ids, &moving, here, &there, &e), -1);
	assert_int_equal(e.scope, ERR_SERVER);
	open_again();
	server.refuse = "EXAMINE"; /* unknown is not "none" */
	assert_int_equal(source_copied(src, &ids, &moving, here, &there, &e), -1);
	assert_int_equal(e.scope, ERR_MAILBOX);
	ranges_free(&ids);
	ranges_free(&there);
}

/* Refused because one is gone: the others are removed all the same; not where none is gone. */
static void test_remove_gone(void **state)
{
	const struct source_removal *const ways[] = {&deletion, &moving, &moving};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		setup(NULL);
		server.jealous = true;
		server.no_move = i == 2;
		open_box(5);
		imapd_expunge(&server, 3);
		ok(remove_ids(2, 4, ways[i]));
		assert_string_equal(uids_in(&server.inbox), "1,5");
		assert_int_equal(server.trash.n, i == 0 ? 0 : 2);
		ok(remove_ids(2, 4, ways[i])); /* all of them are gone */
		server.refuse = "UID ";
		assert_int_equal(remove_ids(5, 5, ways[i]), -1);
		assert_int_equal(e.scope, ERR_MAILBOX);
		stop_server();
	}
}

/* Opened for reading only, on a server without rights: SELECT knows, and is not always asked.
 */
static void test_flags_by_select(void **state)
{
	(void)state;
	server.no_delete = server.no_condstore = true;
	deliver(1);
	start();
	for (uint32_t recent = 0; recent < 2; recent++) {
		server.recent = recent;
		connect_source();
		ok(source_open(src, true, &e));
		imapd_log_clear(&server);
		assert_int_equal(source_can_remove(src, &deletion, &e), recent ? 0 : -1);
		log_is(recent ? "" : "SELECT \"INBOX\"; EXAMINE \"INBOX\"; ");
		assert_true(server.examined);
		(void)source_can_remove(src, &deletion, &e); /* it is known now */
		log_is(recent ? "" : "SELECT \"INBOX\"; EXAMINE \"INBOX\"; ");
	}
}

/* No right to put messages into the mailbox that they move to. */
static void test_rights_of_target(void **state)
{
	(void)state;
	server.rights = "lrswte";
	open_box(1);
	assert_int_equal(source_can_remove(src, &moving, &e), -1);
	check_error(ERR_MAILBOX, ERR_CONFIG, "no right to move mail to \"Trash\"");
	server.rights = "";
	ok(source_can_remove(src, &moving, &e)); /* it will not say */
	server.rights = "i";
	ok(source_can_remove(src, &moving, &e));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_contract, teardown),
	    TEST(test_log_in),
	    TEST(test_patience),
	    TEST(test_connect_again),
	    TEST(test_conf),
	    TEST(test_open_sets),
	    TEST(test_open_refused),
	    TEST(test_open_special_use),
	    TEST(test_read_only),
	    TEST(test_rights),
	    TEST(test_list_lies),
	    TEST(test_many),
	    TEST(test_ahead),
	    TEST(test_stays_unseen),
	    TEST(test_alone),
	    TEST(test_batch_bytes),
	    TEST(test_refused_one),
	    TEST(test_refused_of_two),
	    TEST(test_refused_in_both),
	    TEST(test_refused_all),
	    TEST(test_refused_metadata),
	    TEST(test_bodies_of_all_kinds),
	    TEST(test_placeholder),
	    TEST(test_sizes),
	    TEST(test_unread),
	    TEST(test_believe_marks),
	    TEST(test_newest),
	    TEST(test_owed),
	    TEST(test_look_unsolicited),
	    TEST(test_look_refused),
	    TEST(test_look_at_what_is_left),
	    TEST(test_mark),
	    TEST(test_mark_many),
	    TEST(test_mark_version),
	    TEST(test_mark_refused),
	    TEST(test_mark_stays),
	    TEST(test_mark_cut),
	    TEST(test_remove),
	    TEST(test_remove_imprecise),
	    TEST(test_remove_meddled),
	    TEST(test_move),
	    TEST(test_move_by_copy),
	    TEST(test_move_by_copy_imprecise),
	    TEST(test_move_nowhere),
	    TEST(test_resumed),
	    TEST(test_copied),
	    TEST(test_copied_twins),
	    TEST(test_copied_anew),
	    TEST(test_copied_many),
	    TEST(test_copied_cut),
	    TEST(test_remove_gone),
	    TEST(test_flags_by_select),
	    TEST(test_rights_of_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
