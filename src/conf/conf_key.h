/*
 * conf_key.h - one key of the configuration: its name, and how its text becomes a field of a
 * struct of conf.h. A block is a table of these. Private to conf.c and conf_key.c.
 */
#ifndef LS_CONF_KEY_H
#define LS_CONF_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct conf_key {
	const char *name;
	/*
	 * Set the field; 0, or -1 with an ERR_FATAL/ERR_CONFIG error that begins with the key's
	 * name and has no position.
	 */
	int (*set)(const struct conf_key *k, const char *value, void *field, struct err *e);
	size_t offset;	  /* of the field in its struct */
	int64_t min, max; /* in the field's unit, if set checks a range */
	bool list;	  /* { "a", "b" }: set is called for each */
};

/* One for each type of value: */
int conf_set_string(const struct conf_key *k, const char *value, void *field, struct err *e);
int conf_set_path(const struct conf_key *k, const char *value, void *field, struct err *e);
int conf_set_url(const struct conf_key *k, const char *value, void *field, struct err *e);
int conf_set_flag(const struct conf_key *k, const char *value, void *field, struct err *e);
int conf_set_int(const struct conf_key *k, const char *value, void *field, struct err *e);
int conf_set_seconds(const struct conf_key *k, const char *value, void *field, struct err *e);
int conf_set_age(const struct conf_key *k, const char *value, void *field, struct err *e);
int conf_set_delay(const struct conf_key *k, const char *value, void *field, struct err *e);
int conf_set_delimiter(const struct conf_key *k, const char *value, void *field, struct err *e);
int conf_set_size(const struct conf_key *k, const char *value, void *field, struct err *e);
int conf_set_class(const struct conf_key *k, const char *value, void *field, struct err *e);
int conf_set_auth(const struct conf_key *k, const char *value, void *field, struct err *e);
int conf_set_keep(const struct conf_key *k, const char *value, void *field, struct err *e);
int conf_set_encrypted(const struct conf_key *k, const char *value, void *field, struct err *e);
int conf_set_balance(const struct conf_key *k, const char *value, void *field, struct err *e);
int conf_set_daily(const struct conf_key *k, const char *value, void *field, struct err *e);
int conf_set_after(const struct conf_key *k, const char *value, void *field, struct err *e);
int conf_set_action(const struct conf_key *k, const char *value, void *field, struct err *e);

/* One address more for a struct conf_stalwart. */
int conf_add_except(const struct conf_key *k, const char *value, void *field, struct err *e);

/* A struct secret_source; min is its enum secret_kind. */
int conf_set_secret(const struct conf_key *k, const char *value, void *field, struct err *e);

#endif
