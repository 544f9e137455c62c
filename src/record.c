#include "record.h"

#include <string.h>

/* Every record begins with the version of its own layout. */
enum {
	UID_VERSION = 1,
	DIGEST_RECORD_VERSION = 1,
	MAILBOX_VERSION = 1,
	RUN_VERSION = 1,
	UID_SIZE = 5 + 8 + DIGEST_SIZE,
	DIGEST_HEAD = 3 + 4 * 3 + 8 * 3 + 1,
	REPORTER_RECORD = RECORD_REPORTER_SIZE + 1 + 8,
	MAILBOX_SIZE = 1 + 4 * 3 + 8 + 1,
	RUN_SIZE = 6,
};

struct writer {
	unsigned char *p;
};

struct reader {
	const unsigned char *p;
};

static void put(struct writer *w, uint64_t n, int bytes)
{
	for (int i = bytes - 1; i >= 0; i--)
		*w->p++ = (unsigned char)(n >> (8 * i));
}

static uint64_t take(struct reader *r, int bytes)
{
	uint64_t n = 0;

	for (int i = 0; i < bytes; i++)
		n = n << 8 | *r->p++;
	return n;
}

const char *record_state_name(enum record_state s)
{
	static const char *const names[STATES] = {"seen", "submitted", "settled", "marked",
						  "purging"};

	return names[s];
}

size_t record_uid_encode(const struct record_uid *r, unsigned char *out)
{
	struct writer w = {out};

	put(&w, UID_VERSION, 1);
	put(&w, r->state, 1);
	put(&w, r->outcome, 1);
	put(&w, r->class, 1);
	put(&w, r->tries > 255 ? 255 : r->tries, 1);
	put(&w, (uint64_t)r->settled_at, 8);
	memcpy(w.p, r->digest.bytes, DIGEST_SIZE);
	return UID_SIZE;
}

bool record_uid_decode(const void *data, size_t len, struct record_uid *r)
{
	struct reader in = {data};

	if (len != UID_SIZE || take(&in, 1) != UID_VERSION)
		return false;
	r->state = (enum record_state)take(&in, 1);
	r->outcome = (enum outcome)take(&in, 1);
	r->class = (enum mail_class)take(&in, 1);
	r->tries = (unsigned)take(&in, 1);
	r->settled_at = (int64_t)take(&in, 8);
	memcpy(r->digest.bytes, in.p, DIGEST_SIZE);
	return r->state < STATES && r->outcome < OUTCOMES && r->class <= CLASS_HAM;
}

size_t record_digest_encode(const struct record_digest *r, unsigned char *out)
{
	struct writer w = {out};
	size_t n = strnlen(r->answer, RECORD_ANSWER_MAX);

	put(&w, DIGEST_RECORD_VERSION, 1);
	put(&w, r->class, 1);
	put(&w, r->outcome, 1);
	put(&w, r->flips, 4);
	put(&w, r->copies, 4);
	put(&w, r->epoch, 4);
	put(&w, (uint64_t)r->first_seen, 8);
	put(&w, (uint64_t)r->last_seen, 8);
	put(&w, (uint64_t)r->verdict_at, 8);
	put(&w, n, 1);
	memcpy(w.p, r->answer, n);
	w.p += n;
	put(&w, r->n_reporters, 1);
	for (size_t i = 0; i < r->n_reporters; i++) {
		memcpy(w.p, r->reporter[i].who, RECORD_REPORTER_SIZE);
		w.p += RECORD_REPORTER_SIZE;
		put(&w, r->reporter[i].class, 1);
		put(&w, (uint64_t)r->reporter[i].at, 8);
	}
	return (size_t)(w.p - out);
}

static bool reporters_decode(struct reader *in, size_t len, struct record_digest *r)
{
	r->n_reporters = (size_t)take(in, 1);
	if (r->n_reporters > RECORD_REPORTERS_MAX ||
	    len != 1 + r->n_reporters * REPORTER_RECORD)
		return false;
	for (size_t i = 0; i < r->n_reporters; i++) {
		struct record_reporter *x = &r->reporter[i];

		memcpy(x->who, in->p, RECORD_REPORTER_SIZE);
		in->p += RECORD_REPORTER_SIZE;
		x->class = (enum mail_class)take(in, 1);
		x->at = (int64_t)take(in, 8);
		if (x->class != CLASS_SPAM && x->class != CLASS_HAM)
			return false;
	}
	return true;
}

bool record_digest_decode(const void *data, size_t len, struct record_digest *r)
{
	struct reader in = {data};
	size_t n;

	if (len < DIGEST_HEAD || take(&in, 1) != DIGEST_RECORD_VERSION)
		return false;
	r->class = (enum mail_class)take(&in, 1);
	r->outcome = (enum outcome)take(&in, 1);
	r->flips = (unsigned)take(&in, 4);
	r->copies = (unsigned)take(&in, 4);
	r->epoch = (uint32_t)take(&in, 4);
	r->first_seen = (int64_t)take(&in, 8);
	r->last_seen = (int64_t)take(&in, 8);
	r->verdict_at = (int64_t)take(&in, 8);
	n = (size_t)take(&in, 1);
	if (n > RECORD_ANSWER_MAX || len < DIGEST_HEAD + n + 1 || memchr(in.p, '\0', n))
		return false;
	memcpy(r->answer, in.p, n);
	r->answer[n] = '\0';
	in.p += n;
	return r->outcome < OUTCOMES && r->class <= CLASS_HAM &&
	       reporters_decode(&in, len - DIGEST_HEAD - n, r);
}

size_t record_mailbox_encode(const struct record_mailbox *r, unsigned char *out)
{
	struct writer w = {out};

	put(&w, MAILBOX_VERSION, 1);
	put(&w, r->number, 4);
	put(&w, r->uidvalidity, 4);
	put(&w, r->uidnext, 4);
	put(&w, r->modseq, 8);
	put(&w, r->whole, 1);
	return MAILBOX_SIZE;
}

bool record_mailbox_decode(const void *data, size_t len, struct record_mailbox *r)
{
	struct reader in = {data};

	if (len != MAILBOX_SIZE || take(&in, 1) != MAILBOX_VERSION)
		return false;
	r->number = (uint32_t)take(&in, 4);
	r->uidvalidity = (uint32_t)take(&in, 4);
	r->uidnext = (uint32_t)take(&in, 4);
	r->modseq = take(&in, 8);
	r->whole = *in.p == 1;
	return *in.p <= 1;
}

size_t record_run_encode(const struct record_run *r, unsigned char *out)
{
	struct writer w = {out};

	put(&w, RUN_VERSION, 1);
	put(&w, r->epoch, 4);
	put(&w, r->complete, 1);
	return RUN_SIZE;
}

bool record_run_decode(const void *data, size_t len, struct record_run *r)
{
	struct reader in = {data};

	if (len != RUN_SIZE || take(&in, 1) != RUN_VERSION)
		return false;
	r->epoch = (uint32_t)take(&in, 4);
	r->complete = *in.p == 1;
	return *in.p <= 1;
}

size_t record_u32_encode(uint32_t n, unsigned char *out)
{
	struct writer w = {out};

	put(&w, n, 4);
	return 4;
}

bool record_u32_decode(const void *data, size_t len, uint32_t *n)
{
	struct reader in = {data};

	if (len != 4)
		return false;
	*n = (uint32_t)take(&in, 4);
	return true;
}

void record_uid_key(uint32_t mailbox, uint32_t uidvalidity, uint32_t uid,
		    unsigned char out[RECORD_UID_KEY])
{
	struct writer w = {out};

	put(&w, mailbox, 4);
	put(&w, uidvalidity, 4);
	put(&w, uid, 4);
}

bool record_uid_key_decode(const void *data, size_t len, uint32_t *mailbox,
			   uint32_t *uidvalidity, uint32_t *uid)
{
	struct reader in = {data};

	if (len != RECORD_UID_KEY)
		return false;
	*mailbox = (uint32_t)take(&in, 4);
	*uidvalidity = (uint32_t)take(&in, 4);
	*uid = (uint32_t)take(&in, 4);
	return true;
}

size_t record_mailbox_key(const char *account, const char *mailbox, char *out, size_t size)
{
	size_t a = strlen(account), m = strlen(mailbox);

	if (a + 1 + m > RECORD_MAILBOX_KEY_MAX || a + 1 + m > size)
		return 0;
	memcpy(out, account, a + 1);
	memcpy(out + a + 1, mailbox, m);
	return a + 1 + m;
}
