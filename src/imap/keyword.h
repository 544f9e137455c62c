/*
 * keyword.h - the IMAP keywords that say what became of a message: $LearnedSpam, $LearnedHam,
 * $LearnSkipped.
 */
#ifndef LS_KEYWORD_H
#define LS_KEYWORD_H

#include "imap/imap.h"
#include "mail/class.h"
#include "mail/outcome.h"

/* The one that says this, as one of IMAP_KEYWORDS. */
unsigned keyword_for(enum mail_class class, enum outcome outcome);

/* Its name, "$LearnedSpam". */
const char *keyword_name(unsigned keyword);

#endif
