#include "source/folder_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <inotifytools/inotify.h>
#include <inotifytools/inotifytools.h>

#include "base/clock.h"

enum {
	MISSING_MS = 500,   /* between two looks for a folder that is not there ... */
	PRESENT_MS = 5000,  /* ... and whether one that is there is still that of its name */
	EVENTS_MAX = 20000, /* taken at a time; the kernel's queue has 16384 by default */
	FD_LIMIT = 1024,    /* libinotifytools uses select(2) */
};

/* Files that are complete or moved in, links that are made; and what becomes of the folder. */
#define EVENTS \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

struct folder {
	const char *path; /* borrowed */
	bool watched;
	dev_t device; /* of the one that is watched */
	ino_t inode;
	bool news;
};

struct folder_watch {
	int fd;
	size_t n;
	int64_t looked; /* clock_ms() of the last look at all of them */
	struct folder folder[];
};

static bool in_use; /* the library's one state */

/* ---- one folder ---- */

static bool is_same(const struct folder *f, const struct stat *st)
{
	return st->st_dev == f->device && st->st_ino == f->inode;
}

/* Watch it, if it is there. What came before it was watched is news. */
static void begin(struct folder *f)
{
	struct stat before, after;

	f->watched = false;
	if (stat(f->path, &before) == -1 || !S_ISDIR(before.st_mode))
		return;
	if (inotifytools_watch_file(f->path, (int)EVENTS) == 0) {
		/* Where the kernel has no watch left it is looked at again and again; but who
		 * has shut the folder to us keeps nobody busy. */
		f->news = f->news || inotifytools_error() != EACCES;
		return;
	}
	f->news = true;
	if (stat(f->path, &after) == -1)
		return;
	f->device = after.st_dev;
	f->inode = after.st_ino;
	f->watched = is_same(f, &before); /* or it was replaced meanwhile: next time */
}

/* Is the folder of this name still the one that is watched? */
static void check(struct folder *f)
{
	struct stat st;

	if (!f->watched || stat(f->path, &st) == -1 || !is_same(f, &st))
		begin(f);
}

static bool is_path_of(const struct folder *f, const char *name)
{
	size_t n = strlen(f->path);

	/* The library puts a slash behind the name of a folder. */
	return strncmp(name, f->path, n) == 0 &&
	       (name[n] == '\0' || (name[n] == '/' && name[n + 1] == '\0'));
}

/* ---- events ---- */

static void all_have_news(struct folder_watch *w)
{
	for (size_t i = 0; i < w->n; i++)
		w->folder[i].news = true;
}

/* A folder was removed, or has another name now: the one of this name is looked for. */
static void lose(struct folder *f, const struct inotify_event *ev)
{
	if (ev->mask & IN_MOVE_SELF)
		inotifytools_remove_watch_by_wd(ev->wd);
	begin(f);
}

static void take_event(struct folder_watch *w, const struct inotify_event *ev)
{
	const char *name = ev->wd > 0 ? inotifytools_filename_from_wd(ev->wd) : NULL;

	if (name == NULL || ev->mask & IN_Q_OVERFLOW) {
		all_have_news(w);
		w->looked = 0; /* that a folder is gone may have been among what is lost */
		return;
	}
	for (size_t i = 0; i < w->n; i++) {
		struct folder *f = &w->folder[i];

		if (!is_path_of(f, name))
			continue;
		/* A hidden name is that of a file that is still being written. */
		f->news = f->news || ev->len == 0 || ev->name[0] != '.';
		if (ev->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) {
			lose(f, ev);
			return; /* name is gone by now */
		}
	}
}

static bool one_is_missing(const struct folder_watch *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (!w->folder[i].watched)
			return true;
	return false;
}

static int64_t next_look(const struct folder_watch *w)
{
	return w->looked == 0 ? 0 : w->looked + (one_is_missing(w) ? MISSING_MS : PRESENT_MS);
}

/* ---- the library ---- */

static int cannot(const char *what, int error, struct err *e)
{
	return err_set(e, ERR_SERVER, ERR_LOCAL, "folders cannot be watched: %s: %s", what,
		       strerror(error));
}

static bool is_inotify(int fd)
{
	char path[64], what[64];
	ssize_t n;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	n = readlink(path, what, sizeof what - 1);
	if (n < 0)
		return false;
	what[n] = '\0';
	return strcmp(what, "anon_inode:inotify") == 0;
}

/*
 * The library keeps its descriptor to itself, and there is something else to wait for besides.
 * It is the lowest that is free, as every new one.
 */
static int start_library(struct err *e)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return cannot("no descriptor", errno, e);
	close(fd);
	if (inotifytools_initialize() == 0)
		return cannot("inotify", inotifytools_error(), e);
	if (fd < FD_LIMIT && is_inotify(fd)) {
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
		return fd;
	}
	inotifytools_cleanup();
	return cannot("inotify", EBADF, e);
}

struct folder_watch *folder_watch_open(const char *const *folder, size_t n, struct err *e)
{
	struct folder_watch *w;

	if (in_use) {
		cannot("they are watched already", EBUSY, e);
		return NULL;
	}
	w = calloc(1, sizeof *w + n * sizeof *w->folder);
	if (w == NULL) {
		err_no_memory(e);
		return NULL;
	}
	w->fd = start_library(e);
	if (w->fd == -1) {
		free(w);
		return NULL;
	}
	in_use = true;
	w->n = n;
	for (size_t i = 0; i < n; i++)
		w->folder[i].path = folder[i];
	all_have_news(w);
	return w;
}

int folder_watch_fd(const struct folder_watch *w)
{
	return w->fd;
}

int folder_watch_ms(const struct folder_watch *w)
{
	int64_t ms = next_look(w) - clock_ms();

	return ms < 0 ? 0 : (int)ms;
}

/* Everything that has come, through fn; bounded, for more may come all the time. */
static void drain(struct folder_watch *w,
		  void (*fn)(struct folder_watch *w, const struct inotify_event *ev))
{
	const struct inotify_event *ev;
	int left = EVENTS_MAX;

	while (left-- > 0 && (ev = inotifytools_next_events(0, 1)) != NULL)
		if (fn)
			fn(w, ev);
}

void folder_watch_take(struct folder_watch *w, void (*news)(void *ctx, size_t folder),
		       void *ctx)
{
	drain(w, take_event);
	if (clock_ms() >= next_look(w)) {
		for (size_t i = 0; i < w->n; i++)
			check(&w->folder[i]);
		w->looked = clock_ms();
	}
	for (size_t i = 0; i < w->n; i++)
		if (w->folder[i].news) {
			w->folder[i].news = false;
			news(ctx, i);
		}
}

void folder_watch_close(struct folder_watch *w)
{
	if (w == NULL)
		return;
	/* The library would give what it has read, and not yet given, to the next watch. */
	drain(w, NULL);
	inotifytools_cleanup();
	in_use = false;
	free(w);
}
