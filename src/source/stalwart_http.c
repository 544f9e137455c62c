/* A Stalwart over JMAP: the requests of docs/stalwart.md, and what its answers mean. */
#include "source/stalwart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fault.h"
#include "base/text.h"

#define QUERY	"x:SpamTrainingSample/query"
#define GET	"x:SpamTrainingSample/get"
#define SET	"x:SpamTrainingSample/set"
#define ACCOUNT "x:Account/get"
#define FILTER	"x:SpamSettings/get"

enum { WORDS_MAX = 200 };

struct stalwart_http {
	struct stalwart stalwart;
	const struct conf_stalwart *conf; /* borrowed */
	struct jmap *jmap;		  /* owned */
	char self[SAMPLE_WORD_MAX + 1];	  /* the account of this log-in */
	size_t get_max, set_max;	  /* objects in one call */
	json_t *address;		  /* owned: account -> address */
	bool no_addresses;		  /* they may not be read */
};

static struct stalwart_http *http_of(struct stalwart *s)
{
	return (struct stalwart_http *)s;
}

void stalwart_page_free(struct stalwart_page *p)
{
	free(p->id);
	*p = (struct stalwart_page){0};
}

/* ---- errors ---- */

int stalwart_needs(const struct conf_stalwart *conf, const char *permission, const char *what,
		   struct err *e)
{
	return err_set(e, ERR_SERVER, ERR_AUTH,
		       "stalwart %s: the %s may not %s; give it, and its account, the "
		       "permission %s",
		       conf->name, conf->key.kind != SECRET_NONE ? "key" : "user", what,
		       permission);
}

static int odd(const struct stalwart_http *h, const char *method, struct err *e)
{
	return err_set(e, ERR_SERVER, ERR_PROTOCOL,
		       "stalwart %s: its answer to %s is not as Stalwart 0.16 answers; is it "
		       "another version?",
		       h->conf->name, method);
}

static bool is_error(const json_t *answer, const char *type)
{
	const char *name = json_string_value(json_array_get(answer, 0));
	const char *is = json_string_value(json_object_get(json_array_get(answer, 1), "type"));

	return strcmp(name, "error") == 0 && is && strcmp(is, type) == 0;
}

/* An answer that is an error: what it means for a run. permission: what the method needs. */
static int method_error(const struct stalwart_http *h, const json_t *answer, const char *method,
			const char *permission, const char *what, struct err *e)
{
	const json_t *error = json_array_get(answer, 1);
	const char *type = json_string_value(json_object_get(error, "type"));
	const char *text = json_string_value(json_object_get(error, "description"));
	char words[WORDS_MAX];

	if (is_error(answer, "forbidden"))
		return stalwart_needs(h->conf, permission, what, e);
	if (is_error(answer, "unknownMethod"))
		return err_set(
		    e, ERR_SERVER, ERR_CONFIG,
		    "stalwart %s: knows no %s; samples can be read from Stalwart 0.16 on, and "
		    "before it users' Junk folders over IMAP (docs/stalwart.md)",
		    h->conf->name, method);
	text_visible(words, sizeof words, text ? text : "", text ? strlen(text) : 0);
	return err_set(e, ERR_SERVER, ERR_TEMPORARY,
		       "stalwart %s: %s: %.60s%s%s; see its log, the next run tries again",
		       h->conf->name, method, type ? type : "an error", words[0] ? ": " : "",
		       words);
}

/* The arguments of the answer to this method, borrowed; NULL with an error. */
static const json_t *take(const struct stalwart_http *h, const json_t *answer,
			  const char *method, const char *permission, const char *what,
			  struct err *e)
{
	const char *name = json_string_value(json_array_get(answer, 0));

	if (strcmp(name, "error") == 0)
		method_error(h, answer, method, permission, what, e);
	else if (strcmp(name, method) != 0)
		odd(h, method, e);
	else
		return json_array_get(answer, 1);
	return NULL;
}

/* ---- which there are ---- */

/* A number that is neither negative nor missing. */
static bool take_count(const json_t *args, const char *key, uint64_t *n)
{
	const json_t *value = json_object_get(args, key);

	*n = json_integer_value(value) > 0 ? (uint64_t)json_integer_value(value) : 0;
	return json_is_integer(value) && json_integer_value(value) >= 0;
}

/* The characters of an id (RFC 8620, 1.2). */
#define ID_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

/* An id of at most max bytes; NULL: it is none, or too long. */
static const char *take_word(const json_t *value, size_t max)
{
	const char *text = json_string_value(value);
	size_t len = json_string_length(value);

	return len > 0 && len <= max && strspn(text, ID_CHARACTERS) == len ? text : NULL;
}

static const char *take_id(const json_t *value)
{
	return take_word(value, SAMPLE_WORD_MAX);
}

static int read_page(const struct stalwart_http *h, const json_t *args, size_t max,
		     struct stalwart_page *out, struct err *e)
{
	const json_t *ids = json_object_get(args, "ids");
	size_t n = json_array_size(ids);

	if (!json_is_array(ids) || n > max || !take_count(args, "position", &out->position) ||
	    !take_count(args, "total", &out->total))
		return odd(h, QUERY, e);
	out->id = calloc(n + 1, sizeof *out->id);
	if (out->id == NULL)
		return err_no_memory(e);
	for (; out->n < n; out->n++) {
		const char *id = take_id(json_array_get(ids, out->n));

		if (id == NULL)
			return odd(h, QUERY, e);
		snprintf(out->id[out->n].text, sizeof out->id[out->n].text, "%s", id);
	}
	return 0;
}

/*
 * calculateTotal is always asked for: without it Stalwart ignores positions, gives the oldest
 * for the newest, and nothing at all, without an error, after an id that is gone.
 */
static json_t *query(bool newest, const char *after, size_t max)
{
	json_t *args =
	    json_pack("{s:I, s:b, s:[{s:s, s:b}]}", "limit", (json_int_t)max, "calculateTotal",
		      1, "sort", "property", "id", "isAscending", !newest);

	if (args && after) {
		json_object_set_new(args, "anchor", json_string(after));
		json_object_set_new(args, "anchorOffset", json_integer(1));
	}
	return args;
}

static int http_list(struct stalwart *s, bool newest, const char *after, size_t max,
		     struct stalwart_page *out, struct err *e)
{
	struct stalwart_http *h = http_of(s);
	const json_t *args;
	json_t *answers;
	int rc = -1;

	*out = (struct stalwart_page){0};
	/* The second call tells whether others' samples are seen: the first one does not. */
	answers = jmap_call(h->jmap,
			    json_pack("[[s,o,s],[s,{s:{s:s},s:i},s]]", QUERY,
				      query(newest, after, max), "0", QUERY, "filter",
				      "accountId", h->self, "limit", 1, "1"),
			    e);
	if (answers == NULL)
		return -1;
	if (is_error(json_array_get(answers, 1), "unsupportedFilter")) {
		stalwart_needs(h->conf, STALWART_MAY_SEE, "see other users' samples", e);
	} else if (after && is_error(json_array_get(answers, 0), "anchorNotFound")) {
		rc = 0;
	} else {
		args = take(h, json_array_get(answers, 0), QUERY, STALWART_MAY_QUERY,
			    "list samples", e);
		if (args && take(h, json_array_get(answers, 1), QUERY, STALWART_MAY_QUERY,
				 "list samples", e))
			rc = read_page(h, args, max, out, e) == 0 ? 1 : -1;
	}
	json_decref(answers);
	if (rc == -1)
		stalwart_page_free(out);
	return rc;
}

/* ---- what they are ---- */

/* "2027-05-22T00:00:00Z"; 0 if it is no date. */
static int64_t read_date(const char *text)
{
	struct tm tm = {0};
	const char *end = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;

	return end && (*end == 'Z' || *end == '.') ? (int64_t)timegm(&tm) : 0;
}

static bool read_sample(const json_t *value, struct sample *out)
{
	const char *id = take_id(json_object_get(value, "id"));
	const json_t *whose = json_object_get(value, "accountId");
	const json_t *spam = json_object_get(value, "isSpam");
	const char *blob = take_word(json_object_get(value, "blobId"), SAMPLE_BLOB_MAX);
	const char *account = json_is_null(whose) ? "" : take_id(whose);
	const json_t *expires = json_object_get(value, "expiresAt");

	if (id == NULL || account == NULL || blob == NULL || !json_is_boolean(spam))
		return false;
	snprintf(out->name, sizeof out->name, "%s", id);
	snprintf(out->account, sizeof out->account, "%s", account);
	snprintf(out->blob, sizeof out->blob, "%s", blob);
	out->class = json_is_true(spam) ? CLASS_SPAM : CLASS_HAM;
	out->date = read_date(json_string_value(expires));
	return true;
}

static json_t *strings(const struct stalwart_id *id, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(id[i].text));
	return list;
}

/* Each sample of the answer to its place; what was not asked for is none of Stalwart's. */
static int read_samples(const struct stalwart_http *h, const json_t *args,
			const struct stalwart_id *id, size_t n, struct sample *out,
			struct err *e)
{
	const json_t *list = json_object_get(args, "list");
	json_t *place = json_object();
	bool good = json_is_array(list);

	for (size_t i = 0; i < n; i++)
		json_object_set_new(place, id[i].text, json_integer((json_int_t)i));
	for (size_t i = 0; good && i < json_array_size(list); i++) {
		struct sample sample = {.class = CLASS_NONE};
		const json_t *at = NULL;

		good = read_sample(json_array_get(list, i), &sample) &&
		       (at = json_object_get(place, sample.name)) != NULL;
		if (good)
			out[json_integer_value(at)] = sample;
	}
	json_decref(place);
	return good ? 0 : odd(h, GET, e);
}

static int http_get(struct stalwart *s, const struct stalwart_id *id, size_t n,
		    struct sample *out, struct err *e)
{
	struct stalwart_http *h = http_of(s);
	int rc = 0;

	memset(out, 0, n * sizeof *out);
	for (size_t done = 0, part; rc == 0 && done < n; done += part) {
		const json_t *args;
		json_t *answers;

		part = n - done < h->get_max ? n - done : h->get_max;
		answers = jmap_call(
		    h->jmap,
		    json_pack("[[s,{s:o},s]]", GET, "ids", strings(id + done, part), "0"), e);
		if (answers == NULL)
			return -1;
		args = take(h, json_array_get(answers, 0), GET, STALWART_MAY_GET,
			    "read samples", e);
		rc = args ? read_samples(h, args, id + done, part, out + done, e) : -1;
		json_decref(answers);
	}
	return rc;
}

/* ---- who ---- */

/* Addresses by account, of one answer. An account that is gone is known by its id. */
static int read_addresses(struct stalwart_http *h, const json_t *args, json_t *asked,
			  struct err *e)
{
	json_t *list = json_object_get(args, "list"), *one;
	size_t i;

	json_array_foreach(asked, i, one)
	    json_object_set(h->address, json_string_value(one), one);
	json_array_foreach(list, i, one)
	{
		const char *account = take_id(json_object_get(one, "id"));
		json_t *address = json_object_get(one, "emailAddress");
		size_t len = json_string_length(address);

		if (account && json_object_get(h->address, account) && len > 0 &&
		    len < STALWART_ADDRESS_MAX)
			json_object_set(h->address, account, address);
	}
	json_array_foreach(asked, i,
			   one) if (json_object_get(h->address, json_string_value(one)) ==
				    NULL) return err_no_memory(e);
	return 0;
}

/* asked: an array of accounts; taken over. */
static int ask_addresses(struct stalwart_http *h, json_t *asked, bool must, struct err *e)
{
	json_t *answers = jmap_call(h->jmap,
				    json_pack("[[s,{s:O,s:[s]},s]]", ACCOUNT, "ids", asked,
					      "properties", "emailAddress", "0"),
				    e);
	const json_t *args;
	int rc = -1;

	if (answers && !must && is_error(json_array_get(answers, 0), "forbidden")) {
		h->no_addresses = true;
		rc = 0;
	} else if (answers) {
		args = take(h, json_array_get(answers, 0), ACCOUNT, STALWART_MAY_NAME,
			    "read the addresses of accounts, by which except names them", e);
		rc = args ? read_addresses(h, args, asked, e) : -1;
	}
	json_decref(answers);
	json_decref(asked);
	return rc;
}

static int http_meet(struct stalwart *s, const struct sample *sample, size_t n, bool must,
		     struct err *e)
{
	struct stalwart_http *h = http_of(s);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n && !h->no_addresses;) {
		json_t *new = json_object(), *asked = json_array();
		const char *account;
		json_t *value;

		for (; i < n && json_object_size(new) < h->get_max; i++)
			if (sample[i].account[0] != '\0' &&
			    json_object_get(h->address, sample[i].account) == NULL)
				json_object_set_new(new, sample[i].account, json_true());
		json_object_foreach(new, account, value)
		    json_array_append_new(asked, json_string(account));
		json_decref(new);
		if (json_array_size(asked) > 0)
			rc = ask_addresses(h, asked, must, e);
		else
			json_decref(asked);
	}
	return rc;
}

static const char *http_address(struct stalwart *s, const char *account, bool must,
				struct err *e)
{
	struct stalwart_http *h = http_of(s);
	const char *known = json_string_value(json_object_get(h->address, account));

	if (known == NULL && !h->no_addresses) {
		if (ask_addresses(h, json_pack("[s]", account), must, e) == -1)
			return NULL;
		known = json_string_value(json_object_get(h->address, account));
	}
	return known ? known : account;
}

/* ---- what may be done ---- */

/* What was not destroyed has to be gone already. */
static int read_destroyed(const struct stalwart_http *h, const json_t *args, struct err *e)
{
	json_t *kept = json_object_get(args, "notDestroyed"), *why;
	const char *id;

	json_object_foreach(kept, id, why)
	{
		const char *type = json_string_value(json_object_get(why, "type"));

		if (type == NULL || strcmp(type, "notFound") != 0)
			return err_set(e, ERR_SERVER, ERR_TEMPORARY,
				       "stalwart %s: sample %.*s is not destroyed: %.60s",
				       h->conf->name, SAMPLE_WORD_MAX, id,
				       type ? type : "no reason");
	}
	return 0;
}

static int http_destroy(struct stalwart *s, const struct stalwart_id *id, size_t n,
			struct err *e)
{
	struct stalwart_http *h = http_of(s);
	int rc = 0;

	for (size_t done = 0, part; rc == 0 && done < n; done += part) {
		const json_t *args;
		json_t *answers;

		part = n - done < h->set_max ? n - done : h->set_max;
		fault_step("stalwart-destroy");
		answers = jmap_call(
		    h->jmap,
		    json_pack("[[s,{s:o},s]]", SET, "destroy", strings(id + done, part), "0"),
		    e);
		if (answers == NULL)
			return -1;
		args = take(h, json_array_get(answers, 0), SET, STALWART_MAY_DESTROY,
			    "destroy samples", e);
		rc = args ? read_destroyed(h, args, e) : -1;
		json_decref(answers);
	}
	return rc;
}

/*
 * What its web interface asks: the effective permissions of this very log-in. Asked each time,
 * for they may have been taken away meanwhile.
 */
static int http_may(struct stalwart *s, const char *permission, struct err *e)
{
	struct err why;
	json_t *json = jmap_get(http_of(s)->jmap, "/api/account", &why), *list, *one;
	int rc = 0;
	size_t i;

	/* Who has no such thing does not say. */
	if (json == NULL && (why.kind == ERR_CONFIG || why.kind == ERR_PROTOCOL))
		return 2;
	if (json == NULL) {
		*e = why;
		return -1;
	}
	list = json_object_get(json, "permissions");
	if (!json_is_array(list))
		rc = 2;
	json_array_foreach(list, i, one)
	{
		const char *name = json_string_value(one);

		if (name && strcmp(name, permission) == 0)
			rc = 1;
	}
	json_decref(json);
	return rc;
}

int stalwart_filters(struct stalwart *s, struct err *e)
{
	struct stalwart_http *h = http_of(s);
	const json_t *one, *on;
	json_t *answers = jmap_call(h->jmap,
				    json_pack("[[s,{s:[s],s:[s]},s]]", FILTER, "ids",
					      "singleton", "properties", "enable", "0"),
				    e);
	int rc;

	if (answers == NULL)
		return -1;
	one = json_array_get(
	    json_object_get(json_array_get(json_array_get(answers, 0), 1), "list"), 0);
	on = json_object_get(one, "enable");
	rc = json_is_boolean(on) ? json_is_true(on) : 2;
	json_decref(answers);
	return rc;
}

/* ---- downloads ---- */

/* Any account will do that this log-in may use; the blob itself is asked for. */
static int http_begin(struct stalwart *s, const struct sample *what, uint32_t max_size,
		      uint32_t owner, struct err *e)
{
	const struct stalwart_http *h = http_of(s);

	return jmap_download(h->jmap, what->account[0] ? what->account : h->self, what->blob,
			     max_size, owner, e);
}

static int http_take(struct stalwart *s, struct jmap_result *out, struct wait *wait,
		     struct err *e)
{
	return jmap_take(http_of(s)->jmap, out, wait, e);
}

static size_t http_running(const struct stalwart *s)
{
	return jmap_running(((const struct stalwart_http *)s)->jmap);
}

static uint32_t http_ready_size(const struct stalwart *s)
{
	return jmap_ready_size(((const struct stalwart_http *)s)->jmap);
}

static void http_abandon(struct stalwart *s)
{
	jmap_abandon(http_of(s)->jmap);
}

/* ---- log in ---- */

static void http_close(struct stalwart *s)
{
	struct stalwart_http *h = http_of(s);

	jmap_close(h->jmap);
	json_decref(h->address);
	free(h);
}

static const struct stalwart_ops http_ops = {
    .list = http_list,
    .get = http_get,
    .meet = http_meet,
    .address = http_address,
    .destroy = http_destroy,
    .begin = http_begin,
    .take = http_take,
    .running = http_running,
    .ready_size = http_ready_size,
    .abandon = http_abandon,
    .may = http_may,
    .close = http_close,
};

/* A limit of the session; ours where it tells none. */
static size_t limit_of(const json_t *core, const char *key, size_t ours)
{
	json_int_t n = json_integer_value(json_object_get(core, key));

	return n > 0 && (uint64_t)n < ours ? (size_t)n : ours;
}

static int read_session(struct stalwart_http *h, const json_t *session, struct err *e)
{
	const json_t *core = json_object_get(json_object_get(session, "capabilities"),
					     "urn:ietf:params:jmap:core");
	json_t *accounts = json_object_get(session, "primaryAccounts");
	const char *self = take_id(json_object_get(accounts, "urn:stalwart:jmap"));
	void *first = json_object_iter(accounts);

	if (!json_is_object(core))
		return odd(h, "/jmap/session", e);
	h->get_max = limit_of(core, "maxObjectsInGet", STALWART_GET_MAX);
	h->set_max = limit_of(core, "maxObjectsInSet", STALWART_GET_MAX);
	if (self == NULL && first)
		self = take_id(json_object_iter_value(first));
	if (self == NULL)
		return odd(h, "/jmap/session", e);
	snprintf(h->self, sizeof h->self, "%s", self);
	return 0;
}

struct stalwart *stalwart_http(const struct conf_stalwart *conf, const struct waiter *waiter,
			       struct err *e)
{
	struct stalwart_http *h = calloc(1, sizeof *h);
	json_t *session = NULL;
	int rc = -1;

	if (h == NULL) {
		err_no_memory(e);
		return NULL;
	}
	h->stalwart = (struct stalwart){&http_ops, h->self};
	h->conf = conf;
	h->address = json_object();
	h->jmap = jmap_open(conf, waiter, e);
	if (h->jmap)
		session = jmap_get(h->jmap, "/jmap/session", e);
	if (session)
		rc = h->address ? read_session(h, session, e) : err_no_memory(e);
	json_decref(session);
	if (rc == 0)
		return &h->stalwart;
	http_close(&h->stalwart);
	return NULL;
}
