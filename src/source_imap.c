/*
 * Messages are asked for in slices: first the metadata of up to SLICE messages, which decides
 * whose bodies are wanted, then the bodies in batches. Two batches and the metadata of the next
 * slice are always on their way, so that the network is never waited for while rspamd works.
 */
#include "source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "fault.h"
#include "imap.h"
#include "utf7.h"

enum {
	SLICE = 256,		  /* messages whose metadata is held at a time */
	BATCHES = 2,		  /* of bodies, outstanding at a time */
	BATCH_BYTES = 512 * 1024, /* of bodies in one FETCH, as long as it is more than one */
	BATCH_MESSAGES = 64,
	MARK_MESSAGES = 1000, /* in one STORE */
	NAME_MAX_WIRE = 1024,
};

struct entry {
	uint32_t uid, size;
	int64_t date;
	unsigned flags;
	enum { ENTRY_NEW, ENTRY_ASKED, ENTRY_DONE } state;
	unsigned command; /* ASKED: the FETCH that is to bring it */
};

struct slice {
	struct entry entry[SLICE];
	size_t n;
	struct uidset asked; /* whose metadata has not come yet */
	unsigned command;    /* the FETCH of the metadata; 0: none outstanding */
};

struct source_imap {
	struct source source;
	struct imap *imap;		    /* borrowed */
	const struct conf_account *account; /* borrowed */
	const struct conf_mailbox *conf;    /* borrowed */
	char name[NAME_MAX_WIRE];	    /* modified UTF-7 */
	struct uidset todo;
	struct source_filter filter;
	struct slice slice[2], *now, *ahead;
	size_t at; /* entries of *now before this one are asked for, or need no body */
	unsigned batch[BATCHES];
	struct imap_message message; /* the last FETCH response */
};

void source_message_free(struct source_message *m)
{
	buf_free(&m->body);
}

static int find_name(struct source_imap *s, struct err *e)
{
	if (s->name[0] != '\0')
		return 0;
	if (s->conf->special_use)
		return imap_find_special_use(s->imap, s->conf->name, s->name, sizeof s->name,
					     e);
	if (utf7_encode(s->conf->name, s->name, sizeof s->name) == 0)
		return 0;
	return err_set(e, ERR_MAILBOX, ERR_CONFIG,
		       "account %s: \"%s\" cannot be a mailbox name", s->account->name,
		       s->conf->name);
}

static int imap_source_open(struct source *source, bool read_only, struct err *e)
{
	struct source_imap *s = (struct source_imap *)source;
	const struct imap_mailbox *m;

	if (find_name(s, e) == -1 || imap_select(s->imap, s->name, read_only, e) == -1) {
		if (e->scope == ERR_MAILBOX)
			err_prefix(e, "mailbox %s", s->conf->name);
		return -1;
	}
	m = imap_selected(s->imap);
	source->uidvalidity = m->uidvalidity;
	source->uidnext = m->uidnext;
	source->exists = m->exists;
	source->modseq = m->modseq;
	source->can_mark = !m->read_only && m->keywords == IMAP_KEYWORDS;
	return 0;
}

static int imap_source_list(struct source *source, uint32_t first, uint32_t last,
			    struct uidset *found, struct err *e)
{
	struct source_imap *s = (struct source_imap *)source;
	char criteria[64];

	uint32_t exists = imap_selected(s->imap)->exists;

	snprintf(criteria, sizeof criteria, "UID %u:%u", first, last);
	if (imap_search(s->imap, criteria, found, e) == -1)
		return -1;
	/* It may shrink or grow meanwhile; four billion messages it does not get. */
	if (imap_selected(s->imap)->exists > exists)
		exists = imap_selected(s->imap)->exists;
	if (uidset_count(found) > exists)
		return err_set(
		    e, ERR_SERVER, ERR_PROTOCOL,
		    "account %s: mailbox %s: the server found more messages than it has",
		    s->account->name, s->conf->name);
	return 0;
}

static int imap_source_want(struct source *source, struct uidset *todo,
			    const struct source_filter *f, struct err *e)
{
	struct source_imap *s = (struct source_imap *)source;

	(void)e;
	uidset_free(&s->todo);
	s->todo = *todo;
	*todo = (struct uidset){0};
	s->filter = *f;
	s->now = &s->slice[0];
	s->ahead = &s->slice[1];
	s->now->n = s->ahead->n = s->at = 0;
	s->now->command = s->ahead->command = s->batch[0] = s->batch[1] = 0;
	return 0;
}

/* ---- what is asked for ---- */

static struct entry *find_entry(struct slice *sl, uint32_t uid)
{
	for (size_t i = 0; i < sl->n; i++)
		if (sl->entry[i].uid == uid)
			return &sl->entry[i];
	return NULL;
}

/* Ask for the metadata of the next slice, unless that is done or there is none. */
static int ask_metadata(struct source_imap *s, struct err *e)
{
	char set[UIDSET_WIRE_MAX];

	if (s->ahead->command != 0 || s->ahead->n > 0 || s->todo.n == 0)
		return 0;
	uidset_clear(&s->ahead->asked);
	uidset_take(&s->todo, SLICE, set, sizeof set, &s->ahead->asked);
	s->ahead->command =
	    imap_send(s->imap, e, "UID FETCH %s (UID FLAGS INTERNALDATE RFC822.SIZE)", set);
	return s->ahead->command ? 0 : -1;
}

/* What a message is that needs no body, or SOURCE_BODY. */
static enum source_kind judge(const struct source_imap *s, const struct entry *m,
			      enum outcome *mark)
{
	bool ham = s->source.class == CLASS_HAM;
	unsigned learned = m->flags & (IMAP_LEARNED_SPAM | IMAP_LEARNED_HAM);

	*mark = OUTCOME_NONE;
	/* A mark of the other class came along from where the user took the message. */
	if (learned == (unsigned)(ham ? IMAP_LEARNED_HAM : IMAP_LEARNED_SPAM))
		*mark = OUTCOME_KNOWN;
	else if (!learned && (m->flags & IMAP_LEARN_SKIPPED) && s->filter.trust_skipped)
		*mark = OUTCOME_SKIPPED;
	if (*mark != OUTCOME_NONE)
		return SOURCE_MARKED;
	if (s->filter.seen_only && !(m->flags & IMAP_SEEN))
		return SOURCE_UNSEEN;
	if (m->date > s->filter.newest)
		return SOURCE_HELD;
	return m->size > s->filter.max_size ? SOURCE_LARGE : SOURCE_BODY;
}

/* Give an entry that needs no body, if the next one in line is such. */
static bool give_bodiless(struct source_imap *s, struct source_message *m)
{
	struct entry *x;

	while (s->at < s->now->n && s->now->entry[s->at].state != ENTRY_NEW)
		s->at++;
	if (s->at == s->now->n)
		return false;
	x = &s->now->entry[s->at];
	m->kind = judge(s, x, &m->mark);
	if (m->kind == SOURCE_BODY)
		return false;
	m->uid = x->uid;
	m->size = x->size;
	m->date = x->date;
	x->state = ENTRY_DONE;
	s->at++;
	return true;
}

/* Ask for a batch of bodies, as far as they stand in line without a bodiless one between. */
static int ask_bodies(struct source_imap *s, unsigned *batch, struct err *e)
{
	char set[UIDSET_WIRE_MAX];
	struct uidset want = {0};
	size_t first = s->at, bytes = 0;
	enum outcome mark;

	while (s->at < s->now->n && s->at - first < BATCH_MESSAGES) {
		struct entry *x = &s->now->entry[s->at];

		if (x->state != ENTRY_NEW || judge(s, x, &mark) != SOURCE_BODY ||
		    (s->at > first && bytes + x->size > BATCH_BYTES))
			break;
		if (uidset_add(&want, x->uid, x->uid) == -1)
			break;
		bytes += x->size;
		s->at++;
	}
	if (s->at == first)
		return 0;
	/* BATCH_MESSAGES UIDs always fit into one set. */
	uidset_take(&want, SLICE, set, sizeof set, NULL);
	uidset_free(&want);
	*batch = imap_send(s->imap, e, "UID FETCH %s (UID BODY.PEEK[])", set);
	for (size_t i = first; i < s->at; i++) {
		s->now->entry[i].state = ENTRY_ASKED;
		s->now->entry[i].command = *batch;
	}
	return *batch ? 0 : -1;
}

static int keep_busy(struct source_imap *s, struct err *e)
{
	for (size_t i = 0; i < BATCHES; i++)
		if (s->batch[i] == 0 && ask_bodies(s, &s->batch[i], e) == -1)
			return -1;
	return ask_metadata(s, e);
}

/* ---- what comes ---- */

static void take_metadata(struct source_imap *s)
{
	const struct imap_message *m = &s->message;
	struct slice *sl = s->ahead;

	if (!(m->has & IMAP_HAS_UID) || !(m->has & IMAP_HAS_SIZE) || sl->command == 0 ||
	    sl->n == SLICE || !uidset_has(&sl->asked, m->uid) || find_entry(sl, m->uid))
		return; /* nobody asked */
	sl->entry[sl->n++] = (struct entry){m->uid, m->size, m->date, m->flags, ENTRY_NEW, 0};
}

static bool take_body(struct source_imap *s, struct source_message *out)
{
	struct imap_message *m = &s->message;
	struct entry *x = m->has & IMAP_HAS_UID ? find_entry(s->now, m->uid) : NULL;
	bool empty = !(m->has & IMAP_HAS_LARGE) && m->body.len == 0;

	if (x == NULL || x->state != ENTRY_ASKED)
		return false; /* nobody asked, or it came before */
	x->state = ENTRY_DONE;
	/* NIL, or "" for a message that has a size, is how servers say that they cannot read
	 * it. */
	out->kind = m->has & IMAP_HAS_LARGE ? SOURCE_LARGE
		    : empty && x->size > 0  ? SOURCE_REFUSED
					    : SOURCE_BODY;
	out->uid = x->uid;
	out->size = x->size;
	out->date = x->date;
	out->body = m->body;
	m->body = (struct buf){0};
	return true;
}

/* A FETCH has ended: what it did not bring is no longer in the mailbox. */
static int take_end(struct source_imap *s, const struct imap_event *ev, struct err *e)
{
	/* For a body it may be one message's fault: what comes of a new connection tells. */
	if (ev->status != IMAP_OK)
		return err_set(e, s->ahead->command == ev->command ? ERR_MAILBOX : ERR_SERVER,
			       ERR_TEMPORARY,
			       "account %s: mailbox %s: the server will not give messages: %s",
			       s->account->name, s->conf->name, ev->text);
	for (size_t i = 0; i < BATCHES; i++)
		if (s->batch[i] == ev->command)
			s->batch[i] = 0;
	if (s->ahead->command != ev->command)
		return 0;
	s->ahead->command = 0;
	for (size_t i = 0; i < s->ahead->asked.n; i++)
		for (uint64_t u = s->ahead->asked.range[i].first;
		     u <= s->ahead->asked.range[i].last; u++)
			if (!find_entry(s->ahead, (uint32_t)u) && s->ahead->n < SLICE)
				s->ahead->entry[s->ahead->n++] =
				    (struct entry){.uid = (uint32_t)u,
						   .state = ENTRY_ASKED,
						   .command = ev->command};
	return 0;
}

/* A message whose FETCH has ended without it. */
static bool give_gone(struct source_imap *s, struct source_message *m)
{
	for (size_t i = 0; i < s->now->n; i++) {
		struct entry *x = &s->now->entry[i];

		if (x->state != ENTRY_ASKED || x->command == s->batch[0] ||
		    x->command == s->batch[1])
			continue;
		x->state = ENTRY_DONE;
		m->kind = SOURCE_GONE;
		m->uid = x->uid;
		return true;
	}
	return false;
}

/* Everything of this slice was given: on to the next. False where there is none (yet). */
static bool turn_over(struct source_imap *s)
{
	struct slice *done = s->now;

	if (s->at < s->now->n || s->batch[0] || s->batch[1] || s->ahead->command ||
	    s->ahead->n == 0)
		return false;
	done->n = 0;
	s->now = s->ahead;
	s->ahead = done;
	s->at = 0;
	return true;
}

static bool is_idle(const struct source_imap *s)
{
	return s->ahead->command == 0 && s->batch[0] == 0 && s->batch[1] == 0;
}

static int imap_source_next(struct source *source, struct source_message *m, struct err *e)
{
	struct source_imap *s = (struct source_imap *)source;
	struct imap_event ev;

	for (;;) {
		if (give_bodiless(s, m))
			return 1;
		if (keep_busy(s, e) == -1)
			return -1;
		if (give_gone(s, m))
			return 1;
		if (turn_over(s))
			continue;
		if (is_idle(s))
			return 0;
		if (imap_next(s->imap, s->filter.max_size, &ev, &s->message, e) == -1)
			return -1;
		if (ev.kind == IMAP_EVENT_DONE) {
			if (take_end(s, &ev, e) == -1)
				return -1;
		} else if (!(s->message.has &
			     (IMAP_HAS_BODY | IMAP_HAS_LARGE | IMAP_HAS_NIL))) {
			take_metadata(s);
		} else if (take_body(s, m)) {
			return 1;
		}
	}
}

static uint32_t imap_source_next_size(const struct source *source)
{
	const struct source_imap *s = (const struct source_imap *)source;

	/* Servers answer in order as a rule; one that does not costs max_size once. */
	for (size_t i = 0; i < s->now->n; i++)
		if (s->now->entry[i].state != ENTRY_DONE)
			return s->now->entry[i].size;
	return 0;
}

static uint32_t imap_source_awaited(const struct source *source)
{
	const struct source_imap *s = (const struct source_imap *)source;

	for (size_t i = 0; i < s->now->n; i++)
		if (s->now->entry[i].state == ENTRY_ASKED)
			return s->now->entry[i].uid;
	return 0;
}

/* ---- marks ---- */

/* A mark, and those that it takes the place of. */
struct mark {
	const char *name, *others;
};

static const struct mark *find_mark(enum mail_class class, enum outcome outcome)
{
	static const struct mark spam = {"$LearnedSpam", "$LearnedHam $LearnSkipped"},
				 ham = {"$LearnedHam", "$LearnedSpam $LearnSkipped"},
				 skipped = {"$LearnSkipped", "$LearnedSpam $LearnedHam"};

	if (outcome != OUTCOME_LEARNED && outcome != OUTCOME_KNOWN)
		return &skipped;
	return class == CLASS_SPAM ? &spam : &ham;
}

const char *source_mark_name(enum mail_class class, enum outcome outcome)
{
	return find_mark(class, outcome)->name;
}

static int imap_source_mark(struct source *source, struct uidset *uids, enum mail_class class,
			    enum outcome outcome, struct err *e)
{
	struct source_imap *s = (struct source_imap *)source;
	const struct mark *mark = find_mark(class, outcome);
	char set[UIDSET_WIRE_MAX];

	while (uidset_take(uids, MARK_MESSAGES, set, sizeof set, NULL) > 0) {
		fault_step("imap-store");
		if (imap_run(s->imap, e, "UID STORE %s +FLAGS.SILENT (%s)", set, mark->name) ==
			-1 ||
		    imap_run(s->imap, e, "UID STORE %s -FLAGS.SILENT (%s)", set,
			     mark->others) == -1)
			return err_prefix(e, "mailbox %s: cannot mark messages", s->conf->name);
		fault_step("imap-stored");
	}
	return 0;
}

/* ---- retention ---- */

/* UID SEARCH over a set that may be too long for one command. */
static int search_set(struct source_imap *s, const struct uidset *uids, const char *more,
		      struct uidset *found, struct err *e)
{
	struct uidset left = {0}, part = {0};
	char set[UIDSET_WIRE_MAX], criteria[UIDSET_WIRE_MAX + 128];
	int rc = uidset_union(&left, uids);

	while (rc == 0 && uidset_take(&left, SIZE_MAX, set, sizeof set, NULL) > 0) {
		snprintf(criteria, sizeof criteria, "UID %s%s", set, more);
		if (imap_search(s->imap, criteria, &part, e) == -1) {
			rc = -1;
			goto out;
		}
		rc = uidset_union(found, &part);
	}
	if (rc == -1)
		err_set(e, ERR_FATAL, ERR_LOCAL, "out of memory");
out:
	uidset_free(&left);
	uidset_free(&part);
	return rc;
}

static int imap_source_removable(struct source *source, const struct uidset *uids,
				 bool deleted_is_ours, struct uidset *there,
				 struct uidset *free_to_go, struct err *e)
{
	struct source_imap *s = (struct source_imap *)source;

	if (search_set(s, uids, "", there, e) == -1)
		return -1;
	return search_set(s, uids, deleted_is_ours ? " UNFLAGGED" : " UNFLAGGED UNDELETED",
			  free_to_go, e);
}

static int imap_source_marked(struct source *source, const struct uidset *uids,
			      struct uidset *found, struct err *e)
{
	static const char any[] = " OR OR KEYWORD $LearnedSpam KEYWORD $LearnedHam "
				  "KEYWORD $LearnSkipped";

	return search_set((struct source_imap *)source, uids, source->can_mark ? any : "",
			  found, e);
}

/* Without UIDPLUS an EXPUNGE takes every \Deleted message: only if there is none but ours. */
static int expunge_all(struct source_imap *s, const struct uidset *uids, struct err *e)
{
	struct uidset deleted = {0}, others = {0};
	int rc = imap_search(s->imap, "DELETED", &deleted, e);

	if (rc == 0 && uidset_minus(&deleted, uids, &others) == -1)
		rc = err_set(e, ERR_FATAL, ERR_LOCAL, "out of memory");
	if (rc == 0 && others.n > 0)
		rc = err_set(
		    e, ERR_MAILBOX, ERR_TEMPORARY,
		    "account %s: mailbox %s: the server has no UIDPLUS, and somebody else "
		    "marked messages as deleted there, which an EXPUNGE would take; expunge "
		    "them, or take their marks off",
		    s->account->name, s->conf->name);
	if (rc == 0)
		rc = imap_run(s->imap, e, "EXPUNGE");
	uidset_free(&deleted);
	uidset_free(&others);
	return rc;
}

static int delete_set(struct source_imap *s, const char *set, const struct uidset *uids,
		      struct err *e)
{
	int rc;

	fault_step("imap-delete");
	if (imap_run(s->imap, e, "UID STORE %s +FLAGS.SILENT (\\Deleted)", set) == -1)
		return -1;
	fault_step("imap-expunge");
	rc = imap_has(s->imap, IMAP_CAP_UIDPLUS) ? imap_run(s->imap, e, "UID EXPUNGE %s", set)
						 : expunge_all(s, uids, e);
	fault_step("imap-expunged");
	return rc;
}

/* The mailbox to move to, as it goes on the wire. */
static int quote_target(const char *to, char quoted[2 * NAME_MAX_WIRE], struct err *e)
{
	char wire[NAME_MAX_WIRE];

	if (utf7_encode(to, wire, sizeof wire) == 0 &&
	    imap_quote(wire, quoted, (size_t)2 * NAME_MAX_WIRE) == 0)
		return 0;
	return err_set(e, ERR_MAILBOX, ERR_CONFIG, "\"%s\" cannot be a mailbox name", to);
}

static int imap_source_can_purge(struct source *source, const struct conf_retention *policy,
				 struct err *e)
{
	struct source_imap *s = (struct source_imap *)source;
	bool moves = policy->action == CONF_MOVE;
	char quoted[2 * NAME_MAX_WIRE];
	struct err why;

	if (!(moves && imap_has(s->imap, IMAP_CAP_MOVE)) &&
	    !imap_has(s->imap, IMAP_CAP_UIDPLUS) && !policy->without_uidplus)
		return err_set(
		    e, ERR_MAILBOX, ERR_CONFIG,
		    "account %s: mailbox %s: the server has no UIDPLUS, so exactly our "
		    "messages cannot be expunged; retention does nothing here unless "
		    "without-uidplus = true",
		    s->account->name, s->conf->name);
	if (!moves)
		return 0;
	if (quote_target(policy->move_to, quoted, e) == -1)
		return -1;
	if (imap_run(s->imap, &why, "STATUS %s (UIDVALIDITY)", quoted) == 0)
		return 0;
	if (why.scope == ERR_MAILBOX)
		return err_set(
		    e, ERR_MAILBOX, ERR_CONFIG,
		    "mailbox %s: cannot move mail to \"%s\" (%s); create it, or change "
		    "action in the retention block",
		    s->conf->name, policy->move_to, why.text);
	*e = why;
	return -1;
}

static int move_set(struct source_imap *s, const char *set, const struct uidset *uids,
		    const char *to, struct err *e)
{
	char quoted[2 * NAME_MAX_WIRE];

	if (quote_target(to, quoted, e) == -1)
		return -1;
	fault_step("imap-move");
	if (imap_has(s->imap, IMAP_CAP_MOVE))
		return imap_run(s->imap, e, "UID MOVE %s %s", set, quoted);
	if (imap_run(s->imap, e, "UID COPY %s %s", set, quoted) == -1)
		return -1;
	return delete_set(s, set, uids, e);
}

static int imap_source_purge(struct source *source, struct uidset *uids,
			     const struct conf_retention *policy, struct err *e)
{
	struct source_imap *s = (struct source_imap *)source;
	struct uidset part = {0};
	char set[UIDSET_WIRE_MAX];
	int rc = 0;

	while (rc == 0 && uidset_take(uids, SIZE_MAX, set, sizeof set, &part) > 0) {
		rc = policy->action == CONF_MOVE ? move_set(s, set, &part, policy->move_to, e)
						 : delete_set(s, set, &part, e);
		uidset_clear(&part);
	}
	uidset_free(&part);
	return rc;
}

static void imap_source_close(struct source *source)
{
	struct source_imap *s = (struct source_imap *)source;

	uidset_free(&s->todo);
	uidset_free(&s->slice[0].asked);
	uidset_free(&s->slice[1].asked);
	imap_message_free(&s->message);
	free(s);
}

static const struct source_ops imap_ops = {
    imap_source_open,	   imap_source_list,	imap_source_want,  imap_source_next,
    imap_source_next_size, imap_source_awaited, imap_source_mark,  imap_source_can_purge,
    imap_source_removable, imap_source_marked,	imap_source_purge, imap_source_close,
};

struct source *source_imap(struct imap *imap, const struct conf_account *account,
			   const struct conf_mailbox *mailbox)
{
	struct source_imap *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->source = (struct source){
	    .ops = &imap_ops,
	    .account = account->name,
	    .mailbox = mailbox->name,
	    .class = mailbox->class,
	    .seen_only = mailbox->seen_only,
	    .proof = mailbox->proof,
	    .owner = mailbox->keep == CONF_KEEP_YES ? account->name : NULL,
	    .hold = mailbox->hold,
	};
	s->imap = imap;
	s->account = account;
	s->conf = mailbox;
	s->now = &s->slice[0];
	s->ahead = &s->slice[1];
	return &s->source;
}
