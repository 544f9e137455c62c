#include "conf/conf_key.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "base/daily.h"
#include "base/text.h"

/* "KEY = VALUE: what; the cure". Secrets are never values, so a value may be printed. */
#define BAD(k, value, e, what) \
	err_set(e, ERR_FATAL, ERR_CONFIG, "%s = %s: %s", (k)->name, value, what)

static int replace(char **s, const char *value, struct err *e)
{
	char *copy = strdup(value);

	if (copy == NULL)
		return err_no_memory(e);
	free(*s);
	*s = copy;
	return 0;
}

int conf_set_string(const struct conf_key *k, const char *value, void *field, struct err *e)
{
	if (value[0] == '\0')
		return BAD(k, "\"\"", e, "empty; give a value, or remove the line");
	return replace(field, value, e);
}

/* Characters, or none: "" is a valid value here. */
int conf_set_delimiter(const struct conf_key *k, const char *value, void *field, struct err *e)
{
	if (strlen(value) > 8 || strpbrk(value, "@ \"\\") != NULL)
		return BAD(
		    k, value, e,
		    "must be at most 8 characters that may be in a local part; write, for "
		    "instance, \"+\" or \"+-\"");
	return replace(field, value, e);
}

/* "2:1" or "off". */
int conf_set_balance(const struct conf_key *k, const char *value, void *field, struct err *e)
{
	if (conf_balance_parse(value, field))
		return 0;
	return BAD(k, value, e,
		   "must be two numbers up to 1000, the larger one first; write, for "
		   "instance, \"2:1\", or off");
}

int conf_set_path(const struct conf_key *k, const char *value, void *field, struct err *e)
{
	if (value[0] != '/')
		return BAD(k, value, e, "a relative path; begin it with /");
	return conf_set_string(k, value, field, e);
}

/* conf_check decides whether it is valid; here a slash at the end is removed. */
int conf_set_url(const struct conf_key *k, const char *value, void *field, struct err *e)
{
	char **url = field;
	size_t len = strlen(value);

	if (conf_set_string(k, value, field, e) == -1)
		return -1;
	if (len > 1 && value[len - 1] == '/' && value[len - 2] != '/')
		(*url)[len - 1] = '\0';
	return 0;
}

static int parse_flag(const struct conf_key *k, const char *value, bool *flag, struct err *e)
{
	*flag = strcmp(value, "true") == 0 || strcmp(value, "yes") == 0;
	if (!*flag && strcmp(value, "false") != 0 && strcmp(value, "no") != 0)
		return BAD(k, value, e, "neither true nor false; write one of them");
	return 0;
}

int conf_set_flag(const struct conf_key *k, const char *value, void *field, struct err *e)
{
	return parse_flag(k, value, field, e);
}

int conf_set_keep(const struct conf_key *k, const char *value, void *field, struct err *e)
{
	enum conf_keep *keep = field;
	bool flag;

	if (parse_flag(k, value, &flag, e) == -1)
		return -1;
	*keep = flag ? CONF_KEEP_YES : CONF_KEEP_NO;
	return 0;
}

/* ---- numbers with a unit ---- */

struct unit {
	char name; /* '\0': a bare number */
	int64_t factor;
};

static const struct unit none[] = {{'\0', 1}, {0, 0}};
static const struct unit times[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {0, 0}};
static const struct unit sizes[] = {
    {'K', 1 << 10}, {'M', 1 << 20}, {'G', 1 << 30}, {'\0', 1}, {0, 0}};

/* Only whole numbers. false if it is not one, has no unit of the table, or is out of range. */
static bool parse_number(const char *value, const struct unit *unit, int64_t min, int64_t max,
			 int64_t *out)
{
	size_t len = strlen(value);
	char last = len > 0 ? value[len - 1] : '\0';
	uint64_t n;

	while (unit->factor != 0 && unit->name != '\0' && unit->name != last)
		unit++;
	if (unit->factor == 0)
		return false;
	if (unit->name != '\0')
		len--;
	if (!text_number(value, len, (uint64_t)(INT64_MAX / unit->factor), &n))
		return false;
	*out = (int64_t)n * unit->factor;
	return *out >= min && *out <= max;
}

/* The range in the largest units that divide its ends: "from 1s to 1h". */
static int bad_range(const struct conf_key *k, const char *value, const struct unit *units,
		     const char *example, struct err *e)
{
	const struct unit *lo = units, *hi = units, *u = units;

	do {
		if (k->min != 0 && k->min % u->factor == 0 && u->factor > lo->factor)
			lo = u;
		if (k->max % u->factor == 0 && u->factor > hi->factor)
			hi = u;
	} while ((++u)->factor != 0);
	return err_set(
	    e, ERR_FATAL, ERR_CONFIG,
	    "%s = %s: must be from %lld%.1s to %lld%.1s; write, for instance, %s = %s", k->name,
	    value, (long long)(k->min / lo->factor), &lo->name,
	    (long long)(k->max / hi->factor), &hi->name, k->name, example);
}

int conf_set_int(const struct conf_key *k, const char *value, void *field, struct err *e)
{
	int *out = field;
	int64_t n;

	if (!parse_number(value, none, k->min, k->max, &n))
		return bad_range(k, value, none, "4", e);
	*out = (int)n;
	return 0;
}

int conf_set_seconds(const struct conf_key *k, const char *value, void *field, struct err *e)
{
	int *out = field;
	int64_t n;

	if (!parse_number(value, times, k->min, k->max, &n))
		return bad_range(k, value, times, "30s", e);
	*out = (int)n;
	return 0;
}

int conf_set_age(const struct conf_key *k, const char *value, void *field, struct err *e)
{
	int64_t *out = field, n = CONF_NEVER;

	if (strcmp(value, "never") != 0 && !parse_number(value, times, k->min, k->max, &n))
		return bad_range(k, value, times, "7d (or never)", e);
	*out = n;
	return 0;
}

int conf_set_delay(const struct conf_key *k, const char *value, void *field, struct err *e)
{
	int64_t *out = field;

	if (!parse_number(value, times, k->min, k->max, out))
		return bad_range(k, value, times, "10m (0s turns it off)", e);
	return 0;
}

int conf_set_size(const struct conf_key *k, const char *value, void *field, struct err *e)
{
	uint32_t *out = field;
	int64_t n;

	if (!parse_number(value, sizes, k->min, k->max, &n))
		return bad_range(k, value, sizes, "10M", e);
	*out = (uint32_t)n;
	return 0;
}

/* ---- words ---- */

int conf_set_class(const struct conf_key *k, const char *value, void *field, struct err *e)
{
	enum mail_class *class = field;

	*class = class_parse(value);
	if (*class == CLASS_NONE)
		return BAD(k, value, e, "not a class; write spam or ham");
	return 0;
}

int conf_set_auth(const struct conf_key *k, const char *value, void *field, struct err *e)
{
	enum conf_auth *auth = field;

	if (strcmp(value, "password") == 0)
		*auth = CONF_AUTH_PASSWORD;
	else if (strcmp(value, "oauthbearer") == 0)
		*auth = CONF_AUTH_OAUTHBEARER;
	else if (strcmp(value, "xoauth2") == 0)
		*auth = CONF_AUTH_XOAUTH2;
	else
		return BAD(k, value, e, "unknown; write password, oauthbearer or xoauth2");
	return 0;
}

int conf_set_encrypted(const struct conf_key *k, const char *value, void *field, struct err *e)
{
	bool *skip = field;

	*skip = strcmp(value, "skip") == 0;
	if (!*skip && strcmp(value, "learn") != 0)
		return BAD(k, value, e, "unknown; write learn or skip");
	return 0;
}

int conf_set_daily(const struct conf_key *k, const char *value, void *field, struct err *e)
{
	if (daily_parse(value, field))
		return 0;
	return BAD(k, value, e,
		   "not a time of the day; write, for instance, \"03:30\", or never");
}

/* delete, or "move MAILBOX", which conf_scan makes of move "MAILBOX". */
int conf_set_action(const struct conf_key *k, const char *value, void *field, struct err *e)
{
	struct conf_retention *r = field;
	const char *name = value + 4;

	if (strcmp(value, "delete") == 0) {
		r->action = CONF_DELETE;
		return 0;
	}
	if (strncmp(value, "move", 4) != 0 || strspn(name, " \t") == 0)
		return BAD(k, value, e, "unknown; write delete or move \"MAILBOX\"");
	r->action = CONF_MOVE;
	return conf_set_string(k, name + strspn(name, " \t"), &r->move_to, e);
}

int conf_set_after(const struct conf_key *k, const char *value, void *field, struct err *e)
{
	bool *destroy = field;

	*destroy = strcmp(value, "destroy") == 0;
	return *destroy || strcmp(value, "keep") == 0
		   ? 0
		   : BAD(k, value, e, "unknown; write keep or destroy");
}

int conf_add_except(const struct conf_key *k, const char *value, void *field, struct err *e)
{
	struct conf_stalwart *s = field;
	char **more;

	if (value[0] == '\0')
		return BAD(k, value, e, "empty; write the addresses of accounts");
	if (s->n_except == CONF_MAX_EXCEPT)
		return BAD(k, value, e, "one too many; 1000 are allowed");
	more = realloc(s->except, (s->n_except + 1) * sizeof *more);
	if (more == NULL)
		return err_no_memory(e);
	s->except = more;
	more[s->n_except] = strdup(value);
	return more[s->n_except] == NULL ? err_no_memory(e) : (s->n_except++, 0);
}

/* ---- secrets ---- */

int conf_set_secret(const struct conf_key *k, const char *value, void *field, struct err *e)
{
	struct secret_source *src = field;
	bool path = k->min == SECRET_FILE;

	if (src->kind != SECRET_NONE)
		return err_set(e, ERR_FATAL, ERR_CONFIG,
			       "%s is a second place for the password; keep one", k->name);
	if ((path ? conf_set_path : conf_set_string)(k, value, &src->where, e) == -1)
		return -1;
	src->kind = (enum secret_kind)k->min;
	return 0;
}
