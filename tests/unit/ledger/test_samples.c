/*
 * samples.c: numbers that are never given twice, the last decision of each user on a content,
 * and that a record which is damaged is an error. Over the store in memory; a ledger of an
 * earlier version over files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lmdb.h>

#include "conf/conf.h"
#include "fake/store.h"
#include "ledger/samples.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct ledger *ledger;
static struct samples samples;
static struct err e;

static void ok(int rc)
{
	if (rc == -1)
		fail_msg("%s", e.text);
}

static int setup(void **state)
{
	(void)state;
	err_clear(&e);
	ledger = ledger_over(store_mem_open(&e), LEDGER_WRITE, &e);
	return ledger && samples_load(&samples, ledger, "mail", &e) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	ledger_close(ledger);
	ledger = NULL;
	return 0;
}

static struct sample sample(const char *name, const char *account, const char *blob,
			    enum mail_class class)
{
	struct sample s = {.class = class, .date = 1700000000};

	snprintf(s.name, sizeof s.name, "%s", name);
	snprintf(s.account, sizeof s.account, "%s", account);
	snprintf(s.blob, sizeof s.blob, "%s", blob);
	return s;
}

static void add(const char *name, const char *account, const char *blob, enum mail_class class)
{
	struct sample s = sample(name, account, blob, class);

	ok(samples_add(&samples, &s, false, &e));
}

static struct sample get(uint32_t number)
{
	struct sample s;

	assert_int_equal(samples_get(&samples, number, &s, &e), 1);
	return s;
}

static uint32_t find(const char *name)
{
	uint32_t number = 0;

	ok(samples_find(&samples, name, &number, &e));
	return number;
}

/* As another run finds them. */
static void load_again(void)
{
	const struct samples was = samples;

	ok(ledger_commit(ledger, &e));
	ok(samples_load(&samples, ledger, "mail", &e));
	assert_int_equal(samples.identity, was.identity);
	assert_int_equal(samples.next, was.next);
	assert_memory_equal(samples.count, was.count, sizeof was.count);
	assert_true(samples.newest == was.newest);
	assert_true(samples.walked == was.walked);
}

static void counts(uint32_t none, uint32_t spam, uint32_t ham)
{
	assert_int_equal(samples.count[CLASS_NONE], none);
	assert_int_equal(samples.count[CLASS_SPAM], spam);
	assert_int_equal(samples.count[CLASS_HAM], ham);
	assert_int_equal(samples_total(&samples), none + spam + ham);
}

static void test_none(void **state)
{
	uint32_t number = 0;
	struct sample s;

	(void)state;
	assert_int_not_equal(samples.identity, 0);
	assert_int_equal(samples.next, 1);
	counts(0, 0, 0);
	assert_int_equal(samples_get(&samples, 1, &s, &e), 0);
	assert_int_equal(samples_next(&samples, &number, &s, &e), 0);
	assert_int_equal(samples_find(&samples, "a", &number, &e), 0);
	ok(samples_ignore(&samples, 1, &e)); /* no error */
	ok(samples_drop(&samples, 1, &e));
	counts(0, 0, 0);
}

/* A server without samples is the same one in the next run. */
static void test_identity(void **state)
{
	struct samples again;

	(void)state;
	ok(samples_load(&again, ledger, "mail", &e));
	assert_int_equal(again.identity, samples.identity);
	ok(samples_load(&again, ledger, "mail2", &e));
	assert_int_not_equal(again.identity, samples.identity);
}

static void test_add(void **state)
{
	struct sample s;

	(void)state;
	add("a", "alice", "x", CLASS_SPAM);
	add("b", "", "y", CLASS_HAM); /* the server's own */
	counts(0, 1, 1);
	assert_int_equal(samples.next, 3);
	assert_true(samples.newest == 1700000000);
	load_again();
	s = get(1);
	assert_string_equal(s.name, "a");
	assert_string_equal(s.account, "alice");
	assert_string_equal(s.blob, "x");
	assert_int_equal(s.class, CLASS_SPAM);
	assert_true(s.date == 1700000000);
	assert_string_equal(get(2).account, "");
	assert_int_equal(find("a"), 1);
	assert_int_equal(find("b"), 2);
	assert_int_equal(find("c"), 0);
	assert_int_equal(find("x"), 0); /* a blob is no name */
}

/* The newest is the latest date, whatever came last. */
static void test_newest(void **state)
{
	struct sample s = sample("a", "u", "x", CLASS_SPAM);

	(void)state;
	ok(samples_add(&samples, &s, false, &e));
	s = sample("b", "u", "y", CLASS_SPAM);
	s.date = 5;
	ok(samples_add(&samples, &s, false, &e));
	assert_true(samples.newest == 1700000000);
	s = sample("c", "u", "z", CLASS_SPAM);
	s.date = 1700000001;
	ok(samples_add(&samples, &s, false, &e));
	assert_true(samples.newest == 1700000001);
	load_again();
}

/* A number is given once, also when the sample that had it is gone. */
static void test_numbers(void **state)
{
	(void)state;
	add("a", "u", "x", CLASS_SPAM);
	add("b", "u", "y", CLASS_SPAM);
	ok(samples_drop(&samples, 2, &e));
	counts(0, 1, 0);
	assert_int_equal(find("b"), 0);
	load_again();
	add("b", "u", "y", CLASS_SPAM); /* the same name again: another number */
	assert_int_equal(find("b"), 3);
	ok(samples_drop(&samples, 1, &e));
	ok(samples_drop(&samples, 3, &e));
	counts(0, 0, 0);
	load_again();
	add("c", "u", "x", CLASS_HAM);
	assert_int_equal(find("c"), 4);
}

static void test_no_number_left(void **state)
{
	struct sample s = sample("b", "u", "x", CLASS_HAM);

	(void)state;
	add("a", "u", "x", CLASS_SPAM);
	samples.next = UINT32_MAX - 1;
	add("z", "u", "z", CLASS_SPAM);
	assert_int_equal(find("z"), UINT32_MAX - 1);
	assert_int_equal(samples_add(&samples, &s, false, &e), -1);
	assert_int_equal(e.scope, ERR_SERVER);
	assert_int_equal(e.kind, ERR_LOCAL);
	assert_non_null(strstr(e.text, "stalwart mail: no numbers are left"));
	assert_non_null(strstr(e.text, "rename its block"));
	counts(0, 2, 0); /* and nothing has changed */
	assert_int_equal(get(1).class, CLASS_SPAM);
}

static void test_next(void **state)
{
	uint32_t number = 0;
	struct samples other;
	struct sample s;

	(void)state;
	ok(samples_load(&other, ledger, "mail2", &e));
	s = sample("o", "u", "x", CLASS_SPAM);
	ok(samples_add(&other, &s, false, &e));
	ok(samples_load(&other, ledger, "mai", &e));
	ok(samples_add(&other, &s, false, &e));
	add("a", "u", "x", CLASS_SPAM);
	add("b", "u", "y", CLASS_SPAM);
	add("c", "u", "z", CLASS_HAM);
	ok(samples_drop(&samples, 2, &e));
	assert_int_equal(samples_next(&samples, &number, &s, &e), 1);
	assert_int_equal(number, 1);
	assert_string_equal(s.name, "a");
	assert_int_equal(samples_next(&samples, &number, &s, &e), 1);
	assert_int_equal(number, 3);
	assert_string_equal(s.name, "c");
	/* Those of another server are none, whether its name comes before or after. */
	assert_int_equal(samples_next(&samples, &number, &s, &e), 0);
	assert_int_equal(number, 3);
	number = UINT32_MAX;
	assert_int_equal(samples_next(&samples, &number, &s, &e), 0);
	assert_int_equal(samples_find(&other, "a", &number, &e), 0);
	assert_int_equal(samples_find(&other, "o", &number, &e), 1);
	assert_int_not_equal(other.identity, samples.identity);
}

/* ---- decisions ---- */

/* A user who changes his mind: the last decision counts, and what others decided stays. */
static void test_supersede(void **state)
{
	(void)state;
	add("a", "alice", "x", CLASS_SPAM);
	add("b", "bob", "x", CLASS_SPAM);
	add("c", "alice", "y", CLASS_SPAM);
	add("d", "alice", "x", CLASS_HAM);
	assert_int_equal(get(1).class, CLASS_NONE);
	assert_int_equal(get(2).class, CLASS_SPAM);
	assert_int_equal(get(3).class, CLASS_SPAM);
	assert_int_equal(get(4).class, CLASS_HAM);
	counts(1, 2, 1);
	load_again();
	add("e", "alice", "x", CLASS_SPAM);
	assert_int_equal(get(1).class, CLASS_NONE);
	assert_int_equal(get(4).class, CLASS_NONE);
	assert_int_equal(get(5).class, CLASS_SPAM);
	counts(2, 3, 0);
	/* The older ones go, as when Stalwart has trained itself: the last one still counts. */
	ok(samples_drop(&samples, 1, &e));
	ok(samples_drop(&samples, 4, &e));
	add("f", "alice", "x", CLASS_HAM);
	assert_int_equal(get(5).class, CLASS_NONE);
	counts(1, 2, 1);
	/* The last one goes first: the next decision meets none. */
	ok(samples_drop(&samples, 6, &e));
	add("g", "alice", "x", CLASS_HAM);
	assert_int_equal(get(5).class, CLASS_NONE);
	assert_int_equal(get(7).class, CLASS_HAM);
}

/* Where account and content are put together they are not taken for each other. */
static void test_pairs(void **state)
{
	(void)state;
	add("a", "ab", "c", CLASS_SPAM);
	add("b", "a", "bc", CLASS_HAM);
	add("c", "", "abc", CLASS_HAM);
	counts(0, 1, 2);
}

static void test_last_of(void **state)
{
	struct sample s;
	uint32_t number;

	(void)state;
	add("a", "alice", "x", CLASS_SPAM);
	add("b", "alice", "x", CLASS_HAM);
	add("c", "bob", "x", CLASS_HAM);
	s = get(1);
	assert_int_equal(samples_decision(&samples, &s, &number, &e), 1);
	assert_int_equal(number, 2);
	s = sample("", "bob", "y", CLASS_NONE);
	assert_int_equal(samples_decision(&samples, &s, &number, &e), 0);
}

/* One that its server lists before another decision of the same user on this content. */
static void test_overruled(void **state)
{
	struct sample s = sample("b", "alice", "x", CLASS_HAM);

	(void)state;
	add("a", "alice", "x", CLASS_SPAM);
	ok(samples_add(&samples, &s, true, &e));
	assert_int_equal(get(1).class, CLASS_SPAM);
	assert_int_equal(get(2).class, CLASS_NONE);
	assert_int_equal(s.class, CLASS_NONE); /* the caller's, too */
	assert_int_equal(get(1).older, 2);
	counts(1, 1, 0);
	load_again();
	add("c", "alice", "x", CLASS_HAM);
	assert_int_equal(get(1).class, CLASS_NONE);
	assert_int_equal(get(3).older, 1);
	assert_int_equal(get(1).older, 2);
	counts(2, 0, 1);
	ok(samples_drop(&samples, 2, &e)); /* that does not touch what counts */
	add("d", "alice", "x", CLASS_SPAM);
	assert_int_equal(get(3).class, CLASS_NONE);
	counts(2, 1, 0);
}

/* The decisions of one user on one content are a chain, from the last one down. */
static void test_chain(void **state)
{
	static const uint32_t older[] = {0, 0, 1, 0, 6, 3};
	struct sample s = sample("f", "alice", "x", CLASS_HAM);

	(void)state;
	add("a", "alice", "x", CLASS_SPAM);
	add("b", "bob", "x", CLASS_SPAM);
	add("c", "alice", "x",
	    CLASS_SPAM); /* the same again: it is the later one that counts */
	add("d", "alice", "y", CLASS_SPAM);
	add("e", "alice", "x", CLASS_HAM);
	ok(samples_add(&samples, &s, true, &e)); /* below the last one */
	assert_int_equal(s.older, 3);
	load_again();
	for (uint32_t i = 1; i <= COUNT(older); i++)
		assert_int_equal(get(i).older, older[i - 1]);
	counts(3, 2, 1);
	assert_int_equal(get(5).class, CLASS_HAM);
	/* One that vanishes out of the middle leaves no gap. */
	ok(samples_drop(&samples, 3, &e));
	assert_int_equal(get(6).older, 1);
	ok(samples_drop(&samples, 6, &e));
	assert_int_equal(get(5).older, 1);
	counts(1, 2, 1);
	/* Overruled by none: it counts. */
	s = sample("g", "carol", "x", CLASS_HAM);
	ok(samples_add(&samples, &s, true, &e));
	assert_int_equal(get(7).class, CLASS_HAM);
	assert_int_equal(get(7).older, 0);
	counts(1, 2, 2);
}

static void test_ignore(void **state)
{
	(void)state;
	add("a", "alice", "x", CLASS_SPAM);
	add("b", "alice", "y", CLASS_NONE); /* left out by the configuration */
	counts(1, 1, 0);
	ok(samples_ignore(&samples, 1, &e));
	counts(2, 0, 0);
	ok(samples_ignore(&samples, 1, &e)); /* again */
	counts(2, 0, 0);
	load_again();
	assert_int_equal(get(1).class, CLASS_NONE);
	assert_int_equal(find("a"), 1); /* known, so that it is not met again */
	add("c", "alice", "x", CLASS_SPAM);
	counts(2, 1, 0);
	ok(samples_drop(&samples, 1, &e));
	counts(1, 1, 0);
}

static void test_waiting(void **state)
{
	struct samples now;
	struct ledger *other;
	uint64_t n;

	(void)state;
	add("a", "alice", "x", CLASS_SPAM);
	other = ledger_over(store_mem_open(&e), LEDGER_WRITE, &e);
	assert_non_null(other);
	ok(samples_load(&now, other, "mail", &e));
	ok(samples_waiting(&now, ledger, &n, &e));
	assert_int_equal(n, 0);
	for (int i = 0; i < 4; i++) {
		const char name[] = {(char)('a' + i), '\0'};
		struct sample s = sample(name, "u", name, i == 3 ? CLASS_NONE : CLASS_HAM);

		ok(samples_add(&now, &s, false, &e));
	}
	ok(samples_waiting(&now, ledger, &n, &e)); /* b and c: a is known, d counts for none */
	assert_int_equal(n, 2);
	ok(samples_waiting(&samples, ledger, &n, &e));
	assert_int_equal(n, 0);
	ledger_close(other);
}

/* ---- what is in the store ---- */

/* The longest names of all fit into a key. */
static void test_longest(void **state)
{
	char server[CONF_MAX_NAME + 1], word[SAMPLE_WORD_MAX + 1], blob[SAMPLE_BLOB_MAX + 1];
	struct sample s, got;
	uint32_t number;

	(void)state;
	memset(server, 's', sizeof server);
	memset(word, 'w', sizeof word);
	memset(blob, 'b', sizeof blob);
	server[CONF_MAX_NAME] = word[SAMPLE_WORD_MAX] = blob[SAMPLE_BLOB_MAX] = '\0';
	ok(samples_load(&samples, ledger, server, &e));
	for (int i = 0; i < 2; i++) {
		word[0] = (char)('a' + i);
		s = sample(word, "u", blob, CLASS_SPAM);
		memset(s.account, 'w', SAMPLE_WORD_MAX);
		ok(samples_add(&samples, &s, false, &e));
	}
	assert_int_equal(samples_find(&samples, word, &number, &e), 1);
	assert_int_equal(number, 2);
	assert_int_equal(samples_get(&samples, 2, &got, &e), 1);
	assert_string_equal(got.name, word);
	assert_string_equal(got.account, s.account);
	assert_string_equal(got.blob, blob);
	counts(1, 1, 0);
	ok(samples_drop(&samples, 2, &e));
	assert_int_equal(samples_find(&samples, word, &number, &e), 0);
}

/* What is on disk, byte by byte, as docs/ledger.md has it. */
struct known_record {
	const char *key, *value;
	size_t key_len, value_len;
};
#define RECORD(k, v)                             \
	{                                        \
		k, v, sizeof k - 1, sizeof v - 1 \
	}
static const struct known_record records[] = {
    RECORD("mail\0b"
	   "d\0edmn9k",
	   "\0\0\0\7"),
    RECORD("mail\0h", "\1\1\2\3\4\0\0\0\10\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\x65\x53\xf1\0\0\0\0"
		      "\0\x65\x53\xf2\0"),
    RECORD("mail\0i"
	   "jp3h1y",
	   "\0\0\0\3"),
    RECORD("mail\0i"
	   "jp3h1z",
	   "\0\0\0\7"),
    RECORD("mail\0n\0\0\0\3", "\1\0\0\0\0\0\0\0\0\0\x65\x53\xf1\0jp3h1y\0d\0edmn9k\0"),
    RECORD("mail\0n\0\0\0\7", "\1\2\0\0\0\3\0\0\0\0\x65\x53\xf1\0jp3h1z\0d\0edmn9k\0"),
};

static void test_bytes(void **state)
{
	struct store *store = ledger_store(ledger);
	struct sample s = sample("jp3h1z", "d", "edmn9k", CLASS_HAM);
	struct store_value key = {"", 0}, value;
	size_t n = 0;
	int rc;

	(void)state;
	samples.identity = 0x01020304;
	samples.next = 3;
	add("jp3h1y", "d", "edmn9k", CLASS_SPAM);
	samples.next = 7;
	ok(samples_walked(&samples, 0x6553f200, &e));
	ok(samples_add(&samples, &s, false, &e));
	for (rc = store->ops->seek(store, STORE_SAMPLE, &key, &value, &e); rc == 1;
	     rc = store->ops->next(store, STORE_SAMPLE, &key, &value, &e)) {
		const struct known_record *r = &records[n++];

		assert_true(n <= COUNT(records));
		assert_int_equal(key.len, r->key_len);
		assert_memory_equal(key.data, r->key, key.len);
		assert_int_equal(value.len, r->value_len);
		assert_memory_equal(value.data, r->value, value.len);
		assert_true(samples_is_sound(key, value));
	}
	assert_int_equal(n, COUNT(records));
}

static void put_raw(const char *key, size_t key_len, const void *value, size_t len)
{
	struct store *store = ledger_store(ledger);

	ok(store->ops->put(store, STORE_SAMPLE, (struct store_value){key, key_len},
			   (struct store_value){value, len}, &e));
}

static void is_damaged(int rc, const char *what)
{
	assert_int_equal(rc, -1);
	assert_int_equal(e.scope, ERR_FATAL);
	assert_int_equal(e.kind, ERR_LOCAL);
	assert_non_null(strstr(e.text, what));
}

#define RAW(k, v) put_raw(k, sizeof k - 1, v, sizeof v - 1)

static void test_damaged_head(void **state)
{
	static const char head[] =
	    "\1\1\2\3\4\0\0\0\10\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0eS\xf1\0\0\0\0\0eS\xf2\0";
	char bad[sizeof head];

	(void)state;
	RAW("mail\0h",
	    "\1\1\2\3\4\0\0\0\10\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0eS\xf1\0\0\0\0\0eS\xf2\0");
	ok(samples_load(&samples, ledger, "mail", &e));
	assert_int_equal(samples.identity, 0x01020304);
	assert_int_equal(samples.next, 8);
	for (size_t len = 0; len < sizeof head - 1; len++) {
		put_raw("mail\0h", 6, head, len);
		is_damaged(samples_load(&samples, ledger, "mail", &e), "server");
	}
	put_raw("mail\0h", 6, head, sizeof head); /* and one too long */
	is_damaged(samples_load(&samples, ledger, "mail", &e), "server");
	memcpy(bad, head, sizeof bad);
	bad[0] = 2;
	put_raw("mail\0h", 6, bad, sizeof bad - 1);
	is_damaged(samples_load(&samples, ledger, "mail", &e), "server");
	memcpy(bad, head, sizeof bad);
	memset(bad + 1, 0, 4); /* no identity */
	put_raw("mail\0h", 6, bad, sizeof bad - 1);
	is_damaged(samples_load(&samples, ledger, "mail", &e), "server");
	memcpy(bad, head, sizeof bad);
	memset(bad + 5, 0, 4); /* no next number */
	put_raw("mail\0h", 6, bad, sizeof bad - 1);
	is_damaged(samples_load(&samples, ledger, "mail", &e), "server");
	assert_false(samples_is_sound((struct store_value){"mail\0h", 6},
				      (struct store_value){bad, sizeof bad - 1}));
}

/* Is the sample with number 1 damaged with these bytes, to all that read it? */
static void damages(const void *value, size_t len)
{
	uint32_t number = 0;
	struct sample s;

	put_raw("mail\0n\0\0\0\1", 10, value, len);
	is_damaged(samples_get(&samples, 1, &s, &e), "sample");
	is_damaged(samples_next(&samples, &number, &s, &e), "sample");
	is_damaged(samples_ignore(&samples, 1, &e), "sample");
	is_damaged(samples_drop(&samples, 1, &e), "sample");
	assert_false(samples_is_sound((struct store_value){"mail\0n\0\0\0\1", 10},
				      (struct store_value){value, len}));
}

static void test_damaged_sample(void **state)
{
	static const char good[] = "\1\1\0\0\0\0\0\0\0\0eS\xf1\0a\0u\0x";
	char bad[sizeof good], longer[400];
	struct sample s;

	(void)state;
	put_raw("mail\0n\0\0\0\1", 10, good, sizeof good);
	assert_int_equal(samples_get(&samples, 1, &s, &e), 1);
	for (size_t len = 0; len < sizeof good; len++)
		damages(good, len);
	memcpy(bad, good, sizeof bad);
	bad[0] = 3; /* layout */
	damages(bad, sizeof bad);
	memcpy(bad, good, sizeof bad);
	bad[1] = 3; /* class */
	damages(bad, sizeof bad);
	memcpy(bad, good, sizeof bad);
	bad[sizeof bad - 1] = 'y'; /* no end */
	damages(bad, sizeof bad);
	memcpy(longer, good, sizeof good);
	longer[sizeof good] = '\0'; /* something behind */
	damages(longer, sizeof good + 1);
	for (int word = 0; word < 3; word++) { /* a word that is too long */
		static const size_t max[] = {SAMPLE_WORD_MAX, SAMPLE_WORD_MAX, SAMPLE_BLOB_MAX};
		size_t n = 14 + 2 * (size_t)word, w = max[word] + 1;

		memcpy(longer, good, sizeof good);
		memset(longer + n, 'w', w);
		memcpy(longer + n + w, good + n + 1, sizeof good - n - 1);
		damages(longer, sizeof good + w - 1);
		/* One less is not. */
		memmove(longer + n, longer + n + 1, sizeof good + w - 2 - n);
		put_raw("mail\0n\0\0\0\1", 10, longer, sizeof good + w - 2);
		assert_int_equal(samples_get(&samples, 1, &s, &e), 1);
	}
}

static void test_damaged_numbers(void **state)
{
	struct sample s = sample("b", "u", "x", CLASS_SPAM);
	uint32_t number;

	(void)state;
	add("a", "u", "x", CLASS_SPAM);
	RAW("mail\0ia", "\0\0\1");
	is_damaged(samples_find(&samples, "a", &number, &e), "sample");
	assert_false(samples_is_sound((struct store_value){"mail\0ia", 7},
				      (struct store_value){"\0\0\1", 3}));
	RAW("mail\0bu\0x", "\0\0\0\0\1");
	is_damaged(samples_add(&samples, &s, false, &e), "sample");
	is_damaged(samples_drop(&samples, 1, &e), "sample");
	assert_false(samples_is_sound((struct store_value){"mail\0bu\0x", 9},
				      (struct store_value){"\0\0\0\0\1", 5}));
}

/* Keys that are none of ours. */
static void test_unsound_keys(void **state)
{
	static const struct known_record bad[] = {
	    RECORD("", "\0\0\0\1"),
	    RECORD("mail", "\0\0\0\1"),
	    RECORD("mail\0", "\0\0\0\1"),
	    RECORD("mail\0z", "\0\0\0\1"),
	    RECORD("mail\0i", "\0\0\0\1"),
	    RECORD("mail\0bux", "\0\0\0\1"),
	    RECORD("mail\0bu\0", "\0\0\0\1"),
	    RECORD("mail\0n\0\0\1", "\1\1\0\0\0\0\0\0\0\0eS\xf1\0a\0u\0x\0"),
	    RECORD("mail\0n\0\0\0\0\1", "\1\1\0\0\0\0\0\0\0\0eS\xf1\0a\0u\0x\0"),
	    RECORD(
		"mail\0hx",
		"\1\1\2\3\4\0\0\0\10\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0eS\xf1\0\0\0\0\0eS\xf2\0"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		if (samples_is_sound((struct store_value){bad[i].key, bad[i].key_len},
				     (struct store_value){bad[i].value, bad[i].value_len}))
			fail_msg("record %zu", i);
	assert_true(samples_is_sound((struct store_value){"mail\0b\0x", 8},
				     (struct store_value){"\0\0\0\1", 4}));
}

/* ---- a disk that breaks ---- */

static int do_all(struct ledger *l)
{
	struct sample s = sample("a", "u", "x", CLASS_SPAM);
	uint32_t number = 0;
	struct samples all;
	uint64_t n;

	if (samples_load(&all, l, "mail", &e) == -1 || samples_walked(&all, 1, &e) == -1 ||
	    samples_add(&all, &s, false, &e) == -1)
		return -1;
	s = sample("b", "u", "x", CLASS_HAM);
	if (samples_add(&all, &s, false, &e) == -1 ||
	    samples_find(&all, "a", &number, &e) == -1 || samples_get(&all, 1, &s, &e) == -1 ||
	    samples_ignore(&all, 2, &e) == -1 || samples_decision(&all, &s, &number, &e) == -1)
		return -1;
	number = 0;
	if (samples_next(&all, &number, &s, &e) == -1 ||
	    samples_waiting(&all, l, &n, &e) == -1 || samples_drop(&all, 1, &e) == -1 ||
	    samples_drop(&all, 2, &e) == -1)
		return -1;
	return 0;
}

/* Each call of the store fails in turn: that is an error, and never anything else. */
static void test_store_errors(void **state)
{
	struct fake_events events = {0};
	unsigned failures = 0;
	int rc = -1;

	(void)state;
	for (unsigned n = 1; rc == -1; n++) {
		struct fake_store store;
		struct ledger *l;

		fake_store_init(&store, &events);
		l = ledger_over(&store.store, LEDGER_WRITE, &e);
		assert_non_null(l);
		store.fail_call = n;
		err_clear(&e);
		rc = do_all(l);
		failures += rc == -1;
		if (rc == -1)
			assert_string_equal(e.text, "the disk is broken");
		ledger_close(l);
		fake_store_free(&store);
	}
	assert_true(failures > 30);
}

/* ---- over files ---- */

static char dir[] = "/tmp/test_samples.XXXXXX";

static void remove_dir(void)
{
	char command[64];

	snprintf(command, sizeof command, "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

/* Take the map away: so did earlier versions leave a ledger. */
static void make_old(void)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
	assert_int_equal(mdb_env_set_mapsize(env, 64 << 20), 0);
	assert_int_equal(mdb_env_open(env, dir, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, "sample", 0, &dbi), 0);
	assert_int_equal(mdb_drop(txn, dbi, 1), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static void open_files(enum ledger_mode mode)
{
	teardown(NULL);
	ledger = ledger_open(dir, mode, "test", &e);
	if (ledger == NULL)
		fail_msg("%s", e.text);
	ok(samples_load(&samples, ledger, "mail", &e));
}

static void test_older_ledger(void **state)
{
	uint32_t number = 0;
	struct sample s;
	uint64_t n;

	(void)state;
	assert_non_null(mkdtemp(dir));
	open_files(LEDGER_WRITE);
	teardown(NULL);
	make_old();
	/* Read only: there are none. */
	open_files(LEDGER_READ);
	counts(0, 0, 0);
	assert_int_equal(samples_get(&samples, 1, &s, &e), 0);
	assert_int_equal(samples_next(&samples, &number, &s, &e), 0);
	assert_int_equal(samples_find(&samples, "a", &number, &e), 0);
	ok(samples_waiting(&samples, ledger, &n, &e));
	/* A dry run works on it and leaves it as it is. */
	open_files(LEDGER_DRY);
	add("a", "u", "x", CLASS_SPAM);
	assert_int_equal(find("a"), 1);
	ok(ledger_commit(ledger, &e));
	open_files(LEDGER_READ);
	assert_int_equal(find("a"), 0);
	/* The next run makes the map. */
	open_files(LEDGER_WRITE);
	add("a", "u", "x", CLASS_SPAM);
	load_again();
	open_files(LEDGER_READ);
	assert_int_equal(find("a"), 1);
	counts(0, 1, 0);
	teardown(NULL);
	remove_dir();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_none, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_add, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_newest, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_no_number_left, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_next, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_supersede, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_pairs, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_last_of, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_overruled, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_chain, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_ignore, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_waiting, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_longest, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_damaged_head, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_damaged_sample, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_damaged_numbers, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_unsound_keys, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_store_errors, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_older_ledger, setup, teardown),
	};

	return cmocka_run_group_tests_name("samples", tests, NULL, NULL);
}
