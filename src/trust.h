/*
 * trust.h - is this report one of our users'? A collection account can be mailed by anybody, and
 * what lies in ham@ teaches rspamd that spam is welcome. Pure but for loading the token.
 */
#ifndef LS_TRUST_H
#define LS_TRUST_H

#include <stdbool.h>

#include "class.h"
#include "conf.h"
#include "err.h"
#include "marker.h"

struct trust;

/*
 * Load the token that the configuration names, if it does. conf is borrowed. NULL with the errors
 * of secret_load.
 */
struct trust *trust_open(const struct conf_reports *conf, struct err *e);

/* Wipe the token. NULL is fine. */
void trust_close(struct trust *t);

/* Is there anything that a report has to prove? */
bool trust_is_asked(const struct trust *t);

/*
 * May a message with this top be learned as class? Every test that is configured must pass:
 * - token: the marker bears it (compared in constant time) and says the same class; nothing but one
 *   delivery lies above the marker, and each Received there came from an allowed address, so a
 *   copy of a real report that comes in from outside fails;
 * - senders: the envelope sender is one of these addresses, or of these domains.
 * NULL if it may, else why not, for people.
 */
const char *trust_refuses(const struct trust *t, const struct marker *m, enum mail_class class);

#endif
