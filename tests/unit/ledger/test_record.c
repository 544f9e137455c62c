/*
 * record.c: the bytes on disk, one by one. A change of these vectors is a change of the format,
 * and needs a new version of the record (docs/ledger.md prints the same bytes).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ledger/record.h"

static struct digest digest_of(unsigned char first)
{
	struct digest d;

	for (int i = 0; i < DIGEST_SIZE; i++)
		d.bytes[i] = (unsigned char)(first + i);
	return d;
}

static void check_bytes(const unsigned char *got, size_t len, const char *want)
{
	char hex[2 * RECORD_VALUE_MAX + 1] = "";

	assert_true(len <= RECORD_VALUE_MAX);
	for (size_t i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", got[i]);
	assert_string_equal(hex, want);
}

/* ---- the vectors ---- */

static const struct record_message message_record = {
    .state = STATE_MARKED,
    .outcome = OUTCOME_LEARNED,
    .class = CLASS_HAM,
    .tries = 2,
    .bare = true,
    .changed_at = 1700000000,
    .verdict_at = 1700000001,
    .stamp = {258, -2},
    .words = "why",
};
static const char message_bytes[] = "020301020201"
				    "000000006553f100"
				    "000000006553f101"
				    "00000102"
				    "fffffffffffffffe"
				    "000102030405060708090a0b0c0d0e0f"
				    "101112131415161718191a1b1c1d1e1f"
				    "03776879";

static const struct record_digest digest_record = {
    .class = CLASS_SPAM,
    .outcome = OUTCOME_UNLEARNABLE,
    .flips = 3,
    .copies = 258,
    .first_seen = 1700000000,
    .last_seen = 1700000001,
    .verdict_at = -2,
    .answer = "3 < 11",
    .reporter = {{"reporter", CLASS_HAM, 1700000000}, {"RepOrter", CLASS_SPAM, -1}},
    .n_reporters = 2,
};
#define DIGEST_TAIL                                        \
	"000000006553f100000000006553f101fffffffffffffffe" \
	"06"                                               \
	"33203c203131"                                     \
	"02"                                               \
	"7265706f72746572"                                 \
	"02000000006553f100"                               \
	"5265704f72746572"                                 \
	"01ffffffffffffffff"
static const char digest_bytes[] = "02010400"
				   "0000000300000102" DIGEST_TAIL;

static const struct record_mailbox mailbox_record = {.number = 7,
						     .identity = 4294967295,
						     .next = 256,
						     .high_next = 257,
						     .version = 0x0102030405060708,
						     .high_version = 0x1112131415161718,
						     .target = 0x2122232425262728,
						     .left = 3,
						     .whole = true,
						     .passed = true};
static const char mailbox_bytes[] = "0200000007ffffffff00000100"
				    "0000010101020304050607081112131415161718"
				    "2122232425262728"
				    "0000000303";

static void test_message_vector(void **state)
{
	unsigned char out[RECORD_VALUE_MAX];
	struct record_message r = message_record;

	(void)state;
	r.digest = digest_of(0);
	check_bytes(out, record_message_encode(&r, out), message_bytes);
	r.tries = 255;
	record_message_encode(&r, out);
	assert_int_equal(out[4], 255);
	r.tries = 256; /* more than fits stays at the end */
	record_message_encode(&r, out);
	assert_int_equal(out[4], 255);
	r.bare = false;
	record_message_encode(&r, out);
	assert_int_equal(out[5], 0);
}

static void test_other_vectors(void **state)
{
	unsigned char out[RECORD_VALUE_MAX], key[RECORD_MESSAGE_KEY];
	struct record_mailbox box = mailbox_record;
	char name[RECORD_MAILBOX_KEY_MAX];

	(void)state;
	check_bytes(out, record_digest_encode(&digest_record, out), digest_bytes);
	check_bytes(out, record_mailbox_encode(&mailbox_record, out), mailbox_bytes);
	for (unsigned flags = 0; flags < 4; flags++) {
		box.whole = flags & 1;
		box.passed = flags & 2;
		assert_int_equal(out[record_mailbox_encode(&box, out) - 1], flags);
	}
	check_bytes(out, record_u32_encode(RECORD_FORMAT, out), "00000002");
	record_message_key(1, 0x01020304, UINT32_MAX, key);
	check_bytes(key, sizeof key, "0000000101020304ffffffff");
	check_bytes((unsigned char *)name,
		    record_mailbox_key("spam@x", "INBOX", name, sizeof name),
		    "7370616d4078"
		    "00"
		    "494e424f58");
}

/* ---- format 1 is still read ---- */

static size_t bytes_of(const char *hex, unsigned char *out)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++) {
		unsigned byte;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		out[i] = (unsigned char)byte;
	}
	return n;
}

static const char message_bytes_1[] = "0103010202000000006553f100"
				      "000102030405060708090a0b0c0d0e0f"
				      "101112131415161718191a1b1c1d1e1f";

static void test_old_message(void **state)
{
	unsigned char out[RECORD_VALUE_MAX];
	size_t n = bytes_of(message_bytes_1, out);
	struct digest d = digest_of(0);
	struct record_message r;

	(void)state;
	memset(&r, 0xA5, sizeof r);
	assert_true(record_message_decode(out, n, &r));
	assert_int_equal(r.state, STATE_MARKED);
	assert_int_equal(r.outcome, OUTCOME_LEARNED);
	assert_int_equal(r.class, CLASS_HAM);
	assert_int_equal(r.tries, 2);
	assert_true(r.changed_at == 1700000000);
	assert_true(digest_equal(&r.digest, &d));
	/* What it did not know. */
	assert_false(r.bare);
	assert_true(r.verdict_at == 0 && r.stamp.size == 0 && r.stamp.date == 0);
	assert_string_equal(r.words, "");
}

/* Format 1 said "failed" of what was only put back: what is open is not called failed. */
static void test_old_failures(void **state)
{
	unsigned char out[RECORD_VALUE_MAX];
	size_t n = bytes_of(message_bytes_1, out);

	(void)state;
	for (int s = 0; s < STATES; s++)
		for (int o = 0; o < OUTCOMES; o++) {
			bool undone = s < STATE_SETTLED && o == OUTCOME_FAILED;
			struct record_message r;

			out[1] = (unsigned char)s;
			out[2] = (unsigned char)o;
			assert_true(record_message_decode(out, n, &r));
			assert_int_equal(r.state, s);
			assert_int_equal(r.outcome, undone ? OUTCOME_NONE : o);
			assert_int_equal(r.tries, undone ? 0 : 2);
		}
}

static void check_reporters(const struct record_digest *got, const struct record_digest *want)
{
	assert_int_equal(got->n_reporters, want->n_reporters);
	for (size_t i = 0; i < want->n_reporters; i++) {
		assert_memory_equal(got->reporter[i].who, want->reporter[i].who,
				    RECORD_REPORTER_SIZE);
		assert_int_equal(got->reporter[i].class, want->reporter[i].class);
		assert_true(got->reporter[i].at == want->reporter[i].at);
	}
}

static void check_digest(const struct record_digest *got, const struct record_digest *want)
{
	assert_int_equal(got->class, want->class);
	assert_int_equal(got->outcome, want->outcome);
	assert_int_equal(got->in_doubt, want->in_doubt);
	assert_int_equal(got->flips, want->flips);
	assert_int_equal(got->copies, want->copies);
	assert_true(got->first_seen == want->first_seen);
	assert_true(got->last_seen == want->last_seen);
	assert_true(got->verdict_at == want->verdict_at);
	assert_string_equal(got->answer, want->answer);
	check_reporters(got, want);
}

static void test_old_digest(void **state)
{
	unsigned char out[RECORD_VALUE_MAX];
	size_t n = bytes_of("010104"
			    "000000030000010200010001" DIGEST_TAIL,
			    out);
	struct record_digest r;

	(void)state;
	memset(&r, 0xA5, sizeof r);
	assert_true(record_digest_decode(out, n, &r));
	check_digest(&r, &digest_record);
	/* Too few reporters once is no verdict on the content. */
	for (int o = 0; o < OUTCOMES; o++) {
		out[2] = (unsigned char)o;
		assert_true(record_digest_decode(out, n, &r));
		assert_int_equal(r.outcome, o == OUTCOME_UNCONFIRMED ? OUTCOME_NONE : o);
	}
	for (size_t len = 0; len < n; len++)
		assert_false(record_digest_decode(out, len, &r));
	assert_false(record_digest_decode(out, n + 1, &r));
}

static void test_old_mailbox(void **state)
{
	unsigned char out[RECORD_VALUE_MAX];
	size_t n = bytes_of("0100000007ffffffff00000100010203040506070801", out);
	struct record_mailbox r;

	(void)state;
	memset(&r, 0xA5, sizeof r);
	assert_true(record_mailbox_decode(out, n, &r));
	assert_int_equal(r.number, 7);
	assert_int_equal(r.identity, UINT32_MAX);
	assert_int_equal(r.next, 256);
	assert_int_equal(r.high_next, 256);
	assert_true(r.version == 0x0102030405060708 && r.high_version == r.version);
	assert_int_equal(r.left, 0);
	assert_true(r.whole && r.passed);
	/* UIDNEXT was only written by a run that came to its end. */
	for (int next = 0; next < 3; next++)
		for (int whole = 0; whole < 3; whole++) {
			out[11] = 0;
			out[12] = (unsigned char)next;
			out[n - 1] = (unsigned char)whole;
			assert_int_equal(record_mailbox_decode(out, n, &r), whole < 2);
			assert_int_equal(r.passed, next > 1);
			assert_int_equal(r.whole, whole == 1);
		}
	for (size_t len = 0; len < n; len++)
		assert_false(record_mailbox_decode(out, len, &r));
	assert_false(record_mailbox_decode(out, n + 1, &r));
}

/* The numbers of states, outcomes and classes are part of the format. */
static void test_numbers(void **state)
{
	static const char *const names[STATES] = {"pending", "submitted", "settled",
						  "marked",  "purging",	  "copied"};

	(void)state;
	assert_int_equal(RECORD_FORMAT, 2);
	assert_int_equal(STATE_PENDING, 0);
	assert_int_equal(STATE_SUBMITTED, 1);
	assert_int_equal(STATE_SETTLED, 2);
	assert_int_equal(STATE_MARKED, 3);
	assert_int_equal(STATE_PURGING, 4);
	assert_int_equal(STATE_COPIED, 5);
	assert_int_equal(OUTCOME_NONE, 0);
	assert_int_equal(OUTCOME_LEARNED, 1);
	assert_int_equal(OUTCOME_KNOWN, 2);
	assert_int_equal(OUTCOME_SURE, 3);
	assert_int_equal(OUTCOME_UNLEARNABLE, 4);
	assert_int_equal(OUTCOME_LARGE, 5);
	assert_int_equal(OUTCOME_ENCRYPTED, 6);
	assert_int_equal(OUTCOME_OVERRULED, 7);
	assert_int_equal(OUTCOME_FAILED, 8);
	assert_int_equal(OUTCOME_UNTRUSTED, 9);
	assert_int_equal(OUTCOME_HELD, 10);
	assert_int_equal(OUTCOME_UNCONFIRMED, 11);
	assert_int_equal(OUTCOME_SKIPPED, 12);
	assert_int_equal(OUTCOME_UNANSWERED, 13);
	assert_int_equal(OUTCOME_UNREADABLE, 14);
	assert_int_equal(OUTCOME_UNREAD, 15);
	assert_int_equal(OUTCOME_NO_REPORT, 16);
	assert_int_equal(OUTCOME_UNDECIDED, 17);
	assert_int_equal(OUTCOMES, 18);
	assert_int_equal(CLASS_NONE, 0);
	assert_int_equal(CLASS_SPAM, 1);
	assert_int_equal(CLASS_HAM, 2);
	for (int s = 0; s < STATES; s++)
		assert_string_equal(record_state_name((enum record_state)s), names[s]);
}

/* ---- there and back ---- */

static void check_message(const struct record_message *got, const struct record_message *want)
{
	assert_int_equal(got->state, want->state);
	assert_int_equal(got->outcome, want->outcome);
	assert_int_equal(got->class, want->class);
	assert_int_equal(got->tries, want->tries);
	assert_int_equal(got->bare, want->bare);
	assert_true(got->changed_at == want->changed_at);
	assert_true(got->verdict_at == want->verdict_at);
	assert_int_equal(got->stamp.size, want->stamp.size);
	assert_true(got->stamp.date == want->stamp.date);
	assert_true(digest_equal(&got->digest, &want->digest));
	assert_string_equal(got->words, want->words);
}

static void check_message_round(const struct record_message *r)
{
	unsigned char out[RECORD_VALUE_MAX];
	struct record_message got;
	size_t n = record_message_encode(r, out);

	memset(&got, 0xA5, sizeof got);
	assert_true(record_message_decode(out, n, &got));
	check_message(&got, r);
}

static void test_message_round(void **state)
{
	struct record_message r = message_record;

	(void)state;
	for (int s = 0; s < STATES; s++)
		for (int o = 0; o < OUTCOMES; o++)
			for (int c = CLASS_NONE; c <= CLASS_HAM; c++) {
				r.state = (enum record_state)s;
				r.outcome = (enum outcome)o;
				r.class = (enum mail_class)c;
				r.changed_at = INT64_MIN + s;
				r.verdict_at = INT64_MAX - s;
				r.stamp = (struct record_stamp){UINT32_MAX - (uint32_t)o,
								INT64_MIN + o};
				r.digest = digest_of((unsigned char)o);
				r.bare = c & 1;
				check_message_round(&r);
			}
	for (size_t n = 0; n <= RECORD_ANSWER_MAX; n++) {
		memset(r.words, 'w', n);
		r.words[n] = '\0';
		check_message_round(&r);
	}
}

static void check_digest_round(const struct record_digest *r)
{
	unsigned char out[RECORD_VALUE_MAX];
	struct record_digest got;
	size_t n = record_digest_encode(r, out);

	memset(&got, 0xA5, sizeof got);
	assert_true(record_digest_decode(out, n, &got));
	check_digest(&got, r);
}

static void test_digest_round(void **state)
{
	struct record_digest r = digest_record;

	(void)state;
	check_digest_round(&r);
	r.flips = r.copies = UINT32_MAX;
	r.first_seen = INT64_MIN;
	r.last_seen = INT64_MAX;
	for (size_t n = 0; n <= RECORD_ANSWER_MAX; n++) {
		memset(r.answer, 'w', n);
		r.answer[n] = '\0';
		check_digest_round(&r);
	}
	for (r.n_reporters = 0; r.n_reporters < RECORD_REPORTERS_MAX; r.n_reporters++) {
		r.reporter[r.n_reporters] = digest_record.reporter[r.n_reporters % 2];
		check_digest_round(&r);
	}
	check_digest_round(&r); /* the largest there is */
	r.in_doubt = true;
	check_digest_round(&r);
}

static void test_other_rounds(void **state)
{
	unsigned char out[RECORD_VALUE_MAX];
	struct record_mailbox box;
	uint32_t a, b, c;

	(void)state;
	memset(&box, 0xA5, sizeof box);
	assert_true(
	    record_mailbox_decode(out, record_mailbox_encode(&mailbox_record, out), &box));
	assert_int_equal(box.number, 7);
	assert_int_equal(box.identity, UINT32_MAX);
	assert_int_equal(box.next, 256);
	assert_int_equal(box.high_next, 257);
	assert_true(box.version == 0x0102030405060708);
	assert_true(box.high_version == 0x1112131415161718);
	assert_int_equal(box.left, 3);
	assert_true(box.whole && box.passed);
	assert_true(record_u32_decode(out, record_u32_encode(0xFEDCBA98, out), &a));
	assert_int_equal(a, 0xFEDCBA98);
	record_message_key(1, 2, UINT32_MAX, out);
	assert_true(record_message_key_decode(out, RECORD_MESSAGE_KEY, &a, &b, &c));
	assert_true(a == 1 && b == 2 && c == UINT32_MAX);
}

/* ---- what is no record ---- */

enum kind { MESSAGE, DIGEST, MAILBOX, U32, MESSAGE_KEY, KINDS };

static bool decode(enum kind kind, const unsigned char *data, size_t len)
{
	/* On the heap, to its last byte: whoever reads behind it is found. */
	unsigned char *exact = malloc(len ? len : 1);
	struct record_message u;
	struct record_digest d;
	struct record_mailbox m;
	uint32_t a, b, c;
	bool ok = false;

	assert_non_null(exact);
	memcpy(exact, data, len);
	switch (kind) {
	case MESSAGE:
		ok = record_message_decode(exact, len, &u);
		break;
	case DIGEST:
		ok = record_digest_decode(exact, len, &d);
		break;
	case MAILBOX:
		ok = record_mailbox_decode(exact, len, &m);
		break;
	case U32:
		ok = record_u32_decode(exact, len, &a);
		break;
	default:
		ok = record_message_key_decode(exact, len, &a, &b, &c);
	}
	free(exact);
	return ok;
}

static size_t encode(enum kind kind, unsigned char *out)
{
	switch (kind) {
	case MESSAGE:
		return record_message_encode(&message_record, out);
	case DIGEST:
		return record_digest_encode(&digest_record, out);
	case MAILBOX:
		return record_mailbox_encode(&mailbox_record, out);
	case U32:
		return record_u32_encode(1, out);
	default:
		record_message_key(1, 2, 3, out);
		return RECORD_MESSAGE_KEY;
	}
}

static void test_truncated(void **state)
{
	unsigned char out[RECORD_VALUE_MAX + 1] = {0};

	(void)state;
	for (int k = 0; k < KINDS; k++) {
		size_t n = encode((enum kind)k, out);

		assert_true(decode((enum kind)k, out, n));
		for (size_t len = 0; len < n; len++)
			assert_false(decode((enum kind)k, out, len));
		assert_false(decode((enum kind)k, out, n + 1));
	}
}

static void test_versions(void **state)
{
	unsigned char out[RECORD_VALUE_MAX];

	(void)state;
	for (int k = MESSAGE; k <= MAILBOX; k++)
		for (int version = 0; version < 256; version++) {
			size_t n = encode((enum kind)k, out);

			out[0] = (unsigned char)version;
			assert_int_equal(decode((enum kind)k, out, n), version == 2);
		}
}

/* Byte at of the record takes the values 0 to last, and no others. */
static void check_range(enum kind kind, size_t at, int last)
{
	unsigned char out[RECORD_VALUE_MAX];
	size_t n = encode(kind, out);

	for (int value = 0; value < 256; value++) {
		out[at] = (unsigned char)value;
		if (decode(kind, out, n) != (value <= last))
			fail_msg("record %d, byte %zu: %d", (int)kind, at, value);
	}
}

static void test_ranges(void **state)
{
	(void)state;
	check_range(MESSAGE, 1, STATES - 1);
	check_range(MESSAGE, 2, OUTCOMES - 1);
	check_range(MESSAGE, 3, CLASS_HAM);
	check_range(MESSAGE, 4, 255);
	check_range(DIGEST, 1, CLASS_HAM);
	check_range(DIGEST, 2, OUTCOMES - 1);
	check_range(MESSAGE, 5, 1);
	check_range(MAILBOX, 45, 3);
}

/* Where lengths stand: of digest_record's answer and reporters, of message_record's words. */
enum { ANSWER_AT = 36, REPORTERS_AT = 43, WORDS_AT = 66 };

/* Words have the length that they say, fit, and have no NUL. behind: bytes that follow them. */
static void check_words(enum kind kind, size_t at, int len, size_t behind)
{
	unsigned char out[RECORD_VALUE_MAX] = {0};
	size_t n = encode(kind, out);

	assert_int_equal(out[at], len);
	for (int said = 0; said < 256; said++) {
		out[at] = (unsigned char)said;
		assert_int_equal(decode(kind, out, n), said == len);
	}
	memset(out + at, 'x', sizeof out - at);
	n = at + 1 + RECORD_ANSWER_MAX;
	out[at] = RECORD_ANSWER_MAX;
	out[n] = 0; /* no reporters */
	assert_true(decode(kind, out, n + behind));
	out[n - 1] = '\0';
	assert_false(decode(kind, out, n + behind));
	out[n - 1] = 'x';
	out[at]++;
	out[n] = 'x';
	out[n + 1] = 0;
	assert_false(decode(kind, out, n + 1 + behind));
}

static void test_words(void **state)
{
	(void)state;
	check_words(DIGEST, ANSWER_AT, 6, 1);
	check_words(MESSAGE, WORDS_AT, 3, 0);
}

/* As many reporters as it says, no more than there may be, each for spam or ham. */
static void test_reporters(void **state)
{
	unsigned char out[RECORD_VALUE_MAX + 100] = {0};
	size_t n = encode(DIGEST, out);

	(void)state;
	assert_int_equal(out[REPORTERS_AT], 2);
	for (int said = 0; said < 256; said++) {
		out[REPORTERS_AT] = (unsigned char)said;
		assert_int_equal(decode(DIGEST, out, n), said == 2);
	}
	out[REPORTERS_AT] = 2;
	for (int class = 0; class < 256; class ++) {
		out[n - 9] = (unsigned char)class;
		assert_int_equal(decode(DIGEST, out, n),
				 class == CLASS_SPAM || class == CLASS_HAM);
	}
	memset(out + REPORTERS_AT, CLASS_SPAM, sizeof out - REPORTERS_AT);
	for (size_t said = 0; said <= RECORD_REPORTERS_MAX + 1; said++) {
		out[REPORTERS_AT] = (unsigned char)said;
		assert_int_equal(decode(DIGEST, out, REPORTERS_AT + 1 + 17 * said),
				 said <= RECORD_REPORTERS_MAX);
	}
}

/* ---- keys ---- */

/* Keys sort as the numbers do, the mailbox first. */
static void test_key_order(void **state)
{
	static const uint32_t values[] = {0,	 1,	     255,	 256,
					  65536, 0x7FFFFFFF, 0x80000000, UINT32_MAX};
	unsigned char before[RECORD_MESSAGE_KEY] = {0}, key[RECORD_MESSAGE_KEY];
	size_t n = sizeof values / sizeof *values;

	(void)state;
	for (size_t i = 0; i < n * n * n; i++) {
		record_message_key(values[i / n / n], values[i / n % n], values[i % n], key);
		assert_true(i == 0 || memcmp(before, key, sizeof key) < 0);
		memcpy(before, key, sizeof key);
	}
}

static void test_mailbox_key(void **state)
{
	char long_name[RECORD_MAILBOX_KEY_MAX + 10], out[RECORD_MAILBOX_KEY_MAX + 1];

	(void)state;
	memset(long_name, 'n', sizeof long_name);
	long_name[RECORD_MAILBOX_KEY_MAX - 2] = '\0';
	out[RECORD_MAILBOX_KEY_MAX] = '#';
	assert_int_equal(record_mailbox_key("a", long_name, out, sizeof out - 1),
			 RECORD_MAILBOX_KEY_MAX);
	assert_int_equal(record_mailbox_key("aa", long_name, out, sizeof out - 1), 0);
	assert_int_equal(record_mailbox_key("aa", long_name, out, SIZE_MAX), 0);
	assert_int_equal(record_mailbox_key("a", "b", out, 3), 3);
	assert_int_equal(record_mailbox_key("a", "b", out, 2), 0);
	assert_int_equal(out[RECORD_MAILBOX_KEY_MAX], '#');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_message_vector), cmocka_unit_test(test_other_vectors),
	    cmocka_unit_test(test_old_message),	   cmocka_unit_test(test_old_failures),
	    cmocka_unit_test(test_old_digest),	   cmocka_unit_test(test_old_mailbox),
	    cmocka_unit_test(test_numbers),	   cmocka_unit_test(test_message_round),
	    cmocka_unit_test(test_digest_round),   cmocka_unit_test(test_other_rounds),
	    cmocka_unit_test(test_truncated),	   cmocka_unit_test(test_versions),
	    cmocka_unit_test(test_ranges),	   cmocka_unit_test(test_words),
	    cmocka_unit_test(test_reporters),	   cmocka_unit_test(test_key_order),
	    cmocka_unit_test(test_mailbox_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
