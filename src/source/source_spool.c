#include "source/source_spool_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "mail/report_field.h"

int source_spool_broken(const struct source_spool *s, const char *what, struct err *e)
{
	return err_set(e, ERR_MAILBOX, ERR_LOCAL, "spool %s: %s: %s: %s", s->source.account,
		       s->source.mailbox, what, strerror(errno));
}

enum spool_place source_spool_place(const struct source_spool *s, uint32_t id)
{
	enum spool_place p = SPOOL_TAKEN;

	while (p < SPOOL_HERE && !ranges_has(&s->in[p], id))
		p++;
	return p;
}

/* ---- open ---- */

/* The numbers of the files in a folder. */
static int read_place(struct source_spool *s, enum spool_place place, struct err *e)
{
	struct ranges *in = &s->in[place];
	DIR *dir = NULL;
	const struct dirent *entry;
	uint64_t n;
	int fd = -1, rc = 0;

	ranges_clear(in);
	if (s->folder[place] == -1)
		return 0;
	fd = openat(s->folder[place], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd == -1 ? NULL : fdopendir(fd);
	if (dir == NULL) {
		rc = source_spool_broken(s, "list", e);
		if (fd != -1)
			close(fd);
		return rc;
	}
	while (rc == 0 && (errno = 0, entry = readdir(dir)) != NULL)
		if (text_number(entry->d_name, strlen(entry->d_name), UINT32_MAX - 1, &n) &&
		    n > 0)
			rc = ranges_append(in, (uint32_t)n, (uint32_t)n, e);
	if (rc == 0 && errno != 0)
		rc = source_spool_broken(s, "list", e);
	closedir(dir);
	ranges_sort(in);
	return rc;
}

/* A spool that was restored from a backup may hold numbers that its state does not know. */
static void go_beyond(struct source_spool *s)
{
	struct spool_state *state = &s->account->spool.state;

	for (int p = 0; p < SPOOL_HERE; p++) {
		const struct ranges *in = &s->in[p];

		if (in->n > 0 && in->range[in->n - 1].last >= state->next)
			state->next = state->durable = in->range[in->n - 1].last + 1;
	}
}

static void close_folders(struct source_spool *s)
{
	for (int p = 0; p < SPOOL_PLACES; p++) {
		if (s->folder[p] != -1)
			close(s->folder[p]);
		s->folder[p] = -1;
	}
}

static int open_folders(struct source_spool *s, struct err *e)
{
	close_folders(s);
	for (int p = 0; p < SPOOL_PLACES; p++) {
		s->folder[p] =
		    spool_folder(&s->account->spool, (enum spool_place)p, s->source.class);
		/* In a dry run there may be none yet. */
		if (s->folder[p] == -1 && (errno != ENOENT || s->account->spool.entered))
			return source_spool_broken(s, "its folders", e);
	}
	return 0;
}

static int read_places(struct source_spool *s, struct err *e)
{
	for (int p = 0; p < SPOOL_HERE; p++)
		if (read_place(s, (enum spool_place)p, e) == -1)
			return -1;
	return 0;
}

/* Count what is there to be taken, without taking it. */
static int count_drops(struct source_spool *s, struct err *e)
{
	struct spool_file f;
	int rc;

	s->drops = 0;
	if (!spool_has_drop(&s->account->spool, s->source.class))
		return 0; /* the first run creates it */
	rc = spool_drop_begin(&s->drop, s->source.account, s->source.class, false, e);
	while (rc == 0 && spool_drop_next(&s->drop, &f) == 1) {
		close(f.fd);
		s->drops++;
	}
	spool_drop_end(&s->drop);
	return rc;
}

static int spool_source_open(struct source *source, bool read_only, struct err *e)
{
	struct source_spool *s = source_spool_of(source);
	struct spool *spool = &s->account->spool;
	uint32_t taken = 0, first;

	if ((read_only ? spool_peek(spool, e) : spool_enter(spool, e)) == -1)
		return -1;
	if (open_folders(s, e) == -1 || read_places(s, e) == -1)
		return -1;
	go_beyond(s);
	s->drops = 0;
	if (read_only && count_drops(s, e) == -1)
		return -1;
	first = spool->state.next;
	if (!read_only &&
	    spool_claim(spool, source->class, s->folder[SPOOL_TAKEN], &taken, e) == -1)
		return -1;
	if (taken > 0 && ranges_add(&s->in[SPOOL_TAKEN], first, first + taken - 1, e) == -1)
		return -1;
	source->identity = spool->state.identity ? spool->state.identity : 1;
	s->first_drop = spool->state.next ? spool->state.next : 1;
	source->next = s->first_drop + s->drops;
	source->count = s->drops;
	for (int p = 0; p < SPOOL_HERE; p++)
		source->count += (uint32_t)ranges_count(&s->in[p]);
	source->can_mark = true;
	return 0;
}

/* ---- list and look ---- */

int source_spool_between(const struct ranges *set, uint32_t first, uint32_t last,
			 struct ranges *found, struct err *e)
{
	for (size_t i = 0; i < set->n; i++) {
		uint32_t from = set->range[i].first, to = set->range[i].last;

		if (from < first)
			from = first;
		if (to > last)
			to = last;
		if (from <= to && ranges_add(found, from, to, e) == -1)
			return -1;
	}
	return 0;
}

static int spool_list(struct source *source, uint32_t first, uint32_t last,
		      struct ranges *found, struct err *e)
{
	struct source_spool *s = source_spool_of(source);
	struct range drops = {s->first_drop, s->first_drop + s->drops - 1};
	const struct ranges dropped = {&drops, s->drops > 0, 1};

	ranges_clear(found);
	for (int p = 0; p < SPOOL_HERE; p++)
		if (source_spool_between(&s->in[p], first, last, found, e) == -1)
			return -1;
	return source_spool_between(&dropped, first, last, found, e);
}

/* What a file was called, and when it came: the link says so. false: it has none. */
static bool read_link(const struct source_spool *s, uint32_t id, char *name, size_t size,
		      int64_t *date)
{
	char link[SPOOL_NAME_MAX];
	struct stat st;
	ssize_t n;

	spool_link(s->source.class, id, link);
	n = readlinkat(s->account->spool.names, link, name, size - 1);
	if (n == -1 || fstatat(s->account->spool.names, link, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return false;
	name[n] = '\0';
	*date = st.st_mtime;
	return true;
}

/* date: when it came; 0: its own date is to be believed. */
static struct record_stamp stamp_of(const struct stat *st, int64_t date)
{
	return (struct record_stamp){
	    .size = st->st_size < UINT32_MAX ? (uint32_t)st->st_size : UINT32_MAX,
	    .date = date ? date : st->st_mtime,
	};
}

static int look_at(const struct source_spool *s, uint32_t id, source_sight_fn *fn, void *ctx,
		   struct err *e)
{
	enum spool_place place = source_spool_place(s, id);
	struct source_sight sight = {.id = id};
	char number[SPOOL_NAME_MAX], name[NAME_MAX + 1];
	int64_t date = 0;
	struct stat st;

	spool_number(id, number);
	if (place == SPOOL_HERE ||
	    fstatat(s->folder[place], number, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return 0;
	(void)read_link(s, id, name, sizeof name, &date);
	sight.stamp = stamp_of(&st, date);
	sight.marks = place == SPOOL_DONE ? 1 : place == SPOOL_SKIPPED ? 2 : 0;
	return fn(ctx, &sight, e);
}

static int spool_look(struct source *source, const struct ranges *ids, source_sight_fn *fn,
		      void *ctx, struct err *e)
{
	const struct source_spool *s = source_spool_of(source);

	uint32_t id = 0;

	while (ranges_next(ids, &id))
		if (look_at(s, id, fn, ctx, e) == -1)
			return -1;
	return 0;
}

/* ---- messages ---- */

static int spool_want(struct source *source, struct ranges *todo, const struct source_filter *f,
		      bool alone, struct err *e)
{
	struct source_spool *s = source_spool_of(source);

	(void)alone; /* one at a time is how they come */
	ranges_free(&s->todo);
	s->todo = *todo;
	*todo = (struct ranges){0};
	s->filter = *f;
	s->next_drop = s->first_drop;
	spool_drop_end(&s->drop);
	return s->drops > 0
		   ? spool_drop_begin(&s->drop, source->account, source->class, true, e)
		   : 0;
}

static void unreadable(struct source_message *m, const char *why)
{
	m->kind = MESSAGE_UNREADABLE;
	text_visible(m->words, sizeof m->words, why, strlen(why));
}

/* Is this login among those of which the configuration says that they report for others? */
static bool is_listed(const char *list, const char *login)
{
	const char *word;
	size_t n;

	while (list && (word = text_list_next(&list, &n)) != NULL)
		if (n == strlen(login) && memcmp(word, login, n) == 0)
			return true;
	return false;
}

/*
 * Who without a login has a number, which is_listed() finds nowhere. NULL, with errno: a
 * directory on the network is asked, and does not answer.
 */
static const char *login_of(struct account_spool *a, uid_t uid)
{
	const struct passwd *user;

	if (a->login[0] && a->uid == uid)
		return a->login;
	errno = 0;
	user = getpwuid(uid);
	if (user == NULL && errno != 0 && errno != ENOENT && errno != ESRCH)
		return NULL;
	a->uid = uid;
	if (user)
		snprintf(a->login, sizeof a->login, "%s", user->pw_name);
	else
		snprintf(a->login, sizeof a->login, "uid %lu", (unsigned long)uid);
	return a->login;
}

/*
 * Take the line off that `submit` has put before the message, and read it. It is one line
 * whatever follows: a message may begin with a blank, and would continue a field.
 */
static void take_line(struct buf *body, struct report_field *field)
{
	const char *end = body->len > 0 ? memchr(body->data, '\n', body->len) : NULL;
	size_t len = end ? (size_t)(end - body->data) + 1 : 0;
	char text[SPOOL_LINE_MAX + sizeof "X:\n\n"];

	*field = (struct report_field){.found = false};
	if (len < sizeof SPOOL_FIELD || len > SPOOL_LINE_MAX ||
	    memcmp(body->data, SPOOL_FIELD, sizeof SPOOL_FIELD - 1) != 0)
		return;
	/* As the header of a message, which is what a field is read from. */
	snprintf(text, sizeof text, "%.*sX:\n\n", (int)len, body->data);
	report_field_read(text, strlen(text), field);
	memmove(body->data, body->data + len, body->len - len + 1);
	body->len -= len;
}

/*
 * Who reports: the owner of the file. Only root, the service's own user and those that the
 * configuration trusts may say by `submit --reporter` that it is somebody else. False, with
 * errno: nobody knows, for now.
 */
static bool find_reporter(const struct source_spool *s, const struct stat *st, bool report,
			  struct source_message *m)
{
	const char *login = login_of(s->account, st->st_uid);
	struct report_field field;

	if (login == NULL)
		return false;
	snprintf(m->reporter, sizeof m->reporter, "%s", login);
	if (!report)
		return true;
	take_line(&m->body, &field);
	if (st->st_uid != 0 && st->st_uid != geteuid() &&
	    !is_listed(s->account->conf->trust, login))
		return true;
	if (field.found && !field.malformed && field.user[0])
		snprintf(m->reporter, sizeof m->reporter, "%.*s", (int)sizeof m->reporter - 1,
			 field.user);
	return true;
}

/* A file that is open: what there is of it, as the filter wants it. 0, or -1. */
static int give(const struct source_spool *s, int fd, enum spool_place place, int64_t date,
		bool report, struct source_message *m, struct err *e)
{
	struct stat st;
	const char *why = fstat(fd, &st) == -1 ? strerror(errno) : spool_refuses(&st);
	int rc;

	if (why) {
		unreadable(m, why);
		return 0;
	}
	m->stamp = stamp_of(&st, date);
	if (s->filter.believe_marks && (place == SPOOL_DONE || place == SPOOL_SKIPPED)) {
		m->kind = MESSAGE_MARKED;
		m->mark = place == SPOOL_DONE ? OUTCOME_KNOWN : OUTCOME_SKIPPED;
		return 0;
	}
	if (m->stamp.date > s->filter.newest) {
		m->kind = MESSAGE_HELD;
		return 0;
	}
	if ((uint64_t)st.st_size > s->filter.max_size) {
		m->kind = MESSAGE_LARGE;
		return 0;
	}
	m->kind = MESSAGE_BODY;
	buf_init(&m->body, s->filter.max_size);
	rc = files_read(fd, (uint64_t)st.st_size, &m->body, &why, e);
	if (rc == 1 && find_reporter(s, &st, report, m))
		return 0;
	if (rc == 1) {
		why = strerror(errno);
		rc = 0;
	}
	buf_free(&m->body);
	if (rc == 0)
		unreadable(m, why);
	return rc;
}

/* What people call this message. */
static void call_it(struct source_spool *s, uint32_t id, const char *name)
{
	s->named = id;
	text_visible(s->name, sizeof s->name, name, strlen(name));
}

static int give_taken(struct source_spool *s, struct source_message *m, struct err *e)
{
	enum spool_place place = source_spool_place(s, m->id);
	char number[SPOOL_NAME_MAX], name[NAME_MAX + 1];
	int64_t date = 0;
	bool report;
	int fd = -1, rc, why;

	spool_number(m->id, number);
	if (place < SPOOL_HERE)
		fd = openat(s->folder[place], number,
			    O_RDONLY | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	why = errno;
	if (fd == -1 && (place == SPOOL_HERE || why == ENOENT)) {
		m->kind = MESSAGE_GONE;
		return 0;
	}
	report =
	    !read_link(s, m->id, name, sizeof name, &date) || text_ends_in(name, SPOOL_REPORT);
	call_it(s, m->id, report ? number : name);
	if (fd == -1) {
		unreadable(m, strerror(why));
		return 0;
	}
	rc = give(s, fd, place, date, report, m, e);
	close(fd);
	return rc;
}

/* In a dry run: a message that was not taken. The walk gives them in one order. */
static int give_drop(struct source_spool *s, struct source_message *m, struct err *e)
{
	struct spool_file f = {.fd = -1};
	int rc;

	while (s->next_drop <= m->id) {
		if (f.fd != -1)
			close(f.fd);
		if (spool_drop_next(&s->drop, &f) == 0) {
			m->kind = MESSAGE_GONE;
			return 0;
		}
		s->next_drop++;
	}
	if (f.fd == -1) {
		m->kind = MESSAGE_GONE;
		return 0;
	}
	call_it(s, m->id, files_name(&s->drop.files));
	rc = give(s, f.fd, SPOOL_TAKEN, spool_file_date(&f), f.report, m, e);
	close(f.fd);
	return rc;
}

static enum source_next spool_next(struct source *source, struct source_message *m,
				   struct wait *wait, struct err *e)
{
	struct source_spool *s = source_spool_of(source);
	struct ranges one = {0};
	int rc;

	(void)wait;
	if (s->todo.n == 0)
		return SOURCE_END;
	rc = ranges_take(&s->todo, 1, &one, e);
	if (rc == 0) {
		m->id = one.range[0].first;
		rc = s->drops > 0 && m->id >= s->first_drop ? give_drop(s, m, e)
							    : give_taken(s, m, e);
	}
	ranges_free(&one);
	return rc == -1 ? SOURCE_ERROR : SOURCE_MESSAGE;
}

static uint32_t spool_next_size(const struct source *source)
{
	(void)source;
	return 0;
}

static uint32_t spool_owed(const struct source *source)
{
	(void)source;
	return 0;
}

static const char *spool_name(const struct source *source, uint32_t id)
{
	const struct source_spool *s = (const struct source_spool *)source;

	return s->named == id ? s->name : NULL;
}

static void spool_source_close(struct source *source)
{
	struct source_spool *s = source_spool_of(source);

	spool_drop_end(&s->drop);
	close_folders(s);
	for (int p = 0; p < SPOOL_HERE; p++)
		ranges_free(&s->in[p]);
	ranges_free(&s->todo);
	free(s);
}

static const struct source_ops spool_ops = {
    .open = spool_source_open,
    .list = spool_list,
    .want = spool_want,
    .next = spool_next,
    .next_size = spool_next_size,
    .owed = spool_owed,
    .look = spool_look,
    .mark = change_spool_mark,
    .mark_name = change_spool_mark_name,
    .fail = change_spool_fail,
    .can_remove = change_spool_can_remove,
    .remove = change_spool_remove,
    .name = spool_name,
    .close = spool_source_close,
};

struct source *source_spool(struct account_spool *a, size_t i)
{
	struct source_spool *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->account = a;
	s->source = (struct source){
	    .ops = &spool_ops,
	    .account = a->account.name,
	    .mailbox = i == 0 ? "spam" : "ham",
	    .class = i == 0 ? CLASS_SPAM : CLASS_HAM,
	    .unwrap = a->conf->unwrap == CONF_KEEP_YES,
	    .may_unwrap = a->conf->unwrap == CONF_KEEP_UNSAID,
	    .dated = true,
	    .expires = true,
	    .hold = a->reports->hold,
	};
	s->drop.files.single = -1;
	for (int p = 0; p < SPOOL_PLACES; p++)
		s->folder[p] = -1;
	return &s->source;
}
