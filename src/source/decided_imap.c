/*
 * What a person decided in a mailbox of his own, and what a filter did, or nobody. It is known
 * before any content is read: by the filter's own fields, by keywords, and by the stamps of
 * what was seen on the account's other side (ledger/stamps.h).
 */
#include "source/source_imap_priv.h"

#include "base/clock.h"
#include "ledger/stamps.h"

static const char by_filter[] = "a filter filed it there";
static const char never_moved[] = "it did not come out of a spam folder";

/*
 * In Junk: everything but what a filter filed there. That counts only if a person has taken it
 * out before, and so has put it back now.
 */
static int decide_spam(const struct source_imap *s, struct entry *x, bool filtered,
		       unsigned seen, int64_t now, struct err *e)
{
	const char *account = s->source.account;

	if (filtered) {
		x->decided = seen & STAMP_IN_HAM ? ENTRY_RECALLED : ENTRY_UNDECIDED;
		x->why = by_filter;
		if (stamps_note_filter(s->ledger, account, now, e) == -1)
			return -1;
	}
	return stamps_note(s->ledger, account, &x->stamp, STAMP_IN_SPAM, now, e);
}

/*
 * In the INBOX: what a person flagged as no junk, what a filter would have filed elsewhere, and
 * what lay in Junk before, as far as the ledger knows its content from there. Where a filter
 * never filed anything its mark says nothing of where a message has been.
 */
static int decide_ham(const struct source_imap *s, struct entry *x, bool filtered,
		      unsigned seen, int64_t now, struct err *e)
{
	const char *account = s->source.account;
	bool files = false;

	if (filtered && stamps_filter_files(s->ledger, account, &files, e) == -1)
		return -1;
	if ((x->flags & IMAP_NOT_JUNK) || files)
		x->decided = ENTRY_DECIDED;
	else
		x->decided = seen & STAMP_IN_SPAM ? ENTRY_RECALLED : ENTRY_UNDECIDED;
	x->why = never_moved;
	if (x->decided == ENTRY_UNDECIDED)
		return 0;
	return stamps_note(s->ledger, account, &x->stamp, STAMP_IN_HAM, now, e);
}

int source_imap_decide(const struct source_imap *s, struct entry *x, bool filtered,
		       struct err *e)
{
	const bool spam = s->source.class == CLASS_SPAM;
	unsigned seen;

	x->decided = ENTRY_DECIDED;
	if (!s->source.decided || s->ledger == NULL)
		return 0;
	if (stamps_get(s->ledger, s->source.account, &x->stamp, &seen, e) == -1)
		return -1;
	return (spam ? decide_spam : decide_ham)(s, x, filtered, seen, clock_now(), e);
}

int source_imap_decided(struct source *source, struct ranges *found, struct err *e)
{
	struct source_imap *s = (struct source_imap *)source;

	if (source->class != CLASS_HAM)
		return 0;
	return imap_search(s->imap, "OR KEYWORD $NotJunk OR KEYWORD NotJunk KEYWORD NonJunk",
			   found, e);
}
