#include "learn/box.h"

#include "base/log.h"

int box_load(struct ledger *l, const struct source *s, struct record_mailbox *box,
	     enum box_state *state, struct err *e)
{
	bool known;

	if (ledger_mailbox(l, s->account, s->mailbox, box, &known, e) == -1)
		return -1;
	*state = !known || s->fleeting		? BOX_NEW
		 : box->identity != s->identity ? BOX_REPLACED
		 : (s->next > 0 && s->next < box->high_next) ||
			 (s->version > 0 && s->version < box->high_version)
		     ? BOX_RESTORED
		     : BOX_SAME;
	if (*state == BOX_REPLACED || *state == BOX_RESTORED)
		log_warn("account %s: mailbox %s was %s (UIDVALIDITY %u, UIDNEXT %u; were %u, "
			 "%u); its messages are told apart by their content",
			 s->account, s->mailbox,
			 *state == BOX_RESTORED ? "restored by the server"
						: "created anew by the server",
			 s->identity, s->next, box->identity, box->high_next);
	return 0;
}

int box_begin(struct ledger *l, const struct source *s, struct record_mailbox *box,
	      struct err *e)
{
	*box = (struct record_mailbox){
	    .number = box->number,
	    .whole = box->whole,
	    .identity = s->identity,
	    .next = 1,
	    .high_next = s->next,
	    .high_version = s->version,
	};
	if (ledger_forget_messages(l, box, e) == -1 ||
	    ledger_mailbox_put(l, s->account, s->mailbox, box, e) == -1)
		return -1;
	return ledger_commit(l, e);
}

int box_note_high(struct ledger *l, const struct source *s, struct record_mailbox *box,
		  struct err *e)
{
	if (s->next <= box->high_next && s->version <= box->high_version)
		return 0;
	if (s->next > box->high_next)
		box->high_next = s->next;
	if (s->version > box->high_version)
		box->high_version = s->version;
	if (ledger_mailbox_put(l, s->account, s->mailbox, box, e) == -1)
		return -1;
	return ledger_commit(l, e);
}

int box_end(struct ledger *l, const struct source *s, struct record_mailbox *box, bool complete,
	    uint64_t left, struct err *e)
{
	struct record_mailbox now = *box;

	now.left = left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
	if (complete) {
		if (s->next > 0)
			now.next = s->next;
		now.version = s->version;
		/* Files say nothing of the marks in a mailbox. */
		now.whole = now.passed = !s->fleeting;
	}
	if (now.next == box->next && now.version == box->version && now.left == box->left &&
	    now.whole == box->whole && now.passed == box->passed)
		return 0; /* nothing new: nothing is written */
	*box = now;
	if (ledger_mailbox_put(l, s->account, s->mailbox, box, e) == -1)
		return -1;
	return ledger_commit(l, e);
}
