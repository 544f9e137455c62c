/*
 * progress.h - the one line on a terminal that says how far it is. On anything but a terminal
 * every call does nothing.
 */
#ifndef LS_PROGRESS_H
#define LS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Allow it at all; drawn only where standard output is a terminal. */
void progress_allow(bool yes);

/* Is there anything to be seen of it? */
bool progress_is_shown(void);

/* Begin a line for total steps, called label. */
void progress_begin(const char *label, uint64_t total);

/* done steps so far; redrawn ten times a second at most. */
void progress_update(uint64_t done);

/* Take the line off the screen so that something else can be written; it comes back by itself.
 */
void progress_hide(void);

void progress_end(void);

#endif
