#include "imap/imap_idle.h"

#include <string.h>

#include "base/buf.h"
#include "imap/imap_priv.h"

enum {
	NOTIFY_MAX = 7 * 1024, /* bytes of a command; the session has a limit above that */
	EVENTS_MAX = 1000,     /* taken at a time: of a flood, others want their turn */
};

static void listen_to(struct imap *s, bool on, bool flags)
{
	s->listening = on;
	s->flags_are_news = flags;
}

/* A message of ours that was marked is no news, or each run would make another one. */
static bool is_seen_now(const struct imap_message *m)
{
	return m->has & IMAP_HAS_FLAGS && m->flags & IMAP_SEEN && !(m->flags & IMAP_KEYWORDS);
}

static void take_event(struct imap *s, const struct imap_event *ev,
		       const struct imap_message *m)
{
	if (ev->kind == IMAP_EVENT_FETCH)
		s->news = s->news || (s->listening && s->flags_are_news && is_seen_now(m));
	else if (ev->kind == IMAP_EVENT_DONE && ev->command == s->idling)
		s->idling = 0;
}

/* The session's next event, for which it waits. */
static int wait_for_event(struct imap *s, struct imap_event *ev, struct err *e)
{
	struct imap_message m = {0};
	int rc = imap_next(s, 0, ev, &m, e);

	if (rc == 0)
		take_event(s, ev, &m);
	imap_message_free(&m);
	return rc;
}

int imap_idle_begin(struct imap *s, bool flags, struct err *e)
{
	struct imap_event ev;
	unsigned command;

	listen_to(s, true, flags);
	s->idling = command = imap_send(s, e, "IDLE");
	if (command == 0)
		return -1;
	do {
		if (wait_for_event(s, &ev, e) == -1)
			return -1;
	} while (ev.kind == IMAP_EVENT_FETCH);
	if (ev.kind == IMAP_EVENT_CONTINUE)
		return 0;
	listen_to(s, false, false);
	return err_set(e, ERR_MAILBOX, ERR_UNREACHABLE, "account %s: IDLE refused: %s",
		       s->account->name, ev.text);
}

int imap_idle_end(struct imap *s, struct err *e)
{
	struct imap_event ev;

	/* Bytes of a response that is half there are no reason to believe in the rest. */
	imap_conn_expect(s->conn);
	if (s->idling != 0 && imap_conn_write(s->conn, "DONE\r\n", 6, e) == -1)
		return imap_broken(s, e);
	while (s->idling != 0)
		if (wait_for_event(s, &ev, e) == -1)
			return -1;
	listen_to(s, false, s->flags_are_news);
	return 0;
}

bool imap_is_idle(const struct imap *s)
{
	return s->idling != 0;
}

static int too_long(const struct imap *s, struct err *e)
{
	return err_set(e, ERR_MAILBOX, ERR_CONFIG,
		       "account %s: the names of its mailboxes are too long for one NOTIFY",
		       s->account->name);
}

int imap_notify(struct imap *s, const char *const *names, size_t n, bool flags, struct err *e)
{
	char quoted[2 * IMAP_NAME_MAX];
	struct buf list;
	int rc = 0;

	buf_init(&list, NOTIFY_MAX);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = imap_quote(names[i], quoted, sizeof quoted) == -1 ||
			     buf_addf(&list, "%s%s", i > 0 ? " " : "", quoted) == -1
			 ? too_long(s, e)
			 : 0;
	if (rc == 0) {
		/* Before the answer: what comes ahead of it counts already. */
		listen_to(s, true, flags);
		rc = imap_command(s, e,
				  "NOTIFY SET (mailboxes (%s) (MessageNew MessageExpunge%s))",
				  list.data, flags ? " FlagChange" : "");
		if (rc == -1)
			listen_to(s, false, false);
	}
	buf_free(&list);
	return rc;
}

int imap_news(struct imap *s, struct wait *wait, struct err *e)
{
	struct imap_message m = {0};
	struct imap_event ev;
	int rc = 1;

	s->patient = true;
	for (int i = 0; i < EVENTS_MAX && rc == 1; i++) {
		imap_conn_expect(s->conn); /* its silence is what we are here for */
		rc = imap_poll(s, 0, &ev, &m, wait, e);
		if (rc == 1)
			take_event(s, &ev, &m);
		imap_message_free(&m);
	}
	s->patient = false;
	if (rc == -1)
		return -1;
	if (rc == 1)
		*wait = (struct wait){.fd = -1}; /* there may be more: again at once */
	if (s->overflow) {
		s->overflow = false;
		return err_set(e, ERR_SERVER, ERR_TEMPORARY,
			       "account %s: %s tells no more of news (NOTIFICATIONOVERFLOW)",
			       s->account->name, s->account->url);
	}
	if (!s->news)
		return 0;
	s->news = false;
	return 1;
}

int imap_count(struct imap *s, const char *name, struct imap_counts *out, struct err *e)
{
	char quoted[2 * IMAP_NAME_MAX];
	struct imap_mailbox m = {0};
	int rc;

	if (imap_quote(name, quoted, sizeof quoted) == -1)
		return too_long(s, e);
	s->status = &m;
	rc = imap_command(s, e, "STATUS %s (UIDVALIDITY UIDNEXT MESSAGES UNSEEN)", quoted);
	s->status = NULL;
	*out = (struct imap_counts){m.uidvalidity, m.uidnext, m.exists, m.unseen};
	return rc;
}

bool imap_counts_differ(const struct imap_counts *was, const struct imap_counts *is, bool flags)
{
	return was->uidvalidity != is->uidvalidity || was->uidnext != is->uidnext ||
	       is->messages > was->messages || (flags && is->unseen != was->unseen);
}
