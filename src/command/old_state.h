/*
 * old_state.h - the state file of the script that this program succeeds: which messages it had
 * rspamd learn.
 */
#ifndef LS_OLD_STATE_H
#define LS_OLD_STATE_H

#include "base/err.h"
#include "base/ranges.h"
#include "mail/class.h"

/*
 * A JSON object; "spam_uids" and "ham_uids" are lists of UIDs, each a string of digits or a
 * number. It names neither account, folder nor UIDVALIDITY. Other members ("last_run") are
 * ignored.
 */
struct old_state {
	struct ranges uids[CLASS_HAM + 1];
};

/* Returns 0, or -1 with an ERR_FATAL/ERR_CONFIG error; old_state_free in both cases. */
int old_state_read(const char *path, struct old_state *out, struct err *e);
void old_state_free(struct old_state *s);

#endif
