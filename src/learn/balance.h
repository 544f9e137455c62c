/*
 * balance.h - Bayes judges badly if it was taught much more of one class than of the other: the
 * larger class is held back. Pure.
 */
#ifndef LS_BALANCE_H
#define LS_BALANCE_H

#include <stdint.h>

#include "conf/conf.h"
#include "mail/class.h"
#include "output/tally.h"
#include "rspamd/rspamd.h"

/*
 * How many messages of this class rspamd may still be taught: with them it has, of this class,
 * at most b->more for b->less of the other one. As many as rspamd needs to judge at all
 * (RSPAMD_MIN_LEARNS) are always allowed. before: rspamd's counts at the start of the run;
 * done: what this run had it learn. UINT64_MAX where there is no limit.
 */
uint64_t balance_room(const struct conf_balance *b, const struct rspamd_stat *before,
		      const struct tally *done, enum mail_class class);

#endif
