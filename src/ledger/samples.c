#include "ledger/samples.h"

#include <string.h>
#include <sys/random.h>

#include "ledger/bytes.h"
#include "ledger/ledger_priv.h"

/*
 * The keys, each behind the name of the server and a NUL; docs/ledger.md has the values.
 *     h               the server
 *     n, number       a sample
 *     i, name         its number
 *     b, account, NUL, blob: the number of that user's last decision on that content
 */
enum {
	LAYOUT = 1,
	HEAD_SIZE = 1 + 5 * 4 + 2 * 8,
	SAMPLE_HEAD = 1 + 1 + 4 + 8,
	SAMPLE_MAX = SAMPLE_HEAD + 2 * (SAMPLE_WORD_MAX + 1) + SAMPLE_BLOB_MAX + 1,
};

static void number_key(struct account_key *k, const char *server, uint32_t number)
{
	account_key_begin(k, server, 'n');
	account_key_add_number(k, number, sizeof number);
}

static void name_key(struct account_key *k, const char *server, const char *name)
{
	account_key_begin(k, server, 'i');
	account_key_add(k, name, strnlen(name, SAMPLE_WORD_MAX));
}

static void blob_key(struct account_key *k, const char *server, const struct sample *s)
{
	account_key_begin(k, server, 'b');
	account_key_add(k, s->account, strlen(s->account) + 1);
	account_key_add(k, s->blob, strlen(s->blob));
}

/* ---- the server ---- */

static int put_head(struct samples *s, struct err *e)
{
	unsigned char value[HEAD_SIZE];
	struct writer w = {value};
	struct account_key key;

	bytes_put(&w, LAYOUT, 1);
	bytes_put(&w, s->identity, 4);
	bytes_put(&w, s->next, 4);
	for (int c = CLASS_NONE; c <= CLASS_HAM; c++)
		bytes_put(&w, s->count[c], 4);
	bytes_put(&w, (uint64_t)s->newest, 8);
	bytes_put(&w, (uint64_t)s->walked, 8);
	account_key_begin(&key, s->server, 'h');
	return ledger_put(s->ledger, STORE_SAMPLE, account_key_value(&key),
			  (struct store_value){value, sizeof value}, e);
}

static bool take_head(struct samples *s, struct store_value v)
{
	struct reader in = {v.data};

	if (v.len != HEAD_SIZE || bytes_take(&in, 1) != LAYOUT)
		return false;
	s->identity = (uint32_t)bytes_take(&in, 4);
	s->next = (uint32_t)bytes_take(&in, 4);
	for (int c = CLASS_NONE; c <= CLASS_HAM; c++)
		s->count[c] = (uint32_t)bytes_take(&in, 4);
	s->newest = (int64_t)bytes_take(&in, 8);
	s->walked = (int64_t)bytes_take(&in, 8);
	return s->identity != 0 && s->next != 0;
}

static int get(struct samples *s, const struct account_key *k, struct store_value *v,
	       struct err *e)
{
	struct store *store = ledger_store(s->ledger);

	return store->ops->get(store, STORE_SAMPLE, account_key_value(k), v, e);
}

int samples_load(struct samples *s, struct ledger *l, const char *server, struct err *e)
{
	struct store_value v;
	struct account_key key;
	int rc;

	*s = (struct samples){.ledger = l, .server = server, .next = 1};
	account_key_begin(&key, server, 'h');
	rc = get(s, &key, &v, e);
	if (rc == 1 && !take_head(s, v))
		return ledger_damaged("server", e);
	if (rc != 0)
		return rc == -1 ? -1 : 0;
	while (s->identity == 0 &&
	       getrandom(&s->identity, sizeof s->identity, 0) == sizeof s->identity)
		;
	/* Also where there are no samples, or each run would find another server. */
	return l->mode == LEDGER_READ ? 0 : put_head(s, e);
}

uint64_t samples_total(const struct samples *s)
{
	return (uint64_t)s->count[CLASS_NONE] + s->count[CLASS_SPAM] + s->count[CLASS_HAM];
}

/* ---- one sample ---- */

static size_t encode(const struct sample *s, unsigned char *out)
{
	const char *const words[] = {s->name, s->account, s->blob};
	struct writer w = {out};

	bytes_put(&w, LAYOUT, 1);
	bytes_put(&w, s->class, 1);
	bytes_put(&w, s->older, 4);
	bytes_put(&w, (uint64_t)s->date, 8);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		size_t n = strlen(words[i]) + 1;

		memcpy(w.p, words[i], n);
		w.p += n;
	}
	return (size_t)(w.p - out);
}

/* A word with its NUL, which fits into size bytes. */
static bool take_word(struct reader *in, const unsigned char *end, char *out, size_t size)
{
	const unsigned char *nul = memchr(in->p, '\0', (size_t)(end - in->p));
	size_t n = nul ? (size_t)(nul - in->p) + 1 : 0;

	if (n == 0 || n > size)
		return false;
	memcpy(out, in->p, n);
	in->p += n;
	return true;
}

static bool decode(struct store_value v, struct sample *out)
{
	struct reader in = {v.data};
	const unsigned char *end = in.p + v.len;

	if (v.len < SAMPLE_HEAD || bytes_take(&in, 1) != LAYOUT || *in.p > CLASS_HAM)
		return false;
	out->class = (enum mail_class)bytes_take(&in, 1);
	out->older = (uint32_t)bytes_take(&in, 4);
	out->date = (int64_t)bytes_take(&in, 8);
	return take_word(&in, end, out->name, sizeof out->name) &&
	       take_word(&in, end, out->account, sizeof out->account) &&
	       take_word(&in, end, out->blob, sizeof out->blob) && in.p == end;
}

int samples_get(struct samples *s, uint32_t number, struct sample *out, struct err *e)
{
	struct store_value v;
	struct account_key key;
	int rc;

	*out = (struct sample){.class = CLASS_NONE};
	number_key(&key, s->server, number);
	rc = get(s, &key, &v, e);
	if (rc == 1 && !decode(v, out))
		return ledger_damaged("sample", e);
	return rc;
}

int samples_next(struct samples *s, uint32_t *number, struct sample *out, struct err *e)
{
	struct store *store = ledger_store(s->ledger);
	struct store_value k, v;
	struct account_key key;
	struct reader in;
	int rc;

	*out = (struct sample){.class = CLASS_NONE};
	if (*number == UINT32_MAX)
		return 0;
	number_key(&key, s->server, *number + 1);
	k = account_key_value(&key);
	rc = store->ops->seek(store, STORE_SAMPLE, &k, &v, e);
	if (rc != 1 || k.len != key.len ||
	    memcmp(k.data, key.text, key.len - sizeof *number) != 0)
		return rc == -1 ? -1 : 0;
	in.p = (const unsigned char *)k.data + key.len - sizeof *number;
	*number = (uint32_t)bytes_take(&in, sizeof *number);
	return decode(v, out) ? 1 : ledger_damaged("sample", e);
}

/* The number that stands under this key: 1 and *number, 0 or -1. */
static int get_number(struct samples *s, const struct account_key *key, uint32_t *number,
		      struct err *e)
{
	struct store_value v;
	int rc = get(s, key, &v, e);

	if (rc == 1 && !record_u32_decode(v.data, v.len, number))
		return ledger_damaged("sample", e);
	return rc;
}

int samples_find(struct samples *s, const char *name, uint32_t *number, struct err *e)
{
	struct account_key key;

	name_key(&key, s->server, name);
	return get_number(s, &key, number, e);
}

int samples_decision(struct samples *s, const struct sample *sample, uint32_t *number,
		     struct err *e)
{
	struct account_key key;

	blob_key(&key, s->server, sample);
	return get_number(s, &key, number, e);
}

int samples_waiting(struct samples *s, struct ledger *other, uint64_t *n, struct err *e)
{
	struct samples known;
	struct sample sample;
	uint32_t number = 0, there;
	int rc;

	*n = 0;
	if (samples_load(&known, other, s->server, e) == -1)
		return -1;
	while ((rc = samples_next(s, &number, &sample, e)) == 1) {
		rc = samples_find(&known, sample.name, &there, e);
		if (rc == -1)
			return -1;
		*n += rc == 0 && sample.class != CLASS_NONE;
	}
	return rc;
}

/* ---- changes ---- */

static int put_number(struct samples *s, const struct account_key *key, uint32_t number,
		      struct err *e)
{
	unsigned char value[sizeof number];
	size_t len = record_u32_encode(number, value);

	return ledger_put(s->ledger, STORE_SAMPLE, account_key_value(key),
			  (struct store_value){value, len}, e);
}

static int put_sample(struct samples *s, uint32_t number, const struct sample *sample,
		      struct err *e)
{
	unsigned char value[SAMPLE_MAX];
	struct account_key key;

	number_key(&key, s->server, number);
	return ledger_put(s->ledger, STORE_SAMPLE, account_key_value(&key),
			  (struct store_value){value, encode(sample, value)}, e);
}

/*
 * Put the new sample into the chain of its user's decisions on this content, the last of which
 * is found by blob_key; overruled: below that one.
 */
static int chain(struct samples *s, struct sample *sample, uint32_t number, bool overruled,
		 struct err *e)
{
	struct sample last;
	struct account_key key;
	uint32_t n = 0;
	int rc = samples_decision(s, sample, &n, e);

	if (rc == 1)
		rc = samples_get(s, n, &last, e);
	if (rc == -1)
		return -1;
	sample->older = rc == 1 ? n : 0;
	if (rc == 1 && overruled) {
		sample->class = CLASS_NONE;
		sample->older = last.older;
		last.older = number;
		return put_sample(s, n, &last, e);
	}
	if (rc == 1 && samples_ignore(s, n, e) == -1)
		return -1;
	blob_key(&key, s->server, sample);
	return put_number(s, &key, number, e);
}

int samples_add(struct samples *s, struct sample *sample, bool overruled, struct err *e)
{
	uint32_t number = s->next;
	struct account_key key;

	if (number == UINT32_MAX)
		return err_set(e, ERR_SERVER, ERR_LOCAL,
			       "stalwart %s: no numbers are left for its samples; rename its "
			       "block in the configuration",
			       s->server);
	name_key(&key, s->server, sample->name);
	if (chain(s, sample, number, overruled, e) == -1 ||
	    put_number(s, &key, number, e) == -1 || put_sample(s, number, sample, e) == -1)
		return -1;
	s->next++;
	s->count[sample->class]++;
	if (sample->date > s->newest)
		s->newest = sample->date;
	return put_head(s, e);
}

int samples_walked(struct samples *s, int64_t now, struct err *e)
{
	s->walked = now;
	return put_head(s, e);
}

int samples_ignore(struct samples *s, uint32_t number, struct err *e)
{
	struct sample sample;
	int rc = samples_get(s, number, &sample, e);

	if (rc != 1 || sample.class == CLASS_NONE)
		return rc == -1 ? -1 : 0;
	s->count[sample.class]--;
	s->count[CLASS_NONE]++;
	sample.class = CLASS_NONE;
	return put_sample(s, number, &sample, e) == -1 ? -1 : put_head(s, e);
}

/* Take it out of the chain of its user's decisions, from the last one down. */
static int unchain(struct samples *s, uint32_t number, const struct sample *sample,
		   struct err *e)
{
	struct sample above;
	struct account_key key;
	uint32_t n;
	int rc = samples_decision(s, sample, &n, e);

	if (rc == 1 && n == number) {
		blob_key(&key, s->server, sample);
		return ledger_del(s->ledger, STORE_SAMPLE, account_key_value(&key), e);
	}
	while (rc == 1 && (rc = samples_get(s, n, &above, e)) == 1 && above.older != 0) {
		if (above.older == number) {
			above.older = sample->older;
			return put_sample(s, n, &above, e);
		}
		n = above.older;
	}
	return rc == -1 ? -1 : 0;
}

int samples_drop(struct samples *s, uint32_t number, struct err *e)
{
	struct sample sample;
	struct account_key key;
	int rc = samples_get(s, number, &sample, e);

	if (rc != 1)
		return rc;
	if (unchain(s, number, &sample, e) == -1)
		return -1;
	name_key(&key, s->server, sample.name);
	if (ledger_del(s->ledger, STORE_SAMPLE, account_key_value(&key), e) == -1)
		return -1;
	number_key(&key, s->server, number);
	if (ledger_del(s->ledger, STORE_SAMPLE, account_key_value(&key), e) == -1)
		return -1;
	s->count[sample.class]--;
	return put_head(s, e);
}

/* ---- all of the map ---- */

bool samples_is_sound(struct store_value key, struct store_value value)
{
	const char *server = key.data, *end = server + key.len,
		   *kind = memchr(server, '\0', key.len), *rest, *nul;
	struct samples head;
	struct sample sample;
	uint32_t number;

	if (kind == NULL || ++kind == end)
		return false;
	rest = kind + 1;
	switch (*kind) {
	case 'h':
		return rest == end && take_head(&head, value);
	case 'n':
		return end - rest == sizeof number && decode(value, &sample);
	case 'b':
		nul = memchr(rest, '\0', (size_t)(end - rest));
		rest = nul ? nul + 1 : end;
		break;
	case 'i':
		break;
	default:
		return false;
	}
	return rest < end && record_u32_decode(value.data, value.len, &number);
}
