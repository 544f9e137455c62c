/*
 * record.c: bytes of a damaged ledger. What is taken for a record is written again as the same
 * bytes. The first byte is which record it should be.
 */
#include <string.h>

#include "fuzz.h"

#include "record.h"

static size_t uid_again(const uint8_t *data, size_t len, unsigned char *out)
{
	struct record_uid r;

	if (!record_uid_decode(data, len, &r))
		return 0;
	fuzz_must(record_state_name(r.state) && outcome_name(r.outcome),
		  "a state without a name");
	return record_uid_encode(&r, out);
}

static size_t digest_again(const uint8_t *data, size_t len, unsigned char *out)
{
	struct record_digest r;

	if (!record_digest_decode(data, len, &r))
		return 0;
	fuzz_must(strlen(r.answer) <= RECORD_ANSWER_MAX, "an answer that is too long");
	fuzz_must(r.n_reporters <= RECORD_REPORTERS_MAX, "too many reporters");
	return record_digest_encode(&r, out);
}

static size_t mailbox_again(const uint8_t *data, size_t len, unsigned char *out)
{
	struct record_mailbox r;

	return record_mailbox_decode(data, len, &r) ? record_mailbox_encode(&r, out) : 0;
}

static size_t run_again(const uint8_t *data, size_t len, unsigned char *out)
{
	struct record_run r;

	return record_run_decode(data, len, &r) ? record_run_encode(&r, out) : 0;
}

static size_t u32_again(const uint8_t *data, size_t len, unsigned char *out)
{
	uint32_t n;

	return record_u32_decode(data, len, &n) ? record_u32_encode(n, out) : 0;
}

static size_t key_again(const uint8_t *data, size_t len, unsigned char *out)
{
	uint32_t mailbox, uidvalidity, uid;

	if (!record_uid_key_decode(data, len, &mailbox, &uidvalidity, &uid))
		return 0;
	record_uid_key(mailbox, uidvalidity, uid, out);
	return RECORD_UID_KEY;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static size_t (*const again[])(const uint8_t *, size_t, unsigned char *) = {
	    uid_again, digest_again, mailbox_again, run_again, u32_again, key_again};
	unsigned char out[RECORD_VALUE_MAX];
	uint8_t *exact;
	size_t n;

	if (len == 0)
		return 0;
	exact = malloc(len - 1 + (len == 1)); /* a read behind the end has to show */
	fuzz_must(exact != NULL, "no memory");
	memcpy(exact, data + 1, len - 1);
	n = again[data[0] % (sizeof again / sizeof *again)](exact, len - 1, out);
	fuzz_must(n == 0 || (n == len - 1 && memcmp(out, exact, n) == 0), "other bytes");
	free(exact);
	return 0;
}
