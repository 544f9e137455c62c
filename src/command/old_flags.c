#include "command/old_flags.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/log.h"
#include "base/prompt.h"
#include "base/text.h"
#include "conf/conf_edit.h"

#define DEFAULT_URL  "imaps://localhost:993"
#define DEFAULT_SPAM "Junk Mail"
#define DEFAULT_HAM  "INBOX"
#define NO_FOLDER    "NonExistent" /* what the script's guide calls a folder that is not there */

enum { PORT_STARTTLS = 143, PORT_MAX = 65535 };

/* ---- the flags ---- */

void old_flags_take(struct old_flags *f, enum old_flag flag, char *value)
{
	f->any = true;
	if (flag != OLD_PASSWORD) {
		f->value[flag] = value ? value : "";
		return;
	}
	f->value[flag] = strdup(value);
	explicit_bzero(value, strlen(value));
}

const char *old_flags_command(const struct old_flags *f)
{
	static const char *const commands[] = {
	    [OLD_TRAIN] = "learn", [OLD_STATS] = "stats", [OLD_RESET] = "reset"};
	const char *found = NULL;

	for (int i = OLD_TRAIN; i <= OLD_RESET; i++) {
		if (f->value[i] && found)
			return NULL;
		if (f->value[i])
			found = commands[i];
	}
	return found;
}

/* A variable of the environment; NULL where it is empty. */
static const char *from_env(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] ? value : NULL;
}

/* Whose mail is learned; NULL: that of every account. */
static const char *wanted_user(const struct old_flags *f)
{
	return f->value[OLD_USER] ? f->value[OLD_USER] : from_env("IMAP_USER");
}

/* The first flag that says something about one account; NULL: there is none. */
static const char *about_one(const struct old_flags *f)
{
	static const struct {
		enum old_flag flag;
		const char *name;
	} flags[] = {
	    {OLD_PASSWORD, "--imap-password"}, {OLD_SPAM_FOLDER, "--spam-folder"},
	    {OLD_HAM_FOLDER, "--ham-folder"},  {OLD_HOST, "--imap-host"},
	    {OLD_PORT, "--imap-port"},	       {OLD_CA_FILE, "--ca-file"},
	};

	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (f->value[flags[i].flag])
			return flags[i].name;
	return NULL;
}

/* ---- where the ledger is, without a configuration ---- */

/* The service's folder for root and for the service; another user's own state folder. */
static int choose_ledger(struct conf *c, struct err *e)
{
	const char *state = from_env("XDG_STATE_HOME"), *home = from_env("HOME");
	const struct passwd *user;
	struct stat st;
	char *path;
	int n;

	if (geteuid() == 0 || (stat(c->ledger, &st) == 0 && st.st_uid == geteuid()))
		return 0;
	if (home == NULL && (user = getpwuid(geteuid())) != NULL)
		home = user->pw_dir;
	if (state == NULL && home == NULL)
		return err_set(e, ERR_FATAL, ERR_CONFIG,
			       "no folder for the ledger: user id %lu has no home; set "
			       "XDG_STATE_HOME, or write a configuration",
			       (unsigned long)geteuid());
	n = state ? asprintf(&path, "%s/learnspool", state)
		  : asprintf(&path, "%s/.local/state/learnspool", home);
	if (n == -1)
		return err_no_memory(e);
	free(c->ledger);
	c->ledger = path;
	return 0;
}

/* The folders above the ledger; what is wrong with one of them is said when that is opened. */
static void make_parents(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(path, 0700);
		*slash = '/';
	}
}

/* ---- the account ---- */

/* Accounts that are all on one server say where another user's mail is. 0, or -1. */
static int set_default_server(const struct conf *c, struct conf_account *a)
{
	const struct conf_account *first = c->accounts;
	const char *url = first == a ? DEFAULT_URL : first->url;

	for (const struct conf_account *other = first; other != a; other++)
		if (url == NULL || other->url == NULL || strcmp(other->url, url) != 0)
			url = NULL;
	if (url == NULL)
		return conf_set_text(&a->url, DEFAULT_URL);
	if (first != a) {
		a->insecure = first->insecure;
		a->timeout = first->timeout;
		if (first->ca_file && conf_set_text(&a->ca_file, first->ca_file) == -1)
			return -1;
	}
	return conf_set_text(&a->url, url);
}

/* Find it by its name, or else by its log-in; n_accounts: there is none. */
static size_t find_account(const struct conf *c, const char *user)
{
	size_t i = 0;

	while (i < c->n_accounts && strcmp(c->accounts[i].name, user) != 0)
		i++;
	if (i < c->n_accounts)
		return i;
	for (i = 0; i < c->n_accounts; i++)
		if (c->accounts[i].user && strcmp(c->accounts[i].user, user) == 0)
			break;
	return i;
}

/* Only this user's account is left; it is added if it is not there. 0, or -1. */
static int keep_user(struct conf *c, const char *user, bool *added, struct err *e)
{
	size_t i = find_account(c, user);
	struct conf_account *a;

	*added = i == c->n_accounts;
	if (*added &&
	    ((a = conf_add_account(c, user)) == NULL || set_default_server(c, a) == -1 ||
	     conf_set_mailbox(a, CLASS_SPAM, DEFAULT_SPAM) == -1 ||
	     conf_set_mailbox(a, CLASS_HAM, DEFAULT_HAM) == -1))
		return err_no_memory(e);
	return conf_keep_account(c, i) == -1 ? err_no_memory(e) : 0;
}

/* The part of a URL, to be freed by curl_free; NULL: it has none. */
static char *url_part(const char *url, CURLUPart part)
{
	CURLU *u = curl_url();
	char *text = NULL;

	if (u && curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK)
		(void)curl_url_get(u, part, &text, 0);
	curl_url_cleanup(u);
	return text;
}

/* Host and port as given; what is not given stays. Port 143 begins in plaintext: STARTTLS. */
static int set_server(struct conf_account *a, const char *host, const char *port, struct err *e)
{
	char *old_host = url_part(a->url ? a->url : DEFAULT_URL, CURLUPART_HOST), *url;
	uint64_t number = 0;
	bool bare_v6;
	int n;

	if (port && (!text_number(port, strlen(port), PORT_MAX, &number) || number == 0)) {
		curl_free(old_host);
		return err_set(e, ERR_FATAL, ERR_USAGE,
			       "--imap-port needs a number from 1 to %d, not %s", PORT_MAX,
			       port);
	}
	if (host == NULL)
		host = old_host ? old_host : "localhost";
	bare_v6 = strchr(host, ':') && host[0] != '[';
	n = asprintf(&url, "%s://%s%s%s:%s", number == PORT_STARTTLS ? "imap" : "imaps",
		     bare_v6 ? "[" : "", host, bare_v6 ? "]" : "", port ? port : "993");
	curl_free(old_host);
	if (n == -1)
		return err_no_memory(e);
	free(a->url);
	a->url = url;
	return 0;
}

/* "" and the name that the guide uses: there is no such folder. */
static const char *folder_or_none(const char *name)
{
	return name[0] == '\0' || strcasecmp(name, NO_FOLDER) == 0 ? NULL : name;
}

/* Of a person's INBOX only what was read has a verdict; where all mail is ham it is a
 * collection.
 */
static void read_mail_only(struct conf_account *a)
{
	for (size_t i = 0; i < a->n_mailboxes; i++) {
		struct conf_mailbox *m = &a->mailboxes[i];

		m->seen_only = m->class == CLASS_HAM && a->n_mailboxes > 1 &&
			       strcasecmp(m->name, "INBOX") == 0;
	}
}

static int set_folders(const struct old_flags *f, struct conf_account *a, struct err *e)
{
	const char *spam = f->value[OLD_SPAM_FOLDER], *ham = f->value[OLD_HAM_FOLDER];

	if ((spam && conf_set_mailbox(a, CLASS_SPAM, folder_or_none(spam)) == -1) ||
	    (ham && conf_set_mailbox(a, CLASS_HAM, folder_or_none(ham)) == -1))
		return err_no_memory(e);
	return 0;
}

/* What the command line and the environment say of this account. */
static int change_account(const struct old_flags *f, struct conf_account *a, struct err *e)
{
	const char *password = f->value[OLD_PASSWORD];
	bool variable = from_env("IMAP_PASSWORD") != NULL && a->auth == CONF_AUTH_PASSWORD;

	if ((f->value[OLD_HOST] || f->value[OLD_PORT]) &&
	    set_server(a, f->value[OLD_HOST], f->value[OLD_PORT], e) == -1)
		return -1;
	if ((f->value[OLD_CA_FILE] &&
	     conf_set_text(&a->ca_file, f->value[OLD_CA_FILE]) == -1) ||
	    (password && conf_set_source(&a->password, SECRET_TEXT, password) == -1) ||
	    (!password && variable &&
	     conf_set_source(&a->password, SECRET_ENV, "IMAP_PASSWORD") == -1))
		return err_no_memory(e);
	return set_folders(f, a, e);
}

/* Nothing gave a password: ask for it. */
static int ask_password(struct conf_account *a, struct err *e)
{
	char question[2 * CONF_MAX_NAME + 64], shown[CONF_MAX_NAME], answer[SECRET_MAX];
	int rc;

	text_visible(shown, sizeof shown, a->user, strlen(a->user));
	snprintf(question, sizeof question, "IMAP password of %s: ", shown);
	rc = prompt_hidden(question, answer, sizeof answer, e);
	if (rc == 0)
		return err_set(e, ERR_FATAL, ERR_CONFIG,
			       "account %s: no password, and no terminal to ask for it; set "
			       "IMAP_PASSWORD in the environment, or name a password-file in "
			       "the configuration",
			       a->name);
	if (rc == 1 && answer[0] == '\0')
		rc = err_set(e, ERR_FATAL, ERR_CONFIG, "account %s: no password was typed",
			     a->name);
	if (rc == 1 && conf_set_source(&a->password, SECRET_TEXT, answer) == -1)
		rc = err_no_memory(e);
	explicit_bzero(answer, sizeof answer);
	return rc == -1 ? -1 : 0;
}

/* ---- all of it ---- */

static int change_accounts(const struct old_flags *f, struct conf *c, struct err *e)
{
	const char *user = wanted_user(f), *flag = about_one(f);
	bool added = false;

	if (user && keep_user(c, user, &added, e) == -1)
		return -1;
	if (user == NULL && c->n_accounts == 0 && c->n_spools == 0 && c->n_stalwarts == 0)
		return err_set(e, ERR_FATAL, ERR_USAGE,
			       "whose mail? give --imap-user, or write a configuration");
	if (user == NULL && flag && c->n_accounts != 1)
		return err_set(e, ERR_FATAL, ERR_USAGE,
			       "%s is about one account, and the configuration has %zu; give "
			       "--imap-user",
			       flag, c->n_accounts);
	if (c->n_accounts == 1 && change_account(f, &c->accounts[0], e) == -1)
		return -1;
	if (added)
		read_mail_only(&c->accounts[0]);
	for (size_t i = 0; i < c->n_accounts; i++)
		if (c->accounts[i].password.kind == SECRET_NONE &&
		    ask_password(&c->accounts[i], e) == -1)
			return -1;
	return conf_check(c, e);
}

static int change_rspamd(const struct old_flags *f, struct conf *c, struct err *e)
{
	const char *url = f->value[OLD_RSPAMD_URL];
	size_t len;

	if (url && conf_set_text(&c->rspamd.url, url) == -1)
		return err_no_memory(e);
	len = strlen(c->rspamd.url);
	if (len > 0 && c->rspamd.url[len - 1] == '/')
		c->rspamd.url[len - 1] = '\0';
	if (from_env("RSPAMD_PASSWORD") &&
	    conf_set_source(&c->rspamd.password, SECRET_ENV, "RSPAMD_PASSWORD") == -1)
		return err_no_memory(e);
	return conf_check_base(c, e);
}

static int change(const struct old_flags *f, struct conf *c, struct err *e)
{
	if (f->value[OLD_PASSWORD])
		log_warn(
		    "a password on the command line can be read in the process list until "
		    "learnspool has started, and stays in cron tables and shell histories; "
		    "set IMAP_PASSWORD in the environment, or name a password-file in the "
		    "configuration");
	if (f->value[OLD_USER] && f->value[OLD_USER][0] == '\0')
		return err_set(e, ERR_FATAL, ERR_USAGE, "--imap-user needs a name");
	if (change_rspamd(f, c, e) == -1)
		return -1;
	return f->connects ? change_accounts(f, c, e) : 0;
}

int old_flags_load(const struct old_flags *f, const char *path, bool required, bool creates,
		   struct conf **out, struct err *e)
{
	bool from_file = required || access(path, R_OK) == 0;
	struct conf *c = NULL;

	if (from_file) {
		if (conf_read(path, f->ready, f->ctx, &c, e) == -1)
			return -1;
	} else {
		log_info("no configuration in %s: %s", path, strerror(errno));
		c = conf_default();
		if (c == NULL)
			return err_no_memory(e);
	}
	if ((!from_file && choose_ledger(c, e) == -1) || change(f, c, e) == -1) {
		conf_free(c);
		return from_file && e->kind == ERR_CONFIG ? err_prefix(e, "%s", path) : -1;
	}
	if (!from_file && creates)
		make_parents(c->ledger);
	*out = c;
	return 0;
}
