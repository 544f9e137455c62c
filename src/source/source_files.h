/*
 * source_files.h - files, folders, Maildirs and mboxes that an administrator names, to be
 * learned as one class and left as they are: a first training.
 */
#ifndef LS_SOURCE_FILES_H
#define LS_SOURCE_FILES_H

#include <stddef.h>

#include "mail/class.h"
#include "source/account.h"

/*
 * An account named "files" with one source for each path (borrowed, as is the array). Messages
 * are numbered as they are found, anew each time that a source is opened: its identity is by
 * chance. What was learned before is known by its content. NULL without memory.
 */
struct account *account_files(const char *const *path, size_t n, enum mail_class class);

#endif
