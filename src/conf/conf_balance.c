#include "conf/conf_balance.h"

#include <stdint.h>
#include <string.h>

#include "base/text.h"

bool conf_balance_parse(const char *value, struct conf_balance *out)
{
	size_t len = strcspn(value, ":");
	const char *rest = value + len + 1;
	uint64_t more = 0, less = 0;

	if (strcmp(value, "off") != 0 &&
	    (value[len] != ':' || !text_number(value, len, CONF_MAX_BALANCE, &more) ||
	     !text_number(rest, strlen(rest), CONF_MAX_BALANCE, &less) || less == 0 ||
	     more < less))
		return false;
	*out = (struct conf_balance){(int)more, (int)less};
	return true;
}
