#include "source/listen_imap.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "imap/imap_idle.h"
#include "source/source_imap.h"

enum {
	LINES_MAX = 4,	       /* connections to one account; Dovecot allows 10 by default */
	NAME_WIRE_MAX = 1024,  /* bytes */
	NEWS_GAP_MS = 100,     /* between two reports: of a flood it is enough to know */
	IDLE_SHORT_MS = 60000, /* a server that ends IDLE sooner than that has no use for it */
};

/* A mailbox. */
struct box {
	char *name; /* owned; modified UTF-7 */
	bool flags; /* only what is read counts: also reading is news */
	struct imap_counts counts;
};

/* A connection, and what it is good for. */
struct line {
	struct imap *imap; /* owned */
	enum { LINE_IDLE, LINE_NOTIFY, LINE_POLL } how;
	struct box *box; /* borrowed: the first of its mailboxes */
	size_t n;
	int64_t begun; /* clock_ms() at which it was begun or renewed last */
};

struct listening {
	const struct conf_account *conf;   /* borrowed */
	const struct account_listener *to; /* borrowed */
	struct box *box;		   /* owned */
	size_t n;
	struct line line[LINES_MAX];
	size_t n_lines;
	bool news;    /* to be told ... */
	int64_t told; /* ... not before NEWS_GAP_MS after this */
};

/* ---- the mailboxes ---- */

/* Those that have a name; the others are a run's to complain of, unless there is no other. */
static int find_boxes(struct listening *l, struct imap *imap, struct err *e)
{
	const struct conf_account *a = l->conf;
	char name[NAME_WIRE_MAX];

	l->box = calloc(a->n_mailboxes + 1, sizeof *l->box);
	if (l->box == NULL) {
		err_no_memory(e);
		return -1;
	}
	for (size_t i = 0; i < a->n_mailboxes; i++) {
		const struct conf_mailbox *m = &a->mailboxes[i];

		if (source_imap_name(imap, a, m, name, sizeof name, e) == -1) {
			if (e->scope != ERR_MAILBOX)
				return -1;
			continue;
		}
		l->box[l->n].flags = m->seen_only;
		l->box[l->n].name = strdup(name);
		if (l->box[l->n++].name == NULL)
			return err_no_memory(e);
	}
	return l->n > 0 ? 0 : -1;
}

static bool wants_flags(const struct line *line)
{
	for (size_t i = 0; i < line->n; i++)
		if (line->box[i].flags)
			return true;
	return false;
}

/* ---- a line ---- */

/* Ask for the counts of its mailboxes: 1 where there is news, 0, -1. One that is not there has
 * none, until it is there. */
static int count(struct line *line, struct err *e)
{
	int news = 0;

	for (size_t i = 0; i < line->n; i++) {
		struct box *b = &line->box[i];
		struct imap_counts was = b->counts;

		if (imap_count(line->imap, b->name, &b->counts, e) == -1 &&
		    e->scope != ERR_MAILBOX)
			return -1;
		if (imap_counts_differ(&was, &b->counts, b->flags))
			news = 1;
	}
	return news;
}

static int notify(struct line *line, struct err *e)
{
	const char **names = calloc(line->n, sizeof *names);
	int rc;

	if (names == NULL)
		return err_no_memory(e);
	for (size_t i = 0; i < line->n; i++)
		names[i] = line->box[i].name;
	rc = imap_notify(line->imap, names, line->n, wants_flags(line), e);
	free(names);
	return rc;
}

/* Begin as line->how says. 0, or -1; ERR_MAILBOX: it does not work that way. */
static int begin(struct line *line, struct err *e)
{
	line->begun = clock_ms();
	switch (line->how) {
	case LINE_IDLE:
		if (imap_select(line->imap, line->box->name, true, e) == -1)
			return -1;
		return imap_idle_begin(line->imap, wants_flags(line), e);
	case LINE_NOTIFY:
		return notify(line, e);
	case LINE_POLL:
		break;
	}
	return count(line, e) == -1 ? -1 : 0;
}

/* The same, and where it does not work that way by STATUS. */
static int begin_anyhow(struct line *line, struct err *e)
{
	int rc = begin(line, e);

	if (rc == 0 || e->scope != ERR_MAILBOX)
		return rc;
	line->how = LINE_POLL;
	return begin(line, e);
}

/* IDLE is over, because it is time or because the server has ended it: again. */
static int idle_again(struct listening *l, struct line *line, struct err *e)
{
	bool of_no_use = !imap_is_idle(line->imap) && clock_ms() - line->begun < IDLE_SHORT_MS;

	line->begun = clock_ms();
	if (imap_idle_end(line->imap, e) == -1)
		return -1;
	if (!of_no_use) {
		if (imap_idle_begin(line->imap, wants_flags(line), e) == 0)
			return 0;
		if (e->scope != ERR_MAILBOX)
			return -1;
	}
	line->how = LINE_POLL;
	l->news = true; /* nobody knows what came in between */
	return begin(line, e);
}

static int renew(struct listening *l, struct line *line, struct err *e)
{
	int rc;

	if (line->how == LINE_IDLE)
		return idle_again(l, line, e);
	line->begun = clock_ms();
	if (line->how == LINE_NOTIFY)
		return imap_command(line->imap, e, "NOOP");
	rc = count(line, e);
	l->news = l->news || rc == 1;
	return rc == -1 ? -1 : 0;
}

/* ---- the lines ---- */

static void add_line(struct listening *l, struct imap *imap, unsigned how, size_t first,
		     size_t n)
{
	struct line *line = &l->line[l->n_lines++];

	*line = (struct line){.imap = imap, .box = &l->box[first], .n = n};
	line->how = how;
}

static void drop_lines(struct listening *l, size_t left)
{
	while (l->n_lines > left)
		imap_close(l->line[--l->n_lines].imap);
}

/*
 * IDLE in several mailboxes, of which the first has its line: each on a line of its own, and
 * what is too many polled on the last. -1 with ERR_SERVER also where the server allows no more
 * connections.
 */
static int idle_in_all(struct listening *l, struct err *e)
{
	l->line[0].how = LINE_IDLE;
	l->line[0].n = 1;
	for (size_t i = 1; i < l->n && i < LINES_MAX; i++) {
		bool rest = i == LINES_MAX - 1 && l->n > LINES_MAX;
		struct imap *imap = imap_open(l->conf, e);

		if (imap == NULL)
			return -1;
		add_line(l, imap, rest ? LINE_POLL : LINE_IDLE, i, rest ? l->n - i : 1);
	}
	for (size_t i = 0; i < l->n_lines; i++)
		if (begin_anyhow(&l->line[i], e) == -1)
			return -1;
	return 0;
}

/*
 * Dovecot (2.3.19) says OK to a NOTIFY for names that modified UTF-7 encodes, "Gesch&AOQ-ft",
 * and then never tells of them.
 */
static bool are_plain(const struct listening *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (strchr(l->box[i].name, '&'))
			return false;
	return true;
}

/* The best way that the server offers, beginning with one line. 0, or -1. */
static int begin_listening(struct listening *l, struct err *e)
{
	struct line *first = &l->line[0];

	if (l->n > 1 && imap_has(first->imap, IMAP_CAP_NOTIFY) && are_plain(l)) {
		first->how = LINE_NOTIFY;
		if (begin(first, e) == 0)
			return 0;
		if (e->scope != ERR_MAILBOX)
			return -1;
	}
	if (imap_has(first->imap, IMAP_CAP_IDLE) && idle_in_all(l, e) == 0)
		return 0;
	if (imap_has(first->imap, IMAP_CAP_IDLE) && l->n < 2)
		return -1;
	drop_lines(l, 1);
	if (imap_is_idle(first->imap) && imap_idle_end(first->imap, e) == -1)
		return -1;
	first->how = LINE_POLL;
	first->n = l->n;
	return begin(first, e);
}

static int64_t renew_after(const struct listening *l, const struct line *line)
{
	return line->how == LINE_POLL ? l->to->poll_ms : l->to->renew_ms;
}

/* Look at what came, and renew what it is time for. *p is what to wait for. 0, or -1. */
static int look(struct listening *l, struct line *line, struct pollfd *p, int64_t *until,
		struct err *e)
{
	struct wait wait = {.fd = -1};
	int rc = imap_news(line->imap, &wait, e);
	int64_t due = line->begun + renew_after(l, line);

	if (rc == -1)
		return -1;
	l->news = l->news || rc == 1;
	*p = (struct pollfd){.fd = wait.fd, .events = wait.events};
	if (clock_ms() >= due || (line->how == LINE_IDLE && !imap_is_idle(line->imap))) {
		rc = renew(l, line, e) == -1 ? -1 : 1;
		if (rc == -1)
			return -1;
	}
	/* After an answer there may be more that was read with it. */
	if (rc == 1 || wait.ms == 0)
		due = clock_ms();
	if (due < *until)
		*until = due;
	return 0;
}

static void tell(struct listening *l, int64_t *until)
{
	int64_t now = clock_ms();

	if (!l->news)
		return;
	if (now - l->told < NEWS_GAP_MS) {
		*until = l->told + NEWS_GAP_MS < *until ? l->told + NEWS_GAP_MS : *until;
		return;
	}
	l->news = false;
	l->told = now;
	l->to->news(l->to->ctx);
}

static int listen_on(struct listening *l, struct err *e)
{
	struct pollfd p[LINES_MAX];

	l->told = clock_ms() - NEWS_GAP_MS;
	l->to->ready(l->to->ctx);
	for (;;) {
		int64_t until = INT64_MAX, ms;

		for (size_t i = 0; i < l->n_lines; i++)
			if (look(l, &l->line[i], &p[i], &until, e) == -1)
				return -1;
		tell(l, &until);
		ms = until - clock_ms();
		if (ms > 0)
			(void)poll(p, l->n_lines, ms > INT32_MAX ? INT32_MAX : (int)ms);
	}
}

int listen_imap(const struct conf_account *conf, const struct account_listener *to,
		struct err *e)
{
	struct listening l = {.conf = conf, .to = to};
	struct imap *imap = imap_open(conf, e);
	int rc = -1;

	if (imap && find_boxes(&l, imap, e) == 0) {
		add_line(&l, imap, LINE_POLL, 0, l.n);
		imap = NULL; /* the line's */
		rc = begin_listening(&l, e);
	}
	if (rc == 0)
		rc = listen_on(&l, e);
	imap_close(imap);
	drop_lines(&l, 0);
	for (size_t i = 0; i < l.n; i++)
		free(l.box[i].name);
	free(l.box);
	return rc;
}
