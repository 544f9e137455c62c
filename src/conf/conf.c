#include "conf/conf.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <confuse.h>

#include "conf/conf_account.h"
#include "conf/conf_check.h"
#include "conf/conf_file.h"
#include "conf/conf_key.h"
#include "conf/conf_scan.h"
#include "conf/conf_users.h"

#define BAD(e, ...)  err_set(e, ERR_FATAL, ERR_CONFIG, __VA_ARGS__)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
	SECOND = 1,
	HOUR = 3600,
	DAY = 86400,
	AGE_MAX = 3650 * DAY,
	MAX_KEYS = 24, /* of one block, including its subblocks and the end of the table */
};

/* ---- the keys, block by block; learnspool.conf(5) explains them ---- */

/* clang-format off */
#define KEY(type, name, set, field)             {name, set, offsetof(type, field), 0, 0, false}
#define RANGE(type, name, set, field, min, max) {name, set, offsetof(type, field), min, max, false}
#define LIST(type, name, add, field)            {name, add, 0, 0, 0, true} /* gets the struct */
#define SECRET(type, name, field, kind) RANGE(type, name, conf_set_secret, field, kind, 0)
#define SECRETS_OF(type, prefix, field) \
	SECRET(type, prefix "-file", field, SECRET_FILE), \
	SECRET(type, prefix "-env", field, SECRET_ENV), \
	SECRET(type, prefix "-command", field, SECRET_COMMAND), \
	SECRET(type, prefix "-credential", field, SECRET_CREDENTIAL)
#define SECRETS(type, prefix) SECRETS_OF(type, prefix, password)
#define TOKENS(type, field) SECRETS_OF(type, "token", field)
#define END                                     {NULL, NULL, 0, 0, 0, false}
/* clang-format on */

static const struct conf_key file_keys[] = {
    KEY(struct conf, "ledger", conf_set_path, ledger),
    RANGE(struct conf, "max-size", conf_set_size, max_size, 1 << 10, CONF_MAX_MESSAGE),
    KEY(struct conf, "balance", conf_set_balance, balance),
    KEY(struct conf, "encrypted", conf_set_encrypted, skip_encrypted),
    END,
};

static const struct conf_key rspamd_keys[] = {
    KEY(struct conf_rspamd, "url", conf_set_url, url),
    KEY(struct conf_rspamd, "insecure", conf_set_flag, insecure),
    SECRETS(struct conf_rspamd, "password"),
    KEY(struct conf_rspamd, "ca-file", conf_set_path, ca_file),
    RANGE(struct conf_rspamd, "connections", conf_set_int, connections, 1, 64),
    RANGE(struct conf_rspamd, "timeout", conf_set_seconds, timeout, SECOND, HOUR),
    RANGE(struct conf_rspamd, "tries", conf_set_int, tries, 1, 20),
    KEY(struct conf_rspamd, "bulk", conf_set_flag, bulk),
    KEY(struct conf_rspamd, "classifier", conf_set_string, classifier),
    KEY(struct conf_rspamd, "deliver-to", conf_set_string, deliver_to),
    END,
};

/* Of account and impersonate blocks. */
static const struct conf_key login_keys[] = {
    KEY(struct conf_account, "url", conf_set_url, url),
    KEY(struct conf_account, "user", conf_set_string, user),
    KEY(struct conf_account, "insecure", conf_set_flag, insecure),
    KEY(struct conf_account, "ca-file", conf_set_path, ca_file),
    KEY(struct conf_account, "auth", conf_set_auth, auth),
    SECRETS(struct conf_account, "password"),
    SECRETS(struct conf_account, "token"),
    RANGE(struct conf_account, "timeout", conf_set_seconds, timeout, SECOND, HOUR),
    KEY(struct conf_account, "mark", conf_set_keep, mark),
    END,
};

static const struct conf_key account_keys[] = {
    KEY(struct conf_account, "reporter", conf_set_string, reporter),
    KEY(struct conf_account, "unwrap", conf_set_keep, unwrap),
    KEY(struct conf_account, "keep", conf_set_keep, keep),
    KEY(struct conf_account, "trusted", conf_set_keep, trusted),
    KEY(struct conf_account, "decided", conf_set_keep, decided),
    END,
};

static const struct conf_key users_keys[] = {
    KEY(struct conf_users, "users-file", conf_set_path, file),
    KEY(struct conf_users, "users-command", conf_set_string, command),
    END,
};

/* Of the mailboxes of both. */
static const struct conf_key mailbox_keys[] = {
    KEY(struct conf_mailbox, "class", conf_set_class, class),
    KEY(struct conf_mailbox, "seen-only", conf_set_flag, seen_only),
    KEY(struct conf_mailbox, "mark", conf_set_keep, mark),
    RANGE(struct conf_mailbox, "hold", conf_set_delay, hold, 0, AGE_MAX),
    END,
};

static const struct conf_key account_mailbox_keys[] = {
    KEY(struct conf_mailbox, "keep", conf_set_keep, keep),
    KEY(struct conf_mailbox, "trusted", conf_set_keep, trusted),
    KEY(struct conf_mailbox, "decided", conf_set_keep, decided),
    END,
};

static const struct conf_key reports_keys[] = {
    TOKENS(struct conf_reports, token),
    KEY(struct conf_reports, "senders", conf_set_string, senders),
    KEY(struct conf_reports, "received", conf_set_string, received),
    RANGE(struct conf_reports, "quorum", conf_set_int, quorum, 1, CONF_MAX_QUORUM),
    RANGE(struct conf_reports, "quorum-within", conf_set_age, quorum_within, SECOND, AGE_MAX),
    RANGE(struct conf_reports, "hold", conf_set_delay, hold, 0, AGE_MAX),
    KEY(struct conf_reports, "recipient-delimiter", conf_set_delimiter, delimiter),
    END,
};

static const struct conf_key retention_keys[] = {
    RANGE(struct conf_retention, "learned", conf_set_age, learned, 0, AGE_MAX),
    RANGE(struct conf_retention, "known", conf_set_age, known, 0, AGE_MAX),
    RANGE(struct conf_retention, "skipped", conf_set_age, skipped, 0, AGE_MAX),
    RANGE(struct conf_retention, "untrusted", conf_set_age, untrusted, 0, AGE_MAX),
    RANGE(struct conf_retention, "failed", conf_set_age, failed, 0, AGE_MAX),
    RANGE(struct conf_retention, "forget", conf_set_age, forget, SECOND, AGE_MAX),
    {"action", conf_set_action, 0, 0, 0, false}, /* sets two fields: it gets the whole struct */
    RANGE(struct conf_retention, "max-per-run", conf_set_int, max_per_run, 1, 10000000),
    KEY(struct conf_retention, "without-uidplus", conf_set_flag, without_uidplus),
    END,
};

static const struct conf_key watch_keys[] = {
    RANGE(struct conf_watch, "poll", conf_set_seconds, poll, SECOND, DAY),
    RANGE(struct conf_watch, "rescan", conf_set_seconds, rescan, SECOND, DAY),
    KEY(struct conf_watch, "expire-at", conf_set_daily, expire_at),
    END,
};

static const struct conf_key spool_keys[] = {
    KEY(struct conf_spool, "trust", conf_set_string, trust),
    KEY(struct conf_spool, "unwrap", conf_set_keep, unwrap),
    END,
};

static const struct conf_key stalwart_keys[] = {
    KEY(struct conf_stalwart, "url", conf_set_url, url),
    KEY(struct conf_stalwart, "insecure", conf_set_flag, insecure),
    KEY(struct conf_stalwart, "ca-file", conf_set_path, ca_file),
    SECRETS_OF(struct conf_stalwart, "key", key),
    KEY(struct conf_stalwart, "user", conf_set_string, user),
    SECRETS(struct conf_stalwart, "password"),
    RANGE(struct conf_stalwart, "timeout", conf_set_seconds, timeout, SECOND, HOUR),
    LIST(struct conf_stalwart, "except", conf_add_except, except),
    KEY(struct conf_stalwart, "accounts-only", conf_set_flag, accounts_only),
    KEY(struct conf_stalwart, "after", conf_set_after, destroy),
    RANGE(struct conf_stalwart, "poll", conf_set_seconds, poll, SECOND, HOUR),
    END,
};

/* ---- defaults ---- */

struct conf *conf_default(void)
{
	struct conf *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->rspamd.connections = 16;
	c->rspamd.timeout = 30;
	c->rspamd.tries = 4;
	c->rspamd.url = strdup("http://localhost:11334");
	c->ledger = strdup("/var/lib/learnspool");
	c->reports.delimiter = strdup("+");
	c->max_size = 10 << 20;
	c->reports.quorum = 1;
	c->reports.quorum_within = 30 * DAY;
	c->retention = (struct conf_retention){
	    .learned = CONF_NEVER,
	    .known = CONF_NEVER,
	    .skipped = CONF_NEVER,
	    .untrusted = CONF_NEVER,
	    .failed = CONF_NEVER,
	    .forget = 400 * DAY,
	    .action = CONF_DELETE,
	    .max_per_run = 5000,
	};
	c->watch = (struct conf_watch){.poll = 60, .rescan = HOUR, .expire_at = 3 * 60 + 30};
	if (c->rspamd.url == NULL || c->ledger == NULL || c->reports.delimiter == NULL) {
		conf_free(c);
		return NULL;
	}
	return c;
}

static void stalwart_free(struct conf_stalwart *s)
{
	for (size_t i = 0; i < s->n_except; i++)
		free(s->except[i]);
	free(s->except);
	free(s->name);
	free(s->url);
	free(s->user);
	free(s->ca_file);
	secret_forget(&s->key);
	secret_forget(&s->password);
}

void conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->n_accounts; i++)
		conf_account_free(&c->accounts[i]);
	for (size_t i = 0; i < c->n_spools; i++) {
		free(c->spools[i].path);
		free(c->spools[i].trust);
	}
	for (size_t i = 0; i < c->n_stalwarts; i++)
		stalwart_free(&c->stalwarts[i]);
	free(c->accounts);
	free(c->spools);
	free(c->stalwarts);
	free(c->rspamd.url);
	secret_forget(&c->rspamd.password);
	free(c->rspamd.ca_file);
	free(c->rspamd.classifier);
	free(c->rspamd.deliver_to);
	free(c->reports.token.where);
	free(c->reports.senders);
	free(c->reports.delimiter);
	free(c->reports.received);
	free(c->retention.move_to);
	free(c->ledger);
	free(c);
}

/* ---- libconfuse ---- */

struct load {
	const char *path;
	conf_ready_fn *ready; /* NULL: nobody wants to know */
	void *ctx;
	cfg_t *root;
	struct conf *conf;
	int last_line;
	bool failed; /* *e is set */
	struct err *e;
};

/* libconfuse passes no argument of ours to its callbacks, and reads one file at a time. */
static struct load *loading;

/* Put the position before *e. A line past the end means that something is missing there. */
static int load_failed(struct load *l, long line)
{
	l->failed = true;
	return err_prefix(l->e, "%s:%ld", l->path, line < l->last_line ? line : l->last_line);
}

/* The cure for libconfuse's own errors, by how its message begins. */
static const char *parse_cure(const char *message)
{
	static const struct {
		const char *begin, *cure;
	} cures[] = {
	    {"no such option 'password'",
	     "a password is never written here: put it into a file of its own, and "
	     "give password-file = \"/path\""},
	    {"no such option", "check the spelling and the block that it belongs to"},
	    {"found duplicate title", "keep one"},
	    {"missing title", "name it, as in account \"spam@example.org\" { ... }"},
	    {"missing opening brace", "put { after the name"},
	    {"missing equal sign", "write KEY = VALUE"},
	    {"unexpected token", "write KEY = VALUE, and put values with blanks or , ( ) = in "
				 "quotes"},
	    {"premature end of file", "add what is missing at the end"},
	};

	for (size_t i = 0; i < COUNT(cures); i++)
		if (strncmp(message, cures[i].begin, strlen(cures[i].begin)) == 0)
			return cures[i].cure;
	return "see learnspool.conf(5)";
}

__attribute__((format(printf, 2, 0))) static void on_parse_error(cfg_t *cfg, const char *fmt,
								 va_list ap)
{
	char message[512];

	if (loading->failed)
		return;
	vsnprintf(message, sizeof message, fmt, ap);
	BAD(loading->e, "%s; %s", message, parse_cure(message));
	load_failed(loading, cfg->line);
}

/*
 * Called after each value and block; for a list after each of its values, and at its end.
 * libconfuse lets the last of two blocks win that have no title, and accepts "a|b" outside
 * block a as its key b; both are refused here. The line of a value is stored in an unused
 * field: the number of the option's default.
 */
static int on_option(cfg_t *cfg, cfg_opt_t *opt)
{
	struct load *l = loading;
	unsigned i = 0;

	while (i < cfg_num(cfg) && &cfg->opts[i] != opt)
		i++;
	if (i == cfg_num(cfg))
		BAD(l->e, "a path with | to a key of another block; write %s inside its block",
		    opt->name);
	else if (opt->def.number != 0 && (opt->flags & (CFGF_MULTI | CFGF_LIST)) == 0)
		BAD(l->e, "%s is given twice, first on line %ld; keep one", opt->name,
		    opt->def.number);
	else {
		opt->def.number = cfg->line;
		return 0;
	}
	return load_failed(l, cfg->line);
}

/* Add the keys of a block to opts. Returns where the next option goes. */
static cfg_opt_t *add_keys(cfg_opt_t *opts, const struct conf_key *keys)
{
	for (; keys->name != NULL; keys++) {
		*opts = (cfg_opt_t)CFG_STR(keys->name, NULL, CFGF_NODEFAULT);
		if (keys->list)
			opts->flags |= CFGF_LIST;
		opts++->validcb = on_option;
	}
	*opts = (cfg_opt_t)CFG_END();
	return opts;
}

static cfg_opt_t *add_block(cfg_opt_t *opts, const char *name, cfg_opt_t *keys,
			    cfg_flag_t flags)
{
	*opts = (cfg_opt_t)CFG_SEC(name, keys, flags | CFGF_NODEFAULT);
	opts++->validcb = on_option;
	*opts = (cfg_opt_t)CFG_END();
	return opts;
}

static cfg_t *new_root(void)
{
	const cfg_flag_t titled = CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES;
	cfg_opt_t mailbox[MAX_KEYS], account[MAX_KEYS], rspamd[MAX_KEYS], retention[MAX_KEYS];
	cfg_opt_t user_mailbox[MAX_KEYS], users[MAX_KEYS], reports[MAX_KEYS], watch[MAX_KEYS];
	cfg_opt_t spool[MAX_KEYS], stalwart[MAX_KEYS], file[MAX_KEYS], *end;

	add_keys(add_keys(mailbox, mailbox_keys), account_mailbox_keys);
	end = add_keys(add_keys(account, login_keys), account_keys);
	add_block(end, "mailbox", mailbox, titled);
	add_keys(user_mailbox, mailbox_keys);
	end = add_keys(add_keys(users, login_keys), users_keys);
	add_block(end, "mailbox", user_mailbox, titled);
	add_keys(rspamd, rspamd_keys);
	add_keys(retention, retention_keys);
	add_keys(reports, reports_keys);
	add_keys(watch, watch_keys);
	add_keys(spool, spool_keys);
	add_keys(stalwart, stalwart_keys);
	end = add_keys(file, file_keys);
	end = add_block(end, "rspamd", rspamd, CFGF_NONE);
	end = add_block(end, "account", account, titled);
	end = add_block(end, "impersonate", users, titled);
	end = add_block(end, "spool", spool, titled);
	end = add_block(end, "stalwart", stalwart, titled);
	end = add_block(end, "reports", reports, CFGF_NONE);
	end = add_block(end, "watch", watch, CFGF_NONE);
	add_block(end, "retention", retention, CFGF_NONE);
	return cfg_init(file, CFGF_NONE);
}

static int parse(struct load *l, char *text, size_t len)
{
	int rc;

	l->last_line = INT_MAX;
	if (conf_scan(text, len, &l->last_line, l->e) == -1)
		return load_failed(l, l->last_line);
	l->root = new_root();
	if (l->root == NULL)
		return err_no_memory(l->e);
	cfg_set_error_function(l->root, on_parse_error);
	loading = l;
	errno = 0;
	rc = cfg_parse_buf(l->root, text);
	loading = NULL;
	if (rc == CFG_SUCCESS || l->failed)
		return rc == CFG_SUCCESS ? 0 : -1;
	if (errno == ENOMEM)
		return err_no_memory(l->e);
	/* For this one mistake libconfuse has no message; it knows the line of the block. */
	BAD(l->e, "\"\" instead of a key; write KEY = VALUE");
	return load_failed(l, l->root->line);
}

/* ---- from libconfuse's tree to struct conf ---- */

static bool key_is(const char *name, const char *key)
{
	if (strcmp(key, "password") != 0)
		return strcmp(name, key) == 0;
	return strncmp(name, "password-", 9) == 0 || strncmp(name, "token-", 6) == 0 ||
	       strncmp(name, "key-", 4) == 0;
}

/* The line of a key, or where the block ends. "password" is the secret that is set. */
static long key_line(cfg_t *block, const char *key)
{
	for (unsigned i = 0; key != NULL && i < cfg_num(block); i++) {
		const cfg_opt_t *opt = &block->opts[i];

		if (opt->def.number != 0 && opt->type != CFGT_SEC && key_is(opt->name, key))
			return opt->def.number;
	}
	return block->line;
}

static int take_keys(struct load *l, cfg_t *block, const struct conf_key *keys, void *to)
{
	for (; keys->name != NULL; keys++) {
		cfg_opt_t *opt = cfg_getopt(block, keys->name);

		/* A list is set value by value. */
		for (unsigned i = 0; i < cfg_opt_size(opt); i++)
			if (keys->set(keys, cfg_opt_getnstr(opt, i), (char *)to + keys->offset,
				      l->e) == -1)
				return load_failed(l, opt->def.number);
	}
	return 0;
}

/* An array for n blocks, never of size 0; NULL only if there is no memory. */
static void *new_array(size_t n, size_t size)
{
	return calloc(n > 0 ? n : 1, size);
}

static void inherit(enum conf_keep *own, enum conf_keep all)
{
	if (*own == CONF_KEEP_UNSAID)
		*own = all;
}

/* more: the keys that only these mailboxes have; NULL: none. */
static int take_mailboxes(struct load *l, cfg_t *block, const struct conf_key *more,
			  struct conf_account *a)
{
	unsigned n = cfg_size(block, "mailbox");

	a->mailboxes = new_array(n, sizeof *a->mailboxes);
	if (a->mailboxes == NULL)
		return err_no_memory(l->e);
	for (unsigned i = 0; i < n; i++) {
		cfg_t *sub = cfg_getnsec(block, "mailbox", i);
		struct conf_mailbox *m = &a->mailboxes[a->n_mailboxes++];

		m->name = strdup(cfg_title(sub));
		if (m->name == NULL)
			return err_no_memory(l->e);
		m->special_use = m->name[0] == '\\';
		m->hold = l->conf->reports.hold;
		if (take_keys(l, sub, mailbox_keys, m) == -1 ||
		    (more && take_keys(l, sub, more, m) == -1))
			return -1;
		inherit(&m->keep, a->keep);
		inherit(&m->trusted, a->trusted);
		inherit(&m->mark, a->mark);
		inherit(&m->decided, a->decided);
		m->expire = m->keep != CONF_KEEP_YES;
		/* A user's own mailbox is not a collection: its messages need no proof. */
		m->proof = m->trusted == CONF_KEEP_NO ||
			   (m->trusted == CONF_KEEP_UNSAID && m->keep != CONF_KEEP_YES);
	}
	return 0;
}

/* token-* needs an OAuth auth. password-* may hold a token, too, so that is not checked. */
static int check_token(struct load *l, cfg_t *block, const struct conf_account *a)
{
	for (const struct conf_key *k = login_keys; k->name != NULL; k++) {
		if (strncmp(k->name, "token-", 6) != 0 || cfg_size(block, k->name) == 0 ||
		    a->auth != CONF_AUTH_PASSWORD)
			continue;
		BAD(l->e,
		    "account %s: %s is for auth = oauthbearer or xoauth2; add it, or use "
		    "password-%s",
		    a->name, k->name, k->name + 6);
		return load_failed(l, key_line(block, k->name));
	}
	return 0;
}

/* If the file names no secret, use the environment. */
static int secret_from_env(struct secret_source *src, const char *name)
{
	const char *value = getenv(name);

	if (src->kind != SECRET_NONE || value == NULL || value[0] == '\0')
		return 0;
	src->where = strdup(name);
	if (src->where == NULL)
		return -1;
	src->kind = SECRET_ENV;
	return 0;
}

/* What account and impersonate blocks share. */
static int take_login(struct load *l, cfg_t *block, struct conf_account *a)
{
	a->timeout = CONF_TIMEOUT;
	a->name = strdup(cfg_title(block));
	if (a->name == NULL)
		return err_no_memory(l->e);
	if (take_keys(l, block, login_keys, a) == -1 || check_token(l, block, a) == -1)
		return -1;
	return secret_from_env(&a->password, "IMAP_PASSWORD") == -1 ? err_no_memory(l->e) : 0;
}

static int take_account(struct load *l, cfg_t *block, struct conf_account *a)
{
	if (take_login(l, block, a) == -1 || take_keys(l, block, account_keys, a) == -1)
		return -1;
	if (a->user == NULL)
		a->user = strdup(a->name);
	if (a->user == NULL)
		return err_no_memory(l->e);
	return take_mailboxes(l, block, account_mailbox_keys, a);
}

static int take_accounts(struct load *l)
{
	unsigned n = cfg_size(l->root, "account");

	l->conf->accounts = new_array(n, sizeof *l->conf->accounts);
	if (l->conf->accounts == NULL)
		return err_no_memory(l->e);
	for (unsigned i = 0; i < n; i++)
		if (take_account(l, cfg_getnsec(l->root, "account", i),
				 &l->conf->accounts[l->conf->n_accounts++]) == -1)
			return -1;
	return 0;
}

static int take_spools(struct load *l)
{
	unsigned n = cfg_size(l->root, "spool");

	l->conf->spools = new_array(n, sizeof *l->conf->spools);
	if (l->conf->spools == NULL)
		return err_no_memory(l->e);
	for (unsigned i = 0; i < n; i++) {
		cfg_t *block = cfg_getnsec(l->root, "spool", i);
		struct conf_spool *s = &l->conf->spools[l->conf->n_spools++];

		s->path = strdup(cfg_title(block));
		if (s->path == NULL)
			return err_no_memory(l->e);
		if (take_keys(l, block, spool_keys, s) == -1)
			return -1;
	}
	return 0;
}

static int take_stalwarts(struct load *l)
{
	unsigned n = cfg_size(l->root, "stalwart");

	l->conf->stalwarts = new_array(n, sizeof *l->conf->stalwarts);
	if (l->conf->stalwarts == NULL)
		return err_no_memory(l->e);
	for (unsigned i = 0; i < n; i++) {
		cfg_t *block = cfg_getnsec(l->root, "stalwart", i);
		struct conf_stalwart *s = &l->conf->stalwarts[l->conf->n_stalwarts++];

		s->timeout = 60;
		s->poll = 10;
		s->accounts_only = true;
		s->name = strdup(cfg_title(block));
		if (s->name == NULL)
			return err_no_memory(l->e);
		if (take_keys(l, block, stalwart_keys, s) == -1)
			return -1;
	}
	return 0;
}

/*
 * The users' own mail: nothing of it is ever removed, nor marked unless the block says so, and
 * only what they decided themselves is learned.
 */
static int take_users(struct load *l, cfg_t *block, struct conf_users *u)
{
	u->common.keep = u->common.decided = CONF_KEEP_YES;
	u->common.mark = CONF_KEEP_NO;
	if (take_login(l, block, &u->common) == -1 ||
	    take_keys(l, block, users_keys, u) == -1 ||
	    take_mailboxes(l, block, NULL, &u->common) == -1)
		return -1;
	return 0;
}

static int take_impersonates(struct load *l)
{
	unsigned n = cfg_size(l->root, "impersonate");
	int rc = 0;

	if (n > 0 && l->ready && l->ready(l->ctx, l->conf, l->e) == -1)
		return load_failed(l, cfg_getnsec(l->root, "impersonate", 0)->line);
	for (unsigned i = 0; i < n && rc == 0; i++) {
		cfg_t *block = cfg_getnsec(l->root, "impersonate", i);
		struct conf_users u = {.number = i + 1};
		struct conf_fault at;

		rc = take_users(l, block, &u);
		if (rc == 0 && conf_users_expand(&u, l->conf, &at, l->e) == -1) {
			if (at.block == CONF_BLOCK_MAILBOX)
				block = cfg_getnsec(block, "mailbox", (unsigned)at.mailbox);
			rc = load_failed(l, key_line(block, at.key));
		}
		conf_users_free(&u);
	}
	return rc;
}

static int take_block(struct load *l, const char *name, const struct conf_key *keys, void *to)
{
	if (cfg_size(l->root, name) == 0)
		return 0;
	return take_keys(l, cfg_getsec(l->root, name), keys, to);
}

/* known defaults to learned, untrusted defaults to skipped. */
static int take_retention(struct load *l)
{
	enum { UNSAID = CONF_NEVER - 1 };
	struct conf_retention *r = &l->conf->retention;

	r->known = r->untrusted = UNSAID;
	if (take_block(l, "retention", retention_keys, r) == -1)
		return -1;
	if (r->known == UNSAID)
		r->known = r->learned;
	if (r->untrusted == UNSAID)
		r->untrusted = r->skipped;
	return 0;
}

static int take_all(struct load *l)
{
	struct conf *c = l->conf;

	if (take_keys(l, l->root, file_keys, c) == -1 ||
	    take_block(l, "rspamd", rspamd_keys, &c->rspamd) == -1 ||
	    take_block(l, "reports", reports_keys, &c->reports) == -1 ||
	    take_block(l, "watch", watch_keys, &c->watch) == -1 || take_retention(l) == -1)
		return -1;
	c->rspamd.deliver_to_reporter =
	    c->rspamd.deliver_to && strcmp(c->rspamd.deliver_to, "reporter") == 0;
	if (secret_from_env(&c->rspamd.password, "RSPAMD_PASSWORD") == -1)
		return err_no_memory(l->e);
	if (take_accounts(l) == -1 || take_spools(l) == -1 || take_stalwarts(l) == -1)
		return -1;
	return take_impersonates(l);
}

/* ---- cross-checks, with the line of what they find ---- */

/* The block that account number i comes from. */
static cfg_t *account_block(const struct load *l, size_t i)
{
	unsigned users = l->conf->accounts[i].impersonate;

	return users > 0 ? cfg_getnsec(l->root, "impersonate", users - 1)
			 : cfg_getnsec(l->root, "account", (unsigned)i);
}

static cfg_t *fault_block(const struct load *l, const struct conf_fault *f)
{
	unsigned index = (unsigned)f->index;
	cfg_t *root = l->root;

	switch (f->block) {
	case CONF_BLOCK_RSPAMD:
		return cfg_size(root, "rspamd") > 0 ? cfg_getsec(root, "rspamd") : root;
	case CONF_BLOCK_ACCOUNT:
		return account_block(l, f->index);
	case CONF_BLOCK_MAILBOX:
		return cfg_getnsec(account_block(l, f->index), "mailbox", (unsigned)f->mailbox);
	case CONF_BLOCK_SPOOL:
		return cfg_getnsec(root, "spool", index);
	case CONF_BLOCK_STALWART:
		return cfg_getnsec(root, "stalwart", index);
	case CONF_BLOCK_REPORTS:
		return cfg_size(root, "reports") > 0 ? cfg_getsec(root, "reports") : root;
	case CONF_BLOCK_RETENTION:
		return cfg_getsec(root, "retention");
	case CONF_BLOCK_FILE:
		break;
	}
	return root;
}

static int check_all(struct load *l)
{
	struct conf_fault fault;

	if (conf_check_where(l->conf, &fault, l->e) == 0)
		return 0;
	return load_failed(l, key_line(fault_block(l, &fault), fault.key));
}

static int load(const char *path, bool checked, conf_ready_fn *ready, void *ctx,
		struct conf **out, struct err *e)
{
	struct err ignored;
	struct load l = {
	    .path = path, .ready = ready, .ctx = ctx, .e = e != NULL ? e : &ignored};
	size_t len;
	char *text = conf_file_read(path, "the configuration", CONF_MAX_FILE, &len, l.e);
	int rc = -1;

	if (text == NULL)
		return -1;
	l.conf = conf_default();
	if (l.conf == NULL)
		err_no_memory(l.e);
	else if (parse(&l, text, len) == 0 && take_all(&l) == 0)
		rc = checked ? check_all(&l) : 0;
	if (l.root != NULL)
		cfg_free(l.root);
	free(text);
	if (rc == 0)
		*out = l.conf;
	else
		conf_free(l.conf);
	return rc;
}

int conf_load(const char *path, conf_ready_fn *ready, void *ctx, struct conf **out,
	      struct err *e)
{
	return load(path, true, ready, ctx, out, e);
}

int conf_read(const char *path, conf_ready_fn *ready, void *ctx, struct conf **out,
	      struct err *e)
{
	return load(path, false, ready, ctx, out, e);
}
