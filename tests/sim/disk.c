#include "disk.h"

#include <stdlib.h>
#include <string.h>

#include "sim.h"

struct undo {
	enum store_map map;
	unsigned char key[STORE_KEY_MAX];
	size_t key_len, len;
	unsigned char *value; /* owned; NULL: there was none */
};

static struct disk *disk_of(struct store *s)
{
	return (struct disk *)s;
}

static void forget_undo(struct disk *d)
{
	while (d->n_undo > 0)
		free(d->undo[--d->n_undo].value);
}

static void take_back(struct disk *d)
{
	struct err ignored;

	while (d->n_undo > 0) {
		struct undo *u = &d->undo[--d->n_undo];
		const struct store_value key = {u->key, u->key_len};

		if (u->value)
			d->data->ops->put(d->data, u->map, key,
					  (struct store_value){u->value, u->len}, &ignored);
		else
			d->data->ops->del(d->data, u->map, key, &ignored);
		free(u->value);
	}
}

/* Remember what stands there before it is changed. */
static void note_undo(struct disk *d, enum store_map m, struct store_value key)
{
	struct store_value old;
	struct err ignored;
	struct undo *u;

	if (d->n_undo == d->size_undo) {
		d->size_undo = d->size_undo ? 2 * d->size_undo : 64;
		d->undo = realloc(d->undo, (size_t)d->size_undo * sizeof *d->undo);
	}
	u = &d->undo[d->n_undo++];
	*u = (struct undo){.map = m, .key_len = key.len};
	memcpy(u->key, key.data, key.len);
	if (d->data->ops->get(d->data, m, key, &old, &ignored) == 1) {
		u->len = old.len;
		u->value = malloc(old.len + 1);
		memcpy(u->value, old.data, old.len);
	}
}

static int disk_begin(struct store *s, bool write, struct err *e)
{
	(void)s;
	(void)write;
	(void)e;
	return 0;
}

static int disk_commit(struct store *s, struct err *e)
{
	struct disk *d = disk_of(s);
	struct sim *sim = d->sim;

	if (!sim_step(sim))
		return sim_killed(e);
	if (++d->commits == sim->faults->full_at || sim->watching.disk_full) {
		take_back(d);
		return err_set(e, ERR_FATAL, ERR_TEMPORARY, "ledger: the disk is full");
	}
	forget_undo(d);
	model_commits(sim);
	return sim_step(sim) ? 0 : sim_killed(e);
}

static void disk_abort(struct store *s)
{
	take_back(disk_of(s));
}

static int disk_get(struct store *s, enum store_map m, struct store_value key,
		    struct store_value *value, struct err *e)
{
	struct store *data = disk_of(s)->data;

	return data->ops->get(data, m, key, value, e);
}

static int disk_put(struct store *s, enum store_map m, struct store_value key,
		    struct store_value value, struct err *e)
{
	struct disk *d = disk_of(s);

	note_undo(d, m, key);
	return d->data->ops->put(d->data, m, key, value, e);
}

static int disk_del(struct store *s, enum store_map m, struct store_value key, struct err *e)
{
	struct disk *d = disk_of(s);

	note_undo(d, m, key);
	return d->data->ops->del(d->data, m, key, e);
}

static int disk_seek(struct store *s, enum store_map m, struct store_value *key,
		     struct store_value *value, struct err *e)
{
	struct store *data = disk_of(s)->data;

	return data->ops->seek(data, m, key, value, e);
}

static int disk_next(struct store *s, enum store_map m, struct store_value *key,
		     struct store_value *value, struct err *e)
{
	struct store *data = disk_of(s)->data;

	return data->ops->next(data, m, key, value, e);
}

static int disk_backup(struct store *s, const char *file, struct err *e)
{
	(void)s;
	return err_set(e, ERR_FATAL, ERR_USAGE, "backup %s: not simulated", file);
}

/* The process is gone; what it committed is not. */
static void disk_close(struct store *s)
{
	take_back(disk_of(s));
}

static const struct store_ops disk_ops = {
    disk_begin, disk_commit, disk_abort, disk_get,    disk_put,
    disk_del,	disk_seek,   disk_next,	 disk_backup, disk_close,
};

void disk_new(struct disk *d, struct sim *s)
{
	struct err ignored;

	*d = (struct disk){.store = {&disk_ops}, .sim = s, .data = store_mem_open(&ignored)};
}

void disk_free(struct disk *d)
{
	forget_undo(d);
	free(d->undo);
	store_close(d->data);
	store_close(d->saved);
}

static struct store *copy(struct store *from)
{
	struct err ignored;
	struct store *to = store_mem_open(&ignored);

	for (int m = 0; m < STORE_MAPS; m++) {
		struct store_value key = {"", 0}, value;

		for (int rc = from->ops->seek(from, m, &key, &value, &ignored); rc == 1;
		     rc = from->ops->next(from, m, &key, &value, &ignored))
			to->ops->put(to, m, key, value, &ignored);
	}
	return to;
}

void disk_save(struct disk *d)
{
	store_close(d->saved);
	d->saved = copy(d->data);
}

bool disk_restore(struct disk *d)
{
	if (d->saved == NULL)
		return false;
	store_close(d->data);
	d->data = copy(d->saved);
	return true;
}

void disk_lose(struct disk *d)
{
	struct sim *s = d->sim;
	struct store *saved = d->saved;

	d->saved = NULL;
	disk_free(d);
	disk_new(d, s);
	d->saved = saved;
}

bool disk_is_dirty(const struct disk *d)
{
	return d->n_undo > 0;
}

static uint64_t hash_bytes(uint64_t h, struct store_value v)
{
	const unsigned char *p = v.data;

	for (size_t i = 0; i < v.len; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

uint64_t disk_hash(const struct disk *d)
{
	const struct store_ops *ops = d->data->ops;
	uint64_t h = 0xcbf29ce484222325u;
	struct err ignored;

	for (int m = 0; m < STORE_MAPS; m++) {
		struct store_value key = {"", 0}, value;

		for (int rc = ops->seek(d->data, m, &key, &value, &ignored); rc == 1;
		     rc = ops->next(d->data, m, &key, &value, &ignored))
			h = hash_bytes(hash_bytes(h, key), value);
	}
	return h;
}
