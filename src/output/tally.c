#include "output/tally.h"

void tally_count(struct tally *t, enum mail_class class, enum outcome outcome, bool flipped)
{
	t->outcome[outcome]++;
	if (outcome == OUTCOME_LEARNED)
		t->learned[class]++;
	if (flipped)
		t->taken_back[class == CLASS_SPAM ? CLASS_HAM : CLASS_SPAM]++;
}

uint64_t tally_group(const struct tally *t, enum outcome_group g)
{
	uint64_t n = 0;

	for (int o = OUTCOME_NONE + 1; o < OUTCOMES; o++)
		if (outcome_group((enum outcome)o) == g)
			n += t->outcome[o];
	return n;
}

uint64_t tally_flipped(const struct tally *t)
{
	return t->taken_back[CLASS_SPAM] + t->taken_back[CLASS_HAM];
}

uint64_t tally_expired(const struct tally *t)
{
	uint64_t n = 0;

	for (int g = 0; g < GROUPS; g++)
		n += t->expired[g];
	return n;
}

bool tally_is_empty(const struct tally *t)
{
	for (int o = 0; o < OUTCOMES; o++)
		if (t->outcome[o] > 0)
			return false;
	return t->left == 0 && !t->left_or_more;
}

void tally_add(struct tally *sum, const struct tally *t)
{
	for (int o = 0; o < OUTCOMES; o++)
		sum->outcome[o] += t->outcome[o];
	for (int c = 0; c < 3; c++) {
		sum->learned[c] += t->learned[c];
		sum->taken_back[c] += t->taken_back[c];
	}
	sum->left += t->left;
	sum->left_or_more |= t->left_or_more;
	for (int g = 0; g < GROUPS; g++)
		sum->expired[g] += t->expired[g];
	sum->asked += t->asked;
	sum->kept += t->kept;
	sum->due += t->due;
}
