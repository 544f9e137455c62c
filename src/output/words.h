/*
 * words.h - words that both forms of output use for ages and groups.
 */
#ifndef LS_WORDS_H
#define LS_WORDS_H

#include <stdint.h>

#include "mail/outcome.h"

enum { WORDS_AGE = 32 }; /* bytes of an age as text */

/* "7d", "12h", "30s": an age in seconds in its largest whole unit. */
void words_age(int64_t age, char out[WORDS_AGE]);

/* "learned", "known", "skipped", "untrusted", "held" or "failed". */
const char *words_group(enum outcome_group g);

#endif
