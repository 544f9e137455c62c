#include "conf/conf_scan.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"

enum { KEYS_MAX = 64 }; /* of the blocks that are open; no more are valid */

/* The text ends with a NUL, so that *p and p[1] can always be read. */
struct scan {
	char *p;
	int line;
	struct {
		const char *name;
		size_t len;
		int line, depth;
	} key[KEYS_MAX]; /* that were given a value */
	size_t n_keys;
	const char *word; /* the last one, with its quotes */
	size_t word_len;
	int depth;     /* of open blocks */
	int open_line; /* where the outermost one was opened */
	char before;   /* the last mark or the first character of the last word; blanks not
			  counted */
	struct err *e;
};

#define BAD(s, ...) err_set((s)->e, ERR_FATAL, ERR_CONFIG, __VA_ARGS__)

/* A value may be printed as it is, so it must be UTF-8 without control characters. */
static int scan_token(struct scan *s, const char *start)
{
	char shown[CONF_MAX_STRING + 8];
	size_t len = (size_t)(s->p - start);

	if (len > CONF_MAX_STRING)
		return BAD(s, "a value of %zu bytes; at most %d are allowed", len,
			   CONF_MAX_STRING);
	if (text_visible(shown, sizeof shown, start, len) != len ||
	    memcmp(shown, start, len) != 0)
		return BAD(
		    s,
		    "a control character, or bytes that are not UTF-8, in \"%s\"; retype "
		    "the line",
		    shown);
	return 0;
}

static int scan_double(struct scan *s)
{
	char *start = ++s->p;

	for (; *s->p != '"'; s->p++) {
		if (*s->p == '\n' || *s->p == '\0')
			return BAD(s, "a string is not closed on its line; add the \"");
		if (s->p[0] == '$' && s->p[1] == '{')
			return BAD(
			    s, "${...} is not replaced here; write \\${ for these characters");
		if (*s->p != '\\')
			continue;
		if (s->p[1] == '\0' || strchr("\\\"$", s->p[1]) == NULL)
			return BAD(
			    s,
			    "a backslash before something other than \\, \" or $; write \\\\ "
			    "for a backslash");
		s->p++;
	}
	if (scan_token(s, start) == -1)
		return -1;
	s->p++;
	return 0;
}

static int scan_single(struct scan *s)
{
	char *start = ++s->p;

	for (; *s->p != '\''; s->p++) {
		if (s->p[0] == '\\' && (s->p[1] == '\\' || s->p[1] == '\''))
			s->p++;
		if (*s->p == '\n' || *s->p == '\0')
			return BAD(s, "a string is not closed on its line; add the '");
	}
	if (scan_token(s, start) == -1)
		return -1;
	s->p++;
	return 0;
}

/* At a comment: make it blank, but keep its line ends. */
static int scan_comment(struct scan *s)
{
	bool block = s->p[0] == '/' && s->p[1] == '*';
	const char *end = block ? strstr(s->p + 2, "*/") : strchr(s->p, '\n');

	if (block && end == NULL)
		return BAD(s, "a comment is not closed; add */");
	end = block ? end + 2 : end != NULL ? end : s->p + strlen(s->p);
	for (; s->p < end; s->p++) {
		if (*s->p == '\n')
			s->line++;
		else
			*s->p = ' ';
	}
	return 0;
}

/* = move "Archive"  becomes  = "move Archive": the quote is moved to the front. */
static void join_move(struct scan *s, char *word)
{
	char *quote = s->p + strspn(s->p, " \t");

	if (s->before != '=' || s->p - word != 4 || memcmp(word, "move", 4) != 0 ||
	    (*quote != '"' && *quote != '\'') || quote == s->p)
		return;
	char mark = *quote;

	memmove(word + 1, word, (size_t)(quote - word));
	*word = mark;
	s->p = word;
}

static int scan_word(struct scan *s)
{
	char *word = s->p, first = *word;
	size_t len = strcspn(word, " \t\r\n\"'#={}(),+*;");

	s->p += len > 0 ? len : 1; /* a carriage return alone, which scan_token refuses */
	if (s->p[-1] == '$' && s->p[0] == '{')
		return BAD(s, "${...} is not replaced here; put the value in single quotes");
	if (scan_token(s, word) == -1)
		return -1;
	s->word = word;
	s->word_len = (size_t)(s->p - word);
	join_move(s, word);
	if (s->p != word)
		s->before = first;
	return 0;
}

/*
 * At the = behind a key. libconfuse lets the last of two win; that of two lists, only the text
 * shows them.
 */
static int scan_key(struct scan *s)
{
	for (size_t i = 0; i < s->n_keys; i++)
		if (s->key[i].depth == s->depth && s->key[i].len == s->word_len &&
		    memcmp(s->key[i].name, s->word, s->word_len) == 0)
			return BAD(s, "%.*s is given twice, first on line %d; keep one",
				   (int)s->word_len, s->word, s->key[i].line);
	if (s->n_keys == KEYS_MAX)
		return 0;
	s->key[s->n_keys].name = s->word;
	s->key[s->n_keys].len = s->word_len;
	s->key[s->n_keys].line = s->line;
	s->key[s->n_keys++].depth = s->depth;
	return 0;
}

static int scan_brace(struct scan *s)
{
	while (*s->p == '}' && s->n_keys > 0 && s->key[s->n_keys - 1].depth == s->depth)
		s->n_keys--;
	if (*s->p == '{' && s->depth++ == 0)
		s->open_line = s->line;
	if (*s->p == '}' && s->depth-- == 0)
		return BAD(s, "one } too many; remove it");
	s->before = *s->p++;
	return 0;
}

static int scan_one(struct scan *s)
{
	char c = s->p[0], next = s->p[1];

	if (c == '#' || (c == '/' && (next == '/' || next == '*')))
		return scan_comment(s);
	if (c == '{' || c == '}')
		return scan_brace(s);
	if (c == '"' || c == '\'') {
		s->before = c;
		s->word = s->p;
		if ((c == '"' ? scan_double(s) : scan_single(s)) == -1)
			return -1;
		s->word_len = (size_t)(s->p - s->word);
		return 0;
	}
	if (c == '+' || c == '*' || c == ';')
		return BAD(s, "'%c' outside of quotes; remove it, or put the value in quotes",
			   c);
	if (strchr("=(),", c) == NULL)
		return scan_word(s);
	if (c == '=' && s->word_len > 0 && scan_key(s) == -1)
		return -1;
	s->before = c;
	s->p++;
	return 0;
}

int conf_scan(char *text, size_t len, int *line, struct err *e)
{
	struct scan s = {.p = text, .line = 1, .e = e};
	int rc = 0;

	while (rc == 0 && *s.p != '\0') {
		if (*s.p == '\n') {
			s.line++;
			s.p++;
		} else if (*s.p == ' ' || *s.p == '\t') {
			s.p++;
		} else if (s.p[0] == '\r' && s.p[1] == '\n') {
			*s.p++ = ' ';
		} else {
			rc = scan_one(&s);
		}
	}
	if (rc == 0 && s.p != text + len)
		rc = BAD(&s, "a NUL byte; this is not a text file");
	if (rc == 0 && s.depth > 0) {
		s.line = s.open_line;
		rc = BAD(&s, "this block is not closed; add the }");
	}
	if (rc == 0 && len > 0 && text[len - 1] == '\n')
		s.line--; /* nothing follows the end of the last line */
	*line = s.line;
	return rc;
}
