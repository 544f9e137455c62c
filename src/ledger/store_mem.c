#include "ledger/store.h"

#include <stdlib.h>
#include <string.h>

/* Each map is a sorted array: simple, and fast enough for tests and dry runs. */
struct mem_record {
	char *key, *value; /* owned */
	size_t key_len, value_len;
};

struct mem_map {
	struct mem_record *record;
	size_t n, size, at; /* at: the position of the cursor */
};

struct store_mem {
	struct store store;
	struct mem_map map[STORE_MAPS], saved[STORE_MAPS];
	bool write;
};

static void map_free(struct mem_map *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->record[i].key);
		free(m->record[i].value);
	}
	free(m->record);
	*m = (struct mem_map){0};
}

static char *copy(const void *data, size_t len)
{
	char *p = malloc(len ? len : 1);

	if (p && len)
		memcpy(p, data, len);
	return p;
}

static int compare(const struct mem_record *r, struct store_value key)
{
	int c = memcmp(r->key, key.data, r->key_len < key.len ? r->key_len : key.len);

	return c ? c : (r->key_len > key.len) - (r->key_len < key.len);
}

/* The first record that is not before key; *found: its key is key. */
static size_t map_find(const struct mem_map *m, struct store_value key, bool *found)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (compare(&m->record[mid], key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*found = lo < m->n && compare(&m->record[lo], key) == 0;
	return lo;
}

static int map_put(struct mem_map *m, struct store_value key, struct store_value value)
{
	bool found;
	size_t i = map_find(m, key, &found);
	char *v = copy(value.data, value.len), *k;

	if (v == NULL)
		return -1;
	if (found) {
		free(m->record[i].value);
		m->record[i].value = v;
		m->record[i].value_len = value.len;
		return 0;
	}
	if (m->n == m->size) {
		size_t size = m->size ? m->size * 2 : 16;
		struct mem_record *r = realloc(m->record, size * sizeof *r);

		if (r == NULL) {
			free(v);
			return -1;
		}
		m->record = r;
		m->size = size;
	}
	k = copy(key.data, key.len);
	if (k == NULL) {
		free(v);
		return -1;
	}
	memmove(m->record + i + 1, m->record + i, (m->n - i) * sizeof *m->record);
	m->record[i] = (struct mem_record){k, v, key.len, value.len};
	m->n++;
	return 0;
}

static int save_map(const struct mem_map *m, struct mem_map *saved)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct mem_record *r = &m->record[i];

		if (map_put(saved, (struct store_value){r->key, r->key_len},
			    (struct store_value){r->value, r->value_len}) == -1)
			return -1;
	}
	return 0;
}

static int mem_begin(struct store *store, bool write, struct err *e)
{
	struct store_mem *s = (struct store_mem *)store;

	s->write = false;
	for (int i = 0; write && i < STORE_MAPS; i++)
		if (save_map(&s->map[i], &s->saved[i]) == -1) {
			for (int k = 0; k <= i; k++)
				map_free(&s->saved[k]);
			return err_no_memory(e);
		}
	s->write = write;
	return 0;
}

static int mem_commit(struct store *store, struct err *e)
{
	struct store_mem *s = (struct store_mem *)store;

	(void)e;
	for (int i = 0; i < STORE_MAPS; i++)
		map_free(&s->saved[i]);
	s->write = false;
	return 0;
}

static void mem_abort(struct store *store)
{
	struct store_mem *s = (struct store_mem *)store;

	for (int i = 0; s->write && i < STORE_MAPS; i++) {
		map_free(&s->map[i]);
		s->map[i] = s->saved[i];
		s->saved[i] = (struct mem_map){0};
	}
	s->write = false;
}

static int mem_at(struct mem_map *m, struct store_value *key, struct store_value *value)
{
	if (m->at >= m->n)
		return 0;
	*key = (struct store_value){m->record[m->at].key, m->record[m->at].key_len};
	*value = (struct store_value){m->record[m->at].value, m->record[m->at].value_len};
	return 1;
}

static int mem_get(struct store *store, enum store_map map, struct store_value key,
		   struct store_value *value, struct err *e)
{
	struct mem_map *m = &((struct store_mem *)store)->map[map];
	bool found;
	size_t i = map_find(m, key, &found);

	(void)e;
	if (found)
		*value = (struct store_value){m->record[i].value, m->record[i].value_len};
	return found;
}

static int mem_put(struct store *store, enum store_map map, struct store_value key,
		   struct store_value value, struct err *e)
{
	if (key.len == 0 || key.len > STORE_KEY_MAX)
		return err_set(e, ERR_FATAL, ERR_LOCAL, "a key of %zu bytes", key.len);
	return map_put(&((struct store_mem *)store)->map[map], key, value) == -1
		   ? err_no_memory(e)
		   : 0;
}

static int mem_del(struct store *store, enum store_map map, struct store_value key,
		   struct err *e)
{
	struct mem_map *m = &((struct store_mem *)store)->map[map];
	bool found;
	size_t i = map_find(m, key, &found);

	(void)e;
	if (!found)
		return 0;
	free(m->record[i].key);
	free(m->record[i].value);
	memmove(m->record + i, m->record + i + 1, (--m->n - i) * sizeof *m->record);
	return 0;
}

static int mem_seek(struct store *store, enum store_map map, struct store_value *key,
		    struct store_value *value, struct err *e)
{
	struct mem_map *m = &((struct store_mem *)store)->map[map];
	bool found;

	(void)e;
	m->at = map_find(m, *key, &found);
	return mem_at(m, key, value);
}

static int mem_next(struct store *store, enum store_map map, struct store_value *key,
		    struct store_value *value, struct err *e)
{
	struct mem_map *m = &((struct store_mem *)store)->map[map];

	(void)e;
	m->at++;
	return mem_at(m, key, value);
}

static int mem_backup(struct store *store, const char *file, struct err *e)
{
	(void)store;
	return err_set(e, ERR_FATAL, ERR_USAGE, "backup %s: there is no ledger", file);
}

static void mem_close(struct store *store)
{
	struct store_mem *s = (struct store_mem *)store;

	for (int i = 0; i < STORE_MAPS; i++) {
		map_free(&s->map[i]);
		map_free(&s->saved[i]);
	}
	free(s);
}

static const struct store_ops mem_ops = {
    mem_begin, mem_commit, mem_abort, mem_get,	  mem_put,
    mem_del,   mem_seek,   mem_next,  mem_backup, mem_close,
};

struct store *store_mem_open(struct err *e)
{
	struct store_mem *s = calloc(1, sizeof *s);

	if (s == NULL) {
		err_no_memory(e);
		return NULL;
	}
	s->store.ops = &mem_ops;
	return &s->store;
}
