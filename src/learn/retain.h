/*
 * retain.h - the retention policy: which settled messages may leave the collection. Pure.
 */
#ifndef LS_RETAIN_H
#define LS_RETAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "ledger/record.h"

/*
 * May this message go now? Only what is marked (or was being purged) and whose age since it was
 * settled has reached the policy's; a failed message only if the policy says so. An age is
 * never negative: what was settled in the future (a clock set back) stays until the clock is
 * there again. What was settled at no known time stays.
 */
bool retain_may_go(const struct record_message *r, const struct conf_retention *policy,
		   int64_t now);

/* How long such a message is kept, in seconds, or CONF_NEVER. */
int64_t retain_age(const struct record_message *r, const struct conf_retention *policy);

/* The ledger may forget what was last touched before this time; 0: nothing. */
int64_t retain_horizon(const struct conf_retention *policy, int64_t now);

#endif
