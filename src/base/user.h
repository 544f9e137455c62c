/*
 * user.h - root works as the service's own user, so that the nightly job can use the files that
 * it creates, and nothing that the service could have written runs with root's rights.
 */
#ifndef LS_USER_H
#define LS_USER_H

#include <stdbool.h>

#include "base/err.h"

/*
 * If we are root and path belongs to another user, become that user, with its groups, for good.
 * reads_all: keep the capability to read what others own (as far as root has it here), to learn
 * from their folders, and no other. Does nothing if path does not exist or we are not root.
 * Returns 0, or -1 with an ERR_FATAL/ERR_LOCAL error.
 */
int user_become_owner(const char *path, bool reads_all, struct err *e);

#endif
