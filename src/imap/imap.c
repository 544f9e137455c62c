#include "imap/imap_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "imap/utf7.h"

enum {
	IMAP_COMMAND_MAX = 8 * 1024,
	CREDIT_BYTES = 256 * 1024, /* of a response, for which the clock starts anew */
	PATIENCE = 10,		   /* timeouts that may pass before a command has its end */
	UNTAGGED_MAX = 1 << 20,	   /* responses before that end */
	POLL_BYTES = 256 * 1024,   /* read at a time, for others want their turn */
};

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

/* A free place among the outstanding commands, or NULL. */
static unsigned *find_place(struct imap *s)
{
	for (size_t i = 0; i < IMAP_PIPELINE; i++)
		if (s->outstanding[i] == 0)
			return &s->outstanding[i];
	return NULL;
}

/* What a command is called in errors: "UID EXPUNGE", and nothing of its arguments. */
static void note_verb(struct imap *s, const char *command)
{
	size_t n = strcspn(command, " ");

	if (n == 3 && memcmp(command, "UID", 3) == 0 && command[n] == ' ')
		n += 1 + strcspn(command + n + 1, " ");
	snprintf(s->verb, sizeof s->verb, "%.*s", (int)n, command);
}

int imap_write(struct imap *s, const char *data, size_t len, struct err *e)
{
	if (imap_conn_write(s->conn, data, len, e) == 0)
		return 0;
	s->broken = true;
	return -1;
}

__attribute__((format(printf, 3, 0))) static unsigned
send_command(struct imap *s, struct err *e, const char *fmt, va_list ap)
{
	char line[IMAP_COMMAND_MAX];
	int head = snprintf(line, sizeof line, "%c%u ", s->tag, s->last + 1);
	int n = vsnprintf(line + head, sizeof line - (size_t)head, fmt, ap);
	unsigned *place = find_place(s);

	if (n < 0 || (size_t)(head + n) + 3 > sizeof line || place == NULL) {
		err_set(e, ERR_SERVER, ERR_LOCAL, "account %s: an IMAP command that is %s",
			s->account->name, place ? "too long" : "one too many at a time");
		return 0;
	}
	log_debug("imap account=%s command=%s", s->account->name, line);
	note_verb(s, line + head);
	memcpy(line + head + n, "\r\n", 3);
	if (imap_write(s, line, (size_t)(head + n) + 2, e) == -1)
		return 0;
	return *place = ++s->last;
}

int imap_send_secret(struct imap *s, const char *command, struct err *e)
{
	char tag[32];
	int n = snprintf(tag, sizeof tag, "%c%u ", s->tag, s->last + 1);

	if (imap_write(s, tag, (size_t)n, e) == -1 ||
	    imap_write(s, command, strlen(command), e) == -1 ||
	    imap_write(s, "\r\n", 2, e) == -1)
		return -1;
	log_debug("imap account=%s command=%c%u (the login)", s->account->name, s->tag,
		  s->last + 1);
	*find_place(s) = ++s->last; /* nothing is outstanding before a login */
	return 0;
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
		rc =
		    err_set(e, ERR_MAILBOX, ERR_UNREACHABLE, "account %s: %s%s%s%s refused: %s",
			    s->account->name, s->name[0] ? "mailbox " : "", s->name,
			    s->name[0] ? ": " : "", s->verb, ev.text);
	return rc;
}

int imap_command(struct imap *s, struct err *e, const char *fmt, ...)
{
	va_list ap;
	unsigned n;

	va_start(ap, fmt);
	n = send_command(s, e, fmt, ap);
	va_end(ap);
	return finish(s, n, e);
}

/* From the connection to a session that is logged in and knows what the server can do. */
static int log_in(struct imap *s, const struct secret *password, struct err *e)
{
	s->tag = 'A';
	s->conn = imap_conn_open(s->account, e);
	if (s->conn == NULL || imap_command(s, e, "CAPABILITY") == -1 ||
	    imap_login(s, password, e) == -1)
		return -1;
	s->tag = 'L';
	s->last = 0;
	return imap_command(s, e, "CAPABILITY");
}

struct imap *imap_open(const struct conf_account *account, struct err *e)
{
	struct secret password = {0};
	struct imap *s = calloc(1, sizeof *s);
	char what[ERR_TEXT_MAX];
	int rc;

	if (s == NULL) {
		err_no_memory(e);
		return NULL;
	}
	s->account = account;
	imap_response_init(&s->response);
	snprintf(what, sizeof what, "account %s", account->name);
	rc = secret_load(&account->password, what, &password, e);
	if (rc == -1 && e->kind == ERR_CONFIG)
		e->scope = ERR_SERVER; /* the other accounts have passwords of their own */
	if (rc == 0)
		rc = log_in(s, &password, e);
	secret_wipe(&password);
	if (rc == -1) {
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
	imap_response_free(&s->response);
	free(s);
}

/* LIST, each mailbox for the lister. */
static int list(struct imap *s, const char *how, const struct imap_lister *lister,
		struct err *e)
{
	int rc;

	s->lister = *lister;
	rc = imap_command(s, e, "LIST %s", how);
	s->lister = (struct imap_lister){.use = NULL};
	return rc;
}

struct found_name {
	char *name; /* borrowed */
	size_t size;
};

/* The first mailbox that has the special use is the one. */
static void take_name(void *ctx, const char *name)
{
	struct found_name *f = ctx;

	if (f->name[0] == '\0' && strlen(name) < f->size)
		memcpy(f->name, name, strlen(name) + 1);
}

int imap_find_special_use(struct imap *s, const char *use, char *name, size_t size,
			  struct err *e)
{
	/* No way works everywhere: mox knows the first only, James hides the uses in the last,
	 * and servers without RFC 6154 that have special uses show them there. */
	static const struct {
		unsigned caps;
		const char *how;
	} ways[] = {
	    {IMAP_CAP_LIST_EXTENDED, "\"\" \"*\" RETURN (SPECIAL-USE)"},
	    {IMAP_CAP_SPECIAL_USE, "(SPECIAL-USE) \"\" \"*\""},
	    {0, "\"\" \"*\""},
	};
	struct found_name found = {name, size};
	const struct imap_lister lister = {use, take_name, &found};

	name[0] = '\0';
	for (size_t i = 0; i < sizeof ways / sizeof *ways && name[0] == '\0'; i++)
		if ((s->caps & ways[i].caps) == ways[i].caps &&
		    list(s, ways[i].how, &lister, e) == -1 &&
		    (e->scope != ERR_MAILBOX || ways[i].caps == 0))
			return -1;
	if (name[0] != '\0')
		return 0;
	return err_set(e, ERR_MAILBOX, ERR_CONFIG,
		       "account %s: no mailbox has the special use %s; give the mailbox by its "
		       "name, or set the special use on the server",
		       s->account->name, use);
}

int imap_list_names(struct imap *s, void (*each)(void *ctx, const char *utf7_name), void *ctx,
		    struct err *e)
{
	return list(s, "\"\" \"*\"", &(struct imap_lister){NULL, each, ctx}, e);
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

/* Quote a name that somebody configured. */
static int quote(struct imap *s, const char *name, char *out, size_t size, struct err *e)
{
	if (imap_quote(name, out, size) == 0)
		return 0;
	return err_set(e, ERR_MAILBOX, ERR_CONFIG,
		       "account %s: \"%s\" cannot be a mailbox name", s->account->name, name);
}

int imap_select(struct imap *s, const char *name, bool read_only, struct err *e)
{
	char quoted[2 * IMAP_NAME_MAX];

	if (quote(s, name, quoted, sizeof quoted, e) == -1)
		return -1;
	if (utf7_decode(name, s->name, sizeof s->name) == -1)
		snprintf(s->name, sizeof s->name, "%s", name);
	s->mailbox = (struct imap_mailbox){.can_delete = true, .keywords = IMAP_KEYWORDS};
	if (imap_command(s, e, "%s %s%s", read_only ? "EXAMINE" : "SELECT", quoted,
			 imap_has(s, IMAP_CAP_CONDSTORE) ? " (CONDSTORE)" : "") == 0) {
		if (s->mailbox.uidvalidity != 0)
			return 0;
		err_set(
		    e, ERR_MAILBOX, ERR_PROTOCOL,
		    "account %s: mailbox %s: %s gives no UIDVALIDITY, so messages cannot be "
		    "told apart",
		    s->account->name, s->name, s->account->url);
	}
	s->name[0] = '\0';
	return -1;
}

int imap_my_rights(struct imap *s, const char *name, char *rights, size_t size, struct err *e)
{
	char quoted[2 * IMAP_NAME_MAX];
	int rc;

	rights[0] = '\0';
	if (quote(s, name, quoted, sizeof quoted, e) == -1)
		return -1;
	s->rights = rights;
	s->rights_size = size;
	rc = imap_command(s, e, "MYRIGHTS %s", quoted);
	s->rights = NULL;
	if (rc == 0 && rights[0] == '\0')
		rc = err_set(e, ERR_MAILBOX, ERR_PROTOCOL,
			     "account %s: %s does not answer what we may do in %s",
			     s->account->name, s->account->url, quoted);
	return rc;
}

int imap_status(struct imap *s, const char *name, uint32_t *uidvalidity, uint32_t *uidnext,
		struct err *e)
{
	char quoted[2 * IMAP_NAME_MAX];
	struct imap_mailbox m = {0};
	int rc;

	if (quote(s, name, quoted, sizeof quoted, e) == -1)
		return -1;
	s->status = &m;
	rc = imap_command(s, e, "STATUS %s (UIDVALIDITY UIDNEXT)", quoted);
	s->status = NULL;
	*uidvalidity = m.uidvalidity;
	*uidnext = m.uidnext;
	return rc;
}

int imap_search(struct imap *s, const char *criteria, struct ranges *found, struct err *e)
{
	int rc;

	ranges_clear(found);
	s->response.found = found;
	rc = imap_command(s, e, "UID SEARCH %s%s",
			  imap_has(s, IMAP_CAP_ESEARCH) ? "RETURN (ALL) " : "", criteria);
	s->response.found = NULL;
	ranges_sort(found);
	return rc;
}

/* ---- answers ---- */

/*
 * A response is to come. A server may say that it is still there as often as it likes, but not
 * for ever, because the other accounts wait for their turn.
 */
static int expect_response(struct imap *s, struct err *e)
{
	if ((!s->patient && s->waited > (int64_t)PATIENCE * s->account->timeout * 1000) ||
	    s->untagged++ > UNTAGGED_MAX) {
		s->broken = true;
		return err_set(e, ERR_SERVER, ERR_PROTOCOL,
			       "account %s: %s keeps sending and never finishes its answer",
			       s->account->name, s->account->url);
	}
	imap_conn_expect(s->conn);
	s->expecting = true;
	s->begun = false;
	s->credited = 0;
	return 0;
}

/*
 * Give what came, *len bytes, to the response that is coming; *len is then what it took. 1 once
 * it is complete, 0 not yet, -1.
 */
static int feed(struct imap *s, const char *data, size_t *len, struct err *e)
{
	struct imap_response *r = &s->response;
	int rc;

	if (!s->begun && !s->patient)
		s->waited += imap_conn_waited(s->conn);
	s->begun = true;
	rc = imap_response_feed(r, data, *len, len);
	imap_conn_consume(s->conn, *len);
	if (rc == -1) {
		s->broken = true;
		return r->why ? imap_protocol_error(s, r->why, e) : err_no_memory(e);
	}
	s->expecting = rc == 0;
	if (r->bytes - s->credited >= CREDIT_BYTES) {
		imap_conn_expect(s->conn);
		s->credited = r->bytes;
	}
	return rc;
}

int imap_poll(struct imap *s, uint32_t body_max, struct imap_event *ev,
	      struct imap_message *message, struct wait *wait, struct err *e)
{
	size_t taken = 0;

	s->body_max = s->response.body_max = body_max;
	while (taken < POLL_BYTES) {
		const char *data;
		size_t len;
		int rc;

		if (!s->expecting && expect_response(s, e) == -1)
			return -1;
		rc = imap_conn_read(s->conn, &data, &len, wait, e);
		if (rc != 1)
			return rc == -1 ? imap_broken(s, e) : 0;
		rc = feed(s, data, &len, e);
		taken += len;
		if (rc == 1) {
			rc = imap_understand(s, ev, message, e);
			imap_response_clear(&s->response);
		}
		if (rc != 0)
			return rc;
	}
	*wait = (struct wait){.fd = -1}; /* there may be more: again at once */
	return 0;
}

int imap_next(struct imap *s, uint32_t body_max, struct imap_event *ev,
	      struct imap_message *message, struct err *e)
{
	for (;;) {
		struct wait wait;
		int rc = imap_poll(s, body_max, ev, message, &wait, e);

		if (rc != 0)
			return rc == -1 ? -1 : 0;
		imap_conn_wait(s->conn, &wait);
	}
}
