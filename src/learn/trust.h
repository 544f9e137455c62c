/*
 * trust.h - is this report one of our users'? A collection account can be mailed by anybody,
 * and what lies in ham@ teaches rspamd that spam is welcome. Pure but for loading the token.
 */
#ifndef LS_TRUST_H
#define LS_TRUST_H

#include <stdbool.h>

#include "mail/class.h"
#include "conf/conf.h"
#include "base/err.h"
#include "mail/report_field.h"

struct trust;

/*
 * Are senders and received lists of what they should be? 0, or -1 with an ERR_FATAL/ERR_CONFIG
 * error that begins with the key's name.
 */
int trust_check(const struct conf_reports *conf, struct err *e);

/*
 * Load the token that the configuration names, if it does. conf is borrowed. NULL with the
 * errors of trust_check and secret_load.
 */
struct trust *trust_open(const struct conf_reports *conf, struct err *e);

/* Wipe the token. NULL is fine. */
void trust_close(struct trust *t);

/* Is there anything that a report has to prove? */
bool trust_is_asked(const struct trust *t);

/*
 * May a message with this top be learned as class? Every test that is configured must pass:
 * - token: the report field bears it (compared in constant time) and says the same class;
 * nothing but one delivery lies above the report field, and each Received there names allowed
 * addresses only, so a copy of a real report that comes in from outside fails;
 * - received without a token: the same, but for the token;
 * - senders: the envelope sender is one of these addresses, or of these domains.
 * NULL if it may, otherwise the reason as text.
 */
const char *trust_refuses(const struct trust *t, const struct report_field *m,
			  enum mail_class class);

/*
 * Who reported, as report_field_reporter; but where senders prove it and no token does, an
 * allowed sender could write any name into the report field: then the envelope sender. Points
 * into m.
 */
const char *trust_reporter(const struct trust *t, const struct report_field *m);

#endif
