/*
 * file.h - small files that are replaced as a whole.
 */
#ifndef LS_FILE_H
#define LS_FILE_H

#include <stddef.h>

/*
 * Write text to a new file beside name (which gets the suffix ".new"), have it on the disk, and
 * give it the name: whoever reads it finds the old text or the new one. Only its owner may read
 * it. dir: an open folder, or AT_FDCWD. 0, or -1 with errno; then the old file is there as
 * before.
 */
int file_replace(int dir, const char *name, const char *text, size_t len);

#endif
