#include "ledger/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * The map is address space, not memory or disk. It is doubled before a transaction begins, so
 * that no transaction can fill it: ours write a few hundred small records, and STORE_HEADROOM
 * is far more than that.
 */
#define STORE_HEADROOM	((size_t)16 << 20)
#define STORE_MAP_START ((size_t)64 << 20)

enum {
	LOCK_BYTES = 16 * 1024, /* more than LMDB's table of readers takes */
	PAGE_BYTES = 4096,	/* no system has smaller pages */
};

struct store_lmdb {
	struct store store;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi[STORE_MAPS];
	MDB_cursor *cursor[STORE_MAPS];
	bool write, opened; /* opened: dbi[] is valid */
	char dir[512];
};

/* A ledger of an earlier version has no such map, and until it is written to it has none. */
static const MDB_dbi absent = UINT_MAX;

static const char *const map_names[STORE_MAPS] = {"meta", "mailbox", "uid", "digest", "sample"};

/* LMDB returns EIO if a write was short, which happens when the disk becomes full. */
static bool is_full(const struct store_lmdb *s)
{
	struct statvfs v;

	return statvfs(s->dir, &v) == 0 && v.f_bavail * v.f_frsize < LOCK_BYTES;
}

static int store_error(struct store_lmdb *s, int rc, const char *step, struct err *e)
{
	switch (rc == EIO && is_full(s) ? ENOSPC : rc) {
	case ENOSPC:
	case EDQUOT:
		return err_set(e, ERR_FATAL, ERR_TEMPORARY,
			       "ledger %s: the disk is full; what was recorded before is kept; "
			       "make room and run again",
			       s->dir);
	case EACCES:
	case EPERM:
	case EROFS:
		return err_set(
		    e, ERR_FATAL, ERR_CONFIG,
		    "ledger %s: cannot %s: %s; run as the user that owns it, or give it "
		    "to this user",
		    s->dir, step, strerror(rc));
	case MDB_CORRUPTED:
	case MDB_INVALID:
	case MDB_PAGE_NOTFOUND:
	case MDB_BAD_TXN: /* mdb_get's error if the root page does not exist */
	case MDB_VERSION_MISMATCH:
	case MDB_NOTFOUND:
	case ENOENT:
		return err_set(
		    e, ERR_FATAL, ERR_LOCAL,
		    "ledger %s: damaged, or not a ledger (%s); put a backup of data.mdb in "
		    "its place, or move it away: marks on the server still show what was "
		    "learned",
		    s->dir, mdb_strerror(rc));
	default:
		return err_set(e, ERR_FATAL, ERR_LOCAL, "ledger %s: cannot %s: %s", s->dir,
			       step, mdb_strerror(rc));
	}
}

/* The size of the map, and how much of it the last commit uses. */
static int map_size(const struct store_lmdb *s, size_t *size, size_t *used)
{
	MDB_envinfo info;
	MDB_stat stat;
	int rc = mdb_env_info(s->env, &info);

	if (rc == 0)
		rc = mdb_env_stat(s->env, &stat);
	if (rc != 0)
		return rc;
	*size = info.me_mapsize;
	*used = (info.me_last_pgno + 1) * stat.ms_psize;
	return *used / stat.ms_psize == info.me_last_pgno + 1 ? 0 : MDB_CORRUPTED;
}

/*
 * Before a write transaction: grow the map, so that MDB_MAP_FULL cannot happen in it, and clear
 * the slots of dead readers, because pages that they could still read are not reused.
 */
static int make_room(struct store_lmdb *s)
{
	size_t was, used, size;
	int dead, rc = mdb_reader_check(s->env, &dead);

	if (rc == 0)
		rc = map_size(s, &was, &used);
	if (rc != 0)
		return rc;
	for (size = was; size < used + STORE_HEADROOM;)
		size *= 2;
	return size == was ? 0 : mdb_env_set_mapsize(s->env, size);
}

/*
 * Begin a transaction, and solve what can be solved: MAP_RESIZED (another process grew the map)
 * by adopting its size, READERS_FULL by clearing the slots of dead readers.
 */
static int begin_txn(struct store_lmdb *s, unsigned flags)
{
	int rc = 0, cure = 0, dead;

	for (int tries = 0; tries < 3 && cure == 0; tries++) {
		rc = mdb_txn_begin(s->env, NULL, flags, &s->txn);
		if (rc == MDB_MAP_RESIZED)
			cure = mdb_env_set_mapsize(s->env, 0);
		else if (rc == MDB_READERS_FULL)
			cure = mdb_reader_check(s->env, &dead);
		else
			return rc;
	}
	return rc;
}

static int open_map(MDB_txn *txn, enum store_map m, unsigned flags, MDB_dbi *dbi)
{
	int rc = mdb_dbi_open(txn, map_names[m], flags, dbi);

	if (rc != MDB_NOTFOUND || m != STORE_SAMPLE)
		return rc;
	*dbi = absent;
	return 0;
}

static int lmdb_begin(struct store *store, bool write, struct err *e)
{
	struct store_lmdb *s = (struct store_lmdb *)store;
	int rc = write ? make_room(s) : 0;

	if (rc == 0)
		rc = begin_txn(s, write ? 0 : MDB_RDONLY);
	for (int i = 0; rc == 0 && !s->opened && i < STORE_MAPS; i++)
		rc = open_map(s->txn, (enum store_map)i, s->write ? MDB_CREATE : 0, &s->dbi[i]);
	if (rc == 0)
		return 0;
	if (s->txn)
		mdb_txn_abort(s->txn);
	s->txn = NULL;
	return store_error(s, rc, "begin", e);
}

static void close_cursors(struct store_lmdb *s)
{
	for (int i = 0; i < STORE_MAPS; i++) {
		if (s->cursor[i])
			mdb_cursor_close(s->cursor[i]);
		s->cursor[i] = NULL;
	}
}

static int lmdb_commit(struct store *store, struct err *e)
{
	struct store_lmdb *s = (struct store_lmdb *)store;
	MDB_txn *txn = s->txn;
	int rc;

	close_cursors(s);
	s->txn = NULL;
	rc = mdb_txn_commit(txn);
	return rc == 0 ? 0 : store_error(s, rc, "write", e);
}

static void lmdb_abort(struct store *store)
{
	struct store_lmdb *s = (struct store_lmdb *)store;

	close_cursors(s);
	if (s->txn)
		mdb_txn_abort(s->txn);
	s->txn = NULL;
}

static MDB_val to_mdb(struct store_value v)
{
	return (MDB_val){v.len, (void *)(uintptr_t)v.data};
}

static int lmdb_get(struct store *store, enum store_map m, struct store_value key,
		    struct store_value *value, struct err *e)
{
	struct store_lmdb *s = (struct store_lmdb *)store;
	MDB_val k = to_mdb(key), v;
	int rc = s->dbi[m] == absent ? MDB_NOTFOUND : mdb_get(s->txn, s->dbi[m], &k, &v);

	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return store_error(s, rc, "read", e);
	*value = (struct store_value){v.mv_data, v.mv_size};
	return 1;
}

static int lmdb_put(struct store *store, enum store_map m, struct store_value key,
		    struct store_value value, struct err *e)
{
	struct store_lmdb *s = (struct store_lmdb *)store;
	MDB_val k = to_mdb(key), v = to_mdb(value);
	int rc = mdb_put(s->txn, s->dbi[m], &k, &v, 0);

	return rc == 0 ? 0 : store_error(s, rc, "write", e);
}

static int lmdb_del(struct store *store, enum store_map m, struct store_value key,
		    struct err *e)
{
	struct store_lmdb *s = (struct store_lmdb *)store;
	MDB_val k = to_mdb(key);
	int rc = mdb_del(s->txn, s->dbi[m], &k, NULL);

	return rc == 0 || rc == MDB_NOTFOUND ? 0 : store_error(s, rc, "delete", e);
}

static int cursor_get(struct store_lmdb *s, enum store_map m, MDB_cursor_op op,
		      struct store_value *key, struct store_value *value, struct err *e)
{
	MDB_val k = to_mdb(*key), v;
	int rc = s->dbi[m] == absent ? MDB_NOTFOUND
		 : s->cursor[m]	     ? 0
				     : mdb_cursor_open(s->txn, s->dbi[m], &s->cursor[m]);

	if (rc == 0)
		rc = mdb_cursor_get(s->cursor[m], &k, &v, op);
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return store_error(s, rc, "read", e);
	*key = (struct store_value){k.mv_data, k.mv_size};
	*value = (struct store_value){v.mv_data, v.mv_size};
	return 1;
}

static int lmdb_seek(struct store *store, enum store_map m, struct store_value *key,
		     struct store_value *value, struct err *e)
{
	return cursor_get((struct store_lmdb *)store, m, key->len ? MDB_SET_RANGE : MDB_FIRST,
			  key, value, e);
}

static int lmdb_next(struct store *store, enum store_map m, struct store_value *key,
		     struct store_value *value, struct err *e)
{
	return cursor_get((struct store_lmdb *)store, m, MDB_NEXT, key, value, e);
}

static int lmdb_backup(struct store *store, const char *file, struct err *e)
{
	struct store_lmdb *s = (struct store_lmdb *)store;
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int rc;

	if (fd == -1)
		return err_set(e, ERR_FATAL, ERR_USAGE, "backup %s: %s; name a new file", file,
			       strerror(errno));
	rc = mdb_env_copyfd2(s->env, fd, MDB_CP_COMPACT);
	if (rc == 0 && fsync(fd) == -1)
		rc = errno;
	if (close(fd) == -1 && rc == 0)
		rc = errno;
	if (rc == 0)
		return 0;
	unlink(file);
	return err_set(e, ERR_FATAL, ERR_TEMPORARY, "backup %s: %s; the file was removed", file,
		       mdb_strerror(rc));
}

static void lmdb_close(struct store *store)
{
	struct store_lmdb *s = (struct store_lmdb *)store;

	lmdb_abort(store);
	if (s->env)
		mdb_env_close(s->env);
	free(s);
}

static const struct store_ops lmdb_ops = {
    lmdb_begin, lmdb_commit, lmdb_abort, lmdb_get,    lmdb_put,
    lmdb_del,	lmdb_seek,   lmdb_next,	 lmdb_backup, lmdb_close,
};

int store_lmdb_check_dir(const char *dir, bool make, struct err *e)
{
	struct stat st;

	if (make && mkdir(dir, 0700) == -1 && errno != EEXIST)
		return err_set(
		    e, ERR_FATAL, ERR_CONFIG,
		    "ledger %s: cannot create the directory: %s; create it for the user "
		    "that runs learnspool",
		    dir, strerror(errno));
	if (stat(dir, &st) == -1)
		return err_set(e, ERR_FATAL, ERR_CONFIG, "ledger %s: %s", dir, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_FATAL, ERR_CONFIG, "ledger %s: not a directory", dir);
	if (st.st_uid != geteuid())
		return err_set(e, ERR_FATAL, ERR_CONFIG,
			       "ledger %s: belongs to user id %u, but this is user id %u; run "
			       "as that user, or "
			       "chown it",
			       dir, st.st_uid, geteuid());
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(e, ERR_FATAL, ERR_CONFIG,
			       "ledger %s: others can write to it; chmod 0700", dir);
	return 0;
}

/*
 * LMDB maps lock.mdb and writes to it at once, which would be a SIGBUS on a full disk: allocate
 * its blocks first. LMDB itself reports any other problem with the file.
 */
static int reserve_lock(const struct store_lmdb *s)
{
	char path[sizeof s->dir + 16];
	int fd, rc = 0;

	snprintf(path, sizeof path, "%s/lock.mdb", s->dir);
	fd = open(path, O_WRONLY | O_CLOEXEC | (s->write ? O_CREAT : 0), 0600);
	if (fd == -1)
		return 0;
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, LOCK_BYTES) == -1 &&
	    (errno == ENOSPC || errno == EDQUOT))
		rc = errno;
	close(
	    fd); /* before LMDB locks the file: closing any descriptor of it would unlock it */
	return rc;
}

static int open_env(struct store_lmdb *s)
{
	unsigned flags = s->write ? 0 : MDB_RDONLY;
	int rc = mdb_env_create(&s->env);

	if (rc == 0)
		rc = mdb_env_set_maxdbs(s->env, STORE_MAPS);
	if (rc == 0)
		rc = mdb_env_set_mapsize(s->env, STORE_MAP_START);
	if (rc == 0)
		rc = reserve_lock(s);
	/*
	 * No read-ahead: digests are random keys, and pages read ahead would count as our
	 * memory. No thread-local reader: a backup reads while its caller has a transaction.
	 */
	if (rc == 0)
		rc = mdb_env_open(s->env, s->dir, flags | MDB_NORDAHEAD | MDB_NOTLS, 0600);
	return rc;
}

/* Read every page that this map uses. */
static int walk(MDB_txn *txn, MDB_dbi dbi)
{
	MDB_cursor *cursor = NULL;
	MDB_val key, value;
	int rc = mdb_cursor_open(txn, dbi, &cursor);

	while (rc == 0 && (rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
		for (size_t at = 0; at < value.mv_size; at += PAGE_BYTES)
			(void)((volatile const char *)value.mv_data)[at];
	if (cursor)
		mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Read the whole ledger in dir, in a process that may die of it. */
static int walk_all(const struct store_lmdb *parent)
{
	struct store_lmdb s = *parent;
	MDB_dbi dbi;
	int rc;

	s.write = false;
	s.env = NULL;
	rc = open_env(&s);
	if (rc == 0)
		rc = mdb_txn_begin(s.env, NULL, MDB_RDONLY, &s.txn);
	if (rc == 0)
		rc = walk(s.txn, 0); /* LMDB's own map of free pages */
	for (int i = 0; rc == 0 && i < STORE_MAPS; i++) {
		rc = open_map(s.txn, (enum store_map)i, 0, &dbi);
		if (rc == 0 && dbi != absent)
			rc = walk(s.txn, dbi);
	}
	mdb_txn_abort(s.txn);
	mdb_env_close(s.env);
	return rc;
}

/*
 * A file that is shorter than its last commit has lost pages; or that commit allocated pages at
 * the end and freed them unwritten, which is harmless. LMDB reports lost pages only by SIGBUS
 * or abort(), so a child process checks it.
 */
static int check_length(const struct store_lmdb *s)
{
	char path[sizeof s->dir + 16];
	struct stat st;
	size_t size, used;
	int status, rc = map_size(s, &size, &used);
	pid_t pid;

	snprintf(path, sizeof path, "%s/data.mdb", s->dir);
	if (rc != 0)
		return rc;
	if (stat(path, &st) == -1)
		return errno;
	if ((size_t)st.st_size >= used)
		return 0;
	pid = fork();
	if (pid == -1)
		return errno;
	if (pid == 0) {
		fclose(stderr); /* drops the message of LMDB's abort() */
		setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
		_exit(walk_all(s) == 0 ? 0 : 1);
	}
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return errno;
	return status == 0 ? 0 : MDB_CORRUPTED;
}

/* The files of the ledger, by name. */
static bool has_file(const char *dir, const char *name)
{
	char path[600];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return access(path, F_OK) == 0 || errno != ENOENT;
}

static void remove_file(const char *dir, const char *name)
{
	char path[600];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	unlink(path);
}

struct store *store_lmdb_open(const char *dir, bool write, struct err *e)
{
	struct store_lmdb *s;
	bool is_new;
	int rc;

	if (store_lmdb_check_dir(dir, write, e) == -1)
		return NULL;
	s = calloc(1, sizeof *s);
	if (s == NULL || strlen(dir) >= sizeof s->dir) {
		free(s);
		err_set(e, ERR_FATAL, ERR_LOCAL,
			"ledger %s: out of memory, or the path is too long", dir);
		return NULL;
	}
	s->store.ops = &lmdb_ops;
	s->write = write;
	memcpy(s->dir, dir, strlen(dir) + 1);
	is_new = write && !has_file(dir, "data.mdb");
	rc = open_env(s);
	if (rc == 0)
		rc = check_length(s);
	if (rc == 0 && lmdb_begin(&s->store, write, e) == 0) {
		s->opened = lmdb_commit(&s->store, e) == 0;
		if (s->opened)
			return &s->store;
	} else if (rc != 0) {
		store_error(s, rc, "open", e);
	}
	lmdb_close(&s->store);
	/* What a full disk left of a new ledger is unusable, and would block the next attempt.
	 */
	if (is_new)
		remove_file(dir, "data.mdb");
	return NULL;
}
