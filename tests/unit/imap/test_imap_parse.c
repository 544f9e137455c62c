/*
 * imap_parse.c: a table of what servers say and of what they must not say. Each is fed whole,
 * one byte at a time, and split at every offset: the tokens have to be the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "imap/imap_parse.h"

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define BYTES(string) (string), sizeof(string) - 1

/*
 * The tokens of an input as text: A:atom Q:quoted L3:data T:text ( ) EOL BAD:why, a blank
 * behind each. Data of one literal is joined, whatever the pieces were.
 */
struct trace {
	struct imap_parser p;
	struct buf out;
	const char *text_after; /* an atom behind which imap_parse_text() is called */
	uint64_t open;		/* bytes of the literal that have not come yet */
};

static void trace_init(struct trace *t, const char *text_after)
{
	imap_parse_init(&t->p);
	t->p.literal_max = 100;
	buf_init(&t->out, 1 << 20);
	t->text_after = text_after;
	t->open = 0;
}

static void trace_free(struct trace *t)
{
	imap_parse_free(&t->p);
	buf_free(&t->out);
}

static void write_data(struct trace *t)
{
	assert_in_range(t->p.data_len, 1, t->open);
	buf_add(&t->out, t->p.data, t->p.data_len);
	t->open -= t->p.data_len;
	if (t->open == 0)
		buf_adds(&t->out, " ");
}

static void write_token(struct trace *t, enum imap_token token)
{
	static const char *const prefix[] = {
	    [IMAP_ATOM] = "A:", [IMAP_QUOTED] = "Q:", [IMAP_TEXT] = "T:"};

	switch (token) {
	case IMAP_ATOM:
	case IMAP_QUOTED:
	case IMAP_TEXT:
		buf_adds(&t->out, prefix[token]);
		buf_add(&t->out, t->p.text.data ? t->p.text.data : "", t->p.text.len);
		buf_adds(&t->out, " ");
		if (token == IMAP_ATOM && t->text_after && imap_parse_is(&t->p, t->text_after))
			imap_parse_text(&t->p);
		break;
	case IMAP_LITERAL:
		buf_addf(&t->out, "L%llu:%s", (unsigned long long)t->p.literal,
			 t->p.literal ? "" : " ");
		t->open = t->p.literal;
		break;
	case IMAP_DATA:
		write_data(t);
		break;
	case IMAP_BAD:
		buf_addf(&t->out, "BAD:%s", t->p.why);
		break;
	default:
		buf_adds(&t->out, token == IMAP_OPEN	? "( "
				  : token == IMAP_CLOSE ? ") "
							: "EOL ");
	}
}

/* Feed one piece of input. false once it is BAD. */
static bool feed(struct trace *t, const char *in, size_t len)
{
	while (len > 0) {
		size_t used = SIZE_MAX;
		enum imap_token token = imap_parse(&t->p, in, len, &used);

		assert_true(used <= len);
		in += used;
		len -= used;
		if (token == IMAP_MORE) {
			assert_int_equal(len, 0);
			return true;
		}
		write_token(t, token);
		if (token == IMAP_BAD)
			return false;
	}
	return true;
}

/* BAD is final, whatever comes. */
static void check_final(struct trace *t)
{
	size_t used = SIZE_MAX;

	assert_int_equal(imap_parse(&t->p, "* OK\r\n", 6, &used), IMAP_BAD);
	assert_int_equal(used, 0);
	assert_int_equal(imap_parse(&t->p, NULL, 0, &used), IMAP_BAD);
	imap_parse_text(&t->p);
	assert_int_equal(imap_parse(&t->p, "x\r\n", 3, &used), IMAP_BAD);
}

static void check_split(const char *in, size_t len, const size_t *cut, size_t cuts,
			const char *text_after, const char *want)
{
	struct trace t;
	size_t at = 0;
	bool good = true;

	trace_init(&t, text_after);
	for (size_t i = 0; good && i <= cuts; i++) {
		size_t end = i < cuts ? cut[i] : len;

		/* On the heap, so that a byte read too far is found. */
		char *piece = malloc(end - at + !(end - at));

		assert_non_null(piece);
		memcpy(piece, in + at, end - at);
		good = feed(&t, piece, end - at);
		free(piece);
		at = end;
	}
	assert_string_equal(t.out.data ? t.out.data : "", want);
	if (!good)
		check_final(&t);
	trace_free(&t);
}

static void check(const char *in, size_t len, const char *text_after, const char *want)
{
	size_t *each = calloc(len + 1, sizeof *each);

	assert_non_null(each);
	for (size_t i = 0; i < len; i++)
		each[i] = i;
	check_split(in, len, NULL, 0, text_after, want);
	check_split(in, len, each, len, text_after, want);
	for (size_t i = 0; i <= len; i++)
		check_split(in, len, &i, 1, text_after, want);
	free(each);
}

static const struct {
	const char *in;
	size_t len;
	const char *text_after, *want;
} cases[] = {
    {BYTES("* OK [X] hello there\r\n"), NULL, "A:* A:OK A:[X] A:hello A:there EOL "},
    {BYTES("* OK hello\n"), NULL, "A:* A:OK A:hello EOL "}, /* LF alone is let pass */
    {BYTES("\r\n"), NULL, "EOL "},
    {BYTES("  a   b  \r\n"), NULL, "A:a A:b EOL "},
    {BYTES("* LIST (\\HasNoChildren \\Junk) \"/\" \"Junk \\\"x\\\\ \"\r\n"), NULL,
     "A:* A:LIST ( A:\\HasNoChildren A:\\Junk ) Q:/ Q:Junk \"x\\  EOL "},
    {BYTES("* LIST () NIL INBOX\r\n"), NULL, "A:* A:LIST ( ) A:NIL A:INBOX EOL "},
    {BYTES("a(b)c\r\n"), NULL, "A:a ( A:b ) A:c EOL "},
    {BYTES("((()))\r\n"), NULL, "( ( ( ) ) ) EOL "},
    {BYTES("\"\" \"\"\"x\"\r\n"), NULL, "Q: Q: Q:x EOL "},
    {BYTES("\"caf\xC3\xA9 \xE9\xFF\x80\" \xC3\xBC\r\n"), NULL,
     "Q:caf\xC3\xA9 \xE9\xFF\x80 A:\xC3\xBC EOL "},
    {BYTES("\"a\\bc\"\r\n"), NULL, "Q:abc EOL "},
    {BYTES("\"(){}\t\x1B\"\r\n"), NULL, "Q:(){}\t\x1B EOL "},
    {BYTES("* 1 FETCH (UID 7 BODY[] {5}\r\nab\r\n) FLAGS (\\Seen $X))\r\n"), NULL,
     "A:* A:1 A:FETCH ( A:UID A:7 A:BODY[] L5:ab\r\n) A:FLAGS ( A:\\Seen A:$X ) ) EOL "},
    {BYTES("{0}\r\n\r\n"), NULL, "L0: EOL "},
    {BYTES("{0}\r\n {0}\r\n {2}\r\n{}\r\n"), NULL, "L0: L0: L2:{} EOL "},
    {BYTES("({2}\r\nab{0}\r\n{1}\r\n"), NULL,
     "( L2:ab BAD:a literal that does not have the length it announced"},
    {BYTES("({0}\r\n)({1}\r\na)\r\n"), NULL, "( L0: ) ( L1:a ) EOL "},
    {BYTES("({2}\r\nabc)\r\n"), NULL,
     "( L2:ab BAD:a literal that does not have the length it announced"},
    {BYTES("({4}\r\nab)\r\n* 5\r\n"), NULL,
     "( L4:ab)\r BAD:a literal that does not have the length it announced"},
    {BYTES("{0}\r\n("), NULL, "L0: BAD:a literal that does not have the length it announced"},
    {BYTES("{1}\r\nx\n"), NULL, "L1:x EOL "},
    {BYTES("~{2}\r\nxy ~{0}\r\n)"), NULL, "L2:xy L0: BAD:a ) without its ("},
    {BYTES("~ ~x ~\r\n"), NULL, "A:~ A:~x A:~ EOL "},
    {BYTES("{3}\r\nabc def\r\n"), NULL, "L3:abc A:def EOL "},
    {BYTES("{100}\r\n"), NULL, "L100:"},
    {BYTES("{101}\r\n"), NULL, "BAD:a literal larger than allowed"},
    {BYTES("{00000000000000000000000000000000001}\r\nx\r\n"), NULL, "L1:x EOL "},
    {BYTES("{18446744073709551615}\r\n"), NULL, "BAD:a literal longer than any message"},
    {BYTES("{18446744073709551616}\r\n"), NULL, "BAD:a literal longer than any message"},
    {BYTES("{184467440737095516150}\r\n"), NULL, "BAD:a literal longer than any message"},
    {BYTES("{9999999999999999999999}\r\n"), NULL, "BAD:a literal longer than any message"},
    {BYTES("{10000000000}\r\n"), NULL, "BAD:a literal larger than allowed"},
    {BYTES("{}\r\n"), NULL, "BAD:a literal without a length"},
    {BYTES("{+}\r\n"), NULL, "BAD:a literal without a length"},
    {BYTES("{5+}\r\n"), NULL, "BAD:a literal without a length"},
    {BYTES("{-1}\r\n"), NULL, "BAD:a literal without a length"},
    {BYTES("{ 1}\r\n"), NULL, "BAD:a literal without a length"},
    {BYTES("{1 }\r\n"), NULL, "BAD:a literal without a length"},
    {BYTES("{1\r\n"), NULL, "BAD:a literal without a length"},
    {BYTES("{1}x"), NULL, "BAD:a literal's length that does not end its line"},
    {BYTES("{1} \r\n"), NULL, "BAD:a literal's length that does not end its line"},
    {BYTES("{1}\rx"), NULL, "BAD:a literal's length that does not end its line"},
    {BYTES("{1}\r\r\n"), NULL, "BAD:a literal's length that does not end its line"},
    {BYTES("BODY[]{3}\r\nabc"), NULL, "BAD:a { inside a word"},
    {BYTES("~~{3}\r\nabc"), NULL, "BAD:a { inside a word"},
    {BYTES("a{b\r\n"), NULL, "BAD:a { inside a word"},
    {BYTES(")\r\n"), NULL, "BAD:a ) without its ("},
    {BYTES("(a))\r\n"), NULL, "( A:a ) BAD:a ) without its ("},
    {BYTES("(a\r\n"), NULL, "( A:a BAD:a line that ends inside a list"},
    {BYTES("(a\n"), NULL, "( A:a BAD:a line that ends inside a list"},
    {BYTES("\"abc\r\n"), NULL, "BAD:a quoted string that does not end"},
    {BYTES("\"abc\n"), NULL, "BAD:a quoted string that does not end"},
    {BYTES("\"abc\\\r\n"), NULL, "BAD:a quoted string that does not end"},
    {BYTES("\"a\0c\"\r\n"), NULL, "BAD:a quoted string that does not end"},
    {BYTES("\"a\\\0\"\r\n"), NULL, "BAD:a quoted string that does not end"},
    {BYTES("a\rb\r\n"), NULL, "A:a BAD:a CR without its LF"},
    {BYTES("a\r\r\n"), NULL, "A:a BAD:a CR without its LF"},
    {BYTES("\r \n"), NULL, "BAD:a CR without its LF"},
    {BYTES("a\0b\r\n"), NULL, "BAD:a NUL outside a literal"},
    {BYTES("\0\r\n"), NULL, "BAD:a control character outside a literal"},
    {BYTES("a \x1B[31m\r\n"), NULL, "A:a BAD:a control character outside a literal"},
    {BYTES("a\tb\r\n"), NULL, "A:a BAD:a control character outside a literal"},
    {BYTES("\x7F\r\n"), NULL, "BAD:a control character outside a literal"},
    {BYTES("a\x7F\r\n"), NULL, "A:a BAD:a control character outside a literal"},
    {BYTES("* OK all (\"{9} is fine\r\n* x\r\n"), "ok",
     "A:* A:OK T:all (\"{9} is fine EOL A:* A:x EOL "},
    {BYTES("* OK\r\n"), "OK", "A:* A:OK T: EOL "},
    {BYTES("* OK \r\n"), "OK", "A:* A:OK T: EOL "},
    {BYTES("* OK  two\n"), "OK", "A:* A:OK T: two EOL "},
    {BYTES("* OK a\tb\x1B\xFF\r\n"), "OK", "A:* A:OK T:a\tb\x1B\xFF EOL "},
    {BYTES("* OK a\rb\r\n"), "OK", "A:* A:OK T:a BAD:a CR without its LF"},
    {BYTES("* OK a\0b\r\n"), "OK", "A:* A:OK BAD:a NUL outside a literal"},
    {BYTES("+\r\n+ idling\r\n"), "+", "A:+ T: EOL A:+ T:idling EOL "},
    {BYTES("(OK a\r\n"), "OK", "( A:OK T:a BAD:a line that ends inside a list"},
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		check(cases[i].in, cases[i].len, cases[i].text_after, cases[i].want);
}

/* A literal is bytes, of any kind. */
static void test_literal_bytes(void **state)
{
	static const char in[] = "{4}\n\0\r\xFF{ {0}\r\n {1}\r\n{ {002}\r\n\"\" x\r\n";
	static const char want[] = "L4:\0\r\xFF{ L0: L1:{ L2:\"\" A:x EOL ";

	(void)state;
	for (size_t step = 1; step < sizeof in; step++) {
		struct trace t;

		trace_init(&t, NULL);
		for (size_t at = 0; at < sizeof in - 1; at += step)
			assert_true(
			    feed(&t, in + at,
				 step < sizeof in - 1 - at ? step : sizeof in - 1 - at));
		assert_int_equal(t.out.len, sizeof want - 1);
		assert_memory_equal(t.out.data, want, sizeof want - 1);
		trace_free(&t);
	}
}

/* ---- caps: the last that is allowed, and the first that is not ---- */

/* n times the same bytes, after head. Returns the last token but MORE. */
static enum imap_token repeat(struct imap_parser *p, const char *head, const char *what,
			      size_t n)
{
	enum imap_token last = IMAP_MORE;
	size_t used;

	for (const char *h = head; *h; h += used)
		(void)imap_parse(p, h, strlen(h), &used);
	for (size_t i = 0; i < n; i++)
		for (const char *w = what; *w; w += used) {
			enum imap_token t = imap_parse(p, w, strlen(w), &used);

			if (t == IMAP_BAD)
				return t;
			last = t == IMAP_MORE ? last : t;
		}
	return last;
}

static const struct {
	const char *head, *what;
	size_t n; /* of what: this many are allowed, one more is not */
	const char *why;
} caps[] = {
    {"", "(", IMAP_DEPTH_MAX, "lists nested too deep"},
    {"", "a ", IMAP_TOKENS_MAX, "a response of too many words"},
    {"", "\"\"", IMAP_TOKENS_MAX, "a response of too many words"},
    {"", "()", IMAP_TOKENS_MAX / 2, "a response of too many words"},
    {"", "x", IMAP_LINE_MAX - 1, NULL},
    {"", "x", IMAP_LINE_MAX, "a line that is too long"},
    {"", " ", IMAP_LINE_MAX, "a line that is too long"},
    {"\"", "x", IMAP_LINE_MAX - 1, "a line that is too long"},
    {"\"", "\\x", (IMAP_LINE_MAX - 1) / 2, "a line that is too long"},
    {"{", "0", IMAP_LINE_MAX - 1, "a line that is too long"},
};

static void test_caps(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(caps); i++)
		for (size_t more = 0; more < 2; more++) {
			struct imap_parser p;
			enum imap_token t;

			imap_parse_init(&p);
			t = repeat(&p, caps[i].head, caps[i].what, caps[i].n + more);
			if (more == 0 && t == IMAP_BAD)
				fail_msg("cap %zu: %s", i, p.why);
			if (more == 1 && caps[i].why) {
				size_t used;

				/* An atom's length is looked at when it ends. */
				if (t != IMAP_BAD)
					t = imap_parse(&p, "\n", 1, &used);
				assert_int_equal(t, IMAP_BAD);
				assert_string_equal(p.why, caps[i].why);
			}
			imap_parse_free(&p);
		}
}

/* What a line and its words may be counts for each line anew. */
static void test_caps_start_anew(void **state)
{
	struct imap_parser p;
	size_t used;

	(void)state;
	imap_parse_init(&p);
	for (int line = 0; line < 5; line++) {
		assert_int_equal(repeat(&p, "", "ab ", IMAP_TOKENS_MAX), IMAP_ATOM);
		assert_int_equal(imap_parse(&p, "\n", 1, &used), IMAP_EOL);
	}
	imap_parse_free(&p);
}

/* A line's own caps are forgotten with it. */
static void test_caps_of_a_line(void **state)
{
	struct imap_parser p;
	size_t used;

	(void)state;
	imap_parse_init(&p);
	p.line_max = p.tokens_max = 4 * (size_t)IMAP_LINE_MAX;
	assert_int_equal(repeat(&p, "", "ab ", IMAP_LINE_MAX), IMAP_ATOM);
	assert_int_equal(imap_parse(&p, "\n", 1, &used), IMAP_EOL);
	assert_int_equal(p.line_max, IMAP_LINE_MAX);
	assert_int_equal(repeat(&p, "", "ab ", IMAP_TOKENS_MAX), IMAP_ATOM);
	assert_int_equal(repeat(&p, "", "ab ", 1), IMAP_BAD);
	imap_parse_free(&p);
}

/* A long word costs no more memory than the cap, whether it comes whole or in pieces. */
static void test_long_word(void **state)
{
	size_t len = 2 * (size_t)IMAP_LINE_MAX, used;
	char *in = malloc(len);
	struct imap_parser p;

	(void)state;
	assert_non_null(in);
	memset(in, 'x', len);
	for (int text = 0; text < 2; text++) {
		imap_parse_init(&p);
		if (text)
			imap_parse_text(&p);
		assert_int_equal(imap_parse(&p, in, len, &used), IMAP_BAD);
		assert_string_equal(p.why, "a line that is too long");
		assert_true(p.text.size <= IMAP_LINE_MAX + 1);
		imap_parse_free(&p);
	}
	free(in);
}

/* The cap of a literal is the caller's, and may change from one to the next. */
static void test_literal_max(void **state)
{
	struct imap_parser p;
	size_t used;

	(void)state;
	imap_parse_init(&p);
	assert_int_equal(p.literal_max, IMAP_SMALL_LITERAL);
	p.literal_max = UINT64_MAX;
	assert_int_equal(imap_parse(&p, "{18446744073709551599}\r\n", 24, &used), IMAP_LITERAL);
	assert_true(p.literal == 18446744073709551599u);
	imap_parse_free(&p);

	imap_parse_init(&p);
	p.literal_max = 0;
	assert_int_equal(imap_parse(&p, "{0}\r\n", 5, &used), IMAP_LITERAL);
	assert_int_equal(used, 5);
	assert_int_equal(imap_parse(&p, "{1}\r\n", 5, &used), IMAP_BAD);
	imap_parse_free(&p);
}

static void test_words(void **state)
{
	struct imap_parser p;
	uint64_t n = 4711;
	size_t used;

	(void)state;
	imap_parse_init(&p);
	assert_false(imap_parse_is(&p, ""));
	assert_false(imap_parse_number(&p, 9, &n));
	assert_int_equal(imap_parse(&p, "fEtch 42 (", 6, &used), IMAP_ATOM);
	assert_int_equal(used, 5); /* the blank is the next one's */
	assert_true(imap_parse_is(&p, "FETCH"));
	assert_false(imap_parse_is(&p, "FETC"));
	assert_false(imap_parse_is(&p, "FETCHES"));
	assert_false(imap_parse_number(&p, UINT64_MAX, &n));
	assert_int_equal(imap_parse(&p, " 42 (", 5, &used), IMAP_ATOM);
	assert_false(imap_parse_number(&p, 41, &n));
	assert_int_equal(n, 4711);
	assert_true(imap_parse_number(&p, 42, &n));
	assert_int_equal(n, 42);
	assert_int_equal(imap_parse(&p, " (", 2, &used), IMAP_OPEN);
	assert_false(imap_parse_is(&p, "42")); /* no text: the token has none */
	imap_parse_free(&p);
}

/* The rest of this line is text; where this line has no more, the next is not meant. */
static void test_text_at_the_end(void **state)
{
	struct imap_parser p;
	size_t used;

	(void)state;
	imap_parse_init(&p);
	assert_int_equal(imap_parse(&p, "OK\r", 3, &used), IMAP_ATOM);
	assert_int_equal(used, 2);
	assert_int_equal(imap_parse(&p, "\r", 1, &used), IMAP_MORE);
	imap_parse_text(&p);
	assert_int_equal(imap_parse(&p, "\n", 1, &used), IMAP_EOL);
	assert_int_equal(imap_parse(&p, "a b\r\n", 5, &used), IMAP_ATOM);
	assert_true(imap_parse_is(&p, "a"));
	imap_parse_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cases),
	    cmocka_unit_test(test_literal_bytes),
	    cmocka_unit_test(test_caps),
	    cmocka_unit_test(test_caps_start_anew),
	    cmocka_unit_test(test_caps_of_a_line),
	    cmocka_unit_test(test_long_word),
	    cmocka_unit_test(test_literal_max),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_text_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
