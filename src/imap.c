#include "imap_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

enum { IMAP_COMMAND_MAX = 8 * 1024 };

void imap_set_waiter(struct imap *s, const struct waiter *w)
{
	imap_conn_set_waiter(s->conn, w);
}

bool imap_has(const struct imap *s, enum imap_cap cap)
{
	return (s->caps & (unsigned)cap) == (unsigned)cap;
}

const struct imap_mailbox *imap_selected(const struct imap *s)
{
	return &s->mailbox;
}

__attribute__((format(printf, 3, 0))) static unsigned
send_command(struct imap *s, struct err *e, const char *fmt, va_list ap)
{
	char line[IMAP_COMMAND_MAX];
	int head = snprintf(line, sizeof line, "L%u ", s->last + 1);
	int n = vsnprintf(line + head, sizeof line - (size_t)head, fmt, ap);

	if (n < 0 || (size_t)(head + n) + 3 > sizeof line || s->outstanding >= IMAP_PIPELINE) {
		err_set(e, ERR_SERVER, ERR_LOCAL,
			"account %s: an IMAP command that is too long", s->account->name);
		return 0;
	}
	log_debug("imap account=%s command=%s", s->account->name, line);
	memcpy(line + head + n, "\r\n", 3);
	s->last++;
	if (imap_conn_write(s->conn, line, (size_t)(head + n) + 2, e) == -1) {
		s->broken = true;
		return 0;
	}
	s->outstanding++;
	return s->last;
}

unsigned imap_send(struct imap *s, struct err *e, const char *fmt, ...)
{
	va_list ap;
	unsigned n;

	va_start(ap, fmt);
	n = send_command(s, e, fmt, ap);
	va_end(ap);
	return n;
}

/* Wait for the end of the only outstanding command. */
static int finish(struct imap *s, unsigned command, struct err *e)
{
	struct imap_message m = {0};
	struct imap_event ev = {.status = IMAP_NO};
	int rc;

	if (command == 0)
		return -1;
	do {
		rc = imap_next(s, s->body_max, &ev, &m, e);
	} while (rc == 0 && (ev.kind != IMAP_EVENT_DONE || ev.command != command));
	imap_message_free(&m);
	if (rc == 0 && ev.status != IMAP_OK)
		rc = err_set(e, ERR_MAILBOX, ERR_UNREACHABLE, "account %s: %s refused: %s",
			     s->account->name, s->account->url, ev.text);
	return rc;
}

int imap_run(struct imap *s, struct err *e, const char *fmt, ...)
{
	va_list ap;
	unsigned n;

	va_start(ap, fmt);
	n = send_command(s, e, fmt, ap);
	va_end(ap);
	return finish(s, n, e);
}

struct imap *imap_open(const struct conf_account *account, struct err *e)
{
	struct secret password = {0};
	struct imap *s = calloc(1, sizeof *s);
	char what[ERR_TEXT_MAX];

	if (s == NULL) {
		err_set(e, ERR_FATAL, ERR_LOCAL, "out of memory");
		return NULL;
	}
	s->account = account;
	imap_parse_init(&s->parser);
	snprintf(what, sizeof what, "account %s", account->name);
	if (secret_load(&account->password, what, &password, e) == 0)
		s->conn = imap_conn_open(account, &password, e);
	else if (e->kind == ERR_CONFIG)
		e->scope = ERR_SERVER; /* the other accounts have passwords of their own */
	secret_wipe(&password);
	if (s->conn == NULL || imap_run(s, e, "CAPABILITY") == -1) {
		imap_close(s);
		return NULL;
	}
	return s;
}

void imap_close(struct imap *s)
{
	struct err ignored;

	if (s == NULL)
		return;
	if (s->conn && !s->broken)
		(void)imap_send(s, &ignored, "LOGOUT"); /* courtesy: nobody waits for the BYE */
	imap_conn_close(s->conn);
	imap_parse_free(&s->parser);
	free(s);
}

int imap_find_special_use(struct imap *s, const char *use, char *name, size_t size,
			  struct err *e)
{
	int rc;

	name[0] = '\0';
	s->special_use = use;
	s->special_name = name;
	s->special_size = size;
	/* Plain LIST tells special uses too where the server has RFC 6154, and is cheap. */
	rc = imap_run(s, e,
		      imap_has(s, IMAP_CAP_SPECIAL_USE) ? "LIST (SPECIAL-USE) \"\" \"*\""
							: "LIST \"\" \"*\"");
	s->special_use = NULL;
	if (rc == -1)
		return -1;
	if (name[0] == '\0')
		return err_set(
		    e, ERR_MAILBOX, ERR_CONFIG,
		    "account %s: no mailbox has the special use %s; give the mailbox by "
		    "its name, or set the special use on the server",
		    s->account->name, use);
	return 0;
}

int imap_quote(const char *name, char *out, size_t size)
{
	size_t n = 0;

	for (const char *p = name; *p; p++) {
		if (n + 4 > size || *p == '\r' || *p == '\n')
			return -1;
		if (n == 0)
			out[n++] = '"';
		if (*p == '"' || *p == '\\')
			out[n++] = '\\';
		out[n++] = *p;
	}
	if (n == 0)
		return -1;
	memcpy(out + n, "\"", 2);
	return 0;
}

int imap_select(struct imap *s, const char *name, bool read_only, struct err *e)
{
	char quoted[2048];

	if (imap_quote(name, quoted, sizeof quoted) == -1)
		return err_set(e, ERR_MAILBOX, ERR_CONFIG,
			       "account %s: \"%s\" cannot be a mailbox name", s->account->name,
			       name);
	s->mailbox = (struct imap_mailbox){.keywords = 0};
	if (imap_run(s, e, "%s %s%s", read_only ? "EXAMINE" : "SELECT", quoted,
		     imap_has(s, IMAP_CAP_CONDSTORE) ? " (CONDSTORE)" : "") == -1)
		return -1;
	if (s->mailbox.uidvalidity == 0)
		return err_set(
		    e, ERR_MAILBOX, ERR_PROTOCOL,
		    "account %s: %s gives no UIDVALIDITY for %s, so messages cannot be "
		    "told apart",
		    s->account->name, s->account->url, name);
	return 0;
}

int imap_search(struct imap *s, const char *criteria, struct uidset *found, struct err *e)
{
	int rc;

	uidset_clear(found);
	s->found = found;
	rc = imap_run(s, e, "UID SEARCH %s%s",
		      imap_has(s, IMAP_CAP_ESEARCH) ? "RETURN (ALL) " : "", criteria);
	s->found = NULL;
	return rc;
}
