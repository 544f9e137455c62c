/*
 * imap_parse.c: whatever a server sends, in pieces of whatever size: no crash, bounded text,
 * and the same tokens as when it comes whole. The first byte is how large the pieces get.
 */
#include <string.h>

#include "fuzz.h"

#include "imap_parse.h"

enum { TRACE_MAX = 64 << 20, LITERAL_MAX = 1 << 20 };

/* What was read, so that it can be compared: each token's kind, its text, its end. */
static void trace(struct imap_parser *p, enum imap_token t, struct buf *out)
{
	if (t == IMAP_DATA) {
		fuzz_must(p->data_len > 0 && p->data_len <= LITERAL_MAX,
			  "an empty piece of a literal");
		fuzz_must(buf_add(out, p->data, p->data_len) == 0, "trace too small");
		return;
	}
	fuzz_must(buf_addf(out, "\n%d ", (int)t) == 0, "trace too small");
	if (t == IMAP_ATOM || t == IMAP_QUOTED || t == IMAP_TEXT) {
		fuzz_must(p->text.len <= IMAP_LINE_MAX, "a text above its cap");
		fuzz_must(buf_add(out, p->text.len ? p->text.data : "", p->text.len) == 0,
			  "trace too small");
	} else if (t == IMAP_LITERAL) {
		fuzz_must(p->literal <= LITERAL_MAX, "a literal above its cap");
		buf_addf(out, "%llu ", (unsigned long long)p->literal);
	} else if (t == IMAP_BAD) {
		buf_adds(out, p->why);
	}
}

/* As imap.c does: the rest of these lines is for people. */
static void want_text(struct imap_parser *p)
{
	static const char *const words[] = {"OK", "NO", "BAD", "BYE", "PREAUTH", "+"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (imap_parse_is(p, words[i]))
			imap_parse_text(p);
}

/* Feed all of it, in pieces of 1 to step bytes; 0: whole. */
static void parse(const uint8_t *data, size_t len, unsigned step, struct buf *out)
{
	struct imap_parser p;
	enum imap_token t = IMAP_MORE;

	imap_parse_init(&p);
	p.literal_max = LITERAL_MAX;
	for (size_t at = 0, piece; at < len && t != IMAP_BAD; at += piece) {
		size_t used;

		piece = step ? 1 + data[at] % step : len;
		piece = piece < len - at ? piece : len - at;
		for (size_t done = 0; done < piece && t != IMAP_BAD; done += used) {
			t = imap_parse(&p, (const char *)data + at + done, piece - done, &used);
			fuzz_must(used <= piece - done, "more used than given");
			if (t == IMAP_MORE) {
				fuzz_must(used == piece - done, "input left with IMAP_MORE");
				continue;
			}
			trace(&p, t, out);
			if (t == IMAP_ATOM)
				want_text(&p);
		}
	}
	imap_parse_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf whole, split;

	if (len == 0)
		return 0;
	buf_init(&whole, TRACE_MAX);
	buf_init(&split, TRACE_MAX);
	parse(data + 1, len - 1, 0, &whole);
	parse(data + 1, len - 1, 1 + data[0], &split);
	fuzz_must(whole.len == split.len &&
		      (whole.len == 0 || memcmp(whole.data, split.data, whole.len) == 0),
		  "other tokens in pieces");
	buf_free(&whole);
	buf_free(&split);
	return 0;
}
