#include "learn/folders.h"

#include <stdlib.h>

#include "base/clock.h"

enum { AGAIN_MS = 60000 };

static int add(struct folders *f, const char *path, size_t owner, struct err *e)
{
	const char **paths = realloc(f->path, (f->n + 1) * sizeof *paths);
	size_t *owners;

	if (paths == NULL)
		return err_no_memory(e);
	f->path = paths;
	owners = realloc(f->owner, (f->n + 1) * sizeof *owners);
	if (owners == NULL)
		return err_no_memory(e);
	f->owner = owners;
	f->path[f->n] = path;
	f->owner[f->n++] = owner;
	return 0;
}

int folders_add(struct folders *f, const struct account *a, size_t owner, struct err *e)
{
	const char *path;

	for (size_t i = 0; a->ops->folder && (path = a->ops->folder(a, i)) != NULL; i++)
		if (add(f, path, owner, e) == -1)
			return -1;
	return 0;
}

static void begin(struct folders *f)
{
	struct err e;

	if (f->watch || f->n == 0 || clock_ms() < f->open_at)
		return;
	f->watch = folder_watch_open(f->path, f->n, &e);
	if (f->watch) {
		trouble_end(&f->trouble, "watching folders");
		return;
	}
	trouble_begin(&f->trouble, &e);
	f->open_at = clock_ms() + AGAIN_MS;
}

struct taker {
	const struct folders *folders;
	void (*news)(void *ctx, size_t owner);
	void *ctx;
};

static void take(void *ctx, size_t folder)
{
	const struct taker *t = ctx;

	t->news(t->ctx, t->folders->owner[folder]);
}

int64_t folders_take(struct folders *f, void (*news)(void *ctx, size_t owner), void *ctx)
{
	struct taker t = {f, news, ctx};

	begin(f);
	if (f->watch == NULL)
		return f->n > 0 ? f->open_at : INT64_MAX;
	folder_watch_take(f->watch, take, &t);
	return clock_ms() + folder_watch_ms(f->watch);
}

int folders_fd(const struct folders *f)
{
	return f->watch ? folder_watch_fd(f->watch) : -1;
}

void folders_close(struct folders *f)
{
	folder_watch_close(f->watch);
	free(f->path);
	free(f->owner);
	*f = (struct folders){.watch = NULL};
}
