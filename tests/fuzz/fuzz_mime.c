/*
 * mime.c and what it stands on: any bytes are a message; what the collection put on
 * top is cut without a change of the digest; what people are shown is visible.
 */
#include <string.h>

#include "fuzz.h"

#include "mail/report_field.h"
#include "mail/mime.h"
#include "base/text.h"

static void check_visible(const char *text)
{
	char again[MIME_TEXT_MAX];
	size_t n = strnlen(text, MIME_TEXT_MAX);

	fuzz_must(n < MIME_TEXT_MAX, "a text without an end");
	fuzz_must(text_visible(again, sizeof again, text, n) == n &&
		      memcmp(again, text, n) == 0,
		  "a text that is not visible");
}

static void read_message(const char *msg, size_t len, struct mime_info *out)
{
	struct err e = {0};

	fuzz_must(mime_read(msg, len, out, &e) == 0, "a message that is none");
	check_visible(out->from);
	check_visible(out->subject);
	check_visible(out->date);
}

static void check_span(struct span s, const char *msg, size_t len)
{
	fuzz_must(s.len == 0 ||
		      (s.data >= msg && s.len <= len && (size_t)(s.data - msg) <= len - s.len),
		  "a span outside of the message");
}

static void check_marker(const char *msg, size_t len)
{
	struct report_field m;

	report_field_read(msg, len, &m);
	check_span(m.above, msg, len);
	fuzz_must(strnlen(m.user, REPORT_FIELD_MAX) < REPORT_FIELD_MAX &&
		      strnlen(m.token, REPORT_FIELD_MAX) < REPORT_FIELD_MAX &&
		      strnlen(m.return_path, REPORT_FIELD_MAX) < REPORT_FIELD_MAX,
		  "a marker's text without an end");
	fuzz_must(!m.malformed || m.found, "malformed and not found");
	fuzz_must(strlen(report_field_reporter(&m)) < REPORT_FIELD_MAX,
		  "a reporter without an end");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static int ready;
	const char *msg = (const char *)data;
	struct mime_info whole, cut;
	size_t at;

	if (!ready)
		mime_init();
	ready = 1;
	read_message(msg, len, &whole);
	check_marker(msg, len);
	at = mime_original(msg, len);
	fuzz_must(at == 0 || at < len, "nothing is left");
	if (at > 0) {
		read_message(msg + at, len - at, &cut);
		fuzz_must(digest_equal(&whole.digest, &cut.digest), "another digest when cut");
	}
	return 0;
}
