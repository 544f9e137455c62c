#include "conf/conf_check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/text.h"

#define BAD(e, ...) err_set(e, ERR_FATAL, ERR_CONFIG, __VA_ARGS__)

static int bad_key(struct conf_fault *where, const char *key)
{
	where->key = key;
	return -1;
}

/* ---- URLs. An error never shows their text, because it may contain a password. ---- */

static bool url_has(CURLU *u, CURLUPart part)
{
	char *text = NULL;
	bool has = curl_url_get(u, part, &text, 0) == CURLUE_OK && text[0] != '\0';

	curl_free(text);
	return has;
}

static bool url_part_is(CURLU *u, CURLUPart part, const char *value)
{
	char *text = NULL;
	bool is = curl_url_get(u, part, &text, 0) == CURLUE_OK && strcmp(text, value) == 0;

	curl_free(text);
	return is;
}

static int url_parts_check(CURLU *u, const char *url, bool path_allowed, struct err *e)
{
	CURLUcode rc = curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);

	if (rc != CURLUE_OK)
		return BAD(
		    e, "the url is malformed (%s); write SCHEME://HOST or SCHEME://HOST:PORT",
		    curl_url_strerror(rc));
	if (url_has(u, CURLUPART_USER) || url_has(u, CURLUPART_PASSWORD) ||
	    url_has(u, CURLUPART_OPTIONS))
		return BAD(e, "the url holds a user or password; take it out, and use "
			      "password-file (for an account also user)");
	if (url_has(u, CURLUPART_QUERY) || url_has(u, CURLUPART_FRAGMENT))
		return BAD(e,
			   "the url has a query or fragment; remove what begins with ? or #");
	if (!path_allowed && url_has(u, CURLUPART_PATH) && !url_part_is(u, CURLUPART_PATH, "/"))
		return BAD(e,
			   "the url has a path; end it with the host or port, and name folders "
			   "as mailbox blocks");
	if (url_part_is(u, CURLUPART_PORT, "0"))
		return BAD(e, "the url has port 0; give the server's port, or leave it out for "
			      "the usual one");
	return 0;
}

/* scheme: "imap" or "http"; with an s appended it is the TLS form. */
static int url_check(const char *url, const char *scheme, bool path_allowed, struct err *e)
{
	size_t len = strlen(scheme);
	const char *rest = url + len;
	CURLU *u;
	int rc;

	if (strncasecmp(url, scheme, len) != 0 ||
	    (strncmp(rest, "://", 3) != 0 && strncasecmp(rest, "s://", 4) != 0))
		return BAD(e, "the url has another scheme; begin it with %ss:// or %s://",
			   scheme, scheme);
	u = curl_url();
	if (u == NULL)
		return err_no_memory(e);
	rc = url_parts_check(u, url, path_allowed, e);
	curl_url_cleanup(u);
	return rc;
}

static bool host_is_loopback(char *host)
{
	size_t len = strlen(host);
	struct in_addr v4;
	struct in6_addr v6;

	if (strcasecmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (len < 2 || host[0] != '[')
		return false;
	host[len - 1] = '\0';
	return inet_pton(AF_INET6, host + 1, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static bool url_is_loopback(const char *url)
{
	CURLU *u = curl_url();
	char *host = NULL;
	bool is = false;

	if (u != NULL && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK)
		is = host_is_loopback(host);
	curl_free(host);
	curl_url_cleanup(u);
	return is;
}

/* ---- names and files ---- */

static int name_check(const char *kind, const char *name, struct err *e)
{
	char shown[CONF_MAX_NAME * 4 + 8];
	size_t len = strlen(name);

	if (len == 0)
		return BAD(e, "the %s has an empty name; name it", kind);
	if (len > CONF_MAX_NAME)
		return BAD(e, "the name of the %s has %zu bytes; at most %d are allowed", kind,
			   len, CONF_MAX_NAME);
	if (text_visible(shown, sizeof shown, name, len) != len ||
	    memcmp(shown, name, len) != 0)
		return BAD(e,
			   "the name of the %s has a control character or is not UTF-8: %s; "
			   "retype it",
			   kind, shown);
	return 0;
}

static int ca_file_check(const char *path, struct err *e)
{
	struct stat st;
	int fd, rc;

	if (path == NULL)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1)
		return BAD(e, "cannot read ca-file %s: %s; name a PEM file of certificates",
			   path, strerror(errno));
	rc = fstat(fd, &st);
	close(fd);
	if (rc == -1 || !S_ISREG(st.st_mode))
		return BAD(e,
			   "ca-file %s is not a regular file; name a PEM file of certificates",
			   path);
	return 0;
}

/* ---- mailboxes ---- */

static bool special_use_known(const char *name)
{
	static const char *const known[] = {"\\All",  "\\Archive", "\\Drafts", "\\Flagged",
					    "\\Junk", "\\Sent",	   "\\Trash",  "\\Important"};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcasecmp(name, known[i]) == 0)
			return true;
	return false;
}

/* INBOX and special uses ignore case (RFC 3501, 5.1; RFC 6154); other names do not. */
static bool mailbox_same(const char *a, const char *b)
{
	if (strcasecmp(a, "INBOX") == 0 || a[0] == '\\')
		return strcasecmp(a, b) == 0;
	return strcmp(a, b) == 0;
}

static int mailbox_name_check(const struct conf_account *a, size_t i, struct err *e)
{
	const char *name = a->mailboxes[i].name;

	if (name_check("mailbox", name, e) == -1)
		return -1;
	if (name[0] == '\\' && !special_use_known(name))
		return BAD(e,
			   "%s is not a special use; write \"\\\\Junk\", \"\\\\Archive\", "
			   "\"\\\\Trash\", or a mailbox's own name",
			   name);
	for (size_t j = 0; j < i; j++)
		if (mailbox_same(name, a->mailboxes[j].name))
			return BAD(e, "mailbox \"%s\" is given twice; keep one", name);
	return 0;
}

static bool account_is_mixed(const struct conf_account *a)
{
	bool spam = false, ham = false;

	for (size_t i = 0; i < a->n_mailboxes; i++) {
		spam = spam || a->mailboxes[i].class == CLASS_SPAM;
		ham = ham || a->mailboxes[i].class == CLASS_HAM;
	}
	return spam && ham;
}

/*
 * An account with both classes, or one in which only read mail counts, is probably a person's
 * own. Its mail is not deleted unless the configuration sets keep for each mailbox.
 */
static int keep_check(const struct conf_account *a, const struct conf_mailbox *m, struct err *e)
{
	if (m->keep != CONF_KEEP_UNSAID)
		return 0;
	if (m->seen_only)
		return BAD(
		    e,
		    "mailbox \"%s\" is seen-only and retention would delete from it; set "
		    "keep = true for a user's own mailbox, keep = false for a collection "
		    "mailbox",
		    m->name);
	if (account_is_mixed(a))
		return BAD(
		    e,
		    "mailbox \"%s\": the account has spam and ham, and retention would "
		    "delete from it; set keep = true for the mailboxes that are a user's "
		    "own, keep = false for collection mailboxes",
		    m->name);
	return 0;
}

bool conf_retention_active(const struct conf_retention *r)
{
	return r->learned != CONF_NEVER || r->known != CONF_NEVER || r->skipped != CONF_NEVER ||
	       r->untrusted != CONF_NEVER || r->failed != CONF_NEVER;
}

static int mailboxes_check(const struct conf *c, const struct conf_account *a,
			   struct conf_fault *where, struct err *e)
{
	if (a->n_mailboxes == 0)
		return BAD(e,
			   "no mailbox; add, for instance, mailbox \"INBOX\" { class = spam }");
	if (a->n_mailboxes > CONF_MAX_MAILBOXES)
		return BAD(e, "more than %d mailboxes; split the account", CONF_MAX_MAILBOXES);
	where->block = CONF_BLOCK_MAILBOX;
	for (size_t i = 0; i < a->n_mailboxes; i++) {
		const struct conf_mailbox *m = &a->mailboxes[i];

		where->mailbox = i;
		if (mailbox_name_check(a, i, e) == -1)
			return -1;
		if (m->class == CLASS_NONE)
			return BAD(
			    e, "mailbox \"%s\" has no class; add class = spam or class = ham",
			    m->name);
		if (m->decided == CONF_KEEP_YES && m->keep != CONF_KEEP_YES)
			return BAD(e,
				   "mailbox \"%s\" has decided = true, which is for users' own "
				   "mail; add keep = true",
				   m->name);
		if (conf_retention_active(&c->retention) && keep_check(a, m, e) == -1)
			return -1;
	}
	return 0;
}

/* ---- blocks ---- */

int conf_check_account(const struct conf *c, const struct conf_account *a,
		       struct conf_fault *where, struct err *e)
{
	if (name_check("account", a->name, e) == -1)
		return -1;
	if (strcmp(a->name, CONF_FILES) == 0)
		return BAD(e,
			   "an account cannot be called \"%s\": that is what learn --class "
			   "calls files; choose another name",
			   CONF_FILES);
	if (a->url == NULL)
		return BAD(e, "no url; add, for instance, url = \"imaps://mail.example.org\"");
	if (url_check(a->url, "imap", false, e) == -1)
		return bad_key(where, "url");
	if (name_check("user", a->user, e) == -1)
		return bad_key(where, "user");
	if (ca_file_check(a->ca_file, e) == -1)
		return bad_key(where, "ca-file");
	if (a->password.kind == SECRET_NONE)
		return BAD(
		    e, "no password; add password-file = \"/path\", or set IMAP_PASSWORD in "
		       "the environment");
	if (secret_check(&a->password, "password", e) == -1)
		return bad_key(where, "password");
	return mailboxes_check(c, a, where, e);
}

static int accounts_check(const struct conf *c, struct conf_fault *where, struct err *e)
{
	if (c->n_accounts > CONF_MAX_ACCOUNTS)
		return BAD(e, "more than %d accounts; split the configuration",
			   CONF_MAX_ACCOUNTS);
	for (size_t i = 0; i < c->n_accounts; i++) {
		*where = (struct conf_fault){.block = CONF_BLOCK_ACCOUNT, .index = i};
		if (conf_check_account(c, &c->accounts[i], where, e) == -1)
			return err_prefix(e, "account %s", c->accounts[i].name);
	}
	return 0;
}

static int rspamd_check(const struct conf_rspamd *r, struct conf_fault *where, struct err *e)
{
	*where = (struct conf_fault){.block = CONF_BLOCK_RSPAMD};
	if (url_check(r->url, "http", true, e) == -1)
		return bad_key(where, "url");
	if (ca_file_check(r->ca_file, e) == -1)
		return bad_key(where, "ca-file");
	if (secret_check(&r->password, "password", e) == -1)
		return bad_key(where, "password");
	if (strncasecmp(r->url, "https:", 6) != 0 && r->password.kind != SECRET_NONE &&
	    !r->insecure && !url_is_loopback(r->url)) {
		BAD(e,
		    "the password would cross the network in the clear; use https://, or set "
		    "insecure = true if the network is private");
		return bad_key(where, "url");
	}
	return 0;
}

static int spools_check(const struct conf *c, struct conf_fault *where, struct err *e)
{
	for (size_t i = 0; i < c->n_spools; i++) {
		const char *path = c->spools[i].path;

		*where = (struct conf_fault){.block = CONF_BLOCK_SPOOL, .index = i};
		if (name_check("spool", path, e) == -1)
			return -1;
		if (path[0] != '/')
			return BAD(e, "spool \"%s\" is a relative path; begin it with /", path);
		for (size_t j = 0; j < i; j++)
			if (strcmp(path, c->spools[j].path) == 0)
				return BAD(e, "spool \"%s\" is given twice; keep one", path);
	}
	return 0;
}

static int stalwart_login_check(const struct conf_stalwart *s, struct conf_fault *where,
				struct err *e)
{
	bool key = s->key.kind != SECRET_NONE;

	if (key && (s->user || s->password.kind != SECRET_NONE))
		return BAD(e, "both a key and a user or password; keep the key");
	if (!key && (s->user == NULL || s->password.kind == SECRET_NONE))
		return BAD(e, "no key; add key-file = \"/path\" (or user and password-file)");
	if (secret_check(key ? &s->key : &s->password, key ? "key" : "password", e) == -1)
		return bad_key(where, "password");
	if (strncasecmp(s->url, "https:", 6) != 0 && !s->insecure && !url_is_loopback(s->url)) {
		BAD(e,
		    "key and mail would cross the network in the clear; use https://, or set "
		    "insecure = true if the network is private");
		return bad_key(where, "url");
	}
	return 0;
}

/* It is an account to the ledger and on the command line. */
static int stalwart_name_check(const struct conf *c, const char *name, struct err *e)
{
	if (name_check("stalwart", name, e) == -1)
		return -1;
	if (strcmp(name, CONF_FILES) == 0 || name[0] == '/')
		return BAD(e, "a stalwart block cannot be called \"%s\"; choose another name",
			   name);
	for (size_t i = 0; i < c->n_accounts; i++)
		if (strcmp(name, c->accounts[i].name) == 0)
			return BAD(e,
				   "an account and a stalwart block are both called \"%s\"; "
				   "choose another name",
				   name);
	return 0;
}

static int stalwart_check(const struct conf *c, const struct conf_stalwart *s,
			  struct conf_fault *where, struct err *e)
{
	if (stalwart_name_check(c, s->name, e) == -1)
		return -1;
	if (s->url == NULL)
		return BAD(e, "no url; add, for instance, url = \"https://mail.example.org\"");
	if (url_check(s->url, "http", true, e) == -1)
		return bad_key(where, "url");
	if (ca_file_check(s->ca_file, e) == -1)
		return bad_key(where, "ca-file");
	return stalwart_login_check(s, where, e);
}

static int stalwarts_check(const struct conf *c, struct conf_fault *where, struct err *e)
{
	for (size_t i = 0; i < c->n_stalwarts; i++) {
		*where = (struct conf_fault){.block = CONF_BLOCK_STALWART, .index = i};
		if (stalwart_check(c, &c->stalwarts[i], where, e) == -1)
			return err_prefix(e, "stalwart %s", c->stalwarts[i].name);
	}
	return 0;
}

static int64_t longest_age(const struct conf_retention *r)
{
	const int64_t ages[] = {r->learned, r->known, r->skipped, r->untrusted, r->failed};
	int64_t longest = CONF_NEVER;

	for (size_t i = 0; i < sizeof ages / sizeof *ages; i++)
		if (ages[i] > longest)
			longest = ages[i];
	return longest;
}

/* Mail must not be moved to a mailbox that is learned from. */
static int retention_check(const struct conf *c, struct conf_fault *where, struct err *e)
{
	const char *to = c->retention.move_to;

	*where = (struct conf_fault){.block = CONF_BLOCK_RETENTION, .key = "forget"};
	if (c->retention.forget != CONF_NEVER &&
	    longest_age(&c->retention) >= c->retention.forget)
		return BAD(e, "forget is not longer than the other ages; of what the ledger "
			      "has forgotten another copy is learned again, so make it longer, "
			      "or never");
	*where = (struct conf_fault){.block = CONF_BLOCK_RETENTION, .key = "action"};
	if (c->retention.action != CONF_MOVE)
		return 0;
	if (name_check("mailbox to move to", to, e) == -1)
		return -1;
	if (to[0] == '\\')
		return BAD(e,
			   "mail moves to a mailbox, not to a special use; name the mailbox");
	for (size_t i = 0; i < c->n_accounts; i++)
		for (size_t j = 0; j < c->accounts[i].n_mailboxes; j++)
			if (mailbox_same(to, c->accounts[i].mailboxes[j].name))
				return BAD(e,
					   "mail would move to \"%s\", from which account %s "
					   "learns; name another mailbox",
					   to, c->accounts[i].name);
	return 0;
}

static int reports_check(const struct conf *c, struct conf_fault *where, struct err *e)
{
	*where = (struct conf_fault){.block = CONF_BLOCK_REPORTS};
	if (secret_check(&c->reports.token, "token", e) == -1)
		return bad_key(where, "password");
	if (c->reports.quorum > 1 && c->rspamd.deliver_to_reporter) {
		BAD(e,
		    "quorum = %d and deliver-to = reporter: a user's own classifier needs no "
		    "agreement; remove one of the two",
		    c->reports.quorum);
		return bad_key(where, "quorum");
	}
	return 0;
}

static int ledger_check(const struct conf *c, struct conf_fault *where, struct err *e)
{
	*where = (struct conf_fault){.block = CONF_BLOCK_FILE};
	if (c->ledger[0] == '/')
		return 0;
	BAD(e, "ledger = %s is a relative path; begin it with /", c->ledger);
	return bad_key(where, "ledger");
}

static int file_check(const struct conf *c, struct conf_fault *where, struct err *e)
{
	if (ledger_check(c, where, e) == -1)
		return -1;
	if (c->n_accounts == 0 && c->n_spools == 0 && c->n_stalwarts == 0)
		return BAD(e, "nothing to learn from; add an account, impersonate, spool or "
			      "stalwart block");
	return 0;
}

int conf_check_where(const struct conf *c, struct conf_fault *where, struct err *e)
{
	if (file_check(c, where, e) == -1)
		return -1;
	if (rspamd_check(&c->rspamd, where, e) == -1)
		return err_prefix(e, "rspamd");
	if (accounts_check(c, where, e) == -1 || spools_check(c, where, e) == -1 ||
	    stalwarts_check(c, where, e) == -1)
		return -1;
	if (reports_check(c, where, e) == -1)
		return err_prefix(e, "reports");
	return retention_check(c, where, e);
}

int conf_check(const struct conf *c, struct err *e)
{
	struct conf_fault where;

	/* libconfuse refuses two sections with one title; here nobody has checked that. */
	for (size_t i = 0; i < c->n_accounts; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(c->accounts[i].name, c->accounts[j].name) == 0)
				return BAD(e, "account %s is given twice; keep one",
					   c->accounts[i].name);
	return conf_check_where(c, &where, e);
}

int conf_check_base(const struct conf *c, struct err *e)
{
	struct conf_fault where;

	if (ledger_check(c, &where, e) == -1)
		return -1;
	return rspamd_check(&c->rspamd, &where, e) == -1 ? err_prefix(e, "rspamd") : 0;
}
