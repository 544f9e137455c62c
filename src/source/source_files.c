/*
 * Messages are found by walking through the path: once to count them, then once to give them.
 * Nothing is kept of those in between but the names of the last few.
 */
#include "source/source_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "mail/mbox.h"
#include "mail/part.h"
#include "source/files.h"
#include "source/source_ops.h"

enum {
	NAMES = 256, /* that are remembered: more than can be in flight (CONF_MAX_...) */
	HEAD = 200,  /* bytes of a file that show what it is */
};

/* A walk from message to message. */
struct walk {
	struct files files;
	const char *path; /* of the file at hand */
	FILE *mbox;	  /* owned: it is one, with more messages perhaps */
	struct mbox at;
	unsigned nth; /* message in the mbox */
	struct stat st;
	uint32_t id; /* of the message at hand */
};

struct source_files {
	struct source source;
	struct walk walk;
	struct ranges todo;
	struct source_filter filter;
	struct {
		uint32_t id;
		char text[SOURCE_NAME_MAX];
	} name[NAMES];
};

/* What the walk found. */
struct found {
	enum message_kind kind; /* BODY, LARGE, UNREADABLE */
	uint64_t size;
	struct buf *body;
	char why[RECORD_ANSWER_MAX + 1];
};

/* ---- the walk ---- */

static int walk_begin(struct walk *w, const char *path, bool quiet, struct err *e)
{
	w->mbox = NULL;
	w->id = 0;
	return files_begin(&w->files, path, quiet, e);
}

static void walk_end(struct walk *w)
{
	files_end(&w->files);
	if (w->mbox)
		fclose(w->mbox);
	w->mbox = NULL;
}

static void unreadable(struct found *m, const char *why)
{
	m->kind = MESSAGE_UNREADABLE;
	text_visible(m->why, sizeof m->why, why, strlen(why));
}

/* The next message of the mbox at hand. 1, 0 after the last, -1 without memory. */
static int next_in_mbox(struct walk *w, struct found *m, struct err *e)
{
	int rc = mbox_next(&w->at, m->body, &m->size, e);

	if (rc == -1 && e->scope == ERR_FATAL)
		return -1;
	if (rc == 0) {
		fclose(w->mbox);
		w->mbox = NULL;
		return 0;
	}
	w->nth++;
	m->kind = m->size > m->body->cap ? MESSAGE_LARGE : MESSAGE_BODY;
	if (rc == -1) {
		unreadable(m, e->text);
		fclose(w->mbox);
		w->mbox = NULL;
	}
	return 1;
}

/* A file that is one message. 0, or -1 without memory. */
static int read_file(int fd, uint64_t size, struct found *m, struct err *e)
{
	const char *why;
	int rc = 1;

	m->size = size;
	m->kind = size > m->body->cap ? MESSAGE_LARGE : MESSAGE_BODY;
	if (m->kind == MESSAGE_BODY)
		rc = files_read(fd, size, m->body, &why, e);
	if (rc == 0)
		unreadable(m, why);
	return rc == -1 ? -1 : 0;
}

enum format { NO_MAIL, MESSAGE, MBOX };

/* An archive, an index of a mail reader and the like are no mail: rspamd would learn them. */
static enum format format_of(FILE *f)
{
	char head[HEAD];
	size_t n = fread(head, 1, sizeof head, f);
	struct span header, body;

	rewind(f);
	if (mbox_is_separator(head, n))
		return MBOX;
	part_split((struct span){head, n}, &header, &body);
	return header.len > 0 ? MESSAGE : NO_MAIL;
}

/*
 * The next file, open or -1 with errno: 1 and a message, 0 if it is a mbox, whose messages come
 * next, or no mail, -1 without memory. give: the numbers that are to be read; what is not among
 * them is only counted.
 */
static int open_file(struct walk *w, int fd, struct found *m, const struct ranges *give,
		     struct err *e)
{
	FILE *f = fd == -1 ? NULL : fdopen(fd, "r");
	enum format format = MESSAGE;
	int rc = 1;

	w->st = (struct stat){0};
	w->nth = 0;
	if (f == NULL || fstat(fd, &w->st) == -1 || !S_ISREG(w->st.st_mode)) {
		unreadable(m, f ? "not a regular file any more" : strerror(errno));
	} else if ((format = format_of(f)) == MBOX) {
		mbox_begin(&w->at, f);
		w->mbox = f;
		return 0;
	} else if (format == NO_MAIL) {
		files_leave_out(&w->files, "no mail: it does not begin with a header field");
		rc = 0;
	} else if (give && ranges_has(give, w->id + 1)) {
		rc = read_file(fd, (uint64_t)w->st.st_size, m, e) == -1 ? -1 : 1;
	}
	if (f)
		fclose(f);
	else if (fd != -1)
		close(fd);
	return rc;
}

/* The next message: 1, 0 after the last, -1 without memory. Its number is w->id. */
static int walk_next(struct walk *w, struct found *m, const struct ranges *give, struct err *e)
{
	int rc = 0, fd;

	do {
		buf_clear(m->body);
		if (w->mbox)
			rc = next_in_mbox(w, m, e);
		else if (files_next(&w->files, &w->path, &fd))
			rc = open_file(w, fd, m, give, e);
		else
			return 0;
	} while (rc == 0 && w->id < UINT32_MAX - 1);
	w->id += rc == 1;
	return rc;
}

/* ---- names ---- */

static void remember(struct source_files *s)
{
	const struct walk *w = &s->walk;
	size_t slot = w->id % NAMES;
	int n;

	s->name[slot].id = w->id;
	n = (int)text_visible(s->name[slot].text, sizeof s->name[slot].text, w->path,
			      strlen(w->path));
	if (w->nth > 0)
		snprintf(s->name[slot].text + n, sizeof s->name[slot].text - (size_t)n, "#%u",
			 w->nth);
}

static const char *source_files_name(const struct source *source, uint32_t id)
{
	const struct source_files *s = (const struct source_files *)source;

	return s->name[id % NAMES].id == id ? s->name[id % NAMES].text : NULL;
}

/* ---- the source ---- */

static uint32_t any_identity(void)
{
	uint32_t n = 0;

	while (n == 0 && getrandom(&n, sizeof n, 0) == sizeof n)
		;
	return n ? n : 1;
}

/* The path is a name in the ledger and in the output, as a mailbox's is. */
static int check_name(const char *path, struct err *e)
{
	char shown[CONF_MAX_NAME * 4 + 8];
	size_t len = strlen(path);

	if (len > CONF_MAX_NAME)
		return err_set(e, ERR_MAILBOX, ERR_USAGE,
			       "%.40s...: a path of more than %d bytes; change to a folder on "
			       "the way, and give the rest",
			       path, CONF_MAX_NAME);
	if (text_visible(shown, sizeof shown, path, len) != len ||
	    memcmp(shown, path, len) != 0)
		return err_set(e, ERR_MAILBOX, ERR_USAGE,
			       "%s: a control character, or not UTF-8; give the folder that it "
			       "is in",
			       shown);
	return 0;
}

static int files_open(struct source *source, bool read_only, struct err *e)
{
	struct source_files *s = (struct source_files *)source;
	struct buf nothing;
	struct found m = {.body = &nothing};
	int rc;

	(void)read_only;
	walk_end(&s->walk);
	if (check_name(source->mailbox, e) == -1 ||
	    walk_begin(&s->walk, source->mailbox, false, e) == -1)
		return -1;
	buf_init(&nothing, 0);
	while ((rc = walk_next(&s->walk, &m, NULL, e)) == 1)
		;
	buf_free(&nothing);
	source->count = s->walk.id;
	source->next = s->walk.id + 1;
	source->identity = any_identity();
	source->version = 0;
	source->can_mark = false;
	walk_end(&s->walk);
	return rc == -1 ? -1 : walk_begin(&s->walk, source->mailbox, true, e);
}

static int files_list(struct source *source, uint32_t first, uint32_t last,
		      struct ranges *found, struct err *e)
{
	ranges_clear(found);
	if (first > source->count)
		return 0;
	return ranges_add(found, first, last < source->count ? last : source->count, e);
}

static int files_want(struct source *source, struct ranges *todo, const struct source_filter *f,
		      bool alone, struct err *e)
{
	struct source_files *s = (struct source_files *)source;

	(void)alone; /* one at a time is how they come */
	ranges_free(&s->todo);
	s->todo = *todo;
	*todo = (struct ranges){0};
	s->filter = *f;
	if (s->todo.n == 0 || s->todo.range[0].first > s->walk.id)
		return 0;
	walk_end(&s->walk);
	return walk_begin(&s->walk, source->mailbox, true, e);
}

static void give(const struct walk *w, struct found *found, struct source_message *m)
{
	m->kind = found->kind;
	m->id = w->id;
	m->stamp = (struct record_stamp){
	    .size = found->size < UINT32_MAX ? (uint32_t)found->size : UINT32_MAX,
	    .date = w->st.st_mtime,
	};
	memcpy(m->words, found->why, sizeof m->words);
	if (found->kind == MESSAGE_BODY) {
		m->body = *found->body;
		*found->body = (struct buf){0};
	}
}

/* Take the lowest number out of todo. 0, or -1 without memory. */
static int drop_first(struct source_files *s, struct err *e)
{
	struct ranges one = {0};
	int rc = ranges_take(&s->todo, 1, &one, e);

	ranges_free(&one);
	return rc;
}

static enum source_next files_next_message(struct source *source, struct source_message *m,
					   struct wait *wait, struct err *e)
{
	struct source_files *s = (struct source_files *)source;
	struct buf body;
	struct found found = {.body = &body};
	uint32_t wanted;
	int rc = 1;

	(void)wait;
	if (s->todo.n == 0)
		return SOURCE_END;
	wanted = s->todo.range[0].first;
	buf_init(&body, s->filter.max_size);
	while (rc == 1 && s->walk.id < wanted)
		rc = walk_next(&s->walk, &found, &s->todo, e);
	if (rc == -1 || drop_first(s, e) == -1) {
		buf_free(&body);
		return SOURCE_ERROR;
	}
	if (rc == 1) {
		remember(s);
		give(&s->walk, &found, m);
	} else { /* there were more when they were counted */
		*m = (struct source_message){.kind = MESSAGE_GONE, .id = wanted};
	}
	buf_free(&body);
	return SOURCE_MESSAGE;
}

static uint32_t files_next_size(const struct source *source)
{
	(void)source;
	return 0;
}

static uint32_t files_owed(const struct source *source)
{
	(void)source;
	return 0;
}

static int files_look(struct source *source, const struct ranges *ids, source_sight_fn *fn,
		      void *ctx, struct err *e)
{
	struct source_files *s = (struct source_files *)source;
	struct buf nothing;
	struct found m = {.body = &nothing};
	struct walk w;
	int rc = walk_begin(&w, s->source.mailbox, true, e);

	buf_init(&nothing, 0);
	while (rc != -1 && (rc = walk_next(&w, &m, NULL, e)) == 1) {
		const struct source_sight sight = {.id = w.id,
						   .stamp = {.date = w.st.st_mtime}};

		if (ranges_has(ids, w.id) && fn(ctx, &sight, e) == -1)
			rc = -1;
	}
	buf_free(&nothing);
	walk_end(&w);
	return rc == -1 ? -1 : 0;
}

static const char *files_mark_name(enum mail_class class, enum outcome outcome)
{
	(void)class;
	(void)outcome;
	return NULL;
}

static int files_can_remove(struct source *source, const struct source_removal *how,
			    struct err *e)
{
	(void)how;
	return err_set(e, ERR_MAILBOX, ERR_CONFIG, "%s: files are never removed",
		       source->mailbox);
}

static void files_close(struct source *source)
{
	struct source_files *s = (struct source_files *)source;

	walk_end(&s->walk);
	ranges_free(&s->todo);
	free(s);
}

/* can_mark is false, and expires: nothing is ever marked or removed. */
static const struct source_ops files_ops = {
    .open = files_open,
    .list = files_list,
    .want = files_want,
    .next = files_next_message,
    .next_size = files_next_size,
    .owed = files_owed,
    .look = files_look,
    .mark_name = files_mark_name,
    .can_remove = files_can_remove,
    .name = source_files_name,
    .close = files_close,
};

/* ---- the account ---- */

struct account_files {
	struct account account;
	const char *const *path;
	enum mail_class class;
};

static int files_connect(struct account *account, struct err *e)
{
	(void)account;
	(void)e;
	return 0;
}

static struct source *files_source(struct account *account, size_t i)
{
	const struct account_files *a = (const struct account_files *)account;
	struct source_files *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->source = (struct source){
	    .ops = &files_ops,
	    .account = account->name,
	    .mailbox = a->path[i],
	    .class = a->class,
	    .dated = true,
	    .fleeting = true,
	};
	s->walk.files.single = -1;
	return &s->source;
}

static void files_disconnect(struct account *account)
{
	(void)account;
}

static void files_free(struct account *account)
{
	free(account);
}

static const struct account_ops account_files_ops = {
    .connect = files_connect,
    .source = files_source,
    .disconnect = files_disconnect,
    .free = files_free,
};

struct account *account_files(const char *const *path, size_t n, enum mail_class class)
{
	struct account_files *a = calloc(1, sizeof *a);

	if (a == NULL)
		return NULL;
	a->account = (struct account){.ops = &account_files_ops, .name = CONF_FILES, .n = n};
	a->path = path;
	a->class = class;
	return &a->account;
}
