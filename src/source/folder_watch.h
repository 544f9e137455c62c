/*
 * folder_watch.h - which of these folders may have something new in them: by inotify, through
 * libinotifytools. That library has one state for the whole process, so there is one watch at a
 * time; nothing else here knows of it.
 *
 * It may tell of a folder in which nothing is new, and never stays silent about one in which
 * there is: where the kernel's queue of events overflows, all may have something new; a folder
 * that is not there, is removed and made again, or is replaced by another one of its name, is
 * looked for again and again, and is told of when it is found.
 */
#ifndef LS_FOLDER_WATCH_H
#define LS_FOLDER_WATCH_H

#include <stddef.h>

#include "base/err.h"

struct folder_watch;

/*
 * Watch these folders (n >= 1; absolute paths, borrowed), which need not be there. Not what is
 * in folders within them. NULL with ERR_SERVER/ERR_LOCAL where the kernel allows no more
 * watches or another folder_watch is open, or ERR_FATAL without memory.
 */
struct folder_watch *folder_watch_open(const char *const *folder, size_t n, struct err *e);

/* What to wait for (POLLIN), and how many milliseconds at most until the next take. */
int folder_watch_fd(const struct folder_watch *w);
int folder_watch_ms(const struct folder_watch *w);

/*
 * Take what has happened; never waits. news is called for each folder, by its place in the
 * list, in which something may be new since it was called last; once for every one after open.
 */
void folder_watch_take(struct folder_watch *w, void (*news)(void *ctx, size_t folder),
		       void *ctx);

/* NULL is fine. */
void folder_watch_close(struct folder_watch *w);

#endif
