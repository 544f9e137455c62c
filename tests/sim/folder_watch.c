/* In the place of source/folder_watch.c: the folders of the simulation's spools. */
#include "source/folder_watch.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "sim.h"

enum { LOOK_MS = 5000 };

struct folder_watch {
	int fd;
	size_t n;
	const char *const *folder;
	bool all; /* the first time */
	int64_t look_at;
};

static struct watching *watching;

void folder_watch_of(struct watching *w)
{
	watching = w;
}

struct folder_watch *folder_watch_open(const char *const *folder, size_t n, struct err *e)
{
	struct folder_watch *w;

	/* As the library, which has one state: while a new configuration takes over, two are
	 * wanted. */
	if (watching->blind || watching->event_fd != -1) {
		err_set(e, ERR_SERVER, ERR_LOCAL, "folders cannot be watched");
		return NULL;
	}
	w = calloc(1, sizeof *w);
	*w = (struct folder_watch){
	    .fd = eventfd(0, EFD_NONBLOCK), .n = n, .folder = folder, .all = true};
	watching->event_fd = w->fd;
	return w;
}

int folder_watch_fd(const struct folder_watch *w)
{
	return w->fd;
}

int folder_watch_ms(const struct folder_watch *w)
{
	int64_t ms = w->look_at - clock_ms();

	return ms < 0 ? 0 : (int)ms;
}

void folder_watch_take(struct folder_watch *w, void (*news)(void *ctx, size_t folder),
		       void *ctx)
{
	uint64_t n;
	bool told = read(w->fd, &n, sizeof n) == sizeof n;

	if (!w->all && !told && clock_ms() < w->look_at)
		return;
	w->look_at = clock_ms() + LOOK_MS;
	for (size_t i = 0; i < w->n; i++) {
		struct watched_folder *f = &watching->folder[w->folder[i][0] - '0'];

		if (f->news || w->all)
			news(ctx, i);
		f->news = false;
	}
	w->all = false;
}

void folder_watch_close(struct folder_watch *w)
{
	if (w == NULL)
		return;
	close(w->fd);
	watching->event_fd = -1;
	free(w);
}
