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

#include "record.h"

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

static const struct record_uid uid_record = {
    .state = STATE_MARKED,
    .outcome = OUTCOME_LEARNED,
    .class = CLASS_HAM,
    .tries = 2,
    .settled_at = 1700000000,
};
static const char uid_bytes[] = "0103010202000000006553f100"
				"000102030405060708090a0b0c0d0e0f"
				"101112131415161718191a1b1c1d1e1f";

static const struct record_digest digest_record = {
    .class = CLASS_SPAM,
    .outcome = OUTCOME_UNLEARNABLE,
    .flips = 3,
    .copies = 258,
    .epoch = 65537,
    .first_seen = 1700000000,
    .last_seen = 1700000001,
    .verdict_at = -2,
    .answer = "3 < 11",
    .reporter = {{"reporter", CLASS_HAM, 1700000000}, {"RepOrter", CLASS_SPAM, -1}},
    .n_reporters = 2,
};
static const char digest_bytes[] = "010104"
				   "000000030000010200010001"
				   "000000006553f100000000006553f101fffffffffffffffe"
				   "06"
				   "33203c203131"
				   "02"
				   "7265706f72746572"
				   "02000000006553f100"
				   "5265704f72746572"
				   "01ffffffffffffffff";

static const struct record_mailbox mailbox_record = {.number = 7,
						     .uidvalidity = 4294967295,
						     .uidnext = 256,
						     .modseq = 0x0102030405060708,
						     .whole = true};
static const char mailbox_bytes[] = "0100000007ffffffff00000100010203040506070801";

static void test_uid_vector(void **state)
{
	unsigned char out[RECORD_VALUE_MAX];
	struct record_uid r = uid_record;

	(void)state;
	r.digest = digest_of(0);
	check_bytes(out, record_uid_encode(&r, out), uid_bytes);
	r.tries = 255;
	record_uid_encode(&r, out);
	assert_int_equal(out[4], 255);
	r.tries = 256; /* more than fits stays at the end */
	record_uid_encode(&r, out);
	assert_int_equal(out[4], 255);
}

static void test_other_vectors(void **state)
{
	unsigned char out[RECORD_VALUE_MAX], key[RECORD_UID_KEY];
	struct record_run run = {258, false};
	char name[RECORD_MAILBOX_KEY_MAX];

	(void)state;
	check_bytes(out, record_digest_encode(&digest_record, out), digest_bytes);
	check_bytes(out, record_mailbox_encode(&mailbox_record, out), mailbox_bytes);
	check_bytes(out, record_run_encode(&run, out), "010000010200");
	run.complete = true;
	check_bytes(out, record_run_encode(&run, out), "010000010201");
	check_bytes(out, record_u32_encode(RECORD_FORMAT, out), "00000001");
	record_uid_key(1, 0x01020304, UINT32_MAX, key);
	check_bytes(key, sizeof key, "0000000101020304ffffffff");
	check_bytes((unsigned char *)name,
		    record_mailbox_key("spam@x", "INBOX", name, sizeof name),
		    "7370616d4078"
		    "00"
		    "494e424f58");
}

/* The numbers of states, outcomes and classes are part of the format. */
static void test_numbers(void **state)
{
	(void)state;
	assert_int_equal(RECORD_FORMAT, 1);
	assert_int_equal(STATE_SEEN, 0);
	assert_int_equal(STATE_SUBMITTED, 1);
	assert_int_equal(STATE_SETTLED, 2);
	assert_int_equal(STATE_MARKED, 3);
	assert_int_equal(STATE_PURGING, 4);
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
	assert_int_equal(CLASS_NONE, 0);
	assert_int_equal(CLASS_SPAM, 1);
	assert_int_equal(CLASS_HAM, 2);
	for (int s = 0; s < STATES; s++)
		assert_non_null(record_state_name((enum record_state)s));
	assert_string_equal(record_state_name(STATE_PURGING), "purging");
}

/* ---- there and back ---- */

static void test_uid_round(void **state)
{
	unsigned char out[RECORD_VALUE_MAX];

	(void)state;
	for (int s = 0; s < STATES; s++)
		for (int o = 0; o < OUTCOMES; o++)
			for (int c = CLASS_NONE; c <= CLASS_HAM; c++) {
				struct record_uid got,
				    r = {(enum record_state)s, (enum outcome)o,
					 (enum mail_class)c,   17,
					 INT64_MIN + s,	       digest_of((unsigned char)o)};
				size_t n = record_uid_encode(&r, out);

				memset(&got, 0xA5, sizeof got);
				assert_true(record_uid_decode(out, n, &got));
				assert_int_equal(got.state, r.state);
				assert_int_equal(got.outcome, r.outcome);
				assert_int_equal(got.class, r.class);
				assert_int_equal(got.tries, 17);
				assert_true(got.settled_at == r.settled_at);
				assert_true(digest_equal(&got.digest, &r.digest));
			}
}

static void check_digest_round(const struct record_digest *r)
{
	unsigned char out[RECORD_VALUE_MAX];
	struct record_digest got;
	size_t n = record_digest_encode(r, out);

	memset(&got, 0xA5, sizeof got);
	assert_true(record_digest_decode(out, n, &got));
	assert_int_equal(got.class, r->class);
	assert_int_equal(got.outcome, r->outcome);
	assert_int_equal(got.flips, r->flips);
	assert_int_equal(got.copies, r->copies);
	assert_int_equal(got.epoch, r->epoch);
	assert_true(got.first_seen == r->first_seen);
	assert_true(got.last_seen == r->last_seen);
	assert_true(got.verdict_at == r->verdict_at);
	assert_string_equal(got.answer, r->answer);
	assert_int_equal(got.n_reporters, r->n_reporters);
	for (size_t i = 0; i < r->n_reporters; i++) {
		assert_memory_equal(got.reporter[i].who, r->reporter[i].who,
				    RECORD_REPORTER_SIZE);
		assert_int_equal(got.reporter[i].class, r->reporter[i].class);
		assert_true(got.reporter[i].at == r->reporter[i].at);
	}
}

static void test_digest_round(void **state)
{
	struct record_digest r = digest_record;

	(void)state;
	check_digest_round(&r);
	r.flips = r.copies = UINT32_MAX;
	r.epoch = UINT32_MAX;
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
}

static void test_other_rounds(void **state)
{
	unsigned char out[RECORD_VALUE_MAX];
	struct record_mailbox box;
	struct record_run run;
	uint32_t a, b, c;

	(void)state;
	assert_true(
	    record_mailbox_decode(out, record_mailbox_encode(&mailbox_record, out), &box));
	assert_int_equal(box.number, 7);
	assert_int_equal(box.uidvalidity, UINT32_MAX);
	assert_int_equal(box.uidnext, 256);
	assert_true(box.modseq == 0x0102030405060708);
	assert_true(box.whole);
	for (int done = 0; done < 2; done++) {
		struct record_run r = {UINT32_MAX, done};

		assert_true(record_run_decode(out, record_run_encode(&r, out), &run));
		assert_int_equal(run.epoch, UINT32_MAX);
		assert_int_equal(run.complete, done);
	}
	assert_true(record_u32_decode(out, record_u32_encode(0xFEDCBA98, out), &a));
	assert_int_equal(a, 0xFEDCBA98);
	record_uid_key(1, 2, UINT32_MAX, out);
	assert_true(record_uid_key_decode(out, RECORD_UID_KEY, &a, &b, &c));
	assert_true(a == 1 && b == 2 && c == UINT32_MAX);
}

/* ---- what is no record ---- */

enum kind { UID, DIGEST, MAILBOX, RUN, U32, UID_KEY, KINDS };

static bool decode(enum kind kind, const unsigned char *data, size_t len)
{
	/* On the heap, to its last byte: whoever reads behind it is found. */
	unsigned char *exact = malloc(len ? len : 1);
	struct record_uid u;
	struct record_digest d;
	struct record_mailbox m;
	struct record_run r;
	uint32_t a, b, c;
	bool ok = false;

	assert_non_null(exact);
	memcpy(exact, data, len);
	switch (kind) {
	case UID:
		ok = record_uid_decode(exact, len, &u);
		break;
	case DIGEST:
		ok = record_digest_decode(exact, len, &d);
		break;
	case MAILBOX:
		ok = record_mailbox_decode(exact, len, &m);
		break;
	case RUN:
		ok = record_run_decode(exact, len, &r);
		break;
	case U32:
		ok = record_u32_decode(exact, len, &a);
		break;
	default:
		ok = record_uid_key_decode(exact, len, &a, &b, &c);
	}
	free(exact);
	return ok;
}

static size_t encode(enum kind kind, unsigned char *out)
{
	struct record_run run = {1, true};

	switch (kind) {
	case UID:
		return record_uid_encode(&uid_record, out);
	case DIGEST:
		return record_digest_encode(&digest_record, out);
	case MAILBOX:
		return record_mailbox_encode(&mailbox_record, out);
	case RUN:
		return record_run_encode(&run, out);
	case U32:
		return record_u32_encode(1, out);
	default:
		record_uid_key(1, 2, 3, out);
		return RECORD_UID_KEY;
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
	for (int k = UID; k <= RUN; k++)
		for (int version = 0; version < 256; version++) {
			size_t n = encode((enum kind)k, out);

			out[0] = (unsigned char)version;
			assert_int_equal(decode((enum kind)k, out, n), version == 1);
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
	check_range(UID, 1, STATES - 1);
	check_range(UID, 2, OUTCOMES - 1);
	check_range(UID, 3, CLASS_HAM);
	check_range(UID, 4, 255);
	check_range(DIGEST, 1, CLASS_HAM);
	check_range(DIGEST, 2, OUTCOMES - 1);
	check_range(MAILBOX, 21, 1);
	check_range(RUN, 5, 1);
}

/* Where the answer's length stands in digest_record, and its number of reporters. */
enum { ANSWER_AT = 39, REPORTERS_AT = 46 };

/* An answer has the length that it says, fits, and has no NUL. */
static void test_answer(void **state)
{
	unsigned char out[RECORD_VALUE_MAX] = {0};
	size_t n = encode(DIGEST, out);

	(void)state;
	assert_int_equal(out[ANSWER_AT], 6);
	for (int said = 0; said < 256; said++) {
		out[ANSWER_AT] = (unsigned char)said;
		assert_int_equal(decode(DIGEST, out, n), said == 6);
	}
	memset(out + ANSWER_AT, 'x', sizeof out - ANSWER_AT);
	n = ANSWER_AT + 1 + RECORD_ANSWER_MAX;
	out[ANSWER_AT] = RECORD_ANSWER_MAX;
	out[n] = 0; /* no reporters */
	assert_true(decode(DIGEST, out, n + 1));
	out[n - 1] = '\0';
	assert_false(decode(DIGEST, out, n + 1));
	out[n - 1] = 'x';
	out[ANSWER_AT]++;
	out[n] = 'x';
	out[n + 1] = 0;
	assert_false(decode(DIGEST, out, n + 2));
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
	unsigned char before[RECORD_UID_KEY] = {0}, key[RECORD_UID_KEY];
	size_t n = sizeof values / sizeof *values;

	(void)state;
	for (size_t i = 0; i < n * n * n; i++) {
		record_uid_key(values[i / n / n], values[i / n % n], values[i % n], key);
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
	    cmocka_unit_test(test_uid_vector),	 cmocka_unit_test(test_other_vectors),
	    cmocka_unit_test(test_numbers),	 cmocka_unit_test(test_uid_round),
	    cmocka_unit_test(test_digest_round), cmocka_unit_test(test_other_rounds),
	    cmocka_unit_test(test_truncated),	 cmocka_unit_test(test_versions),
	    cmocka_unit_test(test_ranges),	 cmocka_unit_test(test_answer),
	    cmocka_unit_test(test_reporters),	 cmocka_unit_test(test_key_order),
	    cmocka_unit_test(test_mailbox_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
