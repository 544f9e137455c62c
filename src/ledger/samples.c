#include "ledger/samples.h"

#include <endian.h>
#include <string.h>
#include <sys/random.h>

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

struct key {
	char text[STORE_KEY_MAX];
	size_t len;
};

static void key_begin(struct key *k, const char *server, char kind)
{
	k->len = strnlen(server, CONF_MAX_NAME);
	memcpy(k->text, server, k->len);
	k->text[k->len++] = '\0';
	k->text[k->len++] = kind;
}

static void key_add(struct key *k, const void *data, size_t len)
{
	memcpy(k->text + k->len, data, len);
	k->len += len;
}

static struct store_value value_of(const struct key *k)
{
	return (struct store_value){k->text, k->len};
}

static void number_key(struct key *k, const char *server, uint32_t number)
{
	uint32_t n = htobe32(number);

	key_begin(k, server, 'n');
	key_add(k, &n, sizeof n);
}

static void name_key(struct key *k, const char *server, const char *name)
{
	key_begin(k, server, 'i');
	key_add(k, name, strnlen(name, SAMPLE_WORD_MAX));
}

static void blob_key(struct key *k, const char *server, const struct sample *s)
{
	key_begin(k, server, 'b');
	key_add(k, s->account, strlen(s->account) + 1);
	key_add(k, s->blob, strlen(s->blob));
}

/* ---- the server ---- */

static void put32(unsigned char **p, uint32_t n)
{
	n = htobe32(n);
	memcpy(*p, &n, sizeof n);
	*p += sizeof n;
}

static uint32_t take32(const unsigned char **p)
{
	uint32_t n;

	memcpy(&n, *p, sizeof n);
	*p += sizeof n;
	return be32toh(n);
}

static void put64(unsigned char **p, int64_t n)
{
	uint64_t u = htobe64((uint64_t)n);

	memcpy(*p, &u, sizeof u);
	*p += sizeof u;
}

static int64_t take64(const unsigned char **p)
{
	uint64_t u;

	memcpy(&u, *p, sizeof u);
	*p += sizeof u;
	return (int64_t)be64toh(u);
}

static int put_head(struct samples *s, struct err *e)
{
	unsigned char value[HEAD_SIZE], *p = value;
	struct key key;

	*p++ = LAYOUT;
	put32(&p, s->identity);
	put32(&p, s->next);
	for (int c = CLASS_NONE; c <= CLASS_HAM; c++)
		put32(&p, s->count[c]);
	put64(&p, s->newest);
	put64(&p, s->walked);
	key_begin(&key, s->server, 'h');
	return ledger_put(s->ledger, STORE_SAMPLE, value_of(&key),
			  (struct store_value){value, sizeof value}, e);
}

static bool take_head(struct samples *s, struct store_value v)
{
	const unsigned char *p = v.data;

	if (v.len != HEAD_SIZE || *p++ != LAYOUT)
		return false;
	s->identity = take32(&p);
	s->next = take32(&p);
	for (int c = CLASS_NONE; c <= CLASS_HAM; c++)
		s->count[c] = take32(&p);
	s->newest = take64(&p);
	s->walked = take64(&p);
	return s->identity != 0 && s->next != 0;
}

static int get(struct samples *s, const struct key *k, struct store_value *v, struct err *e)
{
	struct store *store = ledger_store(s->ledger);

	return store->ops->get(store, STORE_SAMPLE, value_of(k), v, e);
}

int samples_load(struct samples *s, struct ledger *l, const char *server, struct err *e)
{
	struct store_value v;
	struct key key;
	int rc;

	*s = (struct samples){.ledger = l, .server = server, .next = 1};
	key_begin(&key, server, 'h');
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
	unsigned char *p = out;

	*p++ = LAYOUT;
	*p++ = (unsigned char)s->class;
	put32(&p, s->older);
	put64(&p, s->date);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		size_t n = strlen(words[i]) + 1;

		memcpy(p, words[i], n);
		p += n;
	}
	return (size_t)(p - out);
}

/* A word with its NUL, which fits into size bytes. */
static bool take_word(const unsigned char **p, const unsigned char *end, char *out, size_t size)
{
	const unsigned char *nul = memchr(*p, '\0', (size_t)(end - *p));
	size_t n = nul ? (size_t)(nul - *p) + 1 : 0;

	if (n == 0 || n > size)
		return false;
	memcpy(out, *p, n);
	*p += n;
	return true;
}

static bool decode(struct store_value v, struct sample *out)
{
	const unsigned char *p = v.data, *end = p + v.len;

	if (v.len < SAMPLE_HEAD || *p++ != LAYOUT || *p > CLASS_HAM)
		return false;
	out->class = (enum mail_class) * p++;
	out->older = take32(&p);
	out->date = take64(&p);
	return take_word(&p, end, out->name, sizeof out->name) &&
	       take_word(&p, end, out->account, sizeof out->account) &&
	       take_word(&p, end, out->blob, sizeof out->blob) && p == end;
}

int samples_get(struct samples *s, uint32_t number, struct sample *out, struct err *e)
{
	struct store_value v;
	struct key key;
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
	const unsigned char *p;
	struct key key;
	int rc;

	*out = (struct sample){.class = CLASS_NONE};
	if (*number == UINT32_MAX)
		return 0;
	number_key(&key, s->server, *number + 1);
	k = value_of(&key);
	rc = store->ops->seek(store, STORE_SAMPLE, &k, &v, e);
	if (rc != 1 || k.len != key.len ||
	    memcmp(k.data, key.text, key.len - sizeof *number) != 0)
		return rc == -1 ? -1 : 0;
	p = (const unsigned char *)k.data + key.len - sizeof *number;
	*number = take32(&p);
	return decode(v, out) ? 1 : ledger_damaged("sample", e);
}

int samples_find(struct samples *s, const char *name, uint32_t *number, struct err *e)
{
	struct store_value v;
	struct key key;
	int rc;

	name_key(&key, s->server, name);
	rc = get(s, &key, &v, e);
	if (rc == 1 && !record_u32_decode(v.data, v.len, number))
		return ledger_damaged("sample", e);
	return rc;
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

static int put_number(struct samples *s, const struct key *key, uint32_t number, struct err *e)
{
	unsigned char value[sizeof number];
	size_t len = record_u32_encode(number, value);

	return ledger_put(s->ledger, STORE_SAMPLE, value_of(key),
			  (struct store_value){value, len}, e);
}

static int put_sample(struct samples *s, uint32_t number, const struct sample *sample,
		      struct err *e)
{
	unsigned char value[SAMPLE_MAX];
	struct key key;

	number_key(&key, s->server, number);
	return ledger_put(s->ledger, STORE_SAMPLE, value_of(&key),
			  (struct store_value){value, encode(sample, value)}, e);
}

int samples_decision(struct samples *s, const struct sample *sample, uint32_t *number,
		     struct err *e)
{
	struct store_value v;
	struct key key;
	int rc;

	blob_key(&key, s->server, sample);
	rc = get(s, &key, &v, e);
	if (rc == 1 && !record_u32_decode(v.data, v.len, number))
		return ledger_damaged("sample", e);
	return rc;
}

/*
 * Put the new sample into the chain of its user's decisions on this content, the last of which
 * is found by blob_key; overruled: below that one.
 */
static int chain(struct samples *s, struct sample *sample, uint32_t number, bool overruled,
		 struct err *e)
{
	struct sample last;
	struct key key;
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
	struct key key;

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
	struct key key;
	uint32_t n;
	int rc = samples_decision(s, sample, &n, e);

	if (rc == 1 && n == number) {
		blob_key(&key, s->server, sample);
		return ledger_del(s->ledger, STORE_SAMPLE, value_of(&key), e);
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
	struct key key;
	int rc = samples_get(s, number, &sample, e);

	if (rc != 1)
		return rc;
	if (unchain(s, number, &sample, e) == -1)
		return -1;
	name_key(&key, s->server, sample.name);
	if (ledger_del(s->ledger, STORE_SAMPLE, value_of(&key), e) == -1)
		return -1;
	number_key(&key, s->server, number);
	if (ledger_del(s->ledger, STORE_SAMPLE, value_of(&key), e) == -1)
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
