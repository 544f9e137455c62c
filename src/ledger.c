#include "ledger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fault.h"
#include "lock.h"
#include "quorum.h"

enum { FORGET_COMMIT = 4096 }; /* messages forgotten in one transaction */

struct ledger {
	struct store *store; /* owned */
	enum ledger_mode mode;
	int lock;
	uint32_t epoch;
	bool dirty; /* something was changed since the last commit */
};

static const struct store_value key_format = {"format", 6};
static const struct store_value key_run = {"run", 3};
static const struct store_value key_next_mailbox = {"next-mailbox", 12};

static int damaged(const char *what, struct err *e)
{
	return err_set(e, ERR_FATAL, ERR_LOCAL,
		       "ledger: a %s record cannot be read; see learnspool ledger verify",
		       what);
}

static int put(struct ledger *l, enum store_map map, struct store_value key,
	       struct store_value value, struct err *e)
{
	l->dirty = true;
	return l->store->ops->put(l->store, map, key, value, e);
}

static int del(struct ledger *l, enum store_map map, struct store_value key, struct err *e)
{
	l->dirty = true;
	return l->store->ops->del(l->store, map, key, e);
}

/* ---- opening ---- */

static int read_u32(struct ledger *l, struct store_value key, uint32_t *n, struct err *e)
{
	struct store_value v;
	int rc = l->store->ops->get(l->store, STORE_META, key, &v, e);

	if (rc == 1 && !record_u32_decode(v.data, v.len, n))
		return damaged("meta", e);
	return rc;
}

static int put_u32(struct ledger *l, struct store_value key, uint32_t n, struct err *e)
{
	unsigned char value[RECORD_VALUE_MAX];
	size_t len = record_u32_encode(n, value);

	return put(l, STORE_META, key, (struct store_value){value, len}, e);
}

/* A ledger of a newer program is not touched; a new one gets our format's number. */
static int check_format(struct ledger *l, struct err *e)
{
	uint32_t format = 0;
	int rc = read_u32(l, key_format, &format, e);

	if (rc == 1 && format > RECORD_FORMAT)
		return err_set(
		    e, ERR_FATAL, ERR_LOCAL,
		    "ledger: written by a newer learnspool (format %u, this one knows "
		    "%d); install that version",
		    format, RECORD_FORMAT);
	if (rc == 0 && l->mode != LEDGER_READ)
		rc = put_u32(l, key_format, RECORD_FORMAT, e);
	return rc == -1 ? -1 : 0;
}

static int start(struct ledger *l, struct err *e)
{
	if (l->store->ops->begin(l->store, l->mode != LEDGER_READ, e) == -1)
		return -1;
	return check_format(l, e);
}

/* An empty file is what LMDB leaves when it was killed while making one. */
static bool exists(const char *dir)
{
	char path[1024];
	struct stat st;

	snprintf(path, sizeof path, "%s/data.mdb", dir);
	return stat(path, &st) == 0 ? st.st_size > 0 : errno != ENOENT;
}

static int open_store(struct ledger *l, const char *dir, const char *command, struct err *e)
{
	if (l->mode != LEDGER_WRITE && !exists(dir)) {
		l->store = store_mem_open(e);
		l->mode = LEDGER_DRY;
		return l->store ? 0 : -1;
	}
	/* Before the lock: nothing of ours is left in a directory of somebody else's. */
	if (store_lmdb_check_dir(dir, l->mode == LEDGER_WRITE, e) == -1)
		return -1;
	if (l->mode != LEDGER_READ && (l->lock = lock_take(dir, command, e)) == -1)
		return -1;
	l->store = store_lmdb_open(dir, l->mode != LEDGER_READ, e);
	return l->store ? 0 : -1;
}

struct ledger *ledger_open(const char *dir, enum ledger_mode mode, const char *command,
			   struct err *e)
{
	struct ledger *l = calloc(1, sizeof *l);

	if (l == NULL) {
		err_set(e, ERR_FATAL, ERR_LOCAL, "out of memory");
		return NULL;
	}
	l->mode = mode;
	l->lock = -1;
	if (open_store(l, dir, command, e) == 0 && start(l, e) == 0)
		return l;
	ledger_close(l);
	return NULL;
}

struct ledger *ledger_over(struct store *store, struct err *e)
{
	struct ledger *l = calloc(1, sizeof *l);

	if (l == NULL) {
		store_close(store);
		err_set(e, ERR_FATAL, ERR_LOCAL, "out of memory");
		return NULL;
	}
	*l = (struct ledger){.store = store, .mode = LEDGER_WRITE, .lock = -1};
	if (start(l, e) == 0)
		return l;
	ledger_close(l);
	return NULL;
}

void ledger_close(struct ledger *l)
{
	if (l == NULL)
		return;
	store_close(l->store); /* undoes what was not committed */
	lock_release(l->lock);
	free(l);
}

struct store *ledger_store(struct ledger *l)
{
	return l->store;
}

int ledger_commit(struct ledger *l, struct err *e)
{
	if (l->mode != LEDGER_WRITE || !l->dirty)
		return 0;
	l->dirty = false;
	fault_step("ledger-commit");
	if (l->store->ops->commit(l->store, e) == -1)
		return -1;
	fault_step("ledger-committed");
	return l->store->ops->begin(l->store, true, e);
}

/* ---- runs ---- */

static int put_run(struct ledger *l, bool complete, struct err *e)
{
	unsigned char value[RECORD_VALUE_MAX];
	struct record_run run = {l->epoch, complete};
	size_t len = record_run_encode(&run, value);

	return put(l, STORE_META, key_run, (struct store_value){value, len}, e);
}

int ledger_run_begin(struct ledger *l, struct err *e)
{
	struct record_run run = {0, true};
	struct store_value v;
	int rc = l->store->ops->get(l->store, STORE_META, key_run, &v, e);

	if (rc == 1 && !record_run_decode(v.data, v.len, &run))
		return damaged("run", e);
	l->epoch = run.complete ? run.epoch + 1 : run.epoch;
	return rc == -1 ? -1 : put_run(l, false, e);
}

int ledger_run_end(struct ledger *l, struct err *e)
{
	return put_run(l, true, e);
}

uint32_t ledger_epoch(const struct ledger *l)
{
	return l->epoch;
}

/* ---- mailboxes ---- */

int ledger_mailbox(struct ledger *l, const char *account, const char *mailbox,
		   struct record_mailbox *out, bool *known, struct err *e)
{
	char key[RECORD_MAILBOX_KEY_MAX];
	size_t len = record_mailbox_key(account, mailbox, key, sizeof key);
	struct store_value v;
	int rc;

	*out = (struct record_mailbox){0};
	if (len == 0)
		return err_set(
		    e, ERR_MAILBOX, ERR_CONFIG,
		    "account %s: its name and that of the mailbox are too long together",
		    account);
	rc = l->store->ops->get(l->store, STORE_MAILBOX, (struct store_value){key, len}, &v, e);
	*known = rc == 1;
	if (rc == 1)
		return record_mailbox_decode(v.data, v.len, out) ? 0 : damaged("mailbox", e);
	if (rc == -1 || read_u32(l, key_next_mailbox, &out->number, e) == -1)
		return -1;
	return 0;
}

int ledger_mailbox_put(struct ledger *l, const char *account, const char *mailbox,
		       const struct record_mailbox *r, struct err *e)
{
	char key[RECORD_MAILBOX_KEY_MAX];
	size_t len = record_mailbox_key(account, mailbox, key, sizeof key);
	unsigned char value[RECORD_VALUE_MAX];
	uint32_t next = 0;

	if (read_u32(l, key_next_mailbox, &next, e) == -1)
		return -1;
	if (r->number >= next && put_u32(l, key_next_mailbox, r->number + 1, e) == -1)
		return -1;
	return put(l, STORE_MAILBOX, (struct store_value){key, len},
		   (struct store_value){value, record_mailbox_encode(r, value)}, e);
}

/* ---- messages ---- */

int ledger_message(struct ledger *l, const struct record_mailbox *box, uint32_t uid,
		   struct record_uid *out, struct err *e)
{
	unsigned char key[RECORD_UID_KEY];
	struct store_value v;
	int rc;

	record_uid_key(box->number, box->uidvalidity, uid, key);
	rc = l->store->ops->get(l->store, STORE_UID, (struct store_value){key, sizeof key}, &v,
				e);
	if (rc == 1 && !record_uid_decode(v.data, v.len, out))
		return damaged("message", e);
	return rc;
}

int ledger_message_put(struct ledger *l, const struct record_mailbox *box, uint32_t uid,
		       const struct record_uid *r, struct err *e)
{
	unsigned char key[RECORD_UID_KEY], value[RECORD_VALUE_MAX];

	record_uid_key(box->number, box->uidvalidity, uid, key);
	return put(l, STORE_UID, (struct store_value){key, sizeof key},
		   (struct store_value){value, record_uid_encode(r, value)}, e);
}

int ledger_message_del(struct ledger *l, const struct record_mailbox *box, uint32_t uid,
		       struct err *e)
{
	unsigned char key[RECORD_UID_KEY];

	record_uid_key(box->number, box->uidvalidity, uid, key);
	return del(l, STORE_UID, (struct store_value){key, sizeof key}, e);
}

/* The first message at or behind the key: 1 and what its key says, 0, -1. */
static int seek(struct ledger *l, uint32_t number, uint32_t validity, uint32_t uid,
		struct record_uid *out, uint32_t found[3], struct err *e)
{
	unsigned char start_key[RECORD_UID_KEY];
	struct store_value key = {start_key, sizeof start_key}, v;
	int rc;

	record_uid_key(number, validity, uid, start_key);
	rc = l->store->ops->seek(l->store, STORE_UID, &key, &v, e);
	if (rc != 1)
		return rc;
	if (!record_uid_key_decode(key.data, key.len, &found[0], &found[1], &found[2]) ||
	    !record_uid_decode(v.data, v.len, out))
		return damaged("message", e);
	return 1;
}

int ledger_message_seek(struct ledger *l, const struct record_mailbox *box, uint32_t *uid,
			struct record_uid *out, struct err *e)
{
	uint32_t found[3];
	int rc = seek(l, box->number, box->uidvalidity, *uid, out, found, e);

	if (rc != 1)
		return rc;
	if (found[0] != box->number || found[1] != box->uidvalidity)
		return 0;
	*uid = found[2];
	return 1;
}

/*
 * Forget one of many: a transaction of a whole mailbox would need as much memory, and could
 * fill the map. It is no harm if a crash leaves the others for the next run.
 */
static int forget_one(struct ledger *l, const struct record_mailbox *box, uint32_t uid,
		      size_t *n, struct err *e)
{
	if (ledger_message_del(l, box, uid, e) == -1)
		return -1;
	return ++*n % FORGET_COMMIT != 0 ? 0 : ledger_commit(l, e);
}

int ledger_forget_stale(struct ledger *l, const struct record_mailbox *box, struct err *e)
{
	struct record_mailbox old = *box;
	struct record_uid ignored;
	uint32_t found[3], validity = 0;
	size_t n = 0;
	int rc;

	while ((rc = seek(l, box->number, validity, 0, &ignored, found, e)) == 1 &&
	       found[0] == box->number) {
		if (found[1] == box->uidvalidity) {
			if (found[1] == UINT32_MAX)
				return 0;
			validity = found[1] + 1;
			continue;
		}
		old.uidvalidity = found[1];
		if (forget_one(l, &old, found[2], &n, e) == -1)
			return -1;
	}
	return rc == -1 ? -1 : 0;
}

/* ---- contents ---- */

int ledger_digest(struct ledger *l, const struct digest *d, struct record_digest *out,
		  struct err *e)
{
	struct store_value v;
	int rc = l->store->ops->get(l->store, STORE_DIGEST,
				    (struct store_value){d->bytes, DIGEST_SIZE}, &v, e);

	if (rc == 1 && !record_digest_decode(v.data, v.len, out))
		return damaged("digest", e);
	return rc;
}

enum outcome ledger_decide(const struct record_digest *known, enum mail_class class,
			   int64_t date, uint32_t epoch)
{
	if (known == NULL || known->outcome == OUTCOME_NONE)
		return OUTCOME_NONE;
	/* Too short is for good; encrypted mail is asked about only if it may be learned now.
	 */
	if (known->outcome == OUTCOME_UNLEARNABLE)
		return OUTCOME_UNLEARNABLE;
	if (known->outcome == OUTCOME_ENCRYPTED)
		return OUTCOME_NONE;
	if (known->class == class)
		return known->outcome == OUTCOME_LEARNED ? OUTCOME_KNOWN : known->outcome;
	if (known->epoch == epoch && date < known->verdict_at)
		return OUTCOME_OVERRULED;
	return OUTCOME_NONE;
}

static int put_digest(struct ledger *l, const struct digest *d, const struct record_digest *r,
		      struct err *e)
{
	unsigned char value[RECORD_VALUE_MAX];

	return put(l, STORE_DIGEST, (struct store_value){d->bytes, DIGEST_SIZE},
		   (struct store_value){value, record_digest_encode(r, value)}, e);
}

int ledger_report(struct ledger *l, const struct ledger_copy *c, int64_t now,
		  struct record_digest *out, struct err *e)
{
	*out = (struct record_digest){.class = CLASS_NONE};
	if (ledger_digest(l, c->digest, out, e) == -1)
		return -1;
	if (c->reporter == NULL)
		return 0;
	quorum_note(out, c->reporter, c->class, c->date);
	out->last_seen = now;
	return put_digest(l, c->digest, out, e);
}

static int put_state(struct ledger *l, const struct ledger_copy *c, enum record_state state,
		     enum outcome outcome, int64_t now, struct err *e)
{
	struct record_uid r = {0};

	if (ledger_message(l, c->box, c->uid, &r, e) == -1)
		return -1;
	r.state = state;
	r.outcome = outcome;
	r.class = c->class;
	if (r.tries == 0)
		r.settled_at = now; /* else it is when the message failed first */
	if (c->digest)
		r.digest = *c->digest;
	return ledger_message_put(l, c->box, c->uid, &r, e);
}

int ledger_submit(struct ledger *l, const struct ledger_copy *c, int64_t now, struct err *e)
{
	return put_state(l, c, STATE_SUBMITTED, OUTCOME_NONE, now, e);
}

int ledger_see(struct ledger *l, const struct ledger_copy *c, int64_t now, struct err *e)
{
	return put_state(l, c, STATE_SEEN, OUTCOME_NONE, now, e);
}

int ledger_hold(struct ledger *l, const struct ledger_copy *c, int64_t now, struct err *e)
{
	return put_state(l, c, STATE_SEEN, OUTCOME_HELD, now, e);
}

int ledger_put_back(struct ledger *l, const struct ledger_copy *c, int64_t now, struct err *e)
{
	return put_state(l, c, STATE_SEEN, OUTCOME_FAILED, now, e);
}

int ledger_adopt(struct ledger *l, const struct ledger_copy *c, enum outcome outcome,
		 int64_t now, struct err *e)
{
	return put_state(l, c, STATE_MARKED, outcome, now, e);
}

/* What failed for good can be purged, if the policy wants it; it never is marked. */
static bool may_advance(const struct record_uid *r, enum record_state to)
{
	bool failed = r->state == STATE_SEEN && r->outcome == OUTCOME_FAILED;

	return r->state < to && (r->state >= STATE_SETTLED || (failed && to == STATE_PURGING));
}

int ledger_advance(struct ledger *l, const struct record_mailbox *box, uint32_t uid,
		   enum record_state state, struct err *e)
{
	struct record_uid r;
	int rc = ledger_message(l, box, uid, &r, e);

	if (rc != 1 || !may_advance(&r, state))
		return rc == -1 ? -1 : 0;
	r.state = state;
	return ledger_message_put(l, box, uid, &r, e);
}

/* What this copy and rspamd's answer to it change in what we know of the content. */
static bool merge(struct record_digest *d, const struct ledger_copy *c, enum outcome outcome,
		  const char *answer, uint32_t epoch, int64_t now)
{
	bool taught = d->outcome == OUTCOME_LEARNED || d->outcome == OUTCOME_KNOWN;
	bool flipped = false;

	if (d->copies == 0)
		d->first_seen = now;
	d->copies++;
	d->last_seen = now;
	if (outcome == OUTCOME_OVERRULED)
		return false;
	/* Of copies with one verdict in one run the newest one's date stands. */
	if (d->class != c->class || d->epoch != epoch || d->verdict_at < c->date)
		d->verdict_at = c->date;
	flipped = outcome == OUTCOME_LEARNED && taught && d->class != c->class;
	d->flips += flipped;
	/* A copy that we settled ourselves as known says nothing new of rspamd. */
	if (d->class != c->class || d->outcome == OUTCOME_NONE || outcome == OUTCOME_LEARNED ||
	    answer != NULL) {
		d->outcome = outcome;
		snprintf(d->answer, sizeof d->answer, "%s", answer ? answer : "");
	}
	d->class = c->class;
	d->epoch = epoch;
	return flipped;
}

static int settle_digest(struct ledger *l, const struct ledger_copy *c, enum outcome outcome,
			 const char *answer, int64_t now, bool *flipped, struct err *e)
{
	struct record_digest d = {0};

	if (ledger_digest(l, c->digest, &d, e) == -1)
		return -1;
	if (c->reporter)
		quorum_note(&d, c->reporter, c->class, c->date);
	*flipped = merge(&d, c, outcome, answer, l->epoch, now);
	return put_digest(l, c->digest, &d, e);
}

int ledger_settle(struct ledger *l, const struct ledger_copy *c, enum outcome outcome,
		  const char *answer, int64_t now, bool *flipped, struct err *e)
{
	struct record_uid r = {0};
	int64_t before;

	*flipped = false;
	if (ledger_message(l, c->box, c->uid, &r, e) == -1)
		return -1;
	before = r.settled_at;
	r.outcome = outcome;
	r.class = c->class;
	r.settled_at = now;
	if (c->digest)
		r.digest = *c->digest;
	if (outcome == OUTCOME_FAILED) {
		r.state = STATE_SEEN;
		if (r.tries++ > 0)
			r.settled_at = before; /* its age counts from the first failure */
		return ledger_message_put(l, c->box, c->uid, &r, e);
	}
	r.state = STATE_SETTLED;
	if (c->digest && outcome != OUTCOME_UNTRUSTED &&
	    settle_digest(l, c, outcome, answer, now, flipped, e) == -1)
		return -1;
	return ledger_message_put(l, c->box, c->uid, &r, e);
}

/* ---- forgetting ---- */

/* When the record was last touched: 1 and *then, 0 where it is no record of this kind. */
static bool touched_at(enum store_map map, struct store_value v, int64_t *then)
{
	struct record_digest d;
	struct record_uid u;

	if (map == STORE_DIGEST && record_digest_decode(v.data, v.len, &d))
		*then = d.last_seen;
	else if (map == STORE_UID && record_uid_decode(v.data, v.len, &u))
		*then = u.state >= STATE_SETTLED ? u.settled_at : 0; /* else it is work to do */
	else
		return false;
	return true;
}

/* The key where the last call stopped, or none. */
static int read_hand(struct ledger *l, struct store_value name, unsigned char *key, size_t *len,
		     struct err *e)
{
	struct store_value v;
	int rc = l->store->ops->get(l->store, STORE_META, name, &v, e);

	*len = 0;
	if (rc == 1 && v.len <= STORE_KEY_MAX) {
		memcpy(key, v.data, v.len);
		*len = v.len;
	}
	return rc == -1 ? -1 : 0;
}

int ledger_forget(struct ledger *l, enum store_map map, int64_t before, size_t max,
		  uint64_t *forgotten, struct err *e)
{
	const struct store_value name = map == STORE_DIGEST
					    ? (struct store_value){"forget-digest", 13}
					    : (struct store_value){"forget-uid", 10};
	const struct store_ops *ops = l->store->ops;
	unsigned char hand[STORE_KEY_MAX + 1];
	struct store_value key = {hand, 0}, v;
	size_t len;
	int rc;

	if (read_hand(l, name, hand, &len, e) == -1)
		return -1;
	for (key.len = len; (rc = ops->seek(l->store, map, &key, &v, e)) == 1 && max > 0;
	     max--) {
		int64_t then;
		bool old = touched_at(map, v, &then) && then > 0 && then < before;

		len = key.len;
		memcpy(hand, key.data, len);
		if (old && del(l, map, (struct store_value){hand, len}, e) == -1)
			return -1;
		*forgotten += old;
		hand[len++] = 0; /* the least key behind this one */
		key = (struct store_value){hand, len};
	}
	if (rc == -1)
		return -1;
	/* At the end the next call begins anew. */
	return put(l, STORE_META, name, (struct store_value){hand, rc == 1 ? len : 0}, e);
}
