#include "conf/conf_users.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/shell.h"
#include "base/text.h"
#include "conf/conf_account.h"
#include "conf/conf_check.h"
#include "conf/conf_file.h"

#define BAD(e, ...) err_set(e, ERR_FATAL, ERR_CONFIG, __VA_ARGS__)

void conf_users_free(struct conf_users *u)
{
	conf_account_free(&u->common);
	free(u->file);
	free(u->command);
}

/* ---- the block ---- */

/* How often the address stands in the log-in, "%u"; "%%" is none. */
static size_t places(const char *user)
{
	size_t n = 0;

	for (const char *p = user; p && *p; p++) {
		n += p[0] == '%' && p[1] == 'u';
		p += p[0] == '%' && p[1] == '%';
	}
	return n;
}

static int block_check(const struct conf_users *u, const struct conf *c,
		       struct conf_fault *where, struct err *e)
{
	size_t n = places(u->common.user);

	if (u->file == NULL && u->command == NULL)
		return BAD(e, "no list of users; add users-file = \"/path\", one address a "
			      "line, or users-command");
	where->key = u->file ? "users-file" : "users-command";
	if (u->file && u->command)
		return BAD(e, "both users-file and users-command; keep one");
	where->key = u->common.user ? "user" : NULL;
	if (n != 1)
		return BAD(e,
			   "user has %s %%u, which stands for the user's address; write, for "
			   "instance, user = \"%%u*master\" (Dovecot) or \"%%u%%admin\" "
			   "(Stalwart)",
			   n == 0 ? "no" : "more than one");
	where->key = NULL;
	return conf_check_account(c, &u->common, where, e);
}

/* ---- the list ---- */

static bool take_output(void *ctx, const char *data, size_t len)
{
	return buf_add(ctx, data, len) == 0;
}

/* The list, with a NUL behind it; owned by the caller. NULL with an error. */
static char *read_list(const struct conf_users *u, size_t *len, struct err *e)
{
	struct buf out;
	const struct shell shell = {
	    .command = u->command,
	    .what = "the command",
	    .timeout_ms = CONF_USERS_TIMEOUT,
	    .take = take_output,
	    .ctx = &out,
	};

	if (u->file)
		return conf_file_read(u->file, "a list of users", CONF_USERS_BYTES, len, e);
	buf_init(&out, CONF_USERS_BYTES + 1);
	if (shell_run(&shell, e) == 0 && buf_add(&out, "", 1) == -1)
		err_no_memory(e);
	else if (out.len > 0 && out.data[out.len - 1] == '\0')
		return *len = out.len - 1, out.data;
	buf_free(&out);
	return NULL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The address of a line, and its length; 0 where it has none. */
static size_t find_address(const char **line, size_t len)
{
	const char *p = *line, *end = p + len;

	while (p < end && is_blank(*p))
		p++;
	*line = p;
	while (p < end && !(*p == '#' && (p == *line || is_blank(p[-1]))))
		p++;
	while (p > *line && is_blank(p[-1]))
		p--;
	return (size_t)(p - *line);
}

static int address_check(const char *address, size_t len, struct err *e)
{
	char shown[CONF_MAX_NAME * 4 + 8];

	if (len > CONF_MAX_NAME)
		return BAD(
		    e, "an address of %zu bytes; at most %d are allowed, one address a line",
		    len, CONF_MAX_NAME);
	if (text_visible(shown, sizeof shown, address, len) != len ||
	    memcmp(shown, address, len) != 0)
		return BAD(
		    e,
		    "an address with a control character, or that is not UTF-8: %s; retype it",
		    shown);
	if (memchr(address, ' ', len) != NULL)
		return BAD(e, "\"%s\" is no address; write one address a line", shown);
	return 0;
}

/* ---- accounts ---- */

/* "%u%learn" becomes "alice@example.org%learn". NULL: no memory. */
static char *log_in_as(const char *user, const char *address)
{
	char *out = malloc(strlen(user) + strlen(address) + 1), *to = out;

	for (const char *p = user; out && *p; p++) {
		if (p[0] == '%' && p[1] == 'u') {
			to = stpcpy(to, address);
			p++;
			continue;
		}
		p += p[0] == '%' && p[1] == '%';
		*to++ = *p;
	}
	if (out)
		*to = '\0';
	return out;
}

static int add_account(const struct conf_users *u, struct conf *c, const char *address,
		       size_t len, struct err *e)
{
	struct conf_account *a = realloc(c->accounts, (c->n_accounts + 1) * sizeof *a);

	if (a == NULL)
		return err_no_memory(e);
	c->accounts = a;
	a += c->n_accounts;
	if (conf_account_copy(&u->common, a) == -1)
		return err_no_memory(e);
	c->n_accounts++;
	a->impersonate = u->number;
	free(a->name);
	free(a->user);
	a->name = strndup(address, len);
	a->reporter = strndup(address, len);
	a->user = a->name ? log_in_as(u->common.user, a->name) : NULL;
	return a->name && a->reporter && a->user ? 0 : err_no_memory(e);
}

static int take_line(const struct conf_users *u, struct conf *c, const char *line, size_t len,
		     struct err *e)
{
	size_t n = find_address(&line, len);

	if (n == 0)
		return 0;
	if (address_check(line, n, e) == -1)
		return -1;
	if (c->n_accounts == CONF_MAX_ACCOUNTS)
		return BAD(e, "more than %d accounts in all; split the configuration",
			   CONF_MAX_ACCOUNTS);
	return add_account(u, c, line, n, e);
}

static int take_list(const struct conf_users *u, struct conf *c, const char *list, size_t len,
		     struct err *e)
{
	const char *end = list + len, *next;
	size_t number = 0;

	for (const char *line = list; line < end; line = next + 1) {
		next = memchr(line, '\n', (size_t)(end - line));
		if (next == NULL)
			next = end;
		number++;
		if (take_line(u, c, line, (size_t)(next - line), e) == -1)
			return err_prefix(e, "line %zu", number);
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct conf_account *const *x = a, *const *y = b;

	return strcasecmp((*x)->name, (*y)->name);
}

/* A user who is here twice would be read twice. Mail servers ignore the case of addresses. */
static int twice_check(const struct conf *c, size_t first, struct err *e)
{
	const struct conf_account **sorted = malloc((c->n_accounts + 1) * sizeof *sorted);
	int rc = 0;

	if (sorted == NULL)
		return err_no_memory(e);
	for (size_t i = 0; i < c->n_accounts; i++)
		sorted[i] = &c->accounts[i];
	qsort(sorted, c->n_accounts, sizeof *sorted, by_name);
	for (size_t i = 1; i < c->n_accounts && rc == 0; i++) {
		const struct conf_account *a = sorted[i - 1], *b = sorted[i];
		const struct conf_account *other = a < b ? a : b, *new = a < b ? b : a;

		if (by_name(&a, &b) != 0 || new < &c->accounts[first])
			continue;
		rc = BAD(e, "%s %s; take it out of one of them", new->name,
			 other->impersonate == new->impersonate ? "stands there twice"
			 : other->impersonate > 0 ? "is also in another impersonate block"
						  : "is also an account block");
	}
	free(sorted);
	return rc;
}

static int expand(const struct conf_users *u, struct conf *c, struct err *e)
{
	const size_t first = c->n_accounts;
	size_t len;
	char *list = read_list(u, &len, e);
	int rc;

	if (list == NULL)
		return -1;
	rc = take_list(u, c, list, len, e);
	free(list);
	if (rc == 0 && c->n_accounts == first)
		rc = BAD(e, "the list of users is empty; write one address a line");
	return rc == 0 ? twice_check(c, first, e) : -1;
}

int conf_users_expand(const struct conf_users *u, struct conf *c, struct conf_fault *where,
		      struct err *e)
{
	int rc;

	*where = (struct conf_fault){.block = CONF_BLOCK_ACCOUNT};
	rc = block_check(u, c, where, e);
	if (rc == 0) {
		*where = (struct conf_fault){.block = CONF_BLOCK_ACCOUNT};
		where->key = u->file ? "users-file" : "users-command";
		rc = expand(u, c, e);
		if (rc == -1)
			err_prefix(e, "%s", where->key);
	}
	return rc == 0 ? 0 : err_prefix(e, "impersonate %s", u->common.name);
}
