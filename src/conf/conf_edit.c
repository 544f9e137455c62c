#include "conf/conf_edit.h"

#include <stdlib.h>
#include <string.h>

struct conf_account *conf_add_account(struct conf *c, const char *name)
{
	struct conf_account *more =
	    realloc(c->accounts, (c->n_accounts + 1) * sizeof *c->accounts);

	if (more == NULL)
		return NULL;
	c->accounts = more;
	more += c->n_accounts++;
	*more = (struct conf_account){
	    .name = strdup(name), .user = strdup(name), .timeout = CONF_TIMEOUT};
	return more->name && more->user ? more : NULL;
}

int conf_keep_account(struct conf *c, size_t index)
{
	struct conf *dropped = conf_default();
	struct conf_account *kept = calloc(1, sizeof *kept);

	if (dropped == NULL || kept == NULL) {
		conf_free(dropped);
		free(kept);
		return -1;
	}
	*kept = c->accounts[index];
	dropped->accounts = c->accounts;
	dropped->n_accounts = c->n_accounts - 1;
	dropped->accounts[index] = dropped->accounts[dropped->n_accounts];
	dropped->spools = c->spools;
	dropped->n_spools = c->n_spools;
	dropped->stalwarts = c->stalwarts;
	dropped->n_stalwarts = c->n_stalwarts;
	c->accounts = kept;
	c->n_accounts = 1;
	c->spools = NULL;
	c->stalwarts = NULL;
	c->n_spools = c->n_stalwarts = 0;
	conf_free(dropped);
	return 0;
}

/* Take all mailboxes of this class out; *first is the first of them, without its name. */
static bool take_out(struct conf_account *a, enum mail_class class, struct conf_mailbox *first)
{
	bool found = false;
	size_t n = 0;

	for (size_t i = 0; i < a->n_mailboxes; i++) {
		struct conf_mailbox *m = &a->mailboxes[i];

		if (m->class != class) {
			a->mailboxes[n++] = *m;
			continue;
		}
		if (!found)
			*first = *m;
		found = true;
		free(m->name);
	}
	a->n_mailboxes = n;
	return found;
}

int conf_set_mailbox(struct conf_account *a, enum mail_class class, const char *name)
{
	struct conf_mailbox m, *more;

	if (!take_out(a, class, &m))
		m = (struct conf_mailbox){.class = class, .keep = CONF_KEEP_YES};
	if (name == NULL)
		return 0;
	more = realloc(a->mailboxes, (a->n_mailboxes + 1) * sizeof m);
	if (more == NULL)
		return -1;
	a->mailboxes = more;
	m.name = strdup(name);
	m.special_use = name[0] == '\\';
	if (m.name == NULL)
		return -1;
	more[a->n_mailboxes++] = m;
	return 0;
}

int conf_set_text(char **text, const char *value)
{
	char *copy = strdup(value);

	if (copy == NULL)
		return -1;
	free(*text);
	*text = copy;
	return 0;
}

int conf_set_source(struct secret_source *src, enum secret_kind kind, const char *where)
{
	char *copy = strdup(where);

	if (copy == NULL)
		return -1;
	secret_forget(src);
	*src = (struct secret_source){.kind = kind, .where = copy};
	return 0;
}
