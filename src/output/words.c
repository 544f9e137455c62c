#include "output/words.h"

#include <stdio.h>

void words_age(int64_t age, char out[WORDS_AGE])
{
	static const struct {
		int64_t seconds;
		char name;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	size_t i = 0;

	while (units[i].seconds > 1 && age % units[i].seconds != 0)
		i++;
	snprintf(out, WORDS_AGE, "%lld%c", (long long)(age / units[i].seconds), units[i].name);
}

const char *words_group(enum outcome_group g)
{
	static const char *const groups[GROUPS] = {"learned",	"known", "skipped",
						   "untrusted", "held",	 "failed"};

	return groups[g];
}
