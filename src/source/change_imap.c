/* What changes a mailbox: marks, and the removal of messages. */
#include "source/source_imap_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/log.h"
#include "imap/keyword.h"
#include "imap/utf7.h"

enum { MARK_MESSAGES = 1000 /* in one STORE */ };

static struct source_imap *of(struct source *s)
{
	return (struct source_imap *)s;
}

/* ---- commands for many messages ---- */

/* A command for the messages of ids, which set names. ERR_MAILBOX where it is refused. */
typedef int part_fn(struct source_imap *s, const char *set, const struct ranges *ids,
		    const void *arg, struct err *e);

static int note_id(void *ctx, const struct source_sight *sight, struct err *e)
{
	return ranges_append(ctx, sight->id, sight->id, e);
}

/*
 * It was refused for these. If some of them are gone by now, that may be why (Dovecot says
 * EXPUNGEISSUED, mox that it moved fewer than asked for): once more with those that are left.
 */
static int once_more(struct source_imap *s, const struct ranges *ids, part_fn *fn,
		     const void *arg, struct err *e)
{
	struct ranges there = {0}, part = {0};
	const struct err refused = *e;
	char set[SEQUENCE_MAX];
	size_t n;
	int rc = imap_command(s->imap, e, "NOOP"); /* that the server sees it too */

	if (rc == 0)
		rc = source_look(&s->source, ids, note_id, &there, e);
	ranges_sort(&there);
	if (rc == 0 && ranges_count(&there) >= ranges_count(ids)) {
		*e = refused;
		rc = -1;
	} else if (rc == 0) {
		log_info("again account=%s mailbox=%s left=%llu refused=%s", s->account->name,
			 s->conf->name, (unsigned long long)ranges_count(&there), refused.text);
	}
	while (rc == 0 && there.n > 0) {
		rc = sequence_take(&there, SIZE_MAX, set, sizeof set, &part, &n, e);
		if (rc == 0)
			rc = fn(s, set, &part, arg, e);
		if (rc == -1 && e->scope == ERR_MAILBOX)
			e->kind = ERR_TEMPORARY; /* somebody is at work there */
		ranges_clear(&part);
	}
	ranges_free(&there);
	ranges_free(&part);
	return rc;
}

/* fn for all of ids (emptied), at most max of them at a time. */
static int in_parts(struct source_imap *s, struct ranges *ids, size_t max, part_fn *fn,
		    const void *arg, struct err *e)
{
	struct ranges part = {0};
	char set[SEQUENCE_MAX];
	size_t n;
	int rc;

	while ((rc = sequence_take(ids, max, set, sizeof set, &part, &n, e)) == 0 && n > 0) {
		rc = fn(s, set, &part, arg, e);
		if (rc == -1 && e->scope == ERR_MAILBOX)
			rc = once_more(s, &part, fn, arg, e);
		ranges_clear(&part);
		if (rc == -1)
			break;
	}
	ranges_free(&part);
	return rc;
}

/* ---- marks ---- */

/* The messages that bear each of our keywords, as the server says after a STORE. */
struct bearers {
	unsigned keyword;	 /* the one that was set */
	struct ranges others[3]; /* who bears another one, by keyword */
};

static const unsigned keywords[3] = {IMAP_LEARNED_SPAM, IMAP_LEARNED_HAM, IMAP_LEARN_SKIPPED};

static int note_bearer(void *ctx, const struct source_sight *sight, struct err *e)
{
	struct bearers *b = ctx;

	for (size_t i = 0; i < 3; i++)
		if (keywords[i] != b->keyword && sight->marks & keywords[i] &&
		    ranges_add(&b->others[i], sight->id, sight->id, e) == -1)
			return -1;
	return 0;
}

/* Some servers refuse to take a keyword off a message that does not bear it (Cyrus). */
static int take_off(struct source_imap *s, struct bearers *b, struct err *e)
{
	char set[SEQUENCE_MAX];
	int rc = 0;
	size_t n;

	for (size_t i = 0; i < 3 && rc == 0; i++)
		while (rc == 0 && b->others[i].n > 0) {
			rc = sequence_take(&b->others[i], MARK_MESSAGES, set, sizeof set, NULL,
					   &n, e);
			if (rc == 0)
				rc = imap_command(s->imap, e, "UID STORE %s -FLAGS.SILENT (%s)",
						  set, keyword_name(keywords[i]));
		}
	return rc;
}

/* Put the keyword on them, and take our others off. */
static int mark_part(struct source_imap *s, const char *set, const struct ranges *ids,
		     const void *keyword, struct err *e)
{
	char command[SEQUENCE_MAX + 64];
	struct bearers b = {.keyword = *(const unsigned *)keyword};
	int rc;

	fault_step("imap-store");
	snprintf(command, sizeof command, "UID STORE %s +FLAGS (%s)", set,
		 keyword_name(b.keyword));
	rc = source_imap_fetch(s, ids, IMAP_HAS_UID | IMAP_HAS_FLAGS, command, note_bearer, &b,
			       e);
	if (rc == 0)
		rc = take_off(s, &b, e);
	for (size_t i = 0; i < 3; i++)
		ranges_free(&b.others[i]);
	fault_step("imap-stored");
	return rc;
}

int source_imap_mark(struct source *source, struct ranges *ids, enum mail_class class,
		     enum outcome outcome, bool *held, struct err *e)
{
	struct source_imap *s = of(source);
	const unsigned keyword = keyword_for(class, outcome);
	int rc = in_parts(s, ids, MARK_MESSAGES, mark_part, &keyword, e);

	/* Our own marks are no news for the next run; but mail may have been read meanwhile. */
	if (!source->seen_only)
		source->version = imap_selected(s->imap)->modseq;
	/* A mailbox may take no more keywords; then the ledger alone remembers. */
	if (rc == -1 && e->scope == ERR_MAILBOX) {
		log_warn("%s; the ledger alone knows what was learned there", e->text);
		source->can_mark = *held = false;
		rc = 0;
	}
	return rc;
}

/* ---- may it be done? ---- */

int source_imap_target_name(const struct source_imap *s, const char *to,
			    char wire[NAME_MAX_WIRE], struct err *e)
{
	char quoted[2 * NAME_MAX_WIRE];

	if (utf7_encode(to, wire, NAME_MAX_WIRE) == 0 &&
	    imap_quote(wire, quoted, sizeof quoted) == 0)
		return 0;
	return err_set(e, ERR_MAILBOX, ERR_CONFIG,
		       "account %s: mailbox %s: \"%s\" cannot be the name of a mailbox to move "
		       "mail to; change action in the retention block",
		       s->account->name, s->conf->name, to);
}

/*
 * A mailbox that was opened with EXAMINE on a server that does not say what our rights are:
 * only SELECT tells which flags would be permanent. It changes nothing but \Recent, so it is
 * asked only where no message is that.
 */
static int see_flags(struct source_imap *s, struct err *e)
{
	const struct imap_mailbox *m = imap_selected(s->imap);

	if (m->recent > 0)
		return 0;
	if (imap_select(s->imap, s->name, false, e) == -1)
		return -1;
	s->can_delete = !m->read_only && m->can_delete;
	s->sure_of_rights = true;
	return imap_select(s->imap, s->name, true, e);
}

/* Is the mailbox there that messages move to, and may we put them there? */
static int see_target(struct source_imap *s, const char *to, struct err *e)
{
	char wire[NAME_MAX_WIRE], rights[64] = "i";
	uint32_t identity, next;
	struct err why;

	if (source_imap_target_name(s, to, wire, e) == -1)
		return -1;
	if (imap_status(s->imap, wire, &identity, &next, &why) == -1) {
		if (why.scope == ERR_MAILBOX)
			return err_set(e, ERR_MAILBOX, ERR_CONFIG,
				       "account %s: mailbox %s: cannot move mail to \"%s\" "
				       "(%s); create it, or change action in the retention "
				       "block",
				       s->account->name, s->conf->name, to, why.text);
		*e = why;
		return -1;
	}
	if (imap_has(s->imap, IMAP_CAP_ACL) &&
	    imap_my_rights(s->imap, wire, rights, sizeof rights, &why) == -1) {
		if (why.scope == ERR_MAILBOX)
			return 0; /* it will not say */
		*e = why;
		return -1;
	}
	if (strchr(rights, 'i'))
		return 0;
	return err_set(
	    e, ERR_MAILBOX, ERR_CONFIG,
	    "account %s: mailbox %s: this account has no right to move mail to "
	    "\"%s\"; give it (IMAP right i), or change action in the retention block",
	    s->account->name, s->conf->name, to);
}

int source_imap_can_remove(struct source *source, const struct source_removal *how,
			   struct err *e)
{
	struct source_imap *s = of(source);

	if (!s->sure_of_rights && see_flags(s, e) == -1)
		return -1;
	if (!s->can_delete)
		return err_set(
		    e, ERR_MAILBOX, ERR_CONFIG,
		    "account %s: mailbox %s: this account has no right to delete "
		    "messages there; give it (IMAP rights t and e), or set keep = true",
		    s->account->name, s->conf->name);
	if (!(how->move_to && imap_has(s->imap, IMAP_CAP_MOVE)) &&
	    !imap_has(s->imap, IMAP_CAP_UIDPLUS) && !how->imprecise)
		return err_set(
		    e, ERR_MAILBOX, ERR_CONFIG,
		    "account %s: mailbox %s: the server has no UIDPLUS, so exactly our "
		    "messages cannot be expunged; retention does nothing here unless "
		    "without-uidplus = true",
		    s->account->name, s->conf->name);
	return how->move_to ? see_target(s, how->move_to, e) : 0;
}

/* ---- removal ---- */

/* An EXPUNGE takes every \Deleted message: is there one that is not ours? */
static int see_others(struct source_imap *s, const struct ranges *ids, struct err *e)
{
	struct ranges deleted = {0}, others = {0};
	int rc = imap_search(s->imap, "UID 1:* DELETED", &deleted, e);

	if (rc == 0)
		rc = ranges_minus(&deleted, ids, &others, e);
	if (rc == 0 && others.n > 0)
		rc = err_set(
		    e, ERR_MAILBOX, ERR_TEMPORARY,
		    "account %s: mailbox %s: the server has no UIDPLUS, and somebody else "
		    "marked messages as deleted there, which an EXPUNGE would take; expunge "
		    "them, or take their marks off",
		    s->account->name, s->conf->name);
	ranges_free(&deleted);
	ranges_free(&others);
	return rc;
}

/* Nothing is marked \Deleted before it is known that it can be removed. */
static int delete_part(struct source_imap *s, const char *set, const struct ranges *ids,
		       const void *unused, struct err *e)
{
	bool precise = imap_has(s->imap, IMAP_CAP_UIDPLUS);
	int rc;

	(void)unused;
	if (!precise && see_others(s, ids, e) == -1)
		return -1;
	fault_step("imap-delete");
	if (imap_command(s->imap, e, "UID STORE %s +FLAGS.SILENT (\\Deleted)", set) == -1)
		return -1;
	fault_step("imap-expunge");
	/* Somebody may have marked another one between the look and here. */
	if (!precise && see_others(s, ids, e) == -1)
		return -1;
	rc = precise ? imap_command(s->imap, e, "UID EXPUNGE %s", set)
		     : imap_command(s->imap, e, "EXPUNGE");
	fault_step("imap-expunged");
	return rc;
}

/* MOVE, or COPY where the server has none; what: the verb and the target. */
struct transfer {
	const char *verb, *target;
};

static int transfer_part(struct source_imap *s, const char *set, const struct ranges *ids,
			 const void *arg, struct err *e)
{
	const struct transfer *t = arg;

	(void)ids;
	fault_step("imap-move");
	return imap_command(s->imap, e, "UID %s %s %s", t->verb, set, t->target);
}

/*
 * Without MOVE everything is copied before anything is deleted: as long as a message of these
 * is missing here, all of them are there.
 */
int source_imap_remove(struct source *source, struct ranges *ids,
		       const struct source_removal *how, struct err *e)
{
	struct source_imap *s = of(source);
	char wire[NAME_MAX_WIRE], quoted[2 * NAME_MAX_WIRE];
	bool moves = imap_has(s->imap, IMAP_CAP_MOVE);
	const struct transfer t = {moves ? "MOVE" : "COPY", quoted};
	struct ranges copied = {0};
	int rc = 0;

	if (how->move_to == NULL)
		return in_parts(s, ids, SIZE_MAX, delete_part, NULL, e);
	if (source_imap_target_name(s, how->move_to, wire, e) == -1)
		return -1;
	(void)imap_quote(wire, quoted, sizeof quoted); /* it can be: target_name saw to that */
	if (!moves)
		rc = ranges_union(&copied, ids, e);
	if (rc == 0)
		rc = in_parts(s, ids, SIZE_MAX, transfer_part, &t, e);
	if (rc == 0)
		rc = in_parts(s, &copied, SIZE_MAX, delete_part, NULL, e);
	ranges_free(&copied);
	return rc;
}
