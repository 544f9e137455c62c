#include "fake/imapd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"

enum { LINE_MAX = 8192, LOGGED_MAX = 200 };

static const struct {
	const char *name;
	unsigned bit;
} flag_names[] = {
    {"\\Seen", IMAPD_SEEN},	  {"\\Flagged", IMAPD_FLAGGED},
    {"\\Deleted", IMAPD_DELETED}, {"$LearnedSpam", IMAPD_SPAM},
    {"$LearnedHam", IMAPD_HAM},	  {"$LearnSkipped", IMAPD_SKIPPED},
};

enum {
	FLAG_NAMES = sizeof flag_names / sizeof *flag_names,
	KEYWORDS = IMAPD_SPAM | IMAPD_HAM | IMAPD_SKIPPED,
};

/* ---- mailboxes ---- */

struct imapd_message *imapd_find(struct imapd_box *b, uint32_t uid)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->message[i].uid == uid)
			return &b->message[i];
	return NULL;
}

static struct imapd_message *append(struct imapd_box *b, const struct imapd_message *m)
{
	struct imapd_message *new = &b->message[b->n++];

	*new = *m;
	new->uid = b->uidnext++;
	new->modseq = ++b->modseq;
	return new;
}

struct imapd_message *imapd_deliver(struct imapd *d, const char *body, int64_t date,
				    unsigned flags)
{
	const struct imapd_message m = {
	    .body = body, .size = (uint32_t)strlen(body), .date = date, .flags = flags};
	struct imapd_message *new;

	assert_true(d->inbox.n < IMAPD_MESSAGES);
	pthread_mutex_lock(&d->lock);
	new = append(&d->inbox, &m);
	buf_addf(&d->news, "* %zu EXISTS\r\n", d->inbox.n);
	pthread_mutex_unlock(&d->lock);
	return new;
}

static void take_out(struct imapd_box *b, struct imapd_message *m, struct buf *news)
{
	buf_addf(news, "* %zu EXPUNGE\r\n", (size_t)(m - b->message) + 1);
	memmove(m, m + 1, (size_t)(&b->message[b->n] - (m + 1)) * sizeof *m);
	b->n--;
	b->modseq++;
}

void imapd_expunge(struct imapd *d, uint32_t uid)
{
	struct imapd_message *m = imapd_find(&d->inbox, uid);

	assert_non_null(m);
	pthread_mutex_lock(&d->lock);
	take_out(&d->inbox, m, &d->news);
	pthread_mutex_unlock(&d->lock);
}

/* ---- words of a command ---- */

static bool begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

/* The next word, of which a quoted string is one, unquoted; "" at the end. */
static void word(const char **p, char *out, size_t size)
{
	bool quoted = **p == '"';
	size_t n = 0;

	*p += quoted;
	for (; **p && **p != (quoted ? '"' : ' '); ++*p) {
		if (quoted && **p == '\\')
			++*p;
		if (n + 1 < size)
			out[n++] = **p;
	}
	out[n] = '\0';
	*p += quoted && **p == '"';
	*p += strspn(*p, " ");
}

static uint32_t number(const char *s, size_t len, uint32_t highest)
{
	uint64_t n = 0;

	if (len == 1 && *s == '*')
		return highest;
	return text_number(s, len, UINT32_MAX, &n) ? (uint32_t)n : 0;
}

/* Is the UID in the set? highest: what "*" means. */
static bool set_has(const char *set, uint32_t uid, uint32_t highest)
{
	while (*set) {
		size_t len = strcspn(set, ","), head = strcspn(set, ":,");
		uint32_t a = number(set, head, highest), b = a;

		if (head < len)
			b = number(set + head + 1, len - head - 1, highest);
		if ((a <= uid && uid <= b) || (b <= uid && uid <= a))
			return true;
		set += len + (set[len] == ',');
	}
	return false;
}

static bool in_set(const struct imapd_box *b, const char *set, const struct imapd_message *m)
{
	return set_has(set, m->uid, b->n > 0 ? b->message[b->n - 1].uid : 0);
}

/* The message that comes as number i in the order of this server. */
static struct imapd_message *nth(struct imapd *d, size_t i)
{
	return &d->selected->message[d->backwards ? d->selected->n - 1 - i : i];
}

static size_t sequence_number(const struct imapd *d, const struct imapd_message *m)
{
	return (size_t)(m - d->selected->message) + 1;
}

static unsigned flags_in(const char *text)
{
	unsigned flags = 0;

	for (size_t i = 0; i < FLAG_NAMES; i++)
		if (strstr(text, flag_names[i].name))
			flags |= flag_names[i].bit;
	return flags;
}

static void add_flags(struct buf *out, unsigned flags)
{
	const char *space = "";

	buf_adds(out, "FLAGS (");
	for (size_t i = 0; i < FLAG_NAMES; i++)
		if (flags & flag_names[i].bit) {
			buf_addf(out, "%s%s", space, flag_names[i].name);
			space = " ";
		}
	buf_adds(out, ")");
}

/* What a server may say at any time. Nothing of it is a lie but the UID, which is not asked
 * for. */
static void chat(struct imapd *d)
{
	const struct imapd_box *b = d->selected;

	if (!d->chatty)
		return;
	buf_adds(&d->out, "* OK Still here\r\n* XNEWS (a \"b\" (c))\r\n");
	if (b == NULL || b->n == 0)
		return;
	buf_addf(&d->out, "* %zu EXISTS\r\n", b->n);
	buf_adds(&d->out, "* 1 FETCH (");
	add_flags(&d->out, b->message[0].flags);
	buf_adds(&d->out, ")\r\n* 1 FETCH (");
	add_flags(&d->out, b->message[0].flags);
	buf_addf(&d->out, " UID %u)\r\n", b->message[0].uid);
	buf_addf(&d->out, "* 1 FETCH (UID %d RFC822.SIZE 7 FLAGS (\\Deleted $LearnedHam))\r\n",
		 IMAPD_ABSENT);
	buf_addf(&d->out, "* 1 FETCH (UID %d BODY[] {4}\r\nspam)\r\n", IMAPD_ABSENT);
}

/* ---- commands; each writes its answer to d->out and returns the status line ---- */

static const char *do_capability(struct imapd *d)
{
	buf_addf(&d->out, "* CAPABILITY IMAP4rev1 SPECIAL-USE%s%s%s%s%s%s\r\n",
		 d->auth_plain ? " AUTH=PLAIN" : "", d->no_uidplus ? "" : " UIDPLUS",
		 d->no_move ? "" : " MOVE", d->no_condstore ? "" : " CONDSTORE",
		 d->no_esearch ? "" : " ESEARCH", d->rights ? " ACL" : "");
	return "OK done";
}

static struct imapd_box *find_box(struct imapd *d, const char *name)
{
	return strcmp(name, d->inbox.name) == 0	  ? &d->inbox
	       : strcmp(name, d->trash.name) == 0 ? &d->trash
						  : NULL;
}

static const char *do_select(struct imapd *d, const char *args, bool examine)
{
	char name[256];
	struct imapd_box *b;

	word(&args, name, sizeof name);
	d->selected = NULL;
	d->condstore = !d->no_condstore && strcmp(args, "(CONDSTORE)") == 0;
	if ((b = find_box(d, name)) == NULL)
		return "NO [NONEXISTENT] no such mailbox";
	buf_clear(&d->news);
	buf_addf(&d->out,
		 "* FLAGS (\\Seen \\Flagged \\Deleted)\r\n* %zu EXISTS\r\n* %u RECENT\r\n",
		 b->n, d->recent);
	if (!d->no_validity)
		buf_addf(&d->out, "* OK [UIDVALIDITY %u] valid\r\n", b->uidvalidity);
	if (!d->no_uidnext)
		buf_addf(&d->out, "* OK [UIDNEXT %u] next\r\n", b->uidnext);
	if (!d->no_condstore)
		buf_addf(&d->out, "* OK [HIGHESTMODSEQ %llu] highest\r\n",
			 (unsigned long long)b->modseq);
	buf_addf(&d->out, "* OK [PERMANENTFLAGS (%s%s%s)] limited\r\n",
		 examine ? "" : "\\Seen \\Flagged", examine || d->no_delete ? "" : " \\Deleted",
		 examine || d->few_keywords ? "" : " \\*");
	d->selected = b;
	d->examined = examine || d->read_only;
	return d->examined ? "OK [READ-ONLY] open" : "OK [READ-WRITE] open";
}

static const char *do_status(struct imapd *d, const char *args)
{
	char name[256];
	const struct imapd_box *b;

	word(&args, name, sizeof name);
	if ((b = find_box(d, name)) == NULL)
		return "NO [NONEXISTENT] no such mailbox";
	buf_addf(&d->out, "* STATUS \"%s\" (UIDVALIDITY %u", b->name, b->uidvalidity);
	if (strstr(args, "UIDNEXT") && !d->no_uidnext)
		buf_addf(&d->out, " UIDNEXT %u", b->uidnext);
	buf_adds(&d->out, ")\r\n");
	return "OK done";
}

static const char *do_list(struct imapd *d, const char *args)
{
	const struct imapd_box *boxes[] = {&d->inbox, &d->trash};

	for (size_t i = 0; i < 2; i++)
		if (boxes[i]->use || !begins(args, "(SPECIAL-USE)"))
			buf_addf(&d->out, "* LIST (\\HasNoChildren%s%s) \"/\" \"%s\"\r\n",
				 boxes[i]->use ? " " : "", boxes[i]->use ? boxes[i]->use : "",
				 boxes[i]->name);
	return "OK done";
}

static const char *do_rights(struct imapd *d, const char *args)
{
	if (d->rights == NULL || d->rights[0] == '\0')
		return "NO it is a secret";
	buf_addf(&d->out, "* MYRIGHTS %s %s\r\n", args, d->rights);
	return "OK done";
}

/* Does the message match? Every key must. */
static bool matches(const struct imapd_box *b, const struct imapd_message *m, const char *keys)
{
	bool all = true, no = false;

	while (*keys && all) {
		char key[LINE_MAX], arg[LINE_MAX];
		bool is;

		word(&keys, key, sizeof key);
		if (strcmp(key, "NOT") == 0) {
			no = !no;
			continue;
		}
		if (strcmp(key, "UID") == 0 || strcmp(key, "KEYWORD") == 0)
			word(&keys, arg, sizeof arg);
		is = strcmp(key, "UID") == 0	   ? in_set(b, arg, m)
		     : strcmp(key, "KEYWORD") == 0 ? (m->flags & flags_in(arg)) != 0
		     : strcmp(key, "DELETED") == 0 ? (m->flags & IMAPD_DELETED) != 0
		     : strcmp(key, "SEEN") == 0	   ? (m->flags & IMAPD_SEEN) != 0
						   : strcmp(key, "ALL") == 0;
		all = is != no;
		no = false;
	}
	return all;
}

static const char *do_search(struct imapd *d, const char *tag, const char *args)
{
	bool extended = begins(args, "RETURN (ALL) ");
	const char *between = extended ? "" : " ";

	if (extended && d->no_esearch)
		return "BAD no ESEARCH here";
	args += extended ? strlen("RETURN (ALL) ") : 0;
	if (extended)
		buf_addf(&d->out, "* ESEARCH (TAG \"%s\") UID", tag);
	else
		buf_adds(&d->out, "* SEARCH");
	if (d->search_lies)
		buf_adds(&d->out, extended ? " ALL 1:1000000" : " 1 2 3 4 5 6 7 8 9 10 11 12");
	for (size_t i = 0; i < d->selected->n && !d->search_lies; i++) {
		const struct imapd_message *m = nth(d, i);

		if (!matches(d->selected, m, args))
			continue;
		if (extended && *between == '\0')
			between = " ALL ";
		buf_addf(&d->out, "%s%u", between, m->uid);
		between = extended ? "," : " ";
	}
	buf_adds(&d->out, "\r\n");
	return "OK done";
}

static void add_date(struct buf *out, int64_t date)
{
	const time_t east = (time_t)date + 3600;
	char text[64];
	struct tm tm;

	gmtime_r(&east, &tm);
	strftime(text, sizeof text, "%e-%b-%Y %H:%M:%S +0100", &tm);
	buf_addf(out, "INTERNALDATE \"%s\"", date ? text : "today");
}

/* The body in the form of this message. False: the connection ends here. */
static bool add_body(struct buf *out, struct imapd_message *m)
{
	size_t len = strlen(m->body);

	buf_adds(out, "BODY[] ");
	switch (m->how) {
	case IMAPD_NIL:
		buf_adds(out, "NIL");
		break;
	case IMAPD_EMPTY:
		buf_adds(out, "\"\"");
		break;
	case IMAPD_SHORT:
		buf_adds(out, "{4}\r\nnone");
		break;
	case IMAPD_QUOTED:
		buf_addf(out, "\"%s\"", m->body);
		break;
	case IMAPD_CUT:
		m->how = IMAPD_GIVE;
		buf_addf(out, "{%zu}\r\n", len);
		buf_add(out, m->body, len / 2);
		return false;
	default:
		buf_addf(out, "{%zu}\r\n%s", len, m->body);
	}
	return true;
}

/* One attribute; false where the connection ends in it. */
static bool add_attribute(struct buf *out, struct imapd_message *m, const char *name)
{
	if (begins(name, "BODY"))
		return add_body(out, m);
	if (strcmp(name, "UID") == 0)
		buf_addf(out, "UID %u", m->uid);
	else if (strcmp(name, "FLAGS") == 0)
		add_flags(out, m->flags);
	else if (strcmp(name, "INTERNALDATE") == 0)
		add_date(out, m->date);
	else
		buf_addf(out, "RFC822.SIZE %u", m->size);
	return true;
}

/* A FETCH response; items are without parentheses. False as above. */
static bool add_response(struct imapd *d, struct imapd_message *m, const char *items)
{
	char name[8][32];
	size_t n = 0;

	while (*items && n < 8)
		word(&items, name[n++], sizeof name[0]);
	buf_addf(&d->out, "* %zu FETCH (", sequence_number(d, m));
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_adds(&d->out, " ");
		if (!add_attribute(&d->out, m, name[d->backwards ? n - 1 - i : i]))
			return false;
	}
	buf_adds(&d->out, ")\r\n");
	return true;
}

static const char *do_fetch(struct imapd *d, const char *args)
{
	char set[LINE_MAX], items[256];
	bool body;

	word(&args, set, sizeof set);
	snprintf(items, sizeof items, "%.*s", (int)strcspn(args + 1, ")"), args + 1);
	body = strstr(items, "BODY") != NULL;
	for (size_t i = 0; i < d->selected->n; i++) {
		struct imapd_message *m = nth(d, i);

		if (!in_set(d->selected, set, m) || (body && m->how == IMAPD_OMIT))
			continue;
		if (body && m->how == IMAPD_REFUSE)
			return "NO [SERVERBUG] cannot be read\x1b";
		if (body && strstr(items, "PEEK") == NULL)
			m->flags |= IMAPD_SEEN;
		chat(d);
		for (int k = 0; k <= d->twice; k++)
			if (!add_response(d, m, items)) {
				d->over = true;
				return NULL;
			}
	}
	return "OK done";
}

/* May these flags be changed so? A status line, or NULL. */
static const char *store_refused(struct imapd *d, const char *set, bool off, unsigned flags)
{
	if (d->examined)
		return "NO [READ-ONLY] it is";
	if (d->few_keywords && flags & KEYWORDS)
		return "NO [LIMIT] too many keywords";
	for (size_t i = 0; i < d->selected->n && d->strict && off; i++)
		if (in_set(d->selected, set, nth(d, i)) && (nth(d, i)->flags & flags) != flags)
			return "NO it does not bear that";
	return NULL;
}

static const char *do_store(struct imapd *d, const char *args)
{
	char set[LINE_MAX], how[32];
	bool off, silent;
	unsigned flags;
	const char *refused;

	word(&args, set, sizeof set);
	word(&args, how, sizeof how);
	off = how[0] == '-';
	silent = strstr(how, ".SILENT") != NULL;
	flags = flags_in(args);
	if ((refused = store_refused(d, set, off, flags)) != NULL)
		return refused;
	for (size_t i = 0; i < d->selected->n; i++) {
		struct imapd_message *m = nth(d, i);

		if (!in_set(d->selected, set, m))
			continue;
		m->flags = off ? m->flags & ~flags : m->flags | flags;
		m->modseq = ++d->selected->modseq;
		chat(d);
		if (silent && !d->condstore)
			continue;
		buf_addf(&d->out, "* %zu FETCH (UID %u", sequence_number(d, m), m->uid);
		if (!silent) {
			buf_adds(&d->out, " ");
			add_flags(&d->out, m->flags);
		}
		if (d->condstore)
			buf_addf(&d->out, " MODSEQ (%llu)", (unsigned long long)m->modseq);
		buf_adds(&d->out, ")\r\n");
	}
	if (flags & IMAPD_DELETED && !off && d->meddle && imapd_find(d->selected, d->meddle))
		imapd_find(d->selected, d->meddle)->flags |= IMAPD_DELETED;
	return "OK done";
}

/* set: NULL for every message. */
static const char *do_expunge(struct imapd *d, const char *set)
{
	struct imapd_box *b = d->selected;

	if (d->examined)
		return "NO [READ-ONLY] it is";
	if (set && d->no_uidplus)
		return "BAD no UIDPLUS here";
	for (size_t i = b->n; i-- > 0;)
		if (b->message[i].flags & IMAPD_DELETED &&
		    (set == NULL || in_set(b, set, &b->message[i])))
			take_out(b, &b->message[i], &d->out);
	return "OK done";
}

static const char *do_copy(struct imapd *d, const char *args, bool move)
{
	struct imapd_box *b = d->selected, *to;
	char set[LINE_MAX], name[256];

	word(&args, set, sizeof set);
	word(&args, name, sizeof name);
	if (move && (d->no_move || d->examined))
		return "BAD it cannot be moved";
	if ((to = find_box(d, name)) == NULL)
		return "NO [TRYCREATE] no such mailbox";
	for (size_t i = 0; i < b->n; i++)
		if (in_set(b, set, &b->message[i]))
			append(to, &b->message[i]);
	for (size_t i = b->n; i-- > 0 && move;)
		if (in_set(b, set, &b->message[i]))
			take_out(b, &b->message[i], &d->out);
	return "OK done";
}

/* Is there a message with every UID of the set, up to the highest that there was? */
static bool all_there(struct imapd_box *b, const char *set)
{
	for (uint32_t uid = 1; uid < b->uidnext + 8; uid++)
		if (set_has(set, uid, 0) && imapd_find(b, uid) == NULL)
			return false;
	return true;
}

static const char *do_uid(struct imapd *d, const char *tag, const char *args)
{
	char verb[32], set[LINE_MAX];
	const char *p;

	word(&args, verb, sizeof verb);
	if (d->selected == NULL)
		return "BAD nothing is selected";
	if (strcmp(verb, "FETCH") == 0)
		return do_fetch(d, args);
	if (strcmp(verb, "SEARCH") == 0)
		return do_search(d, tag, args);
	p = args;
	word(&p, set, sizeof set);
	if (d->jealous && !all_there(d->selected, set))
		return "NO [EXPUNGEISSUED] some are gone";
	return strcmp(verb, "STORE") == 0     ? do_store(d, args)
	       : strcmp(verb, "COPY") == 0    ? do_copy(d, args, false)
	       : strcmp(verb, "MOVE") == 0    ? do_copy(d, args, true)
	       : strcmp(verb, "EXPUNGE") == 0 ? do_expunge(d, set)
					      : "BAD unknown";
}

static const char *do_command(struct imapd *d, const char *tag, const char *verb,
			      const char *args)
{
	if (strcmp(verb, "CAPABILITY") == 0)
		return do_capability(d);
	if (strcmp(verb, "LOGIN") == 0 && !d->auth_plain)
		return strcmp(args, "\"user\" \"pass\"") == 0 ? "OK logged in"
							      : "NO [AUTHENTICATIONFAILED] no";
	if (strcmp(verb, "SELECT") == 0 || strcmp(verb, "EXAMINE") == 0)
		return do_select(d, args, verb[0] == 'E');
	if (strcmp(verb, "STATUS") == 0)
		return do_status(d, args);
	if (strcmp(verb, "LIST") == 0)
		return do_list(d, args);
	if (strcmp(verb, "MYRIGHTS") == 0)
		return do_rights(d, args);
	if (strcmp(verb, "UID") == 0)
		return do_uid(d, tag, args);
	if (strcmp(verb, "EXPUNGE") == 0 && d->selected)
		return do_expunge(d, NULL);
	if (strcmp(verb, "NOOP") == 0)
		return "OK done";
	return "BAD unknown";
}

/* ---- the connection ---- */

/* False where the client is gone. */
static bool send_out(struct imapd *d)
{
	bool sent = true;

	for (size_t at = 0; at < d->out.len && sent;) {
		size_t len = d->drip ? 1 : d->out.len - at;
		bool last = d->cut_bytes > 0 && d->cut_bytes <= len;
		ssize_t n =
		    send(d->fd, d->out.data + at, last ? d->cut_bytes : len, MSG_NOSIGNAL);

		d->cut_bytes -= d->cut_bytes > 0 && n > 0 ? (size_t)n : 0;
		sent = n > 0 && !last;
		at += sent ? (size_t)n : 0;
	}
	buf_clear(&d->out);
	return sent;
}

/* The next line of the client without its end; false where it is gone. */
static bool read_line(struct imapd *d, char *line, size_t size)
{
	char *end;

	while (d->in.len == 0 || (end = memchr(d->in.data, '\n', d->in.len)) == NULL) {
		char data[4096];
		ssize_t n = recv(d->fd, data, sizeof data, 0);

		if (n <= 0 || buf_add(&d->in, data, (size_t)n) == -1)
			return false;
	}
	snprintf(line, size, "%.*s", (int)(end - d->in.data - 1), d->in.data);
	d->in.len -= (size_t)(end + 1 - d->in.data);
	memmove(d->in.data, end + 1, d->in.len);
	return true;
}

/* AUTHENTICATE PLAIN: its second line is NUL user NUL pass as base64. */
static const char *authenticate(struct imapd *d)
{
	char line[512];

	buf_adds(&d->out, "+ \r\n");
	d->over = !send_out(d) || !read_line(d, line, sizeof line);
	if (d->over)
		return NULL;
	return strcmp(line, "AHVzZXIAcGFzcw==") == 0 ? "OK logged in"
						     : "NO [AUTHENTICATIONFAILED] no";
}

/* Log and carry out a command. False where the connection ends. */
static bool serve(struct imapd *d, const char *line)
{
	char tag[32], verb[32];
	const char *command, *status = "NO [UNAVAILABLE] not now", *p = line;
	bool cut, refused;

	word(&p, tag, sizeof tag);
	command = p;
	word(&p, verb, sizeof verb);
	if (strcmp(verb, "LOGOUT") == 0)
		return false;
	pthread_mutex_lock(&d->lock);
	if (tag[0] == 'L' && strcmp(verb, "CAPABILITY") != 0 &&
	    d->log.len + LOGGED_MAX + 3 < sizeof d->log.text)
		fake_event(&d->log, "%.*s", LOGGED_MAX, command);
	cut = (d->cut && begins(command, d->cut)) || d->cut_nth == 1;
	if (cut)
		d->cut = NULL;
	d->cut_nth -= d->cut_nth > 0;
	refused = (d->refuse && begins(command, d->refuse)) || d->refuse_nth == 1;
	d->refuse_nth -= d->refuse_nth > 0;
	d->over = cut;
	if (!cut || d->cut_late) {
		if (d->selected)
			buf_add(&d->out, d->news.data ? d->news.data : "", d->news.len);
		buf_clear(&d->news);
		chat(d);
		if (!refused)
			status = strcmp(verb, "AUTHENTICATE") == 0
				     ? authenticate(d)
				     : do_command(d, tag, verb, p);
	}
	if (cut)
		buf_clear(&d->out);
	else if (status)
		buf_addf(&d->out, "%s %s\r\n", tag, status);
	pthread_mutex_unlock(&d->lock);
	return send_out(d) && !d->over;
}

static void *run(void *arg)
{
	struct imapd *d = arg;
	char line[LINE_MAX];
	const int on = 1;
	int fd;

	while ((fd = accept(d->listener, NULL, NULL)) != -1) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		pthread_mutex_lock(&d->lock);
		d->fd = fd;
		d->selected = NULL;
		buf_clear(&d->in);
		buf_clear(&d->out);
		buf_adds(&d->out, "* OK hello\r\n");
		pthread_mutex_unlock(&d->lock);
		if (send_out(d))
			while (read_line(d, line, sizeof line) && serve(d, line))
				;
		pthread_mutex_lock(&d->lock);
		close(fd);
		d->fd = -1;
		pthread_mutex_unlock(&d->lock);
	}
	return NULL;
}

void imapd_init(struct imapd *d)
{
	memset(d, 0, sizeof *d);
	d->inbox.name = "INBOX";
	d->trash.name = "Trash";
	d->inbox.uidvalidity = 7;
	d->trash.uidvalidity = 8;
	d->inbox.uidnext = d->trash.uidnext = 1;
	d->inbox.modseq = d->trash.modseq = 100;
	d->fd = -1;
	buf_init(&d->in, 1 << 20);
	buf_init(&d->out, 64 << 20);
	buf_init(&d->news, 1 << 20);
	pthread_mutex_init(&d->lock, NULL);
}

struct conf_account imapd_account(const struct imapd *d, struct conf_mailbox *mailbox)
{
	return (struct conf_account){
	    .name = (char *)(uintptr_t) "a",
	    .url = (char *)(uintptr_t)d->url,
	    .user = (char *)(uintptr_t) "user",
	    .insecure = true,
	    .password = {SECRET_TEXT, (char *)(uintptr_t) "pass"},
	    .timeout = 60,
	    .mailboxes = mailbox,
	    .n_mailboxes = 1,
	};
}

void imapd_start(struct imapd *d)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;

	d->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(d->listener, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(d->listener, 5), 0);
	assert_int_equal(getsockname(d->listener, (struct sockaddr *)&a, &len), 0);
	snprintf(d->url, sizeof d->url, "imap://127.0.0.1:%d", ntohs(a.sin_port));
	assert_int_equal(pthread_create(&d->thread, NULL, run, d), 0);
	d->running = true;
}

void imapd_stop(struct imapd *d)
{
	if (d->running) {
		shutdown(d->listener, SHUT_RDWR);
		pthread_mutex_lock(&d->lock);
		if (d->fd != -1)
			shutdown(d->fd, SHUT_RDWR);
		pthread_mutex_unlock(&d->lock);
		assert_int_equal(pthread_join(d->thread, NULL), 0);
		close(d->listener);
	}
	d->running = false;
	buf_free(&d->in);
	buf_free(&d->out);
	buf_free(&d->news);
}

const struct fake_events *imapd_log(struct imapd *d)
{
	static struct fake_events copy;

	pthread_mutex_lock(&d->lock);
	copy = d->log;
	pthread_mutex_unlock(&d->lock);
	return &copy;
}

void imapd_log_clear(struct imapd *d)
{
	pthread_mutex_lock(&d->lock);
	fake_events_clear(&d->log);
	pthread_mutex_unlock(&d->lock);
}
