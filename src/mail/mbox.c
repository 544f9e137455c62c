#include "mail/mbox.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum { PIECE = 4096 }; /* bytes of a line that are looked at, and of a longer one at a time */

bool mbox_is_separator(const char *line, size_t len)
{
	if (len < 5 || memcmp(line, "From ", 5) != 0)
		return false;
	/* Text that was not quoted begins like this too, but has no "10:59" in its line. */
	for (size_t i = 5; i + 4 < len && line[i] != '\n'; i++)
		if (isdigit((unsigned char)line[i]) && isdigit((unsigned char)line[i + 1]) &&
		    line[i + 2] == ':' && isdigit((unsigned char)line[i + 3]) &&
		    isdigit((unsigned char)line[i + 4]))
			return true;
	return false;
}

void mbox_begin(struct mbox *m, FILE *file)
{
	*m = (struct mbox){.file = file};
}

/* Up to and with the next line end, PIECE bytes at most. Returns how many. */
static size_t read_piece(FILE *f, char *piece)
{
	size_t n = 0;
	int c = 0;

	while (n < PIECE && c != '\n' && (c = getc_unlocked(f)) != EOF)
		piece[n++] = (char)c;
	return n;
}

static bool is_quoted(const char *line, size_t len)
{
	size_t n = 0;

	while (n < len && line[n] == '>')
		n++;
	return n > 0 && len - n >= 5 && memcmp(line + n, "From ", 5) == 0;
}

static bool is_blank(const char *line, size_t len)
{
	return (len == 1 && line[0] == '\n') ||
	       (len == 2 && line[0] == '\r' && line[1] == '\n');
}

/* A message under way: a blank line is kept back, for the one before a separator is its own. */
struct reading {
	struct buf *body;
	uint64_t size;
	char blank[2];
	size_t n_blank;
};

static int add(struct reading *r, const char *data, size_t len, struct err *e)
{
	r->size += len;
	if (r->size > r->body->cap)
		return 0;
	return buf_add(r->body, data, len) == 0 ? 0 : err_no_memory(e);
}

static int add_line(struct reading *r, const char *line, size_t len, bool starts, struct err *e)
{
	if (add(r, r->blank, r->n_blank, e) == -1)
		return -1;
	r->n_blank = 0;
	if (starts && is_blank(line, len)) {
		memcpy(r->blank, line, len);
		r->n_blank = len;
		return 0;
	}
	if (starts && is_quoted(line, len)) {
		line++;
		len--;
	}
	return add(r, line, len, e);
}

int mbox_next(struct mbox *m, struct buf *body, uint64_t *size, struct err *e)
{
	struct reading r = {.body = body};
	char piece[PIECE];
	bool starts = true, any = false; /* this piece begins a line; something was read */
	size_t n;

	buf_clear(body);
	errno = 0;
	while ((n = read_piece(m->file, piece)) > 0) {
		bool may_separate = starts && (r.n_blank > 0 || !any);

		if (may_separate && mbox_is_separator(piece, n)) {
			/* Its own line may be longer than a piece. */
			while (piece[n - 1] != '\n' && (n = read_piece(m->file, piece)) > 0)
				;
			if (m->started) {
				*size = r.size;
				return 1;
			}
			m->started = true;
			continue;
		}
		any = true;
		m->started = true;
		if (add_line(&r, piece, n, starts, e) == -1)
			return -1;
		starts = piece[n - 1] == '\n';
	}
	if (ferror(m->file))
		return err_set(e, ERR_MAILBOX, ERR_DATA, "%s", strerror(errno));
	*size = r.size;
	n = m->started;
	m->started = false;
	return n > 0;
}
