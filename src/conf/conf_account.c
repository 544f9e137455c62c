#include "conf/conf_account.h"

#include <stdlib.h>
#include <string.h>

void conf_account_free(struct conf_account *a)
{
	for (size_t i = 0; i < a->n_mailboxes; i++)
		free(a->mailboxes[i].name);
	free(a->mailboxes);
	free(a->name);
	free(a->url);
	free(a->user);
	free(a->reporter);
	free(a->ca_file);
	secret_forget(&a->password);
}

/* false where there was something to copy, and no memory. */
static bool copy_text(const char *from, char **to)
{
	*to = from ? strdup(from) : NULL;
	return from == NULL || *to != NULL;
}

static bool copy_mailboxes(const struct conf_account *from, struct conf_account *to)
{
	to->mailboxes = calloc(from->n_mailboxes + 1, sizeof *to->mailboxes);
	for (size_t i = 0; to->mailboxes && i < from->n_mailboxes; i++) {
		to->mailboxes[i] = from->mailboxes[i];
		to->n_mailboxes++;
		if (!copy_text(from->mailboxes[i].name, &to->mailboxes[i].name))
			return false;
	}
	return to->mailboxes != NULL;
}

int conf_account_copy(const struct conf_account *from, struct conf_account *to)
{
	*to = *from;
	to->mailboxes = NULL;
	to->n_mailboxes = 0;
	/* All of them, so that none is shared where one fails. */
	if ((int)copy_text(from->name, &to->name) & (int)copy_text(from->url, &to->url) &
	    (int)copy_text(from->user, &to->user) &
	    (int)copy_text(from->reporter, &to->reporter) &
	    (int)copy_text(from->ca_file, &to->ca_file) &
	    (int)copy_text(from->password.where, &to->password.where) &
	    (int)copy_mailboxes(from, to))
		return 0;
	conf_account_free(to);
	*to = (struct conf_account){.name = NULL};
	return -1;
}
