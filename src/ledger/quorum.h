/*
 * quorum.h - the majority among the reporters of one content. Pure.
 */
#ifndef LS_QUORUM_H
#define LS_QUORUM_H

#include <stdbool.h>

#include "ledger/record.h"

/*
 * Record the verdict of this reporter (it replaces their earlier one, unless at is older). All
 * zero means an unknown reporter, and is not recorded. If there would be more than
 * RECORD_REPORTERS_MAX, the one with the oldest verdict is dropped.
 */
void quorum_note(struct record_digest *d, const unsigned char who[RECORD_REPORTER_SIZE],
		 enum mail_class class, int64_t at);

/*
 * The class that most reporters gave, on a tie that of the newest verdict; CLASS_NONE if fewer
 * than quorum of them gave it.
 */
enum mail_class quorum_class(const struct record_digest *d, int quorum);

#endif
