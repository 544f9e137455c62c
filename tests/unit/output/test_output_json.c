/*
 * output_json.c: JSON lines say what a person is told, and can be read whatever a stranger
 * wrote into a Subject.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "fake/lines.h"

static struct lines l;
static json_t *line;

static int setup(void **state)
{
	(void)state;
	lines_reset(&l, &output_json);
	line = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	json_decref(line);
	return 0;
}

/* Exactly one line, as JSON, of this event, with so many members: into line. */
static void read_line(const char *text, const char *event, size_t members)
{
	size_t len = strlen(text);

	assert_true(len > 0 && text[len - 1] == '\n');
	assert_ptr_equal(strchr(text, '\n'), text + len - 1);
	for (size_t i = 0; i + 1 < len; i++)
		assert_in_range(text[i], 0x20, 0x7E); /* no terminal and no log is harmed */
	json_decref(line);
	line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(line);
	assert_string_equal(json_string_value(json_object_get(line, "event")), event);
	if (json_object_size(line) != members)
		fail_msg("%zu members: %s", json_object_size(line), text);
}

static void is_text(const char *name, const char *want)
{
	const char *got = json_string_value(json_object_get(line, name));

	if (got == NULL || strcmp(got, want) != 0)
		fail_msg("%s: %s", name, got ? got : "(none)");
}

static void is_number(const char *name, json_int_t want)
{
	json_t *got = json_object_get(line, name);

	if (!json_is_integer(got) || json_integer_value(got) != want)
		fail_msg("%s", name);
}

static void is_null(const char *name)
{
	if (!json_is_null(json_object_get(line, name)))
		fail_msg("%s", name);
}

static void is_bool(const char *name, bool want)
{
	json_t *got = json_object_get(line, name);

	if (!json_is_boolean(got) || json_is_true(got) != want)
		fail_msg("%s", name);
}

static void test_message(void **state)
{
	(void)state;
	l.message.subject = "\"quoted\\\" \xF0\x9F\x98\x80 </script>";
	l.message.answer = "\\x1b[2J";
	l.message.outcome = OUTCOME_FAILED;
	read_line(lines_message(&l), "message", 11);
	is_text("account", "spam@x");
	is_text("mailbox", "INBOX");
	is_number("uid", 4294967295);
	is_text("class", "spam");
	is_text("outcome", "failed");
	is_text("reason", "\\x1b[2J");
	is_text("from", "a@b");
	is_text("subject", l.message.subject);
	is_text("date", "2026-11-22T10:00:00Z");
	is_text("digest", "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf");
	l.output.dry_run = true;
	read_line(lines_message(&l), "message", 12);
	is_bool("dry_run", true);
}

/* Whoever reads JSON is told of every message, whatever -q and -v. */
static void test_message_when(void **state)
{
	(void)state;
	for (int o = OUTCOME_LEARNED; o < OUTCOMES; o++)
		for (int flags = 0; flags < 4; flags++) {
			l.output.quiet = flags & 1;
			l.output.verbose = flags & 2;
			l.message.outcome = (enum outcome)o;
			read_line(lines_message(&l), "message", 11);
			is_text("outcome", outcome_name((enum outcome)o));
		}
}

static void test_message_unread(void **state)
{
	(void)state;
	l.message = (struct output_message){
	    .place = {"a", "b"}, .id = 1, .class = CLASS_HAM, .outcome = OUTCOME_LARGE};
	read_line(lines_message(&l), "message", 11);
	is_null("digest");
	is_null("subject");
	is_null("from");
	is_null("date");
	is_null("reason");
	is_text("class", "ham");
}

/* ---- counts ---- */

/* Each outcome another number, so that none stands for another. */
static void set_tally(void)
{
	for (int o = OUTCOME_LEARNED; o < OUTCOMES; o++)
		l.tally.outcome[o] = UINT64_C(1) << o;
	l.tally.learned[CLASS_SPAM] = 3;
	l.tally.learned[CLASS_HAM] = 5;
	l.tally.taken_back[CLASS_SPAM] = 7;
	l.tally.taken_back[CLASS_HAM] = 11;
	l.tally.left = 13;
	l.tally.left_or_more = true;
}

static void check_counts(void)
{
	json_t *each = json_object_get(line, "outcomes");
	json_int_t groups[GROUPS] = {0};

	assert_int_equal(json_object_size(each), OUTCOMES - 1);
	for (int o = OUTCOME_LEARNED; o < OUTCOMES; o++) {
		json_t *n = json_object_get(each, outcome_name((enum outcome)o));

		assert_int_equal(json_integer_value(n), 1 << o);
		groups[outcome_group((enum outcome)o)] += 1 << o;
	}
	is_number("learned", groups[GROUP_LEARNED]);
	is_number("known", groups[GROUP_KNOWN]);
	is_number("skipped", groups[GROUP_SKIPPED]);
	is_number("untrusted", groups[GROUP_UNTRUSTED]);
	is_number("held", groups[GROUP_HELD]);
	is_number("failed", groups[GROUP_FAILED]);
	is_number("learned_spam", 3);
	is_number("learned_ham", 5);
	is_number("flipped", 18);
	is_number("left", 13);
	is_bool("left_or_more", true);
}

static void test_counts(void **state)
{
	(void)state;
	set_tally();
	l.why = "the limit of --max";
	read_line(lines_mailbox_end(&l), "mailbox-end", 16);
	is_text("account", "spam@x");
	is_text("mailbox", "INBOX");
	is_text("left_because", "the limit of --max");
	check_counts();
	l.output.status = 75;
	l.output.expires = true;
	read_line(lines_summary(&l), "summary", 19);
	check_counts();
	is_number("expired", 0);
	is_number("kept", 0);
	is_number("exit", 75);
	is_bool("dry_run", false);
	assert_true(json_is_real(json_object_get(line, "seconds")));
}

static void test_nothing(void **state)
{
	(void)state;
	read_line(lines_mailbox_end(&l), "mailbox-end", 16);
	is_null("left_because");
	is_number("left", 0);
	is_bool("left_or_more", false);
}

/* ---- retention ---- */

static void test_expire(void **state)
{
	(void)state;
	l.age = 7 * 86400;
	l.gone.outcome = OUTCOME_LEARNED;
	l.gone.digest = l.digest;
	read_line(lines_expired(&l), "expired", 10);
	is_text("account", "spam@x");
	is_text("mailbox", "INBOX");
	is_number("uid", 7);
	is_text("outcome", "learned");
	is_text("class", "ham");
	is_text("after", "7d");
	is_text("settled", "1970-01-01T00:00:00Z");
	is_text("digest", "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf");
	is_bool("dry_run", false);
	l.tally.expired[GROUP_LEARNED] = 1;
	l.tally.expired[GROUP_FAILED] = 2;
	l.tally.kept = 3;
	read_line(lines_expire_end(&l), "expire-end", 6);
	is_number("expired", 3);
	is_number("kept", 3);
	l.output.dry_run = true;
	read_line(lines_summary(&l), "summary", 19);
	is_number("expired", 3);
	is_number("kept", 3);
	is_bool("dry_run", true);
}

/* ---- the other lines ---- */

static void test_start(void **state)
{
	(void)state;
	l.output.dry_run = true;
	read_line(lines_start(&l), "start", 5);
	is_number("schema", OUTPUT_SCHEMA);
	is_text("command", "learn");
	is_bool("dry_run", true);
	assert_int_equal(strlen(json_string_value(json_object_get(line, "time"))), 20);
}

static void test_mailbox(void **state)
{
	(void)state;
	l.place.mailbox = "Junk \"Mail\"";
	l.n = 12345678901;
	read_line(lines_mailbox(&l), "mailbox", 4);
	is_text("mailbox", "Junk \"Mail\"");
	is_number("new", 12345678901);
	read_line(lines_marked(&l), "marked", 6);
	is_text("mark", "$LearnedSpam");
	is_number("messages", 12345678901);
	is_bool("dry_run", false);
}

static void test_rspamd(void **state)
{
	(void)state;
	l.rspamd = (struct output_rspamd){1843, 2210, 1900, 2300};
	read_line(lines_rspamd(&l), "rspamd", 5);
	is_number("spam", 1900);
	is_number("ham", 2300);
	is_number("stat_spam", 1843);
	is_number("stat_ham", 2210);
}

static void test_error(void **state)
{
	(void)state;
	err_set(&l.err, ERR_SERVER, ERR_UNREACHABLE, "rspamd http://x: \xC3\xBC");
	read_line(lines_error(&l), "error", 4);
	is_text("text", "rspamd http://x: \xC3\xBC");
	is_number("exit", 69);
	is_null("account");
	l.account = "spam@x";
	read_line(lines_error(&l), "error", 4);
	is_text("account", "spam@x");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_message), TEST(test_message_when), TEST(test_message_unread),
	    TEST(test_counts),	TEST(test_nothing),	 TEST(test_expire),
	    TEST(test_start),	TEST(test_mailbox),	 TEST(test_rspamd),
	    TEST(test_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
