#include "imap/keyword.h"

unsigned keyword_for(enum mail_class class, enum outcome outcome)
{
	if (!outcome_is_learned(outcome))
		return IMAP_LEARN_SKIPPED;
	return class == CLASS_SPAM ? IMAP_LEARNED_SPAM : IMAP_LEARNED_HAM;
}

const char *keyword_name(unsigned keyword)
{
	return keyword == IMAP_LEARNED_SPAM  ? "$LearnedSpam"
	       : keyword == IMAP_LEARNED_HAM ? "$LearnedHam"
					     : "$LearnSkipped";
}
