#include "learn/wrappers.h"

#include <poll.h>
#include <stdio.h>

#include "mail/wrapped.h"

enum {
	SAMPLE = 20,	 /* messages that are looked at */
	MANY = 3,	 /* that are a warning, if they are the most */
	NEWEST = 5,	 /* messages that are read for it */
	LARGE = 1 << 20, /* bytes of a message that is not */
};

int wrappers_count(struct wrappers *w, const struct source *s, const struct buf *body,
		   struct err *e)
{
	struct wrapped wrapped;
	int rc;

	if (!s->may_unwrap || w->bodies >= SAMPLE)
		return 0;
	rc = wrapped_read(body->data, body->len, &wrapped, e);
	w->bodies++;
	w->found += wrapped.n > 0;
	wrapped_free(&wrapped);
	return rc;
}

/* The newest numbers that are there. */
static int newest(struct source *s, struct ranges *todo, struct err *e)
{
	uint32_t last = s->next > 1 ? s->next - 1 : UINT32_MAX;
	struct ranges older = {0};
	uint64_t n;
	int rc = source_list(s, s->next > 1000 ? s->next - 1000 : 1, last, todo, e);

	n = ranges_count(todo);
	if (rc == 0 && n > NEWEST)
		rc = ranges_take(todo, n - NEWEST, &older, e);
	ranges_free(&older);
	return rc;
}

int wrappers_read(struct wrappers *w, struct source *s, struct err *e)
{
	const struct source_filter filter = {.max_size = LARGE, .newest = INT64_MAX};
	struct ranges todo = {0};
	enum source_next next = SOURCE_END;
	int rc = s->may_unwrap && s->count > 0 ? newest(s, &todo, e) : 0;

	if (rc == 0 && todo.n > 0) {
		rc = source_want(s, &todo, &filter, false, e);
		next = SOURCE_WAIT;
	}
	while (rc == 0 && next != SOURCE_END) {
		struct source_message m = {0};
		struct wait wait;

		next = source_next(s, &m, &wait, e);
		if (next == SOURCE_ERROR)
			rc = -1;
		else if (next == SOURCE_MESSAGE && m.kind == MESSAGE_BODY)
			rc = wrappers_count(w, s, &m.body, e);
		else if (next == SOURCE_WAIT)
			(void)poll(&(struct pollfd){wait.fd, wait.events, 0}, 1, wait.ms);
		source_message_free(&m);
	}
	ranges_free(&todo);
	return rc;
}

bool wrappers_are_many(const struct wrappers *w, const char *account, const char *mailbox,
		       char *text, size_t size)
{
	if (w->found < MANY || w->found * 2 <= w->bodies)
		return false;
	snprintf(text, size,
		 "account %s: mailbox %s: %u of %u messages have a message attached; if users "
		 "forward to it, say unwrap = yes in the account, so that what they forward is "
		 "learned, and not their letter; if not, unwrap = no",
		 account, mailbox, w->found, w->bodies);
	return true;
}
