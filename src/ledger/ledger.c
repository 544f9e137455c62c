#include "ledger/ledger_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "base/lock.h"
#include "ledger/quorum.h"

enum { FORGET_COMMIT = 4096 }; /* messages forgotten in one transaction */

static const struct store_value key_format = {"format", 6};
static const struct store_value key_distrust = {"distrust-marks", 14};
static const struct store_value key_next_mailbox = {"next-mailbox", 12};

int ledger_damaged(const char *kind, struct err *e)
{
	return err_set(e, ERR_FATAL, ERR_LOCAL,
		       "ledger: a %s record cannot be read; run learnspool ledger verify",
		       kind);
}

int ledger_put(struct ledger *l, enum store_map map, struct store_value key,
	       struct store_value value, struct err *e)
{
	l->dirty = true;
	return l->store->ops->put(l->store, map, key, value, e);
}

int ledger_del(struct ledger *l, enum store_map map, struct store_value key, struct err *e)
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
		return ledger_damaged("meta", e);
	return rc;
}

static int put_u32(struct ledger *l, struct store_value key, uint32_t n, struct err *e)
{
	unsigned char value[RECORD_VALUE_MAX];
	size_t len = record_u32_encode(n, value);

	return ledger_put(l, STORE_META, key, (struct store_value){value, len}, e);
}

/* A ledger of a newer program is not touched; a new ledger gets our format number. */
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
	/* Records of an older format are read as they are, and converted when they change. */
	if (rc != -1 && format < RECORD_FORMAT && l->mode != LEDGER_READ)
		rc = put_u32(l, key_format, RECORD_FORMAT, e);
	return rc == -1 ? -1 : 0;
}

static int start(struct ledger *l, struct err *e)
{
	while (getrandom(&l->run, sizeof l->run, 0) != sizeof l->run)
		;
	if (l->store->ops->begin(l->store, l->mode != LEDGER_READ, e) == -1)
		return -1;
	return check_format(l, e);
}

/* LMDB leaves an empty file if it is killed while it creates one. */
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
	/* Check this before the lock, so that no file is left in somebody else's directory. */
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
		err_no_memory(e);
		return NULL;
	}
	l->mode = mode;
	l->lock = -1;
	if (open_store(l, dir, command, e) == 0 && start(l, e) == 0)
		return l;
	ledger_close(l);
	return NULL;
}

struct ledger *ledger_over(struct store *store, enum ledger_mode mode, struct err *e)
{
	struct ledger *l = calloc(1, sizeof *l);

	if (l == NULL) {
		store_close(store);
		err_no_memory(e);
		return NULL;
	}
	*l = (struct ledger){.store = store, .mode = mode, .lock = -1};
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
	if (l->dead)
		return err_set(e, ERR_FATAL, ERR_LOCAL,
			       "ledger: nothing is written after an error");
	if (l->mode != LEDGER_WRITE || !l->dirty)
		return 0;
	l->dirty = false;
	l->dead = true; /* until everything is done */
	fault_step("ledger-commit");
	if (l->store->ops->commit(l->store, e) == -1)
		return -1;
	fault_step("ledger-committed");
	if (l->store->ops->begin(l->store, true, e) == -1)
		return -1;
	l->dead = false;
	return 0;
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
		return record_mailbox_decode(v.data, v.len, out) ? 0
								 : ledger_damaged("mailbox", e);
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
	return ledger_put(l, STORE_MAILBOX, (struct store_value){key, len},
			  (struct store_value){value, record_mailbox_encode(r, value)}, e);
}

/* ---- messages ---- */

int ledger_message(struct ledger *l, const struct record_mailbox *box, uint32_t id,
		   struct record_message *out, struct err *e)
{
	unsigned char key[RECORD_MESSAGE_KEY];
	struct store_value v;
	int rc;

	record_message_key(box->number, box->identity, id, key);
	rc = l->store->ops->get(l->store, STORE_UID, (struct store_value){key, sizeof key}, &v,
				e);
	if (rc == 1 && !record_message_decode(v.data, v.len, out))
		return ledger_damaged("message", e);
	return rc;
}

int ledger_message_put(struct ledger *l, const struct record_mailbox *box, uint32_t id,
		       const struct record_message *r, struct err *e)
{
	unsigned char key[RECORD_MESSAGE_KEY], value[RECORD_VALUE_MAX];

	record_message_key(box->number, box->identity, id, key);
	return ledger_put(l, STORE_UID, (struct store_value){key, sizeof key},
			  (struct store_value){value, record_message_encode(r, value)}, e);
}

int ledger_message_del(struct ledger *l, const struct record_mailbox *box, uint32_t id,
		       struct err *e)
{
	unsigned char key[RECORD_MESSAGE_KEY];

	record_message_key(box->number, box->identity, id, key);
	return ledger_del(l, STORE_UID, (struct store_value){key, sizeof key}, e);
}

/* The first message at or after the key: 1 and the parts of its key, 0, or -1. */
static int seek(struct ledger *l, uint32_t number, uint32_t validity, uint32_t id,
		struct record_message *out, uint32_t found[3], struct err *e)
{
	unsigned char start_key[RECORD_MESSAGE_KEY];
	struct store_value key = {start_key, sizeof start_key}, v;
	int rc;

	record_message_key(number, validity, id, start_key);
	rc = l->store->ops->seek(l->store, STORE_UID, &key, &v, e);
	if (rc != 1)
		return rc;
	if (!record_message_key_decode(key.data, key.len, &found[0], &found[1], &found[2]) ||
	    !record_message_decode(v.data, v.len, out))
		return ledger_damaged("message", e);
	return 1;
}

int ledger_message_next(struct ledger *l, const struct record_mailbox *box, uint32_t *id,
			struct record_message *out, struct err *e)
{
	uint32_t found[3];
	int rc =
	    *id == UINT32_MAX ? 0 : seek(l, box->number, box->identity, *id + 1, out, found, e);

	if (rc != 1)
		return rc;
	if (found[0] != box->number || found[1] != box->identity)
		return 0;
	*id = found[2];
	return 1;
}

/*
 * Forget one of many messages, and commit now and then: one transaction for a whole mailbox
 * would need much memory, and could fill the map. If a crash leaves some of them, the next run
 * forgets them.
 */
static int forget_one(struct ledger *l, const struct record_mailbox *box, uint32_t id,
		      size_t *n, struct err *e)
{
	if (ledger_message_del(l, box, id, e) == -1)
		return -1;
	return ++*n % FORGET_COMMIT != 0 ? 0 : ledger_commit(l, e);
}

int ledger_forget_messages(struct ledger *l, const struct record_mailbox *box, struct err *e)
{
	struct record_mailbox any = *box;
	struct record_message ignored;
	uint32_t found[3];
	size_t n = 0;
	int rc;

	while ((rc = seek(l, box->number, 0, 0, &ignored, found, e)) == 1 &&
	       found[0] == box->number) {
		any.identity = found[1];
		if (forget_one(l, &any, found[2], &n, e) == -1)
			return -1;
	}
	return rc == -1 ? -1 : 0;
}

int ledger_forget_account(struct ledger *l, const char *account, struct err *e)
{
	const size_t len = strlen(account) + 1;
	char name[RECORD_MAILBOX_KEY_MAX];
	struct record_mailbox box;
	int rc = 1;

	while (rc == 1) {
		struct store_value key = {account, len}, v;

		rc = l->store->ops->seek(l->store, STORE_MAILBOX, &key, &v, e);
		if (rc != 1 || key.len <= len || key.len > sizeof name ||
		    memcmp(key.data, account, len) != 0)
			break;
		if (!record_mailbox_decode(v.data, v.len, &box))
			return ledger_damaged("mailbox", e);
		memcpy(name, key.data, key.len);
		key.data = name;
		if (ledger_forget_messages(l, &box, e) == -1 ||
		    ledger_del(l, STORE_MAILBOX, key, e) == -1)
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
		return ledger_damaged("digest", e);
	return rc;
}

enum outcome ledger_decide(const struct record_digest *known, enum mail_class class,
			   int64_t verdict_at)
{
	if (known == NULL || known->outcome == OUTCOME_NONE)
		return OUTCOME_NONE;
	/* Too short is final; encrypted mail is sent only if it may be learned now. */
	if (known->outcome == OUTCOME_UNLEARNABLE)
		return OUTCOME_UNLEARNABLE;
	if (known->outcome == OUTCOME_ENCRYPTED)
		return OUTCOME_NONE;
	if (known->class == class && known->in_doubt)
		return OUTCOME_NONE;
	if (known->class == class)
		return known->outcome == OUTCOME_LEARNED ? OUTCOME_KNOWN : known->outcome;
	return verdict_at < known->verdict_at ? OUTCOME_OVERRULED : OUTCOME_NONE;
}

static int put_digest(struct ledger *l, const struct digest *d, const struct record_digest *r,
		      struct err *e)
{
	unsigned char value[RECORD_VALUE_MAX];

	return ledger_put(l, STORE_DIGEST, (struct store_value){d->bytes, DIGEST_SIZE},
			  (struct store_value){value, record_digest_encode(r, value)}, e);
}

int ledger_report(struct ledger *l, const struct ledger_copy *c, int64_t now,
		  struct record_digest *out, struct err *e)
{
	*out = (struct record_digest){.class = CLASS_NONE};
	if (ledger_digest(l, c->digest, out, e) == -1)
		return -1;
	record_digest_no_future(out, now);
	if (c->reporter == NULL)
		return 0;
	quorum_note(out, c->reporter, c->class, c->verdict_at);
	out->last_seen = now;
	return put_digest(l, c->digest, out, e);
}

static bool has_failed(const struct record_message *r)
{
	return r->outcome != OUTCOME_NONE && outcome_group(r->outcome) == GROUP_FAILED;
}

/* Copy the fields that the copy knows; the others stay as they were. */
static void note_copy(struct record_message *r, const struct ledger_copy *c)
{
	r->class = c->class;
	r->verdict_at = c->verdict_at;
	if (c->stamp.size || c->stamp.date)
		r->stamp = c->stamp;
	if (c->part > 0)
		r->digest = (struct digest){0};
	else if (c->digest)
		r->digest = *c->digest;
}

static int put_state(struct ledger *l, const struct ledger_copy *c, enum record_state state,
		     enum outcome outcome, int64_t now, struct err *e)
{
	struct record_message r = {0};

	if (ledger_message(l, c->box, c->id, &r, e) == -1)
		return -1;
	note_copy(&r, c);
	r.state = state;
	/* Why it failed before, and since when, is kept until it is settled. */
	if (outcome != OUTCOME_NONE || !has_failed(&r)) {
		/* A message that waits for other reporters keeps the time when it began to
		 * wait. */
		if (outcome != r.outcome || r.changed_at == 0 || outcome == OUTCOME_NONE)
			r.changed_at = now;
		r.outcome = outcome;
		r.tries = 0;
		r.words[0] = '\0';
	}
	return ledger_message_put(l, c->box, c->id, &r, e);
}

/*
 * From here on, rspamd may have either class until its answer is recorded: it may get the
 * request, and its answer may be lost.
 */
static int doubt(struct ledger *l, const struct ledger_copy *c, struct err *e)
{
	struct record_digest d;
	int rc = c->digest ? ledger_digest(l, c->digest, &d, e) : 0;

	if (rc != 1 || d.class == c->class || d.class == CLASS_NONE || d.in_doubt)
		return rc == -1 ? -1 : 0;
	d.in_doubt = true;
	return put_digest(l, c->digest, &d, e);
}

int ledger_submit(struct ledger *l, const struct ledger_copy *c, int64_t now, struct err *e)
{
	if (doubt(l, c, e) == -1)
		return -1;
	return put_state(l, c, STATE_SUBMITTED, OUTCOME_NONE, now, e);
}

int ledger_wait(struct ledger *l, const struct ledger_copy *c, enum outcome why, int64_t now,
		struct err *e)
{
	return put_state(l, c, STATE_PENDING, why, now, e);
}

int ledger_adopt(struct ledger *l, const struct ledger_copy *c, enum outcome outcome,
		 int64_t now, struct err *e)
{
	return put_state(l, c, STATE_MARKED, outcome, now, e);
}

int ledger_replace(struct ledger *l, const struct record_mailbox *box, uint32_t id, int64_t now,
		   struct err *e)
{
	const struct record_message r = {.state = STATE_PENDING, .changed_at = now};

	return ledger_message_put(l, box, id, &r, e);
}

/* A message that rspamd refused can be purged, if the policy allows it, but is never marked. */
static bool may_advance(const struct record_message *r, enum record_state to)
{
	bool refused = r->state == STATE_PENDING && r->outcome == OUTCOME_FAILED;

	return r->state < to && (r->state >= STATE_SETTLED || (refused && to == STATE_PURGING));
}

int ledger_advance(struct ledger *l, const struct record_mailbox *box, uint32_t id,
		   enum record_state state, bool bare, struct err *e)
{
	struct record_message r;
	int rc = ledger_message(l, box, id, &r, e);

	if (rc != 1 || !may_advance(&r, state))
		return rc == -1 ? -1 : 0;
	r.state = state;
	if (state == STATE_MARKED)
		r.bare = bare;
	return ledger_message_put(l, box, id, &r, e);
}

int ledger_resume(struct ledger *l, const struct record_mailbox *box, uint32_t id, bool copied,
		  struct err *e)
{
	struct record_message r;
	int rc = ledger_message(l, box, id, &r, e);

	if (rc != 1 || r.state != STATE_PURGING)
		return rc == -1 ? -1 : 0;
	r.state = copied			? STATE_COPIED
		  : r.outcome == OUTCOME_FAILED ? STATE_PENDING
						: STATE_MARKED;
	return ledger_message_put(l, box, id, &r, e);
}

/* Update the record of the content by this copy and rspamd's answer to it. */
static bool merge(struct record_digest *d, const struct ledger_copy *c, enum outcome outcome,
		  const char *answer, int64_t now)
{
	bool taught = outcome_is_learned(d->outcome);
	bool flipped = false;

	if (d->copies == 0)
		d->first_seen = now;
	d->copies++;
	d->last_seen = now;
	/* These do not concern the content: other copies may still decide about it. */
	if (outcome == OUTCOME_OVERRULED || outcome == OUTCOME_UNCONFIRMED)
		return false;
	if (d->class != c->class || d->verdict_at < c->verdict_at)
		d->verdict_at = c->verdict_at;
	d->in_doubt = false;
	flipped = outcome == OUTCOME_LEARNED && taught && d->class != c->class;
	d->flips += flipped;
	/* A copy that we settled ourselves as known tells nothing new about rspamd. */
	if (d->class != c->class || d->outcome == OUTCOME_NONE || outcome == OUTCOME_LEARNED ||
	    answer != NULL) {
		d->outcome = outcome;
		snprintf(d->answer, sizeof d->answer, "%s", answer ? answer : "");
	}
	d->class = c->class;
	return flipped;
}

static int settle_digest(struct ledger *l, const struct ledger_copy *c, enum outcome outcome,
			 const char *answer, int64_t now, bool *flipped, struct err *e)
{
	struct record_digest d = {0};

	if (ledger_digest(l, c->digest, &d, e) == -1)
		return -1;
	record_digest_no_future(&d, now);
	if (c->reporter)
		quorum_note(&d, c->reporter, c->class, c->verdict_at);
	*flipped = merge(&d, c, outcome, answer, now);
	return put_digest(l, c->digest, &d, e);
}

/* The message stays for a later run; its age is counted from its first failure of this kind. */
static void fail(struct record_message *r, enum outcome outcome, int64_t now)
{
	if (r->outcome != outcome) {
		r->tries = 0;
		r->changed_at = now;
	}
	r->tries++;
	r->state = STATE_PENDING;
}

static enum outcome join(const struct ledger_copy *c, enum outcome outcome)
{
	return c->joined ? outcome_joined(outcome, c->joined->outcome) : outcome;
}

/* outcome and answer are the copy's own; it may be the last part of several. */
static int settle_message(struct ledger *l, const struct ledger_copy *c, enum outcome outcome,
			  const char *answer, int64_t now, struct err *e)
{
	const enum outcome all = join(c, outcome);
	struct record_message r = {0};

	if (ledger_message(l, c->box, c->id, &r, e) == -1)
		return -1;
	note_copy(&r, c);
	if (outcome_group(all) == GROUP_FAILED) {
		fail(&r, all, now);
		if (all != outcome)
			answer = c->joined->why;
		snprintf(r.words, sizeof r.words, "%s", answer ? answer : "");
	} else {
		r.state = STATE_SETTLED;
		r.changed_at = now;
		r.words[0] = '\0';
	}
	r.outcome = all;
	return ledger_message_put(l, c->box, c->id, &r, e);
}

int ledger_settle(struct ledger *l, const struct ledger_copy *c, enum outcome outcome,
		  const char *answer, int64_t now, bool *flipped, struct err *e)
{
	const enum outcome all = join(c, outcome);

	*flipped = false;
	if (outcome_group(outcome) < GROUP_HELD && c->digest && outcome != OUTCOME_UNTRUSTED &&
	    settle_digest(l, c, outcome, answer, now, flipped, e) == -1)
		return -1;
	if (c->more)
		return 0;
	if (all == OUTCOME_HELD)
		return put_state(l, c, STATE_PENDING, all, now, e);
	return settle_message(l, c, outcome, answer, now, e);
}

/* ---- marks of an earlier ledger ---- */

int ledger_distrust_marks(struct ledger *l, struct err *e)
{
	return put_u32(l, key_distrust, 1, e);
}

int ledger_believes_marks(struct ledger *l, struct err *e)
{
	struct store_value key = {"", 0}, v;
	struct record_mailbox box;
	uint32_t n;
	int rc = read_u32(l, key_distrust, &n, e);

	if (rc != 0)
		return rc == -1 ? -1 : 0;
	rc = l->store->ops->seek(l->store, STORE_MAILBOX, &key, &v, e);
	while (rc == 1) {
		if (!record_mailbox_decode(v.data, v.len, &box))
			return ledger_damaged("mailbox", e);
		if (box.whole)
			return 0;
		rc = l->store->ops->next(l->store, STORE_MAILBOX, &key, &v, e);
	}
	return rc == -1 ? -1 : 1;
}

/* ---- forgetting ---- */

/* The key where the last call stopped, or none. */
static int read_cursor(struct ledger *l, struct store_value name, unsigned char *key,
		       size_t *len, struct err *e)
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

int ledger_forget_contents(struct ledger *l, int64_t before, size_t max, uint64_t *forgotten,
			   struct err *e)
{
	const struct store_value name = {"forget-digest", 13};
	const struct store_ops *ops = l->store->ops;
	unsigned char cursor[STORE_KEY_MAX + 1];
	struct store_value key = {cursor, 0}, v;
	size_t len;
	int rc;

	if (read_cursor(l, name, cursor, &len, e) == -1)
		return -1;
	for (key.len = len;
	     (rc = ops->seek(l->store, STORE_DIGEST, &key, &v, e)) == 1 && max > 0; max--) {
		struct record_digest d;
		bool old = record_digest_decode(v.data, v.len, &d) && d.last_seen > 0 &&
			   d.last_seen < before;

		len = key.len;
		memcpy(cursor, key.data, len);
		if (old &&
		    ledger_del(l, STORE_DIGEST, (struct store_value){cursor, len}, e) == -1)
			return -1;
		*forgotten += old;
		cursor[len++] = 0; /* the smallest key after this one */
		key = (struct store_value){cursor, len};
	}
	if (rc == -1)
		return -1;
	/* After the end, the next call starts again at the beginning. */
	return ledger_put(l, STORE_META, name, (struct store_value){cursor, rc == 1 ? len : 0},
			  e);
}
