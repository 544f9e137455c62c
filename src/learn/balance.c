#include "learn/balance.h"

#include "output/output.h"

/* What rspamd knows of a class by now. */
static uint64_t taught(uint64_t before, const struct tally *t, enum mail_class class)
{
	uint64_t sum = before + t->learned[class];

	return sum > t->taken_back[class] ? sum - t->taken_back[class] : 0;
}

uint64_t balance_room(const struct conf_balance *b, const struct rspamd_stat *before,
		      const struct tally *done, enum mail_class class)
{
	uint64_t spam, ham, these, others, most;

	if (b->more == 0)
		return UINT64_MAX;
	spam = taught(before->spam, done, CLASS_SPAM);
	ham = taught(before->ham, done, CLASS_HAM);
	these = class == CLASS_SPAM ? spam : ham;
	others = class == CLASS_SPAM ? ham : spam;
	most = others * (uint64_t)b->more / (uint64_t)b->less;
	if (most < RSPAMD_MIN_LEARNS)
		most = RSPAMD_MIN_LEARNS;
	return these < most ? most - these : 0;
}
