#include "ledger/record.h"

#include <string.h>

#include "ledger/bytes.h"

/* Every record begins with the version of its own layout. */
enum {
	LAYOUT = 2,
	MESSAGE_1 = 5 + 8 + DIGEST_SIZE, /* bytes, in layout 1 */
	MESSAGE_HEAD = 6 + 8 + 8 + 4 + 8 + DIGEST_SIZE + 1,
	DIGEST_HEAD_1 = 3 + 4 * 3 + 8 * 3 + 1,
	DIGEST_HEAD = 4 + 4 * 2 + 8 * 3 + 1,
	REPORTER_RECORD = RECORD_REPORTER_SIZE + 1 + 8,
	MAILBOX_1 = 1 + 4 * 3 + 8 + 1,
	MAILBOX_SIZE = 1 + 4 * 4 + 8 * 3 + 4 + 1,
	FLAG_BARE = 1, /* of a message */
	FLAG_WHOLE = 1,
	FLAG_PASSED = 2, /* of a mailbox */
};

const char *record_state_name(enum record_state s)
{
	static const char *const names[STATES] = {"pending", "submitted", "settled",
						  "marked",  "purging",	  "copied"};

	return names[s];
}

/* Write a text of at most RECORD_ANSWER_MAX bytes, after its length. */
static void put_words(struct writer *w, const char *words)
{
	size_t n = strnlen(words, RECORD_ANSWER_MAX);

	bytes_put(w, n, 1);
	memcpy(w->p, words, n);
	w->p += n;
}

/* Read the same from left bytes; returns the number of bytes read, 0 if it is malformed. */
static size_t take_words(struct reader *in, size_t left, char words[RECORD_ANSWER_MAX + 1])
{
	size_t n = left > 0 ? (size_t)bytes_take(in, 1) : 0;

	if (left == 0 || n > RECORD_ANSWER_MAX || left < n + 1 || memchr(in->p, '\0', n))
		return 0;
	memcpy(words, in->p, n);
	words[n] = '\0';
	in->p += n;
	return n + 1;
}

size_t record_message_encode(const struct record_message *r, unsigned char *out)
{
	struct writer w = {out};

	bytes_put(&w, LAYOUT, 1);
	bytes_put(&w, r->state, 1);
	bytes_put(&w, r->outcome, 1);
	bytes_put(&w, r->class, 1);
	bytes_put(&w, r->tries > 255 ? 255 : r->tries, 1);
	bytes_put(&w, r->bare ? FLAG_BARE : 0, 1);
	bytes_put(&w, (uint64_t)r->changed_at, 8);
	bytes_put(&w, (uint64_t)r->verdict_at, 8);
	bytes_put(&w, r->stamp.size, 4);
	bytes_put(&w, (uint64_t)r->stamp.date, 8);
	memcpy(w.p, r->digest.bytes, DIGEST_SIZE);
	w.p += DIGEST_SIZE;
	put_words(&w, r->words);
	return (size_t)(w.p - out);
}

/* Format 1 does not tell what failed, so a failed message is only tried again. */
static void message_of_format_1(struct record_message *r)
{
	if (r->state < STATE_SETTLED && r->outcome == OUTCOME_FAILED) {
		r->outcome = OUTCOME_NONE;
		r->tries = 0;
	}
}

bool record_message_decode(const void *data, size_t len, struct record_message *r)
{
	struct reader in = {data};
	bool old = len == MESSAGE_1 && len > 0 && in.p[0] == 1;
	uint64_t flags = 0;

	*r = (struct record_message){.outcome = OUTCOME_NONE};
	if (!old && (len < MESSAGE_HEAD || in.p[0] != LAYOUT))
		return false;
	in.p++;
	r->state = (enum record_state)bytes_take(&in, 1);
	r->outcome = (enum outcome)bytes_take(&in, 1);
	r->class = (enum mail_class)bytes_take(&in, 1);
	r->tries = (unsigned)bytes_take(&in, 1);
	flags = old ? 0 : bytes_take(&in, 1);
	r->bare = flags == FLAG_BARE;
	r->changed_at = (int64_t)bytes_take(&in, 8);
	if (!old) {
		r->verdict_at = (int64_t)bytes_take(&in, 8);
		r->stamp.size = (uint32_t)bytes_take(&in, 4);
		r->stamp.date = (int64_t)bytes_take(&in, 8);
	}
	memcpy(r->digest.bytes, in.p, DIGEST_SIZE);
	in.p += DIGEST_SIZE;
	if (old)
		message_of_format_1(r);
	else if (take_words(&in, len - (MESSAGE_HEAD - 1), r->words) !=
		 len - (MESSAGE_HEAD - 1))
		return false;
	return r->state < STATES && r->outcome < OUTCOMES && r->class <= CLASS_HAM &&
	       flags <= FLAG_BARE;
}

size_t record_digest_encode(const struct record_digest *r, unsigned char *out)
{
	struct writer w = {out};

	bytes_put(&w, LAYOUT, 1);
	bytes_put(&w, r->class, 1);
	bytes_put(&w, r->outcome, 1);
	bytes_put(&w, r->in_doubt, 1);
	bytes_put(&w, r->flips, 4);
	bytes_put(&w, r->copies, 4);
	bytes_put(&w, (uint64_t)r->first_seen, 8);
	bytes_put(&w, (uint64_t)r->last_seen, 8);
	bytes_put(&w, (uint64_t)r->verdict_at, 8);
	put_words(&w, r->answer);
	bytes_put(&w, r->n_reporters, 1);
	for (size_t i = 0; i < r->n_reporters; i++) {
		memcpy(w.p, r->reporter[i].who, RECORD_REPORTER_SIZE);
		w.p += RECORD_REPORTER_SIZE;
		bytes_put(&w, r->reporter[i].class, 1);
		bytes_put(&w, (uint64_t)r->reporter[i].at, 8);
	}
	return (size_t)(w.p - out);
}

static bool reporters_decode(struct reader *in, size_t len, struct record_digest *r)
{
	r->n_reporters = (size_t)bytes_take(in, 1);
	if (r->n_reporters > RECORD_REPORTERS_MAX ||
	    len != 1 + r->n_reporters * REPORTER_RECORD)
		return false;
	for (size_t i = 0; i < r->n_reporters; i++) {
		struct record_reporter *x = &r->reporter[i];

		memcpy(x->who, in->p, RECORD_REPORTER_SIZE);
		in->p += RECORD_REPORTER_SIZE;
		x->class = (enum mail_class)bytes_take(in, 1);
		x->at = (int64_t)bytes_take(in, 8);
		if (x->class != CLASS_SPAM && x->class != CLASS_HAM)
			return false;
	}
	return true;
}

bool record_digest_decode(const void *data, size_t len, struct record_digest *r)
{
	struct reader in = {data};
	bool old = len > 0 && in.p[0] == 1;
	size_t head = (old ? DIGEST_HEAD_1 : DIGEST_HEAD) - 1, n;
	unsigned doubt;

	if (len < head + 1 || (!old && in.p[0] != LAYOUT))
		return false;
	in.p++;
	r->class = (enum mail_class)bytes_take(&in, 1);
	r->outcome = (enum outcome)bytes_take(&in, 1);
	doubt = old ? 0 : (unsigned)bytes_take(&in, 1);
	r->in_doubt = doubt > 0;
	r->flips = (unsigned)bytes_take(&in, 4);
	r->copies = (unsigned)bytes_take(&in, 4);
	if (old)
		(void)bytes_take(&in, 4); /* the number of a run */
	r->first_seen = (int64_t)bytes_take(&in, 8);
	r->last_seen = (int64_t)bytes_take(&in, 8);
	r->verdict_at = (int64_t)bytes_take(&in, 8);
	n = take_words(&in, len - head, r->answer);
	/* A report that was not confirmed in time has no influence on later ones. */
	if (r->outcome == OUTCOME_UNCONFIRMED)
		r->outcome = OUTCOME_NONE;
	return n > 0 && len > head + n && doubt <= 1 && r->outcome < OUTCOMES &&
	       r->class <= CLASS_HAM && reporters_decode(&in, len - head - n, r);
}

bool record_has_digest(const struct record_message *r)
{
	static const struct digest none;

	return !digest_equal(&r->digest, &none);
}

void record_digest_no_future(struct record_digest *r, int64_t now)
{
	if (r->verdict_at > now)
		r->verdict_at = 0;
	for (size_t i = 0; i < r->n_reporters; i++)
		if (r->reporter[i].at > now)
			r->reporter[i].at = 0;
}

size_t record_mailbox_encode(const struct record_mailbox *r, unsigned char *out)
{
	struct writer w = {out};

	bytes_put(&w, LAYOUT, 1);
	bytes_put(&w, r->number, 4);
	bytes_put(&w, r->identity, 4);
	bytes_put(&w, r->next, 4);
	bytes_put(&w, r->high_next, 4);
	bytes_put(&w, r->version, 8);
	bytes_put(&w, r->high_version, 8);
	bytes_put(&w, r->target, 8);
	bytes_put(&w, r->left, 4);
	bytes_put(&w, (r->whole ? FLAG_WHOLE : 0) | (r->passed ? FLAG_PASSED : 0), 1);
	return MAILBOX_SIZE;
}

bool record_mailbox_decode(const void *data, size_t len, struct record_mailbox *r)
{
	struct reader in = {data};
	bool old = len == MAILBOX_1 && in.p[0] == 1;
	uint64_t flags;

	*r = (struct record_mailbox){0};
	if (!old && (len != MAILBOX_SIZE || in.p[0] != LAYOUT))
		return false;
	in.p++;
	r->number = (uint32_t)bytes_take(&in, 4);
	r->identity = (uint32_t)bytes_take(&in, 4);
	r->next = r->high_next = (uint32_t)bytes_take(&in, 4);
	if (!old)
		r->high_next = (uint32_t)bytes_take(&in, 4);
	r->version = r->high_version = bytes_take(&in, 8);
	if (!old) {
		r->high_version = bytes_take(&in, 8);
		r->target = bytes_take(&in, 8);
		r->left = (uint32_t)bytes_take(&in, 4);
	}
	flags = bytes_take(&in, 1);
	r->whole = flags & FLAG_WHOLE;
	r->passed = old ? r->next > 1 : (flags & FLAG_PASSED) != 0;
	return flags <= (old ? FLAG_WHOLE : FLAG_WHOLE | FLAG_PASSED);
}

size_t record_u32_encode(uint32_t n, unsigned char *out)
{
	struct writer w = {out};

	bytes_put(&w, n, 4);
	return 4;
}

bool record_u32_decode(const void *data, size_t len, uint32_t *n)
{
	struct reader in = {data};

	if (len != 4)
		return false;
	*n = (uint32_t)bytes_take(&in, 4);
	return true;
}

void record_message_key(uint32_t mailbox, uint32_t identity, uint32_t id,
			unsigned char out[RECORD_MESSAGE_KEY])
{
	struct writer w = {out};

	bytes_put(&w, mailbox, 4);
	bytes_put(&w, identity, 4);
	bytes_put(&w, id, 4);
}

bool record_message_key_decode(const void *data, size_t len, uint32_t *mailbox,
			       uint32_t *identity, uint32_t *id)
{
	struct reader in = {data};

	if (len != RECORD_MESSAGE_KEY)
		return false;
	*mailbox = (uint32_t)bytes_take(&in, 4);
	*identity = (uint32_t)bytes_take(&in, 4);
	*id = (uint32_t)bytes_take(&in, 4);
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
