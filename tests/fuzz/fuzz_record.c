/*
 * record.c: bytes of a damaged ledger. What is taken for a record of today's layout is written
 * again as the same bytes; one of format 1 is written in today's layout, and reads the same
 * then. The first byte is which record it should be.
 */
#include <string.h>

#include "fuzz.h"

#include "ledger/record.h"

static size_t message_again(const uint8_t *data, size_t len, unsigned char *out)
{
	struct record_message r;

	if (!record_message_decode(data, len, &r))
		return 0;
	fuzz_must(record_state_name(r.state) && outcome_name(r.outcome),
		  "a state without a name");
	fuzz_must(strlen(r.words) <= RECORD_ANSWER_MAX, "words that are too long");
	return record_message_encode(&r, out);
}

static size_t digest_again(const uint8_t *data, size_t len, unsigned char *out)
{
	struct record_digest r;

	if (!record_digest_decode(data, len, &r))
		return 0;
	fuzz_must(strlen(r.answer) <= RECORD_ANSWER_MAX, "an answer that is too long");
	fuzz_must(r.n_reporters <= RECORD_REPORTERS_MAX, "too many reporters");
	fuzz_must(r.outcome != OUTCOME_UNCONFIRMED, "unconfirmed decides something");
	return record_digest_encode(&r, out);
}

static size_t mailbox_again(const uint8_t *data, size_t len, unsigned char *out)
{
	struct record_mailbox r;

	return record_mailbox_decode(data, len, &r) ? record_mailbox_encode(&r, out) : 0;
}

static size_t u32_again(const uint8_t *data, size_t len, unsigned char *out)
{
	uint32_t n;

	return record_u32_decode(data, len, &n) ? record_u32_encode(n, out) : 0;
}

static size_t key_again(const uint8_t *data, size_t len, unsigned char *out)
{
	uint32_t mailbox, identity, id;

	if (!record_message_key_decode(data, len, &mailbox, &identity, &id))
		return 0;
	record_message_key(mailbox, identity, id, out);
	return RECORD_MESSAGE_KEY;
}

/* Of format 1, or an unconfirmed content, which is undecided now. */
static bool is_converted(size_t kind, const uint8_t *data, size_t len)
{
	return kind < 3 && len > 2 && (data[0] == 1 || (kind == 1 && data[2] == 11));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static size_t (*const again[])(const uint8_t *, size_t, unsigned char *) = {
	    message_again, digest_again, mailbox_again, u32_again, key_again};
	unsigned char out[RECORD_VALUE_MAX], twice[RECORD_VALUE_MAX];
	size_t n, kind;
	uint8_t *exact;

	if (len == 0)
		return 0;
	exact = malloc(len - 1 + (len == 1)); /* a read behind the end has to show */
	fuzz_must(exact != NULL, "no memory");
	memcpy(exact, data + 1, len - 1);
	kind = data[0] % (sizeof again / sizeof *again);
	n = again[kind](exact, len - 1, out);
	if (n > 0 && is_converted(kind, exact, len - 1))
		fuzz_must(again[kind](out, n, twice) == n && memcmp(out, twice, n) == 0,
			  "converted, it reads otherwise");
	else
		fuzz_must(n == 0 || (n == len - 1 && memcmp(out, exact, n) == 0),
			  "other bytes");
	free(exact);
	return 0;
}
