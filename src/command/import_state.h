/*
 * import_state.h - reset --import-state: the messages that the old script had rspamd learn are
 * known from now on.
 */
#ifndef LS_IMPORT_STATE_H
#define LS_IMPORT_STATE_H

#include "base/err.h"
#include "command/cmd.h"

/* Forgets nothing, changes nothing on the mail server, and may be done again. 0, or -1. */
int import_state(const struct cmd_options *o, const struct conf *conf, struct err *e);

#endif
