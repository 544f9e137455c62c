/*
 * Each step of a mailbox on a server whose connection ends: at each of its commands, before it
 * is done or behind, and at each byte of its answers; and on one that refuses each of them. The
 * step says so, and names the account; and on a new connection the same step comes to its end.
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

#include "base/log.h"
#include "fake/imapd.h"
#include "fake/memory.h"
#include "fake/source.h"
#include "source/account.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { DATE = 1700000000, MESSAGES = 5 };

static struct imapd server;
static struct conf_mailbox mailbox;
static struct conf_account conf;
static struct account *account;
static struct source *src;
static struct err e;
static bool opens;    /* a step on a source that is not open */
static bool refusing; /* a message may be refused: not all of them come */

static void server_new(unsigned kind)
{
	imapd_init(&server);
	server.no_move = kind & 1;
	server.no_uidplus = kind & 2;
	server.no_esearch = kind & 4;
	server.no_condstore = kind & 4;
	server.rights = kind & 8 ? "lrswited" : NULL;
	server.inbox.use = "\\Junk";
	for (int i = 0; i < MESSAGES; i++)
		imapd_deliver(&server, "Subject: a\r\n\r\nText.\r\n", DATE + i, 0);
	imapd_find(&server.inbox, 2)->flags = IMAPD_HAM;
	imapd_find(&server.inbox, 3)->flags = IMAPD_SKIPPED;
	imapd_start(&server);
	conf = imapd_account(&server, &mailbox);
	account = account_imap(&conf);
	assert_non_null(account);
}

static void server_end(void)
{
	source_close(src);
	src = NULL;
	account_free(account);
	imapd_stop(&server);
}

static void connect_again(void)
{
	source_close(src);
	account_disconnect(account);
	assert_int_equal(account_connect(account, &e), 0);
	src = account_source(account, 0);
	assert_non_null(src);
	if (!opens && source_open(src, false, &e) == -1)
		fail_msg("%s", e.text);
}

/* ---- the steps: 0, or -1 and e ---- */

static const struct source_removal deletion = {.imprecise = true};
static const struct source_removal moving = {.move_to = "Trash", .imprecise = true};

static unsigned out_of_memory; /* at this allocation of a step; 0: never */

/* What a step begins with, if it needs any. */
static struct ranges ids_of(uint32_t first, uint32_t last)
{
	struct ranges ids = {0};

	fake_memory_fails(0);
	assert_int_equal(ranges_add(&ids, first, last, &e), 0);
	fake_memory_fails(out_of_memory);
	return ids;
}

static int step_open(void)
{
	return source_open(src, false, &e);
}

static int step_list(void)
{
	struct ranges found = {0};
	int rc = source_list(src, 2, 4, &found, &e);

	if (rc == 0)
		assert_string_equal(fake_ranges(&found), "2:4");
	ranges_free(&found);
	return rc;
}

static int take(bool alone)
{
	const struct source_filter f = {.max_size = 1 << 20, .newest = INT64_MAX};
	struct ranges todo = ids_of(1, MESSAGES);
	enum source_next next = SOURCE_WAIT;
	size_t bodies = 0;

	if (source_want(src, &todo, &f, alone, &e) == -1)
		next = SOURCE_ERROR;
	ranges_free(&todo);
	while (next != SOURCE_ERROR && next != SOURCE_END) {
		struct source_message m = {0};
		struct wait wait;

		next = source_next(src, &m, &wait, &e);
		bodies += next == SOURCE_MESSAGE && m.kind == MESSAGE_BODY;
		if (next == SOURCE_WAIT)
			(void)poll(&(struct pollfd){wait.fd, wait.events, 0}, wait.fd >= 0,
				   wait.ms);
		source_message_free(&m);
	}
	if (next == SOURCE_END && !refusing)
		assert_int_equal(bodies, MESSAGES);
	return next == SOURCE_END ? 0 : -1;
}

static int step_take(void)
{
	return take(false);
}

static int step_take_alone(void)
{
	return take(true);
}

static int count_sight(void *ctx, const struct source_sight *sight, struct err *err)
{
	(void)err;
	assert_int_equal(sight->stamp.date, DATE + (int)sight->id - 1);
	++*(size_t *)ctx;
	return 0;
}

static int step_look(void)
{
	struct ranges ids = ids_of(1, MESSAGES);
	size_t seen = 0;
	int rc = source_look(src, &ids, count_sight, &seen, &e);

	if (rc == 0 && !refusing)
		assert_int_equal(seen, MESSAGES);
	ranges_free(&ids);
	return rc;
}

static int step_mark(void)
{
	struct ranges ids = ids_of(1, MESSAGES);
	bool held = true;
	int rc = source_mark(src, &ids, CLASS_SPAM, OUTCOME_LEARNED, &held, &e);

	ranges_free(&ids);
	for (uint32_t id = 1; id <= MESSAGES && rc == 0 && held; id++)
		assert_int_equal(imapd_find(&server.inbox, id)->flags, IMAPD_SPAM);
	return rc == 0 && held ? 0 : -1;
}

static int step_can_delete(void)
{
	return source_can_remove(src, &deletion, &e);
}

static int step_can_move(void)
{
	return source_can_remove(src, &moving, &e);
}

static int take_away(const struct source_removal *how)
{
	struct ranges ids = ids_of(2, 3);
	int rc = source_remove(src, &ids, how, &e);

	ranges_free(&ids);
	if (rc == 0)
		assert_int_equal(server.inbox.n, MESSAGES - 2);
	return rc;
}

static int step_delete(void)
{
	return take_away(&deletion);
}

static int step_move(void)
{
	return take_away(&moving);
}

static int step_target(void)
{
	uint64_t end = 0;
	int rc = source_target(src, &moving, &end, &e);

	if (rc == 0)
		assert_int_equal(end, server.no_move ? (uint64_t)8 << 32 | 1 : 0);
	return rc;
}

static int step_copied(void)
{
	struct ranges ids = ids_of(1, MESSAGES), there = {0};
	int rc = source_copied(src, &ids, &moving, (uint64_t)8 << 32 | 1, &there, &e);

	ranges_free(&ids);
	ranges_free(&there);
	return rc;
}

static const struct {
	const char *name, *mailbox;
	int (*step)(void);
	bool opens;
	bool may_be_refused; /* some of its commands only ask */
} steps[] = {
    {"open", "INBOX", step_open, true, true},
    {"open a special use", "\\Junk", step_open, true, true},
    {"list", "INBOX", step_list, false, false},
    {"take", "INBOX", step_take, false, true},
    {"take alone", "INBOX", step_take_alone, false, true},
    {"look", "INBOX", step_look, false, true},
    {"mark", "INBOX", step_mark, false, false},
    {"can delete", "INBOX", step_can_delete, false, true},
    {"can move", "INBOX", step_can_move, false, true},
    {"delete", "INBOX", step_delete, false, true},
    {"move", "INBOX", step_move, false, true},
    {"target", "INBOX", step_target, false, false},
    {"copied", "INBOX", step_copied, false, true},
};

static void begin(size_t i, unsigned kind)
{
	mailbox = (struct conf_mailbox){.name = (char *)(uintptr_t)steps[i].mailbox,
					.special_use = steps[i].mailbox[0] == '\\',
					.expire = true};
	opens = steps[i].opens;
	server_new(kind);
	connect_again();
}

/* It said so, and works again; what is removed by halves is the next test's. */
static void end(size_t i, unsigned kind, unsigned n, int rc, bool cut)
{
	const char *name = steps[i].name;

	if (cut && (rc == 0 || e.scope != ERR_SERVER || e.kind != ERR_TEMPORARY ||
		    strncmp(e.text, "account a: ", 11) != 0))
		fail_msg("%s, kind %u, cut at %u: %s", name, kind, n, rc ? e.text : "no error");
	if (!cut && rc == -1)
		fail_msg("%s, kind %u, not cut at %u: %s", name, kind, n, e.text);
	if (cut) {
		connect_again();
		if (steps[i].step() == -1)
			fail_msg("%s, kind %u, after %u: %s", name, kind, n, e.text);
	}
	server_end();
}

static void test_cut_commands(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(steps); i++)
		for (unsigned kind = 0; kind < 32; kind++) {
			bool cut = true;

			for (unsigned n = 1; cut; n++) {
				int rc;

				begin(i, kind & 15);
				server.cut_nth = n;
				server.cut_late = kind & 16;
				rc = steps[i].step();
				cut = server.cut_nth == 0;
				server.cut_nth = 0;
				if (cut && steps[i].step == step_move) {
					assert_int_equal(rc, -1);
					server_end(); /* what is there twice is not its own */
				} else {
					end(i, kind, n, rc, cut);
				}
			}
		}
}

/* A byte at a time where it is short, else every few. */
static void test_cut_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(steps); i++)
		for (unsigned kind = 0; kind < 2; kind++) {
			bool cut = true;

			for (unsigned n = 1; cut; n += 1 + n / 40) {
				int rc;

				if (steps[i].step == step_move)
					break;
				begin(i, kind ? 15 : 0);
				server.cut_bytes = n;
				rc = steps[i].step();
				cut = server.cut_bytes == 0;
				server.cut_bytes = 0;
				/* The last byte came: it is done, and the end is not ours. */
				if (cut && rc == 0) {
					server_end();
					continue;
				}
				end(i, kind, n, rc, cut);
			}
		}
}

/* A command that is refused is an error of this mailbox, and the connection goes on. */
static void test_refused_commands(void **state)
{
	(void)state;
	refusing = true;
	for (size_t i = 0; i < COUNT(steps); i++)
		for (unsigned kind = 0; kind < 16; kind++) {
			bool refused = true;

			for (unsigned n = 1; refused; n++) {
				int rc;

				begin(i, kind);
				server.refuse_nth = n;
				rc = steps[i].step();
				refused = server.refuse_nth == 0;
				server.refuse_nth = 0;
				if (refused && rc == 0 && !steps[i].may_be_refused)
					fail_msg("%s, kind %u: %u is refused", steps[i].name,
						 kind, n);
				if (!refused && rc == -1)
					fail_msg("%s: %s", steps[i].name, e.text);
				if (refused && rc == -1 && steps[i].step != step_mark)
					assert_int_equal(e.scope, ERR_MAILBOX);
				server_end();
			}
		}
}

/*
 * The log-in, too: nobody is logged in before the last of its answers. libcurl reads the first
 * ones, and takes a second to see that they end: a few of these are enough.
 */
static void test_cut_log_in(void **state)
{
	(void)state;
	opens = true;
	for (unsigned kind = 0; kind < 2; kind++) {
		bool cut = true;

		for (unsigned n = 1; cut; n += n < 100 ? 33 : 1) {
			int rc;

			server_new(kind ? 15 : 0);
			server.auth_plain = kind;
			server.cut_bytes = n;
			err_clear(&e);
			rc = account_connect(account, &e);
			cut = server.cut_bytes == 0;
			if (rc == 0 ? cut && n < 40 : !cut)
				fail_msg("%u: %s", n, e.text);
			if (rc == -1 && (e.scope != ERR_SERVER || account->connected ||
					 strncmp(e.text, "account a: ", 11) != 0))
				fail_msg("%u: scope %d, %s", n, (int)e.scope, e.text);
			server.cut_bytes = 0;
			account_disconnect(account);
			connect_again();
			server_end();
		}
	}
}

static void test_no_memory(void **state)
{
	(void)state;
	refusing = false;
	for (size_t i = 0; i < COUNT(steps); i++)
		for (unsigned kind = 0; kind < 16; kind += 5) {
			bool failed = true;

			for (unsigned n = 1; failed; n++) {
				int rc;

				begin(i, kind);
				err_clear(&e);
				out_of_memory = n;
				fake_memory_fails(n);
				rc = steps[i].step();
				failed = fake_memory_failed();
				out_of_memory = 0;
				fake_memory_fails(0);
				if (rc != (failed ? -1 : 0) || (failed && e.kind != ERR_LOCAL))
					fail_msg("%s, kind %u, allocation %u: %s",
						 steps[i].name, kind, n,
						 rc ? e.text : "no error");
				server_end();
			}
		}
}

static int setup(void **state)
{
	(void)state;
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cut_commands),     cmocka_unit_test(test_cut_bytes),
	    cmocka_unit_test(test_refused_commands), cmocka_unit_test(test_cut_log_in),
	    cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
