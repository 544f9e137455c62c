/*
 * conf_file.h - the configuration, or a list that it names, as text: from a file that only its
 * owner, root or ourselves, can change. Private to conf.c and conf_users.c.
 */
#ifndef LS_CONF_FILE_H
#define LS_CONF_FILE_H

#include <stddef.h>

#include "base/err.h"

/*
 * All of the file and a NUL after it, owned by the caller; *len is without the NUL. what is
 * what it should be, for errors ("a configuration"). NULL with an ERR_FATAL error that names
 * the file and the cure: it is not there, not a regular file, another user's, others can change
 * it, it has more than max bytes. A file that grows meanwhile is cut.
 */
char *conf_file_read(const char *path, const char *what, size_t max, size_t *len,
		     struct err *e);

#endif
