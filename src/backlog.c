#include "backlog.h"

#include <stdbool.h>

/* The UIDs from first to last that the ledger has no record of. */
static int add_range(struct ledger *l, const struct record_mailbox *box, uint64_t first,
		     uint64_t last, struct uidset *todo, struct err *e)
{
	while (first <= last) {
		uint32_t uid = (uint32_t)first;
		struct record_uid ignored;
		int rc = ledger_message_seek(l, box, &uid, &ignored, e);
		uint64_t end = rc == 1 && uid <= last ? uid : last + 1;

		if (rc == -1)
			return -1;
		if (end > first && uidset_add(todo, (uint32_t)first, (uint32_t)(end - 1)) == -1)
			return err_set(
			    e, ERR_FATAL, ERR_LOCAL,
			    "more gaps between the messages of a mailbox than can be "
			    "held; let the mailbox be compacted");
		first = end + 1;
	}
	return 0;
}

int backlog_add(struct ledger *l, const struct record_mailbox *box, const struct uidset *found,
		struct uidset *todo, struct err *e)
{
	for (size_t i = 0; i < found->n; i++)
		if (add_range(l, box, found->range[i].first, found->range[i].last, todo, e) ==
		    -1)
			return -1;
	return 0;
}

int backlog_take(struct uidset *todo, int64_t max, struct uidset *part, struct err *e)
{
	char text[UIDSET_WIRE_MAX];
	size_t got;

	if (max < 0 || uidset_count(todo) <= (uint64_t)max) {
		*part = *todo;
		*todo = (struct uidset){0};
		return 0;
	}
	while (max > 0 && (got = uidset_take(todo, (size_t)max, text, sizeof text, part)) > 0)
		max -= (int64_t)got;
	return max == 0 ? 0 : err_set(e, ERR_FATAL, ERR_LOCAL, "out of memory");
}
