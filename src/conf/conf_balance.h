/*
 * conf_balance.h - how much more of one class than of the other rspamd may learn: "2:1".
 */
#ifndef LS_CONF_BALANCE_H
#define LS_CONF_BALANCE_H

#include <stdbool.h>

enum { CONF_MAX_BALANCE = 1000 };

/* At most `more` messages of one class for each `less` of the other; 0: no limit. */
struct conf_balance {
	int more, less;
};

/*
 * Parse "2:1" (from 1 to CONF_MAX_BALANCE, the larger number first) or "off". False if it is
 * neither; *out is then unchanged.
 */
bool conf_balance_parse(const char *value, struct conf_balance *out);

#endif
