/*
 * progress.h - the progress bar: one line on a terminal. If standard output is not a terminal,
 * every call does nothing.
 */
#ifndef LS_PROGRESS_H
#define LS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Allow the bar; it is drawn only if standard output is a terminal. */
void progress_allow(bool yes);

/* Can the bar be seen? */
bool progress_is_shown(void);

/* Begin a bar of total steps, with this label. */
void progress_begin(const char *label, uint64_t total);

/* done steps are done so far; redraws at most ten times a second. */
void progress_update(uint64_t done);

/* Erase the bar so that something else can be printed; the next update draws it again. */
void progress_hide(void);

void progress_end(void);

#endif
