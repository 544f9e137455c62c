#include "ledger/quorum.h"

#include <string.h>

static struct record_reporter *find(struct record_digest *d, const unsigned char *who)
{
	struct record_reporter *oldest = &d->reporter[0];

	for (size_t i = 0; i < d->n_reporters; i++) {
		if (memcmp(d->reporter[i].who, who, RECORD_REPORTER_SIZE) == 0)
			return &d->reporter[i];
		if (d->reporter[i].at < oldest->at)
			oldest = &d->reporter[i];
	}
	if (d->n_reporters < RECORD_REPORTERS_MAX)
		oldest = &d->reporter[d->n_reporters++];
	memset(oldest, 0, sizeof *oldest);
	return oldest;
}

void quorum_note(struct record_digest *d, const unsigned char who[RECORD_REPORTER_SIZE],
		 enum mail_class class, int64_t at)
{
	static const unsigned char nobody[RECORD_REPORTER_SIZE];
	struct record_reporter *r;

	if (memcmp(who, nobody, sizeof nobody) == 0)
		return;
	r = find(d, who);
	if (r->class != CLASS_NONE && r->at > at)
		return;
	memcpy(r->who, who, RECORD_REPORTER_SIZE);
	r->class = class;
	r->at = at;
}

enum mail_class quorum_class(const struct record_digest *d, int quorum)
{
	int votes[CLASS_HAM + 1] = {0};
	int64_t newest[CLASS_HAM + 1] = {INT64_MIN, INT64_MIN, INT64_MIN};
	enum mail_class c;

	for (size_t i = 0; i < d->n_reporters; i++) {
		const struct record_reporter *r = &d->reporter[i];

		votes[r->class]++;
		if (r->at > newest[r->class])
			newest[r->class] = r->at;
	}
	if (votes[CLASS_SPAM] != votes[CLASS_HAM])
		c = votes[CLASS_SPAM] > votes[CLASS_HAM] ? CLASS_SPAM : CLASS_HAM;
	else
		c = newest[CLASS_SPAM] > newest[CLASS_HAM] ? CLASS_SPAM : CLASS_HAM;
	return votes[c] >= quorum ? c : CLASS_NONE;
}
