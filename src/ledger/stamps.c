#include "ledger/stamps.h"

#include <string.h>

#include "ledger/bytes.h"
#include "ledger/ledger_priv.h"

/* The records are beside those of samples.c; docs/ledger.md has their layout. */
enum {
	LAYOUT = 1,
	KIND = 's',
	STAMP_SIZE = 4 + 8, /* behind the account's name, a NUL and the kind */
	VALUE_SIZE = 1 + 1 + 8 + 4 + 4,
};

static const struct store_value cursor_name = {"forget-stamp", 12};

/* That a filter files mail has the stamp of no message. */
static const struct record_stamp filter = {0, 0};

static struct store_value key_of(struct account_key *k, const char *account,
				 const struct record_stamp *stamp)
{
	account_key_begin(k, account, KIND);
	account_key_add_number(k, stamp->size, 4);
	account_key_add_number(k, (uint64_t)stamp->date, 8);
	return account_key_value(k);
}

/* Is this the key of a stamp, whoever's? Other records may have a name of any length. */
static bool is_stamp(struct store_value key)
{
	const char *nul = memchr(key.data, '\0', key.len);

	if (nul == NULL)
		return false;
	return key.len == (size_t)(nul - (const char *)key.data) + 2 + STAMP_SIZE &&
	       nul[1] == KIND;
}

/* What is known of a stamp. */
struct known {
	unsigned seen;	/* enum stamp_seen */
	int64_t at;	/* when it was noted last */
	uint32_t by[2]; /* the runs that first saw it there: in spam, in ham */
};

static int decode(struct store_value v, struct known *k, struct err *e)
{
	struct reader in = {v.data};

	if (v.len != VALUE_SIZE || bytes_take(&in, 1) != LAYOUT)
		return ledger_damaged("stamp", e);
	k->seen = (unsigned)bytes_take(&in, 1);
	k->at = (int64_t)bytes_take(&in, 8);
	k->by[0] = (uint32_t)bytes_take(&in, 4);
	k->by[1] = (uint32_t)bytes_take(&in, 4);
	return 1;
}

/* 1, 0 where there is none, -1. */
static int get(struct ledger *l, struct store_value key, struct known *k, struct err *e)
{
	struct store *store = ledger_store(l);
	struct store_value v;
	int rc = store->ops->get(store, STORE_SAMPLE, key, &v, e);

	*k = (struct known){.seen = 0};
	return rc == 1 ? decode(v, k, e) : rc;
}

static int note(struct ledger *l, const char *account, const struct record_stamp *stamp,
		unsigned seen, int64_t now, struct err *e)
{
	unsigned char value[VALUE_SIZE];
	struct writer w = {value};
	struct account_key text;
	struct store_value key = key_of(&text, account, stamp);
	struct known k;

	if (get(l, key, &k, e) == -1)
		return -1;
	for (unsigned i = 0; i < 2; i++)
		if ((seen & ~k.seen) & 1U << i)
			k.by[i] = l->run;
	bytes_put(&w, LAYOUT, 1);
	bytes_put(&w, k.seen | seen, 1);
	bytes_put(&w, (uint64_t)now, 8);
	bytes_put(&w, k.by[0], 4);
	bytes_put(&w, k.by[1], 4);
	return ledger_put(l, STORE_SAMPLE, key, (struct store_value){value, sizeof value}, e);
}

int stamps_get(struct ledger *l, const char *account, const struct record_stamp *stamp,
	       unsigned *seen, struct err *e)
{
	struct account_key text;
	struct known k = {.seen = 0};

	if (stamp->size > 0 && get(l, key_of(&text, account, stamp), &k, e) == -1)
		return -1;
	*seen = k.seen;
	for (unsigned i = 0; i < 2; i++)
		if (k.by[i] == l->run)
			*seen &= ~(1U << i);
	return 0;
}

int stamps_note(struct ledger *l, const char *account, const struct record_stamp *stamp,
		unsigned seen, int64_t now, struct err *e)
{
	return stamp->size > 0 ? note(l, account, stamp, seen, now, e) : 0;
}

int stamps_filter_files(struct ledger *l, const char *account, bool *files, struct err *e)
{
	struct account_key text;
	struct known ignored;
	int rc = get(l, key_of(&text, account, &filter), &ignored, e);

	*files = rc == 1;
	return rc == -1 ? -1 : 0;
}

int stamps_note_filter(struct ledger *l, const char *account, int64_t now, struct err *e)
{
	return note(l, account, &filter, STAMP_IN_SPAM, now, e);
}

/* Is the record old enough to go? 1, 0, or -1. */
static int is_old(struct store_value key, struct store_value v, int64_t before, struct err *e)
{
	struct known k = {.seen = 0};

	if (!is_stamp(key))
		return 0;
	return decode(v, &k, e) == -1 ? -1 : k.at < before;
}

int stamps_forget(struct ledger *l, int64_t before, size_t max, struct err *e)
{
	struct store *store = ledger_store(l);
	unsigned char cursor[STORE_KEY_MAX + 1];
	struct store_value key = {cursor, 0}, v;
	int rc = store->ops->get(store, STORE_META, cursor_name, &v, e);
	size_t len = 0;

	if (rc == 1 && v.len <= STORE_KEY_MAX) {
		memcpy(cursor, v.data, v.len);
		len = v.len;
	}
	for (key.len = len; rc != -1 && max > 0; max--) {
		int old;

		rc = store->ops->seek(store, STORE_SAMPLE, &key, &v, e);
		if (rc != 1)
			break;
		old = is_old(key, v, before, e);
		len = key.len;
		memcpy(cursor, key.data, len);
		if (old == -1 ||
		    (old == 1 &&
		     ledger_del(l, STORE_SAMPLE, (struct store_value){cursor, len}, e) == -1))
			return -1;
		/* The smallest key behind this one. */
		if (len < STORE_KEY_MAX)
			cursor[len++] = 0;
		key = (struct store_value){cursor, len};
	}
	if (rc == -1)
		return -1;
	/* After the end, the next call starts again at the beginning. */
	return ledger_put(l, STORE_META, cursor_name,
			  (struct store_value){cursor, rc == 1 ? len : 0}, e);
}

bool stamps_is_sound(struct store_value key, struct store_value value)
{
	struct known ignored;

	return is_stamp(key) && decode(value, &ignored, NULL) == 1;
}
