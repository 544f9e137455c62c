/*
 * Messages are asked for in slices: first the metadata of up to SLICE messages, which decides
 * whose bodies are wanted, then the bodies in batches. Two batches and the metadata of the next
 * slice are always on their way, so that the network is never waited for while rspamd works.
 */
#include "source/source_imap_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "imap/keyword.h"
#include "imap/utf7.h"
#include "source/nearest.h"

enum {
	BATCH_BYTES = 512 * 1024, /* of bodies in one FETCH, as long as it is more than one */
	BATCH_MESSAGES = 64,
	REFUSALS_MAX = 5, /* messages in a row; then it is the mailbox's fault */
};

int source_imap_name(struct imap *imap, const struct conf_account *account,
		     const struct conf_mailbox *mailbox, char *name, size_t size, struct err *e)
{
	if (mailbox->special_use)
		return imap_find_special_use(imap, mailbox->name, name, size, e);
	if (utf7_encode(mailbox->name, name, size) == 0)
		return 0;
	return err_set(e, ERR_MAILBOX, ERR_CONFIG,
		       "account %s: \"%s\" cannot be a mailbox name", account->name,
		       mailbox->name);
}

static int find_name(struct source_imap *s, struct err *e)
{
	if (s->name[0] != '\0')
		return 0;
	return source_imap_name(s->imap, s->account, s->conf, s->name, sizeof s->name, e);
}

static void offer_name(void *ctx, const char *wire)
{
	char name[NEAREST_SIZE];

	if (utf7_decode(wire, name, sizeof name) == 0)
		nearest_offer(ctx, name);
}

/* It cannot be opened: if it is not there, which ones are? Else *e stays as it is. */
static int name_the_nearest(struct source_imap *s, struct err *e)
{
	struct nearest n = {.wanted = s->conf->name};
	char names[NEAREST_NAMES * (NEAREST_SIZE + 4)] = "";
	const struct err refused = *e;
	size_t len = 0;

	if (refused.scope != ERR_MAILBOX || s->conf->special_use)
		return -1;
	if (imap_list_names(s->imap, offer_name, &n, e) == -1 || n.is_there) {
		if (e->scope <= ERR_MAILBOX)
			*e = refused;
		return -1;
	}
	for (unsigned i = 0; i < n.n; i++)
		len += (size_t)snprintf(names + len, sizeof names - len, "%s\"%s\"",
					i > 0 ? ", " : "", n.best[i].name);
	return err_set(e, ERR_MAILBOX, ERR_CONFIG,
		       "account %s: mailbox %s: there is none of this name%s%s; correct the "
		       "configuration, or make it",
		       s->account->name, s->conf->name,
		       n.n > 0 ? "; most like it: " : ", and none like it", names);
}

/*
 * What could be done there if it were not opened for reading only? The flags that EXAMINE names
 * say nothing of it; the rights do where the server has them (RFC 4314).
 */
static int see_rights(struct source_imap *s, struct err *e)
{
	char rights[64];

	s->can_delete = s->source.can_mark = true;
	s->sure_of_rights = false;
	if (!imap_has(s->imap, IMAP_CAP_ACL))
		return 0;
	if (imap_my_rights(s->imap, s->name, rights, sizeof rights, e) == -1)
		return e->scope == ERR_MAILBOX ? 0 : -1; /* it will not say */
	s->sure_of_rights = true;
	s->source.can_mark = strchr(rights, 'w') != NULL;
	/* d is what RFC 2086 had for t and e. */
	s->can_delete = strchr(rights, 'd') || (strchr(rights, 't') && strchr(rights, 'e'));
	return 0;
}

static int imap_source_open(struct source *source, bool read_only, struct err *e)
{
	struct source_imap *s = (struct source_imap *)source;
	const struct imap_mailbox *m;

	if (find_name(s, e) == -1)
		return -1;
	/* Where nothing will be changed, \Recent is not either. */
	if (imap_select(s->imap, s->name, read_only || (source->unmarked && !source->expires),
			e) == -1)
		return name_the_nearest(s, e);
	if (s->conf->special_use && utf7_decode(s->name, s->folder, sizeof s->folder) == 0)
		source->folder = s->folder;
	m = imap_selected(s->imap);
	source->read_only = m->read_only;
	source->identity = m->uidvalidity;
	source->next = m->uidnext;
	source->count = m->exists;
	source->version = m->modseq;
	source->can_mark = !m->read_only && m->keywords == IMAP_KEYWORDS;
	s->can_delete = !m->read_only && m->can_delete;
	s->sure_of_rights = true;
	return read_only ? see_rights(s, e) : 0;
}

static int imap_source_list(struct source *source, uint32_t first, uint32_t last,
			    struct ranges *found, struct err *e)
{
	struct source_imap *s = (struct source_imap *)source;
	uint32_t exists = imap_selected(s->imap)->exists;
	char criteria[64];

	snprintf(criteria, sizeof criteria, "UID %u:%u", first, last);
	if (imap_search(s->imap, criteria, found, e) == -1)
		return -1;
	/* The mailbox may shrink or grow meanwhile, but not by billions. */
	if (imap_selected(s->imap)->exists > exists)
		exists = imap_selected(s->imap)->exists;
	if (ranges_count(found) > exists)
		return err_set(
		    e, ERR_SERVER, ERR_PROTOCOL,
		    "account %s: mailbox %s: the server found more messages than it has",
		    s->account->name, s->conf->name);
	return 0;
}

static int imap_source_want(struct source *source, struct ranges *todo,
			    const struct source_filter *f, bool alone, struct err *e)
{
	struct source_imap *s = (struct source_imap *)source;

	(void)e;
	ranges_free(&s->todo);
	s->todo = *todo;
	*todo = (struct ranges){0};
	s->filter = *f;
	s->alone = alone;
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
	char set[SEQUENCE_MAX];
	size_t n;

	if (s->ahead->command != 0 || s->ahead->n > 0 || s->todo.n == 0)
		return 0;
	ranges_clear(&s->ahead->asked);
	if (sequence_take(&s->todo, SLICE, set, sizeof set, &s->ahead->asked, &n, e) == -1)
		return -1;
	s->ahead->command = imap_send(s->imap, e, "UID FETCH %s %s", set,
				      s->source.decided ? METADATA_FILTERED : METADATA);
	return s->ahead->command ? 0 : -1;
}

/* What a message is that needs no body, or MESSAGE_BODY. */
static enum message_kind judge(const struct source_imap *s, const struct entry *m,
			       enum outcome *mark)
{
	unsigned ours = keyword_for(s->source.class, OUTCOME_LEARNED);
	unsigned learned = m->flags & (IMAP_LEARNED_SPAM | IMAP_LEARNED_HAM);

	*mark = OUTCOME_NONE;
	/* A mark of the other class came along from where the user took the message. */
	if (learned == ours)
		*mark = OUTCOME_KNOWN;
	else if (!learned && (m->flags & IMAP_LEARN_SKIPPED))
		*mark = OUTCOME_SKIPPED;
	if (*mark != OUTCOME_NONE && s->filter.believe_marks && !s->source.unmarked)
		return MESSAGE_MARKED;
	if (m->decided == ENTRY_UNDECIDED)
		return MESSAGE_UNDECIDED;
	if (s->filter.read_only_counts && !(m->flags & IMAP_SEEN))
		return MESSAGE_UNREAD;
	/* What has no date may have come just now. */
	if (m->stamp.date > s->filter.newest ||
	    (m->stamp.date == 0 && s->filter.newest != INT64_MAX))
		return MESSAGE_HELD;
	return m->stamp.size > s->filter.max_size ? MESSAGE_LARGE : MESSAGE_BODY;
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
	if (m->kind == MESSAGE_BODY)
		return false;
	m->id = x->uid;
	m->stamp = x->stamp;
	m->why = x->why;
	x->state = ENTRY_DONE;
	s->at++;
	return true;
}

/* Ask for a batch of bodies, as far as they stand in line without a bodiless one between. */
static int ask_bodies(struct source_imap *s, unsigned *batch, struct err *e)
{
	const size_t most = s->alone ? 1 : BATCH_MESSAGES;
	char set[SEQUENCE_MAX];
	struct ranges want = {0};
	size_t first = s->at, bytes = 0, n;
	enum outcome mark;
	int rc = 0;

	while (rc == 0 && s->at < s->now->n && s->at - first < most) {
		struct entry *x = &s->now->entry[s->at];

		if (x->state != ENTRY_NEW || judge(s, x, &mark) != MESSAGE_BODY ||
		    (s->at > first && bytes + x->stamp.size > BATCH_BYTES))
			break;
		rc = ranges_add(&want, x->uid, x->uid, e);
		bytes += x->stamp.size;
		s->at++;
	}
	if (rc == 0 && s->at > first) {
		/* BATCH_MESSAGES UIDs always fit into one set. */
		rc = sequence_take(&want, BATCH_MESSAGES, set, sizeof set, NULL, &n, e);
		*batch =
		    rc == 0 ? imap_send(s->imap, e, "UID FETCH %s (UID BODY.PEEK[])", set) : 0;
		rc = *batch ? 0 : -1;
	}
	ranges_free(&want);
	for (size_t i = first; i < s->at; i++) {
		s->now->entry[i].state = ENTRY_ASKED;
		s->now->entry[i].command = *batch;
	}
	return rc;
}

static bool bodies_are_asked(const struct source_imap *s)
{
	return s->batch[0] || s->batch[1];
}

static int keep_busy(struct source_imap *s, struct err *e)
{
	for (size_t i = 0; i < BATCHES; i++)
		if (s->batch[i] == 0 && !(s->alone && bodies_are_asked(s)) &&
		    ask_bodies(s, &s->batch[i], e) == -1)
			return -1;
	return ask_metadata(s, e);
}

/* ---- what comes ---- */

static struct record_stamp stamp_of(const struct imap_message *m)
{
	return (struct record_stamp){m->size, m->has & IMAP_HAS_DATE ? m->date : 0};
}

static int take_metadata(struct source_imap *s, struct err *e)
{
	const struct imap_message *m = &s->message;
	struct slice *sl = s->ahead;
	struct entry *x = &sl->entry[sl->n];

	if (!(m->has & IMAP_HAS_UID) || !(m->has & IMAP_HAS_SIZE) || sl->command == 0 ||
	    sl->n == SLICE || !ranges_has(&sl->asked, m->uid) || find_entry(sl, m->uid))
		return 0; /* nobody asked */
	*x = (struct entry){.uid = m->uid, .stamp = stamp_of(m), .flags = m->flags};
	sl->n++;
	return source_imap_decide(s, x, m->filtered, e);
}

/*
 * Courier gives this for a message that it cannot open, and as a rule its size for that of the
 * message, so that nothing else tells it from mail.
 */
static bool is_placeholder(const struct buf *body)
{
	static const char text[] = "From: System Administrator <root@localhost>\r\n"
				   "Subject: message unavailable\r\n\r\n"
				   "This message is no longer available on the server.\r\n";

	return body->len == sizeof text - 1 && memcmp(body->data, text, sizeof text - 1) == 0;
}

/*
 * Is this what the server announced? RFC822.SIZE is inexact on some servers, which count a line
 * end as one byte or as two, but a body of less than half of it is not the message. NIL, and ""
 * for a message that has a size, say the same.
 */
static bool is_announced(const struct entry *x, const struct imap_message *m)
{
	return m->has & IMAP_HAS_LARGE ||
	       (m->has & IMAP_HAS_BODY && m->body.len >= x->stamp.size / 2 &&
		(m->body.len > 0 || x->stamp.size == 0) && !is_placeholder(&m->body));
}

static bool take_body(struct source_imap *s, struct source_message *out)
{
	struct imap_message *m = &s->message;
	struct entry *x = m->has & IMAP_HAS_UID ? find_entry(s->now, m->uid) : NULL;

	if (x == NULL || x->state != ENTRY_ASKED)
		return false; /* nobody asked, or it came before */
	x->state = ENTRY_DONE;
	s->refusals = 0;
	out->id = x->uid;
	out->stamp = x->stamp;
	if (!is_announced(x, m)) {
		out->kind = MESSAGE_UNREADABLE;
		snprintf(out->words, sizeof out->words,
			 "the mail server gave %zu bytes of a message of %u", m->body.len,
			 x->stamp.size);
		buf_free(&m->body);
		return true;
	}
	out->kind = m->has & IMAP_HAS_LARGE ? MESSAGE_LARGE : MESSAGE_BODY;
	out->recalled = x->decided == ENTRY_RECALLED;
	out->body = m->body;
	m->body = (struct buf){0};
	return true;
}

static int no_messages(const struct source_imap *s, const struct imap_event *ev, struct err *e)
{
	return err_set(e, ERR_MAILBOX, ERR_TEMPORARY,
		       "account %s: mailbox %s: the server does not give messages: %s",
		       s->account->name, s->conf->name, ev->text);
}

/*
 * A FETCH of bodies was refused: several are asked for one by one; a single one is unreadable.
 * Where nothing can be had any more (the mailbox was renamed, say) it ends.
 */
static int take_refusal(struct source_imap *s, const struct imap_event *ev, struct err *e)
{
	size_t n = 0;

	text_visible(s->refusal, sizeof s->refusal, ev->text, strlen(ev->text));
	for (size_t i = 0; i < s->now->n; i++)
		n += s->now->entry[i].state == ENTRY_ASKED &&
		     s->now->entry[i].command == ev->command;
	for (size_t i = 0; i < s->now->n; i++) {
		struct entry *x = &s->now->entry[i];

		if (x->state == ENTRY_ASKED && x->command == ev->command)
			x->state = n > 1 ? ENTRY_NEW : ENTRY_REFUSED;
	}
	if (n > 1) {
		s->alone = true;
		s->at = 0; /* give_bodiless skips what is done */
		return 0;
	}
	return ++s->refusals < REFUSALS_MAX ? 0 : no_messages(s, ev, e);
}

/* The FETCH of metadata has ended: what it did not bring is no longer there. */
static void end_metadata(struct source_imap *s, const struct imap_event *ev)
{
	struct slice *sl = s->ahead;
	uint32_t uid = 0;

	sl->command = 0;
	while (ranges_next(&sl->asked, &uid))
		if (!find_entry(sl, uid) && sl->n < SLICE)
			sl->entry[sl->n++] = (struct entry){
			    .uid = uid, .state = ENTRY_ASKED, .command = ev->command};
}

static int take_end(struct source_imap *s, const struct imap_event *ev, struct err *e)
{
	if (s->ahead->command == ev->command) {
		if (ev->status != IMAP_OK)
			return no_messages(s, ev, e);
		end_metadata(s, ev);
		return 0;
	}
	for (size_t i = 0; i < BATCHES; i++)
		if (s->batch[i] == ev->command)
			s->batch[i] = 0;
	return ev->status == IMAP_OK ? 0 : take_refusal(s, ev, e);
}

/* A message whose FETCH has ended without it. */
static bool give_missing(struct source_imap *s, struct source_message *m)
{
	for (size_t i = 0; i < s->now->n; i++) {
		struct entry *x = &s->now->entry[i];
		bool refused = x->state == ENTRY_REFUSED;

		if (!refused && (x->state != ENTRY_ASKED || x->command == s->batch[0] ||
				 x->command == s->batch[1]))
			continue;
		x->state = ENTRY_DONE;
		m->kind = refused ? MESSAGE_UNREADABLE : MESSAGE_GONE;
		m->id = x->uid;
		if (refused) {
			m->stamp = x->stamp;
			snprintf(m->words, sizeof m->words, "%s", s->refusal);
		}
		return true;
	}
	return false;
}

/* Everything of this slice was given: on to the next. False where there is none (yet). */
static bool turn_over(struct source_imap *s)
{
	struct slice *done = s->now;

	if (s->at < s->now->n || bodies_are_asked(s) || s->ahead->command || s->ahead->n == 0)
		return false;
	done->n = 0;
	s->now = s->ahead;
	s->ahead = done;
	s->at = 0;
	return true;
}

static enum source_next imap_source_next(struct source *source, struct source_message *m,
					 struct wait *wait, struct err *e)
{
	struct source_imap *s = (struct source_imap *)source;
	struct imap_event ev;

	for (;;) {
		int rc;

		if (give_bodiless(s, m))
			return SOURCE_MESSAGE;
		if (keep_busy(s, e) == -1)
			return SOURCE_ERROR;
		if (give_missing(s, m))
			return SOURCE_MESSAGE;
		if (turn_over(s))
			continue;
		if (s->ahead->command == 0 && !bodies_are_asked(s))
			return SOURCE_END;
		rc = imap_poll(s->imap, s->filter.max_size, &ev, &s->message, wait, e);
		if (rc <= 0)
			return rc == 0 ? SOURCE_WAIT : SOURCE_ERROR;
		if (ev.kind == IMAP_EVENT_DONE) {
			if (take_end(s, &ev, e) == -1)
				return SOURCE_ERROR;
		} else if (!(s->message.has &
			     (IMAP_HAS_BODY | IMAP_HAS_LARGE | IMAP_HAS_NIL))) {
			if (take_metadata(s, e) == -1)
				return SOURCE_ERROR;
		} else if (take_body(s, m)) {
			return SOURCE_MESSAGE;
		}
	}
}

static uint32_t imap_source_next_size(const struct source *source)
{
	const struct source_imap *s = (const struct source_imap *)source;

	/* Servers answer in order as a rule; one that does not costs max_size once. */
	for (size_t i = 0; i < s->now->n; i++)
		if (s->now->entry[i].state != ENTRY_DONE)
			return s->now->entry[i].stamp.size;
	return 0;
}

static uint32_t imap_source_owed(const struct source *source)
{
	const struct source_imap *s = (const struct source_imap *)source;

	for (size_t i = 0; i < s->now->n; i++)
		if (s->now->entry[i].state == ENTRY_ASKED)
			return s->now->entry[i].uid;
	return 0;
}

/* ---- without contents ---- */

int source_imap_fetch(struct source_imap *s, const struct ranges *ids, unsigned needed,
		      const char *command, source_sight_fn *fn, void *ctx, struct err *e)
{
	unsigned sent = imap_send(s->imap, e, "%s", command);
	struct imap_event ev = {.kind = IMAP_EVENT_FETCH};
	struct err failed = {.scope = ERR_NONE};

	if (sent == 0)
		return -1;
	for (;;) {
		const struct imap_message *m = &s->message;
		struct source_sight sight;

		if (imap_next(s->imap, 0, &ev, &s->message, e) == -1)
			return -1;
		if (ev.kind == IMAP_EVENT_DONE)
			break;
		if ((m->has & needed) != needed || !ranges_has(ids, m->uid))
			continue;
		sight = (struct source_sight){
		    .id = m->uid,
		    .stamp = stamp_of(m),
		    .marks = m->flags & IMAP_KEYWORDS,
		    .flagged = m->flags & IMAP_FLAGGED,
		    .deleted = m->flags & IMAP_DELETED,
		};
		/* What the server still has to say is read in any case. */
		if (failed.scope == ERR_NONE && fn(ctx, &sight, &failed) == -1 &&
		    failed.scope == ERR_NONE)
			err_no_memory(&failed);
	}
	if (ev.status != IMAP_OK)
		return err_set(e, ERR_MAILBOX, ERR_UNREACHABLE,
			       "account %s: mailbox %s: %.*s refused: %s", s->account->name,
			       s->conf->name, (int)strcspn(command + 4, " ") + 4, command,
			       ev.text);
	if (failed.scope == ERR_NONE)
		return 0;
	*e = failed;
	return -1;
}

static int look_at(struct source_imap *s, const char *set, const struct ranges *ids,
		   source_sight_fn *fn, void *ctx, struct err *e)
{
	char command[SEQUENCE_MAX + 64];

	snprintf(command, sizeof command, "UID FETCH %s " METADATA, set);
	return source_imap_fetch(s, ids, IMAP_HAS_UID | IMAP_HAS_FLAGS | IMAP_HAS_SIZE, command,
				 fn, ctx, e);
}

/*
 * It was refused: some servers do that where a UID of the set is gone (James: "Invalid
 * messageset"). Once more with those that are there.
 */
static int look_at_rest(struct source_imap *s, const struct ranges *ids, source_sight_fn *fn,
			void *ctx, struct err *e)
{
	struct ranges found = {0}, gone = {0}, there = {0};
	const struct err refused = *e;
	char set[SEQUENCE_MAX];
	size_t n;
	int rc = imap_source_list(&s->source, ids->range[0].first, ids->range[ids->n - 1].last,
				  &found, e);

	if (rc == 0)
		rc = ranges_minus(ids, &found, &gone, e);
	if (rc == 0 && gone.n == 0) {
		*e = refused;
		rc = -1;
	}
	if (rc == 0)
		rc = ranges_minus(ids, &gone, &there, e);
	while (rc == 0 && there.n > 0) {
		rc = sequence_take(&there, SIZE_MAX, set, sizeof set, NULL, &n, e);
		if (rc == 0)
			rc = look_at(s, set, ids, fn, ctx, e);
	}
	ranges_free(&found);
	ranges_free(&gone);
	ranges_free(&there);
	return rc;
}

static int imap_source_look(struct source *source, const struct ranges *ids,
			    source_sight_fn *fn, void *ctx, struct err *e)
{
	struct source_imap *s = (struct source_imap *)source;
	struct ranges left = {0}, part = {0};
	char set[SEQUENCE_MAX];
	size_t n;
	int rc = ranges_union(&left, ids, e);

	while (rc == 0 && left.n > 0) {
		rc = sequence_take(&left, SIZE_MAX, set, sizeof set, &part, &n, e);
		if (rc == 0)
			rc = look_at(s, set, &part, fn, ctx, e);
		if (rc == -1 && e->scope == ERR_MAILBOX)
			rc = look_at_rest(s, &part, fn, ctx, e);
		ranges_clear(&part);
	}
	ranges_free(&left);
	ranges_free(&part);
	return rc;
}

static const char *imap_source_mark_name(enum mail_class class, enum outcome outcome)
{
	return keyword_name(keyword_for(class, outcome));
}

static void imap_source_close(struct source *source)
{
	struct source_imap *s = (struct source_imap *)source;

	ranges_free(&s->todo);
	ranges_free(&s->slice[0].asked);
	ranges_free(&s->slice[1].asked);
	imap_message_free(&s->message);
	free(s);
}

static const struct source_ops imap_ops = {
    .open = imap_source_open,
    .list = imap_source_list,
    .want = imap_source_want,
    .next = imap_source_next,
    .next_size = imap_source_next_size,
    .owed = imap_source_owed,
    .decided = source_imap_decided,
    .look = imap_source_look,
    .mark = source_imap_mark,
    .mark_name = imap_source_mark_name,
    .can_remove = source_imap_can_remove,
    .remove = source_imap_remove,
    .target = source_imap_target,
    .copied = source_imap_copied,
    .close = imap_source_close,
};

struct source *source_imap(struct imap *imap, struct ledger *ledger,
			   const struct conf_account *account,
			   const struct conf_mailbox *mailbox)
{
	struct source_imap *s = calloc(1, sizeof *s);
	bool own = mailbox->keep == CONF_KEEP_YES;
	/* A login without a domain may be any name; the account's may be the address. */
	const char *owner = account->reporter				  ? account->reporter
			    : account->user && strchr(account->user, '@') ? account->user
									  : account->name;

	if (s == NULL)
		return NULL;
	s->source = (struct source){
	    .ops = &imap_ops,
	    .account = account->name,
	    .mailbox = mailbox->name,
	    .class = mailbox->class,
	    .seen_only = mailbox->seen_only,
	    .proof = mailbox->proof,
	    .unwrap = !own && account->unwrap == CONF_KEEP_YES,
	    .may_unwrap = !own && account->unwrap == CONF_KEEP_UNSAID,
	    .dated = !own && mailbox->trusted != CONF_KEEP_YES,
	    .expires = mailbox->expire,
	    .unmarked = mailbox->mark == CONF_KEEP_NO,
	    .decided = own && ledger && mailbox->decided == CONF_KEEP_YES,
	    .owner = own ? owner : NULL,
	    .hold = mailbox->hold,
	};
	s->imap = imap;
	s->ledger = ledger;
	s->account = account;
	s->conf = mailbox;
	s->now = &s->slice[0];
	s->ahead = &s->slice[1];
	return &s->source;
}
