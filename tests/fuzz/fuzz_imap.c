/*
 * Whatever a server sends, in pieces of whatever size: no crash, bounded memory, and the same
 * tokens (imap_parse.c) and the same meaning (imap_response.c, imap_read.c) as when it comes
 * whole. The first byte is how large the pieces get.
 */
#include <string.h>

#include "fuzz.h"

#include "imap/imap_priv.h"

enum { TRACE_MAX = 64 << 20, LITERAL_MAX = 1 << 20, BODY_MAX = 512 };

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

/* How long the piece at this place is: 1 to step bytes; step 0: all. */
static size_t piece_at(const uint8_t *data, size_t len, size_t at, unsigned step)
{
	size_t piece = step ? 1 + data[at] % step : len;

	return piece < len - at ? piece : len - at;
}

/* Feed all of it to the tokenizer. */
static void parse(const uint8_t *data, size_t len, unsigned step, struct buf *out)
{
	struct imap_parser p;
	enum imap_token t = IMAP_MORE;

	imap_parse_init(&p);
	p.literal_max = LITERAL_MAX;
	for (size_t at = 0, piece; at < len && t != IMAP_BAD; at += piece) {
		size_t used;

		piece = piece_at(data, len, at, step);
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

static void trace_name(void *ctx, const char *name)
{
	fuzz_must(buf_addf(ctx, "name %s\n", name) == 0, "trace too small");
}

static void trace_event(const struct imap_event *ev, const struct imap_message *m,
			struct buf *out)
{
	if (ev->kind == IMAP_EVENT_DONE) {
		fuzz_must(buf_addf(out, "done %u %d %s\n", ev->command, (int)ev->status,
				   ev->text) == 0,
			  "trace too small");
		return;
	}
	fuzz_must(m->body.len <= BODY_MAX, "a body too large");
	fuzz_must(!(m->has & IMAP_HAS_LARGE) || m->body.data == NULL, "a large body kept");
	fuzz_must(buf_addf(out, "fetch %x %u %u %lld %x ", (unsigned)m->has, m->uid, m->size,
			   (long long)m->date, m->flags) == 0 &&
		      buf_add(out, m->body.len ? m->body.data : "", m->body.len) == 0 &&
		      buf_adds(out, "\n") == 0,
		  "trace too small");
}

/* A response of which there is no more, as imap_poll does it. Returns as imap_understand. */
static int understand(struct imap *s, struct imap_message *m, struct buf *out, struct err *e)
{
	struct imap_event ev;
	int rc;

	fuzz_must(s->response.n > 0 && s->response.item[s->response.n - 1].kind == IMAP_EOL,
		  "a response without its end");
	fuzz_must(s->response.text.len <= IMAP_TEXT_MAX, "too much text");
	rc = imap_understand(s, &ev, m, e);
	imap_response_clear(&s->response);
	if (rc == 1)
		trace_event(&ev, m, out);
	return rc;
}

/* Feed all of it to a session that asked for everything. */
static void session(const uint8_t *data, size_t len, unsigned step, struct buf *out)
{
	static const struct conf_account account = {.name = "a", .url = "imap://b"};
	struct ranges found = {0};
	struct imap_message m = {0};
	char rights[16] = "";
	struct err e = {.text = ""};
	struct imap s = {.account = &account, .tag = 'L', .last = 12};
	int rc = 0;

	imap_response_init(&s.response);
	s.response.body_max = BODY_MAX;
	s.response.found = &found;
	s.lister = (struct imap_lister){"\\Junk", trace_name, out};
	s.rights = rights;
	s.rights_size = sizeof rights;
	for (unsigned i = 0; i < IMAP_PIPELINE; i++)
		s.outstanding[i] = 5 + i;
	for (size_t at = 0, piece; at < len && rc != -1; at += piece) {
		size_t used;

		piece = piece_at(data, len, at, step);
		for (size_t done = 0; done < piece && rc != -1; done += used) {
			rc = imap_response_feed(&s.response, (const char *)data + at + done,
						piece - done, &used);
			fuzz_must(used <= piece - done, "more used than given");
			fuzz_must(rc != 0 || used == piece - done, "input left");
			if (rc == -1)
				imap_protocol_error(&s, s.response.why, &e);
			else if (rc == 1)
				rc = understand(&s, &m, out, &e);
		}
	}
	ranges_sort(&found);
	fuzz_must(buf_addf(out, "%d %s %x %s %u %u %u %llu %d %d %x %llu\n", rc, e.text, s.caps,
			   rights, s.mailbox.uidvalidity, s.mailbox.uidnext, s.mailbox.exists,
			   (unsigned long long)s.mailbox.modseq, s.mailbox.read_only,
			   s.mailbox.can_delete, s.mailbox.keywords,
			   (unsigned long long)ranges_count(&found)) == 0,
		  "trace too small");
	imap_response_free(&s.response);
	imap_message_free(&m);
	ranges_free(&found);
}

static void same_in_pieces(const uint8_t *data, size_t len,
			   void (*read)(const uint8_t *, size_t, unsigned, struct buf *),
			   const char *otherwise)
{
	struct buf whole, split;

	buf_init(&whole, TRACE_MAX);
	buf_init(&split, TRACE_MAX);
	read(data + 1, len - 1, 0, &whole);
	read(data + 1, len - 1, 1 + data[0], &split);
	fuzz_must(whole.len == split.len &&
		      (whole.len == 0 || memcmp(whole.data, split.data, whole.len) == 0),
		  otherwise);
	buf_free(&whole);
	buf_free(&split);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	same_in_pieces(data, len, parse, "other tokens in pieces");
	same_in_pieces(data, len, session, "another meaning in pieces");
	return 0;
}
