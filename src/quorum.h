/*
 * quorum.h - what the reporters of one content say together. Pure.
 */
#ifndef LS_QUORUM_H
#define LS_QUORUM_H

#include <stdbool.h>

#include "record.h"

/*
 * Note what this reporter says (in place of what they said before, if at is not older). All
 * zero is nobody in particular, and is not noted. Of more than RECORD_REPORTERS_MAX the one
 * that spoke first is dropped.
 */
void quorum_note(struct record_digest *d, const unsigned char who[RECORD_REPORTER_SIZE],
		 enum mail_class class, int64_t at);

/*
 * The class that most reporters gave, the newest verdict's on a tie; CLASS_NONE where fewer
 * than quorum of them gave it.
 */
enum mail_class quorum_class(const struct record_digest *d, int quorum);

#endif
