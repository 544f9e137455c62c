/*
 * store.h: one suite over both backends, then what only files on a disk can do: to be kept, to
 * grow, to be shared between processes, and to be full, damaged, or somebody else's.
 */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake/fixture.h"
#include "ledger/store.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { NOBODY = 65534 };

static char dir[64];   /* of this test */
static char path[128]; /* of the file that file_in() named last */
static struct store *store;
static struct err e;

static const char *file_in(const char *name)
{
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void shut(void)
{
	store_close(store);
	store = NULL;
}

/* ---- short words for long calls ---- */

static struct store_value val(const char *s)
{
	return (struct store_value){s, strlen(s)};
}

static void ok(int rc)
{
	if (rc != 0)
		fail_msg("%d: %s", rc, rc == -1 ? e.text : "");
}

static void begin(bool write)
{
	ok(store->ops->begin(store, write, &e));
}

static void commit(void)
{
	ok(store->ops->commit(store, &e));
}

static void put_in(enum store_map m, const char *key, const char *value)
{
	ok(store->ops->put(store, m, val(key), val(value), &e));
}

static void put(const char *key, const char *value)
{
	put_in(STORE_UID, key, value);
}

static void del(const char *key)
{
	ok(store->ops->del(store, STORE_UID, val(key), &e));
}

static bool is(struct store_value v, const char *want)
{
	return v.len == strlen(want) && memcmp(v.data, want, v.len) == 0;
}

/* want is NULL where the key must not be there. */
static void expect_in(enum store_map m, const char *key, const char *want)
{
	struct store_value v = {NULL, 0};
	int rc = store->ops->get(store, m, val(key), &v, &e);

	if (rc == -1)
		fail_msg("%s", e.text);
	assert_int_equal(rc, want != NULL);
	if (want && !is(v, want))
		fail_msg("%s: \"%.*s\" is not \"%s\"", key, (int)v.len, (const char *)v.data,
			 want);
}

static void expect(const char *key, const char *want)
{
	expect_in(STORE_UID, key, want);
}

/* The map from key on, as "a=1 b=2 ". */
static void expect_walk(const char *from, const char *want)
{
	char got[512] = "";
	size_t n = 0;
	struct store_value key = val(from), value;
	int rc = store->ops->seek(store, STORE_UID, &key, &value, &e);

	while (rc == 1) {
		n += (size_t)snprintf(got + n, sizeof got - n, "%.*s=%.*s ", (int)key.len,
				      (const char *)key.data, (int)value.len,
				      (const char *)value.data);
		rc = store->ops->next(store, STORE_UID, &key, &value, &e);
	}
	assert_int_equal(rc, 0);
	assert_string_equal(got, want);
}

/* ---- set-up ---- */

struct backend {
	struct store *(*open)(void);
};

static struct store *open_mem(void)
{
	return store_mem_open(&e);
}

static struct store *open_lmdb(void)
{
	return store_lmdb_open(dir, true, &e);
}

static const struct backend mem = {open_mem}, lmdb = {open_lmdb};

static int fd_before;

static int make_dir(void **state)
{
	(void)state;
	fd_before = fixture_open_fds();
	snprintf(dir, sizeof dir, "/tmp/test_store.XXXXXX");
	err_clear(&e);
	store = NULL;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	static const char *const names[] = {"data.mdb", "lock.mdb", "copy", "filler", "sub"};

	(void)state;
	shut();
	assert_int_equal(fixture_open_fds(), fd_before);
	for (size_t i = 0; i < COUNT(names); i++)
		unlink(file_in(names[i]));
	rmdir(file_in("sub"));
	return rmdir(dir);
}

static int setup(void **state)
{
	const struct backend *b = *state;

	if (make_dir(state) == -1)
		return -1;
	store = b->open();
	return store ? 0 : -1;
}

static void reopen(bool write)
{
	shut();
	store = store_lmdb_open(dir, write, &e);
	if (store == NULL)
		fail_msg("%s", e.text);
}

/* ---- both backends ---- */

static void test_get_put_del(void **state)
{
	char binary[] = "\0\xFF\n";

	(void)state;
	begin(true);
	expect("a", NULL);
	put("a", "1");
	put("b", "");
	put("a", "a longer one"); /* takes the place of the first */
	expect("a", "a longer one");
	expect("b", "");
	put_in(STORE_META, "a", "meta");
	expect_in(STORE_META, "a", "meta");
	expect_in(STORE_DIGEST, "a", NULL); /* maps are apart */
	del("a");
	del("a"); /* what is not there */
	expect("a", NULL);
	expect_in(STORE_META, "a", "meta");
	ok(store->ops->put(store, STORE_UID, (struct store_value){binary, 4},
			   (struct store_value){binary, 3}, &e));
	ok(store->ops->put(store, STORE_UID, val("none"), (struct store_value){NULL, 0}, &e));
	expect("none", "");
	commit();
	begin(false);
	expect("b", "");
	expect("none", "");
	expect_in(STORE_META, "a", "meta");
	commit();
}

static void test_order(void **state)
{
	(void)state;
	begin(true);
	expect_walk("", "");
	put("b", "2");
	put("a", "1");
	put("ab", "12");
	put("\x80", "9");
	put("c", "3");
	put("B", "0");
	expect_walk("",
		    "B=0 a=1 ab=12 b=2 c=3 \x80=9 "); /* bytes, unsigned; the shorter first */
	expect_walk("a", "a=1 ab=12 b=2 c=3 \x80=9 ");
	expect_walk("aa", "ab=12 b=2 c=3 \x80=9 ");
	expect_walk("\x80", "\x80=9 ");
	expect_walk("\x81", "");
	del("ab");
	expect_walk("a", "a=1 b=2 c=3 \x80=9 ");
	commit();
	begin(false);
	expect_walk("", "B=0 a=1 b=2 c=3 \x80=9 ");
	commit();
}

/* Delete while walking, as the ledger does: seek anew behind each. */
static void test_walk_and_delete(void **state)
{
	struct store_value key, value;
	char name[16];
	int n = 0, rc;

	(void)state;
	begin(true);
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof name, "k%04d", i);
		put(name, "x");
	}
	for (key = val(""); (rc = store->ops->seek(store, STORE_UID, &key, &value, &e)) == 1;) {
		assert_int_equal(key.len, 5);
		memcpy(name, key.data, 5);
		name[5] = '\0';
		if (n++ % 2 == 0)
			del(name);
		name[5] = '!'; /* behind this key and before the next */
		key = (struct store_value){name, 6};
	}
	assert_int_equal(rc, 0);
	assert_int_equal(n, 500);
	expect("k0000", NULL);
	expect("k0001", "x");
	expect_walk("k0495", "k0495=x k0497=x k0499=x ");
	commit();
}

static void test_abort(void **state)
{
	(void)state;
	begin(true);
	put("a", "1");
	put("b", "2");
	commit();
	begin(true);
	put("a", "changed");
	put("c", "3");
	del("b");
	expect_walk("", "a=changed c=3 ");
	store->ops->abort(store);
	store->ops->abort(store); /* none is open */
	begin(false);
	expect_walk("", "a=1 b=2 ");
	store->ops->abort(store);
	begin(true);
	expect_walk("", "a=1 b=2 ");
	put("d", "4");
	commit();
	begin(false);
	expect_walk("", "a=1 b=2 d=4 ");
	commit();

	/* Back to the last commit, and to no other. */
	begin(true);
	del("b");
	put("a", "5");
	commit();
	begin(true);
	put("x", "6");
	store->ops->abort(store);
	begin(false);
	expect_walk("", "a=5 d=4 ");
	commit();
	for (int m = 0; m < STORE_MAPS; m++) {
		begin(true);
		put_in((enum store_map)m, "a", "kept");
		commit();
		begin(true);
		put_in((enum store_map)m, "a", "not kept");
		put_in((enum store_map)m, "m", "not kept");
		store->ops->abort(store);
		begin(true);
		expect_in((enum store_map)m, "a", "kept");
		expect_in((enum store_map)m, "m", NULL);
		put_in((enum store_map)m, "a", "5");
		commit();
	}
	begin(false);
	store->ops->abort(store); /* of what only read */
	begin(true);
	expect_walk("", "a=5 d=4 ");
	commit();
}

/* Keys that LMDB does not take are an error in any backend. */
static void test_limits(void **state)
{
	static char key[STORE_KEY_MAX + 1], value[STORE_VALUE_MAX];
	struct store_value v, longest = {key, STORE_KEY_MAX};

	(void)state;
	memset(key, 'k', sizeof key);
	memset(value, 'v', sizeof value);
	begin(true);
	ok(store->ops->put(store, STORE_META, longest,
			   (struct store_value){value, sizeof value}, &e));
	assert_int_equal(store->ops->get(store, STORE_META, longest, &v, &e), 1);
	assert_int_equal(v.len, sizeof value);
	assert_memory_equal(v.data, value, sizeof value);
	assert_int_equal(store->ops->put(store, STORE_META,
					 (struct store_value){key, STORE_KEY_MAX + 1}, val("x"),
					 &e),
			 -1);
	assert_int_equal(e.scope, ERR_FATAL);
	store->ops->abort(store);
	begin(true);
	assert_int_equal(
	    store->ops->put(store, STORE_META, (struct store_value){key, 0}, val("x"), &e), -1);
	assert_int_equal(e.scope, ERR_FATAL);
	store->ops->abort(store);
}

/* A store that is closed in the middle of a transaction; close has to free it. */
static void test_close_open(void **state)
{
	(void)state;
	begin(true);
	put("a", "1");
	expect_walk("", "a=1 ");
	shut();
	store_close(NULL);
}

static void test_mem_backup(void **state)
{
	(void)state;
	assert_int_equal(store->ops->backup(store, file_in("copy"), &e), -1);
	assert_int_equal(access(path, F_OK), -1);
}

/* ---- LMDB alone: one process after another ---- */

static void test_kept(void **state)
{
	struct stat st;

	(void)state;
	begin(true);
	put("a", "1");
	commit();
	begin(true);
	put("b", "never committed");
	reopen(true);
	begin(false);
	expect_walk("", "a=1 ");
	commit();
	reopen(false);
	begin(false);
	expect_walk("", "a=1 ");
	commit();
	assert_int_equal(stat(file_in("data.mdb"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(file_in("lock.mdb"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void put_number(unsigned n, const char *with, size_t len)
{
	unsigned char key[4] = {(unsigned char)(n >> 24), (unsigned char)(n >> 16),
				(unsigned char)(n >> 8), (unsigned char)n};

	ok(store->ops->put(store, STORE_DIGEST, (struct store_value){key, 4},
			   (struct store_value){with, len}, &e));
}

/* n values of 32 KiB, 4 MiB a transaction. */
static void put_many(unsigned n)
{
	static char big[32 * 1024];

	for (unsigned i = 0; i < n; i++) {
		if (i % 128 == 0)
			begin(true);
		memset(big, (int)('a' + i % 26), sizeof big);
		put_number(i, big, sizeof big);
		if (i % 128 == 127 || i == n - 1)
			commit();
	}
}

/* Every value is there, and whole. */
static void expect_many(unsigned n)
{
	struct store_value key = {NULL, 0}, v;
	unsigned i = 0;
	int rc;

	begin(false);
	rc = store->ops->seek(store, STORE_DIGEST, &key, &v, &e);
	for (; rc == 1; i++) {
		const char *bytes = v.data;

		assert_int_equal(v.len, 32 * 1024);
		assert_int_equal(bytes[0], 'a' + i % 26);
		assert_memory_equal(bytes, bytes + 1, v.len - 1);
		rc = store->ops->next(store, STORE_DIGEST, &key, &v, &e);
	}
	assert_int_equal(rc, 0);
	assert_int_equal(i, n);
	commit();
}

enum { MANY = 112 * 32 }; /* 112 MiB: past the map's first 64 MiB, and its first doubling */

static void test_growth(void **state)
{
	struct stat st;

	(void)state;
	put_many(MANY);
	expect_many(MANY);
	assert_int_equal(stat(file_in("data.mdb"), &st), 0);
	assert_true(st.st_size > 112 << 20);
	reopen(true); /* with a map that is larger than the one we would make */
	expect_many(MANY);
	begin(true);
	put("a", "1");
	commit();
	reopen(false);
	expect_many(MANY);
}

/* One transaction that frees a great deal needs no more than the room that was made for it. */
static void test_delete_many(void **state)
{
	char value[45];
	unsigned char key[4];
	struct store_value k, v;
	enum { N = 300000 };

	(void)state;
	memset(value, 'u', sizeof value);
	for (unsigned i = 0; i < N; i++) {
		if (i % 10000 == 0)
			begin(true);
		put_number(i, value, sizeof value);
		if (i % 10000 == 9999)
			commit();
	}
	begin(true);
	for (k = (struct store_value){NULL, 0};
	     store->ops->seek(store, STORE_DIGEST, &k, &v, &e) == 1;
	     k = (struct store_value){key, 4}) {
		memcpy(key, k.data, 4);
		ok(store->ops->del(store, STORE_DIGEST, (struct store_value){key, 4}, &e));
	}
	commit();
	begin(false);
	k = (struct store_value){NULL, 0};
	assert_int_equal(store->ops->seek(store, STORE_DIGEST, &k, &v, &e), 0);
	commit();
}

/* ---- LMDB: several processes ---- */

static int pipes[2][2];			 /* [0]: to the child, [1]: from it */
static struct store *volatile of_parent; /* kept in a child, for who looks for leaks */

static void say(int to_child)
{
	assert_int_equal(write(pipes[to_child ? 0 : 1][1], "x", 1), 1);
}

static void hear(int from_child)
{
	char c;

	assert_int_equal(read(pipes[from_child ? 1 : 0][0], &c, 1), 1);
}

/*
 * Run a part of the test in a child of its own. A failed assertion in it, or a signal, is its
 * exit status; the child never comes back into cmocka.
 */
static pid_t start(void (*child)(void))
{
	pid_t pid;

	assert_int_equal(pipe2(pipes[0], O_CLOEXEC), 0);
	assert_int_equal(pipe2(pipes[1], O_CLOEXEC), 0);
	fflush(NULL);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		alarm(120);
		setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failure here is abort() */
		of_parent = store;
		store = NULL;
		child();
		_exit(0);
	}
	return pid;
}

static int finish(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (int i = 0; i < 4; i++)
		close(pipes[i / 2][i % 2]);
	return status;
}

static void in_child(void (*child)(void))
{
	assert_int_equal(finish(start(child)), 0);
}

static void child_read_snapshot(void)
{
	store = store_lmdb_open(dir, false, &e);
	assert_non_null(store);
	begin(false);
	expect_walk("", "a=1 ");
	say(false);
	hear(false); /* the parent has committed */
	expect_walk("", "a=1 ");
	commit();
	begin(false);
	expect_walk("", "a=2 b=3 ");
	commit();
	shut();
}

static void test_reader_beside_writer(void **state)
{
	pid_t pid;

	(void)state;
	begin(true);
	put("a", "1");
	commit();
	pid = start(child_read_snapshot);
	hear(true);
	begin(true);
	put("a", "2");
	put("b", "3");
	commit();
	say(true);
	assert_int_equal(finish(pid), 0);
}

static void child_see_growth(void)
{
	store = store_lmdb_open(dir, false, &e);
	assert_non_null(store);
	begin(false);
	commit();
	say(false);
	hear(false);
	expect_many(MANY);
	shut();
}

/* A reader whose map is too small for what was written meanwhile. */
static void test_resized_reader(void **state)
{
	pid_t pid;

	(void)state;
	pid = start(child_see_growth);
	hear(true);
	put_many(MANY);
	say(true);
	assert_int_equal(finish(pid), 0);
}

static void child_grow(void)
{
	store = store_lmdb_open(dir, true, &e);
	assert_non_null(store);
	put_many(MANY);
	shut();
}

/* The same for a writer: ours is open, but the ledger's lock lets another go first. */
static void test_resized_writer(void **state)
{
	(void)state;
	begin(true);
	put("a", "1");
	commit();
	in_child(child_grow);
	begin(true);
	expect("a", "1");
	put("b", "2");
	commit();
	expect_many(MANY);
}

static void child_die_reading(void)
{
	store = store_lmdb_open(dir, false, &e);
	assert_non_null(store);
	begin(false);
	raise(SIGKILL);
}

/* LMDB's table has 126 readers. These are all dead. */
static void test_readers_full(void **state)
{
	(void)state;
	begin(true);
	put("a", "1");
	commit();
	for (int i = 0; i < 130; i++)
		assert_int_equal(finish(start(child_die_reading)), SIGKILL);
	begin(false);
	expect("a", "1");
	commit();
}

/* As many readers as LMDB's table has, in one process, and alive. */
static void child_read_often(void)
{
	MDB_txn *txn[200];
	MDB_env *env;
	int n = 0;

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_open(env, dir, MDB_RDONLY | MDB_NOTLS, 0600), 0);
	while (n < 200 && mdb_txn_begin(env, NULL, MDB_RDONLY, &txn[n]) == 0)
		n++;
	assert_in_range(n, 100, 199);
	say(false);
	hear(false);
	while (n > 0)
		mdb_txn_abort(txn[--n]);
	mdb_env_close(env);
}

/* Nobody gives way: an error, after which one can try again. */
static void test_readers_alive(void **state)
{
	pid_t pid;

	(void)state;
	begin(true);
	put("a", "1");
	commit();
	pid = start(child_read_often);
	hear(true);
	for (int i = 0; i < 2; i++) {
		err_clear(&e);
		assert_int_equal(store->ops->begin(store, false, &e), -1);
		assert_int_equal(e.scope, ERR_FATAL);
		assert_int_equal(e.kind, ERR_LOCAL);
		assert_non_null(strstr(e.text, "cannot begin"));
	}
	begin(true); /* who writes needs no place in that table */
	put("a", "2");
	commit();
	say(true);
	assert_int_equal(finish(pid), 0);
	begin(false);
	expect("a", "2");
	commit();
}

/* What LMDB refuses is an error, not an answer. */
static void refused(int rc, enum err_kind kind, const char *words)
{
	assert_int_equal(rc, -1);
	assert_int_equal(e.scope, ERR_FATAL);
	if (e.kind != kind || strstr(e.text, words) == NULL)
		fail_msg("kind %d, \"%s\"; not %d with %s", (int)e.kind, e.text, (int)kind,
			 words);
	err_clear(&e);
}

static void test_errors(void **state)
{
	const struct store_value none = {"", 0};
	struct store_value v;

	(void)state;
	begin(true);
	put("a", "1");
	refused(store->ops->get(store, STORE_UID, none, &v, &e), ERR_LOCAL, "cannot read");
	refused(store->ops->put(store, STORE_UID, none, val("x"), &e), ERR_LOCAL,
		"cannot write");
	refused(store->ops->del(store, STORE_UID, none, &e), ERR_LOCAL, "cannot delete");
	commit();
	begin(false); /* only a transaction that writes may change something */
	refused(store->ops->put(store, STORE_UID, val("a"), val("2"), &e), ERR_CONFIG,
		"cannot write");
	refused(store->ops->del(store, STORE_UID, val("a"), &e), ERR_CONFIG, "cannot delete");
	expect_walk("", "a=1 ");
	commit();
}

/* A reader that died must not keep old pages for ever: the file would grow with every commit.
 */
static void test_stale_reader(void **state)
{
	struct stat before, after;
	char value[100];

	(void)state;
	for (int i = 0; i < 400; i++) {
		if (i == 100) {
			assert_int_equal(stat(file_in("data.mdb"), &before), 0);
			assert_int_equal(finish(start(child_die_reading)), SIGKILL);
		}
		begin(true);
		for (int j = 0; j < 50; j++) {
			snprintf(value, sizeof value, "%d %80d", i, j);
			put(value + strlen(value) - 4, value);
		}
		commit();
	}
	assert_int_equal(stat(file_in("data.mdb"), &after), 0);
	if (after.st_size > before.st_size + 256 * 1024)
		fail_msg("grew from %lld to %lld", (long long)before.st_size,
			 (long long)after.st_size);
}

static void child_backup(void)
{
	store = store_lmdb_open(dir, false, &e);
	assert_non_null(store);
	begin(false); /* as a ledger has that was opened for reading */
	ok(store->ops->backup(store, file_in("copy"), &e));
	expect("a", "1");
	commit();
	assert_int_equal(store->ops->backup(store, path, &e), -1); /* not over an old one */
	assert_non_null(strstr(e.text, "name a new file"));
	assert_int_equal(access(path, F_OK), 0);
	shut();
}

static void test_backup(void **state)
{
	struct stat st;

	(void)state;
	begin(true);
	put("a", "1");
	commit();
	begin(true);
	put("b", "not yet");
	in_child(child_backup);
	commit();
	assert_int_equal(stat(file_in("copy"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	/* It is a ledger: put it in the place of the first. */
	shut();
	{
		char data[128];

		snprintf(data, sizeof data, "%s/data.mdb", dir);
		assert_int_equal(rename(path, data), 0);
	}
	reopen(true);
	begin(true);
	expect_walk("", "a=1 ");
	put("c", "3");
	commit();
}

/* A writer can copy its own store, what it has not committed left out. */
static void test_backup_by_writer(void **state)
{
	(void)state;
	begin(true);
	put("a", "1");
	commit();
	begin(true);
	put("b", "2");
	ok(store->ops->backup(store, file_in("copy"), &e));
	commit();
	shut();
	unlink(file_in("data.mdb"));
	{
		char copy[128];

		snprintf(copy, sizeof copy, "%s/copy", dir);
		assert_int_equal(rename(copy, file_in("data.mdb")), 0);
	}
	reopen(true);
	begin(false);
	expect_walk("", "a=1 ");
	commit();
}

/* ---- LMDB: what is not ours ---- */

static void refuse(bool write, enum err_kind kind, const char *words)
{
	struct store *s = store_lmdb_open(dir, write, &e);

	assert_null(s);
	assert_int_equal(e.scope, ERR_FATAL);
	if (e.kind != kind || strstr(e.text, words) == NULL || strstr(e.text, dir) == NULL)
		fail_msg("kind %d, \"%s\"; not %d with %s", (int)e.kind, e.text, (int)kind,
			 words);
}

static void test_no_directory(void **state)
{
	char parent[64];

	(void)state;
	memcpy(parent, dir, sizeof parent);
	snprintf(dir, sizeof dir, "%.50s/sub", parent);
	refuse(false, ERR_CONFIG, "No such file"); /* reading makes nothing */
	assert_int_equal(close(open(dir, O_CREAT | O_WRONLY, 0600)), 0);
	refuse(true, ERR_CONFIG, "not a directory");
	unlink(dir);
	snprintf(dir, sizeof dir, "%.50s/no/sub", parent);
	refuse(true, ERR_CONFIG, "cannot create the directory");
	memcpy(dir, parent, sizeof dir);
}

static void test_long_directory(void **state)
{
	char path_of[600];

	(void)state;
	for (size_t len = 500; len < 520; len++) {
		memset(path_of, '/', len);
		memcpy(path_of + len - strlen(dir), dir, strlen(dir));
		path_of[len] = '\0';
		store = store_lmdb_open(path_of, true, &e);
		if (len >= 512) {
			assert_null(store);
			assert_int_equal(e.scope, ERR_FATAL);
			assert_non_null(strstr(e.text, "the path is too long"));
			continue;
		}
		assert_non_null(store);
		begin(true);
		put("a", "1");
		commit();
		shut();
	}
}

static void test_empty_directory(void **state)
{
	(void)state;
	refuse(false, ERR_LOCAL, "not a ledger");
	store = store_lmdb_open(dir, true, &e);
	assert_non_null(store);
}

static void test_open_to_all(void **state)
{
	(void)state;
	assert_int_equal(chmod(dir, 0777), 0);
	refuse(true, ERR_CONFIG, "chmod 0700");
	refuse(false, ERR_CONFIG, "chmod 0700");
}

static bool is_root(const char *what)
{
	if (geteuid() == 0)
		return true;
	print_message("SKIPPED: %s can only be made by root\n", what);
	return false;
}

static void test_wrong_owner(void **state)
{
	(void)state;
	if (!is_root("a directory of somebody else's"))
		skip();
	assert_int_equal(chown(dir, NOBODY, NOBODY), 0);
	refuse(true, ERR_CONFIG, "belongs to user id 65534, but this is user id 0");
	refuse(false, ERR_CONFIG, "chown");
	assert_int_equal(access(file_in("lock.mdb"), F_OK),
			 -1); /* nothing of ours was left in it */
}

static void become_nobody(void)
{
	assert_int_equal(chown(dir, NOBODY, NOBODY), 0);
	assert_int_equal(setegid(NOBODY), 0);
	assert_int_equal(seteuid(NOBODY), 0);
}

static void child_read_only(void)
{
	become_nobody();
	assert_int_equal(chmod(dir, 0500), 0);
	refuse(true, ERR_CONFIG, "Permission denied");
}

static void child_foreign_file(void)
{
	become_nobody(); /* data.mdb is root's, mode 0600 */
	refuse(true, ERR_CONFIG, "run as the user that owns it");
	refuse(false, ERR_CONFIG, "run as the user that owns it");
}

static void test_not_allowed(void **state)
{
	(void)state;
	if (!is_root("a directory that we may not write to"))
		skip();
	in_child(child_read_only);
	assert_int_equal(chmod(dir, 0700), 0);
	assert_int_equal(chown(dir, 0, 0), 0);
	store = store_lmdb_open(dir, true, &e);
	assert_non_null(store);
	shut();
	in_child(child_foreign_file);
}

/* ---- LMDB: damage ---- */

/* Open and read all there is; an error is fine, a crash is not. Exit 0: all good, 1: an error.
 */
static void child_read_all(void)
{
	for (int write = 0; write < 2; write++) {
		store = store_lmdb_open(dir, write, &e);
		if (store && store->ops->begin(store, write, &e) == 0)
			for (int m = 0; m < STORE_MAPS; m++) {
				struct store_value key = {NULL, 0}, value;
				int rc = store->ops->seek(store, (enum store_map)m, &key,
							  &value, &e);

				while (rc == 1)
					rc = store->ops->next(store, (enum store_map)m, &key,
							      &value, &e);
			}
		shut();
	}
	store = NULL;
	if (e.scope == ERR_NONE)
		return;
	if (e.kind != ERR_LOCAL || strstr(e.text, "damaged, or not a ledger") == NULL)
		fail_msg("%s", e.text);
	_exit(1);
}

/* Whether damage was found (true) or did not hit anything in use. */
static bool is_found(const char *what, long n)
{
	int status = finish(start(child_read_all));

	if (WIFSIGNALED(status) || WEXITSTATUS(status) > 1)
		fail_msg("%s %ld: status %d", what, n, status);
	return WEXITSTATUS(status) == 1;
}

static void write_file(const void *data, size_t len)
{
	int fd = open(file_in("data.mdb"), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(close(fd), 0);
}

static void test_garbage(void **state)
{
	static const size_t sizes[] = {1, 15, 16, 151, 152, 4095, 4096, 8192, 100000};
	static unsigned char noise[100000];
	uint32_t seed = 1;

	(void)state;
	for (size_t i = 0; i < sizeof noise; i++) {
		seed = seed * 1103515245 + 12345;
		noise[i] = (unsigned char)(seed >> 16);
	}
	for (size_t i = 0; i < COUNT(sizes); i++) {
		write_file(noise, sizes[i]);
		assert_true(is_found("noise", (long)sizes[i]));
	}
	memset(noise, 0, sizeof noise);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		write_file(noise, sizes[i]);
		assert_true(is_found("zeros", (long)sizes[i]));
	}
	write_file("Subject: hello\n\nI am no ledger\n", 31);
	assert_true(is_found("text", 0));
}

/* All of data.mdb; the caller frees it. */
static unsigned char *read_whole(size_t *len)
{
	unsigned char *whole;
	struct stat st;
	int fd = open(file_in("data.mdb"), O_RDONLY);

	assert_int_not_equal(fd, -1);
	assert_int_equal(fstat(fd, &st), 0);
	*len = (size_t)st.st_size;
	whole = malloc(*len);
	assert_non_null(whole);
	assert_int_equal(read(fd, whole, *len), st.st_size);
	close(fd);
	return whole;
}

/* A ledger with a few records, and many pages behind them that are free. */
static void make_free_end(void)
{
	static char big[3000];

	for (int i = 0; i < 4; i++) {
		begin(true);
		put("a", "1");
		for (unsigned n = 0; n < 64; n++)
			if (i == 0)
				put_number(n, big, sizeof big);
			else if (i == 1) {
				unsigned char key[4] = {0, 0, 0, (unsigned char)n};

				ok(store->ops->del(store, STORE_DIGEST,
						   (struct store_value){key, 4}, &e));
			}
		put_in(STORE_META, "m", "2");
		put_in(STORE_MAILBOX, "b", "3");
		commit();
	}
	shut();
}

/*
 * Of a file that lost free pages nothing is lost: it opens. When it loses more, that is found.
 */
static void test_lost_free_pages(void **state)
{
	unsigned char *whole;
	size_t len, size;
	int good = 0, found = 0;

	(void)state;
	make_free_end();
	whole = read_whole(&len);
	for (size = len; size > 8192; size -= 4096) {
		write_file(whole, size);
		if (is_found("free pages cut to", (long)size)) {
			found++;
			continue;
		}
		assert_int_equal(found, 0);
		good++;
		reopen(true);
		begin(false);
		expect_walk("", "a=1 ");
		expect_in(STORE_META, "m", "2");
		expect_in(STORE_MAILBOX, "b", "3");
		commit();
		shut();
	}
	if (good < 10 || found < 2)
		fail_msg("%d good, %d bad of %zu", good, found, len);
	free(whole);
}

/* Where LMDB keeps the root of a map: behind its name, in each copy of the page. */
static void break_root(unsigned char *whole, size_t len, const char *map)
{
	static const unsigned char nowhere[8] = {0xFF, 0xFF, 0xFF};
	size_t n = strlen(map);

	for (size_t i = 8192; i + n + 48 <= len; i++)
		if (memcmp(whole + i, map, n) == 0)
			memcpy(whole + i + n + 40, nowhere, sizeof nowhere);
}

static void damaged(int rc)
{
	refused(rc, ERR_LOCAL, "damaged, or not a ledger");
}

/* A page that is nowhere: each call says so, and none that there is nothing. */
static void test_lost_page(void **state)
{
	struct store_value key, v;
	unsigned char *whole;
	size_t len;

	(void)state;
	make_free_end();
	whole = read_whole(&len);
	break_root(whole, len, "uid");
	write_file(whole, len);
	reopen(true);
	begin(false);
	expect_in(STORE_META, "m", "2"); /* the others are whole */
	damaged(store->ops->get(store, STORE_UID, val("a"), &v, &e));
	store->ops->abort(store);
	begin(false);
	key = val("");
	damaged(store->ops->seek(store, STORE_UID, &key, &v, &e));
	store->ops->abort(store);
	begin(true);
	damaged(store->ops->put(store, STORE_UID, val("a"), val("2"), &e));
	store->ops->abort(store);
	begin(true);
	damaged(store->ops->del(store, STORE_UID, val("a"), &e));
	store->ops->abort(store);
	shut();

	/* A file that is short, too, does not open. */
	write_file(whole, len - 4096);
	refuse(true, ERR_LOCAL, "damaged, or not a ledger");
	refuse(false, ERR_LOCAL, "damaged, or not a ledger");
	free(whole);
}

/* A last page whose end no number holds. */
static void test_last_page(void **state)
{
	static const unsigned char huge[8] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0};
	unsigned char *whole;
	size_t len;

	(void)state;
	make_free_end();
	whole = read_whole(&len);
	memcpy(whole + 136, huge, sizeof huge); /* in both of LMDB's meta pages */
	memcpy(whole + 4096 + 136, huge, sizeof huge);
	write_file(whole, len);
	refuse(true, ERR_LOCAL, "damaged, or not a ledger");
	refuse(false, ERR_LOCAL, "damaged, or not a ledger");
	free(whole);
}

/* A file that lost its end, at every page: found, or nothing of what was lost is in use. */
static void test_truncated(void **state)
{
	char name[32];
	unsigned char *whole;
	struct stat st;
	int fd, found = 0;

	(void)state;
	for (int i = 0; i < 40; i++) {
		begin(true);
		for (int j = 0; j < 20; j++) {
			snprintf(name, sizeof name, "%d-%d", j, i);
			put(name, "12345678901234567890123456789012345678901234567890");
			put_in(STORE_META, name, "x");
		}
		commit();
	}
	shut();
	fd = open(file_in("data.mdb"), O_RDONLY);
	assert_int_equal(fstat(fd, &st), 0);
	whole = malloc((size_t)st.st_size);
	assert_non_null(whole);
	assert_int_equal(read(fd, whole, (size_t)st.st_size), st.st_size);
	close(fd);
	for (off_t size = st.st_size - 1; size > 0; size -= size % 4096 ? size % 4096 : 1365) {
		write_file(whole, (size_t)size);
		found += is_found("truncated to", (long)size);
	}
	assert_true(found > 30);
	write_file(whole, (size_t)st.st_size);
	assert_false(is_found("whole", (long)st.st_size));
	free(whole);
}

/* ---- LMDB: no room ---- */

enum { ROOM = 1 << 20 };

/* Fill what is left of the disk but for some bytes. */
static void fill_disk(off_t leave)
{
	static const char block[4096];
	int fd = open(file_in("filler"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	off_t n = 0;
	ssize_t w;

	assert_int_not_equal(fd, -1);
	while ((w = write(fd, block, sizeof block)) > 0)
		n += w;
	assert_int_equal(errno, ENOSPC);
	if (leave)
		assert_int_equal(ftruncate(fd, n - leave), 0);
	assert_int_equal(close(fd), 0);
}

static void check_full(void)
{
	if (e.scope != ERR_FATAL || e.kind != ERR_TEMPORARY)
		fail_msg("kind %d, \"%s\"", (int)e.kind, e.text);
	assert_non_null(strstr(e.text, "make room"));
}

/* Commit record after record until one fails. Returns how many were committed. */
static unsigned commit_until_full(unsigned first)
{
	static char value[3000];

	memset(value, 'v', sizeof value);
	for (unsigned i = first; i < first + 10000; i++) {
		unsigned char key[2] = {(unsigned char)(i >> 8), (unsigned char)i};
		int rc = store->ops->begin(store, true, &e);

		for (unsigned char j = 0; rc == 0 && j < 8; j++) {
			unsigned char three[3] = {key[0], key[1], j};

			rc = store->ops->put(store, STORE_UID, (struct store_value){three, 3},
					     (struct store_value){value, sizeof value}, &e);
		}
		if (rc == 0)
			rc = store->ops->commit(store, &e);
		store->ops->abort(store);
		if (rc == -1)
			return i;
	}
	fail_msg("the disk did not fill");
	return 0;
}

static unsigned count_records(void)
{
	struct store_value key = {NULL, 0}, value;
	unsigned n = 0;
	int rc;

	begin(false);
	rc = store->ops->seek(store, STORE_UID, &key, &value, &e);
	for (; rc == 1; n++) {
		assert_int_equal(value.len, 3000);
		rc = store->ops->next(store, STORE_UID, &key, &value, &e);
	}
	ok(rc);
	commit();
	return n;
}

/* The disk runs full in the middle of a run: what was committed stays, and goes on with room.
 */
static void run_full(void)
{
	unsigned n, more;

	fill_disk(300 * 1024);
	store = store_lmdb_open(dir, true, &e);
	assert_non_null(store);
	n = commit_until_full(0);
	check_full();
	assert_int_equal(count_records(), 8 * n);
	shut();
	reopen(false);
	assert_int_equal(count_records(), 8 * n);
	assert_int_equal(store->ops->backup(store, file_in("copy"), &e), -1);
	assert_int_equal(e.kind, ERR_TEMPORARY);
	assert_int_equal(access(path, F_OK), -1); /* no half copy */
	shut();

	fill_disk(0);
	store = store_lmdb_open(dir, true, &e); /* opens on a full disk, or says why not */
	if (store == NULL)
		check_full();
	else
		assert_int_equal(count_records(), 8 * n);
	assert_int_equal(unlink(file_in("filler")), 0);
	reopen(true);
	more = commit_until_full(n);
	assert_true(more > n + 10);
	assert_int_equal(count_records(), 8 * more);
	shut();
}

/* A new ledger on a disk with room for few pages or none. */
static void run_new_on_full(void)
{
	for (off_t room = 0; room <= 64 * 1024; room += 4096) {
		unlink(file_in("data.mdb"));
		unlink(file_in("lock.mdb"));
		fill_disk(room);
		store = store_lmdb_open(dir, true, &e);
		if (store == NULL)
			check_full();
		else if (room < 8192)
			fail_msg("opened in %d bytes", (int)room);
		shut();
	}
	assert_int_equal(unlink(file_in("filler")), 0);
	store = store_lmdb_open(dir, true, &e);
	assert_non_null(store);
	shut();
}

/* A small disk of the child's own, which goes when the child does. Exit 77: not permitted. */
static void small_disk(void)
{
	char size[32];

	snprintf(size, sizeof size, "size=%d,mode=0700", ROOM);
	if (unshare(CLONE_NEWNS) == -1 ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("none", dir, "tmpfs", 0, size) == -1)
		_exit(77);
}

static void child_full(void)
{
	small_disk();
	run_full();
}

static void child_new_on_full(void)
{
	small_disk();
	run_new_on_full();
}

static void on_small_disk(void (*child)(void))
{
	int status = finish(start(child));

	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("SKIPPED: a small disk cannot be mounted here\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static void test_full_disk(void **state)
{
	(void)state;
	on_small_disk(child_full);
}

static void test_new_on_full_disk(void **state)
{
	(void)state;
	on_small_disk(child_new_on_full);
}

/* The same without a mount: a limit of the process on the size of files. */
static void child_file_limit(void)
{
	struct rlimit limit = {ROOM, ROOM};
	unsigned n;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	store = store_lmdb_open(dir, true, &e);
	assert_non_null(store);
	n = commit_until_full(0);
	assert_int_equal(e.scope, ERR_FATAL);
	assert_true(n > 10);
	assert_int_equal(count_records(), 8 * n);
	shut();
}

static void test_file_limit(void **state)
{
	(void)state;
	in_child(child_file_limit);
}

#define BOTH(f)                                                             \
	{"mem: " #f, f, setup, remove_dir, (void *)(uintptr_t)&mem},        \
	{                                                                   \
		"lmdb: " #f, f, setup, remove_dir, (void *)(uintptr_t)&lmdb \
	}
#define ON(backend, f)                                                \
	{                                                             \
#f, f, setup, remove_dir, (void *)(uintptr_t)&backend \
	}
#define CLOSED(f)                                 \
	{                                         \
#f, f, make_dir, remove_dir, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BOTH(test_get_put_del),
	    BOTH(test_order),
	    BOTH(test_walk_and_delete),
	    BOTH(test_abort),
	    BOTH(test_limits),
	    BOTH(test_close_open),
	    ON(mem, test_mem_backup),
	    ON(lmdb, test_kept),
	    ON(lmdb, test_growth),
	    ON(lmdb, test_delete_many),
	    ON(lmdb, test_reader_beside_writer),
	    ON(lmdb, test_resized_reader),
	    ON(lmdb, test_resized_writer),
	    ON(lmdb, test_readers_full),
	    ON(lmdb, test_readers_alive),
	    ON(lmdb, test_stale_reader),
	    ON(lmdb, test_errors),
	    ON(lmdb, test_backup),
	    ON(lmdb, test_backup_by_writer),
	    CLOSED(test_no_directory),
	    CLOSED(test_long_directory),
	    CLOSED(test_empty_directory),
	    CLOSED(test_open_to_all),
	    CLOSED(test_wrong_owner),
	    CLOSED(test_not_allowed),
	    CLOSED(test_garbage),
	    ON(lmdb, test_truncated),
	    ON(lmdb, test_lost_free_pages),
	    ON(lmdb, test_lost_page),
	    ON(lmdb, test_last_page),
	    CLOSED(test_full_disk),
	    CLOSED(test_new_on_full_disk),
	    CLOSED(test_file_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
