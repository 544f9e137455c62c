/* rspamd over HTTP, with curl_multi. */
#include "rspamd/rspamd.h"

#include <curl/curl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/stop.h"
#include "base/text.h"

enum { BACKOFF_FIRST_MS = 250, BACKOFF_MAX_MS = 8000, REASON_MAX = 512 };

/* One HTTP exchange and its state. */
struct slot {
	enum { SLOT_FREE, SLOT_RUNNING, SLOT_WAITING, SLOT_DONE } state;
	CURL *curl;		    /* owned; kept between jobs */
	struct curl_slist *headers; /* owned */
	struct rspamd_job job;
	struct rspamd_result result; /* DONE */
	struct buf body;
	char reason[REASON_MAX];
	size_t header_bytes;
	int tries;
	int64_t not_before; /* WAITING: clock_ms() of the next try */
};

struct rspamd_http {
	struct rspamd rspamd;
	const struct conf_rspamd *conf; /* borrowed */
	CURLM *multi;			/* owned */
	char *password;			/* owned: the whole header field; wiped */
	size_t n;
	size_t in_vain; /* messages in a row for which all tries failed */
	unsigned seed;
	struct slot stat;   /* for GET /stat, outside the multi handle */
	struct slot slot[]; /* n of them */
};

/* ---- responses ---- */

static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
	struct slot *s = ctx;
	size_t len = size * n, skip;
	const char *p;

	s->header_bytes += len;
	if (s->header_bytes > RSPAMD_HEADER_MAX)
		return 0;
	/* "HTTP/1.1 204 reason": the last status line counts, after a 100 Continue, for
	 * example. */
	if (len < 5 || memcmp(data, "HTTP/", 5) != 0)
		return len;
	buf_clear(&s->body);
	s->reason[0] = '\0';
	p = memchr(data, ' ', len);
	skip = p ? (size_t)(p - data) + 5 : len;
	if (skip < len) {
		size_t end = len;

		while (end > skip && (data[end - 1] == '\r' || data[end - 1] == '\n'))
			end--;
		text_visible(s->reason, sizeof s->reason, data + skip, end - skip);
	}
	return len;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct slot *s = ctx;

	return buf_add(&s->body, data, size * n) == -1 ? 0 : size * n;
}

/* ---- setting up ---- */

static bool add_header(struct slot *s, const char *name, const char *value)
{
	struct curl_slist *more;
	char line[1024];

	if (value == NULL)
		return true;
	if (snprintf(line, sizeof line, "%s%s", name, value) >= (int)sizeof line)
		return false;
	more = curl_slist_append(s->headers, line);
	if (more)
		s->headers = more;
	return more != NULL;
}

/* The header fields of a request. We make no other copy of the password than r->password. */
static bool set_headers(struct rspamd_http *r, struct slot *s, bool learn)
{
	const struct conf_rspamd *c = r->conf;
	const char *deliver = c->deliver_to_reporter ? s->job.deliver_to : c->deliver_to;

	curl_slist_free_all(s->headers);
	s->headers = NULL;
	if (!add_header(s, "Expect:", "") || !add_header(s, "", r->password))
		return false;
	if (!learn)
		return true;
	return add_header(s, "Content-Type: ", "message/rfc822") &&
	       add_header(s, "Learn-Type: ", c->bulk ? "bulk" : NULL) &&
	       add_header(s, "Classifier: ", c->classifier) &&
	       add_header(s, "Deliver-To: ", deliver);
}

static bool slot_open(struct rspamd_http *r, struct slot *s)
{
	const struct conf_rspamd *c = r->conf;

	buf_init(&s->body, RSPAMD_BODY_MAX);
	s->curl = curl_easy_init();
	if (s->curl == NULL)
		return false;
	curl_easy_setopt(s->curl, CURLOPT_PRIVATE, s);
	curl_easy_setopt(s->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	/* rspamd's reason for not learning is in the reason phrase, which HTTP/2 does not have.
	 */
	curl_easy_setopt(s->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(s->curl, CURLOPT_NOPROXY, "*"); /* mail never goes to a web proxy */
	curl_easy_setopt(s->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(s->curl, CURLOPT_TIMEOUT, (long)c->timeout);
	if (c->ca_file) {
		curl_easy_setopt(s->curl, CURLOPT_CAINFO, c->ca_file);
		curl_easy_setopt(s->curl, CURLOPT_CAPATH, NULL);
	}
	curl_easy_setopt(s->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(s->curl, CURLOPT_HEADERDATA, s);
	curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(s->curl, CURLOPT_WRITEDATA, s);
	return true;
}

static void slot_close(struct rspamd_http *r, struct slot *s)
{
	if (s->curl && s->state == SLOT_RUNNING)
		curl_multi_remove_handle(r->multi, s->curl);
	if (s->curl)
		curl_easy_cleanup(s->curl);
	curl_slist_free_all(s->headers);
	buf_free(&s->body);
}

static int load_password(struct rspamd_http *r, struct err *e)
{
	if (r->conf->password.kind == SECRET_NONE)
		return 0;
	r->password = secret_line(&r->conf->password, "rspamd", "Password: ", e);
	return r->password ? 0 : -1;
}

static void http_close(struct rspamd *rspamd)
{
	struct rspamd_http *r = (struct rspamd_http *)rspamd;

	for (size_t i = 0; i < r->n; i++)
		slot_close(r, &r->slot[i]);
	slot_close(r, &r->stat);
	if (r->multi)
		curl_multi_cleanup(r->multi);
	if (r->password)
		OPENSSL_cleanse(r->password, strlen(r->password));
	free(r->password);
	free(r);
}

/* ---- /stat ---- */

static int not_rspamd(struct rspamd_http *r, const char *why, struct err *e)
{
	return err_set(
	    e, ERR_FATAL, ERR_CONFIG,
	    "rspamd %s: this does not answer as rspamd's controller does (%s); check url "
	    "in the rspamd block",
	    r->conf->url, why);
}

static int read_stat(struct rspamd_http *r, const struct buf *body, struct rspamd_stat *out,
		     struct err *e)
{
	json_t *json = json_loadb(body->data ? body->data : "", body->len, 0, NULL);
	json_t *list = json_object_get(json, "statfiles"), *item;
	bool ok = json_is_array(list);
	size_t i;

	*out = (struct rspamd_stat){.bayes = false};
	json_array_foreach(list, i, item)
	{
		const char *symbol = json_string_value(json_object_get(item, "symbol"));
		const char *class = json_string_value(json_object_get(item, "class"));
		json_int_t n = json_integer_value(json_object_get(item, "revision"));

		/* Without its Redis, rspamd 3.4 lists empty objects as statfiles. */
		out->bayes |= symbol != NULL;
		if (symbol == NULL || n <= 0)
			continue;
		/* From 4.0 on it names the class; earlier versions guess it from the symbol. */
		if (class ? strcmp(class, "spam") == 0 : strcasestr(symbol, "spam") != NULL)
			out->spam += (uint64_t)n;
		else if (class ? strcmp(class, "ham") == 0 : strcasestr(symbol, "ham") != NULL)
			out->ham += (uint64_t)n;
	}
	json_decref(json);
	return ok ? 0 : not_rspamd(r, "no statfiles in /stat", e);
}

static int stat_status(struct rspamd_http *r, long status, struct err *e)
{
	char why[64];

	if (status == 401 || status == 403)
		return err_set(
		    e, ERR_FATAL, ERR_AUTH,
		    "rspamd %s: the password was refused (%ld); check the password in "
		    "the rspamd block",
		    r->conf->url, status);
	/* The answer of rspamd's other workers to /stat. */
	if (strcasestr(r->stat.reason, "invalid command"))
		return err_set(
		    e, ERR_FATAL, ERR_CONFIG,
		    "rspamd %s: this is a worker of rspamd that scans mail, and only the "
		    "controller learns; its port is usually 11334: correct url in the rspamd "
		    "block",
		    r->conf->url);
	if (status >= 500)
		return err_set(e, ERR_FATAL, ERR_UNREACHABLE, "rspamd %s: answers %ld %s",
			       r->conf->url, status, r->stat.reason);
	snprintf(why, sizeof why, "status %ld", status);
	return not_rspamd(r, why, e);
}

static int cannot_reach(struct rspamd_http *r, CURLcode code, struct err *e)
{
	return err_set(e, ERR_FATAL, ERR_UNREACHABLE,
		       "rspamd %s: cannot be reached: %s; start it, or check url in the rspamd "
		       "block",
		       r->conf->url, curl_easy_strerror(code));
}

static int abort_on_stop(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)ctx, (void)a, (void)b, (void)c, (void)d;
	return stop_requested();
}

static int http_stat(struct rspamd *rspamd, struct rspamd_stat *out, struct err *e)
{
	struct rspamd_http *r = (struct rspamd_http *)rspamd;
	struct slot *s = &r->stat;
	char url[1024];
	CURLcode code;
	long status = 0;

	buf_clear(&s->body);
	s->header_bytes = 0;
	if (snprintf(url, sizeof url, "%s/stat", r->conf->url) >= (int)sizeof url ||
	    !set_headers(r, s, false))
		return err_no_memory(e);
	curl_easy_setopt(s->curl, CURLOPT_URL, url);
	curl_easy_setopt(s->curl, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, s->headers);
	curl_easy_setopt(s->curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(s->curl, CURLOPT_XFERINFOFUNCTION, abort_on_stop);
	code = curl_easy_perform(s->curl);
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return stop_error(e);
	if (code != CURLE_OK)
		return cannot_reach(r, code, e);
	curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return stat_status(r, status, e);
	return read_stat(r, &s->body, out, e);
}

/* ---- learning ---- */

static void finish_slot(struct slot *s, const struct answer *a)
{
	s->result.owner = s->job.owner;
	s->result.answer = *a;
	s->state = SLOT_DONE;
}

static void internal_failure(struct slot *s, const char *why)
{
	struct answer a = {
	    .outcome = OUTCOME_UNANSWERED, .next = ANSWER_STOP, .kind = ERR_LOCAL};

	snprintf(a.text, sizeof a.text, "%s", why);
	finish_slot(s, &a);
}

static void slot_send(struct rspamd_http *r, struct slot *s)
{
	s->tries++;
	s->header_bytes = 0;
	s->reason[0] = '\0';
	buf_clear(&s->body);
	if (curl_multi_add_handle(r->multi, s->curl) != CURLM_OK) {
		internal_failure(s, "libcurl refuses the request");
		return;
	}
	s->state = SLOT_RUNNING;
}

static int http_submit(struct rspamd *rspamd, const struct rspamd_job *job, struct err *e)
{
	struct rspamd_http *r = (struct rspamd_http *)rspamd;
	struct slot *s = r->slot;
	char url[1024];

	while (s->state != SLOT_FREE)
		s++;
	s->job = *job;
	s->tries = 0;
	if (snprintf(url, sizeof url, "%s/learn%s", r->conf->url, class_name(job->class)) >=
		(int)sizeof url ||
	    !set_headers(r, s, true))
		return err_no_memory(e);
	curl_easy_setopt(s->curl, CURLOPT_URL, url);
	curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, s->headers);
	curl_easy_setopt(s->curl, CURLOPT_POST, 1L);
	curl_easy_setopt(s->curl, CURLOPT_POSTFIELDS, job->len ? job->data : "");
	curl_easy_setopt(s->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)job->len);
	fault_step("rspamd-submit");
	slot_send(r, s);
	return 0;
}

/* Delay the next try: 250 ms, 500 ms, 1 s ... of which half is random (equal jitter). */
static void back_off(struct rspamd_http *r, struct slot *s)
{
	int ms = BACKOFF_FIRST_MS;

	for (int i = 1; i < s->tries && ms < BACKOFF_MAX_MS; i++)
		ms *= 2;
	s->not_before = clock_ms() + ms / 2 + rand_r(&r->seed) % (ms / 2 + 1);
	s->state = SLOT_WAITING;
}

/*
 * All tries have failed. Either rspamd cannot take this message, or it can take none: the
 * caller asks /stat. If /stat is good and still nothing gets through, the run ends.
 */
static void give_up(struct rspamd_http *r, struct slot *s, struct answer *a)
{
	a->next = ++r->in_vain > 2 * r->n ? ANSWER_STOP : ANSWER_DOUBT;
	finish_slot(s, a);
}

static void read_answer(struct slot *s, CURLcode code, struct answer *a)
{
	long status = 0;

	if (code == CURLE_OK) {
		curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
		answer_read((int)status, s->reason, s->body.data ? s->body.data : "",
			    s->body.len, a);
		return;
	}
	*a = (struct answer){
	    .outcome = OUTCOME_UNANSWERED, .next = ANSWER_RETRY, .kind = ERR_UNREACHABLE};
	if (code == CURLE_WRITE_ERROR) {
		a->next = ANSWER_FAILED;
		a->kind = ERR_PROTOCOL;
		snprintf(a->text, sizeof a->text, "an answer longer than any of rspamd's");
	} else if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY) {
		/* rspamd 3.4: "HTTP/1.1 1 cannot get learned: error getting reply from redis"
		 */
		snprintf(a->text, sizeof a->text,
			 "not an HTTP answer, as from rspamd when it has lost its Redis: see "
			 "whether Redis runs");
	} else {
		snprintf(a->text, sizeof a->text, "%s", curl_easy_strerror(code));
	}
}

static void on_done(struct rspamd_http *r, struct slot *s, CURLcode code)
{
	struct answer a;

	fault_step("rspamd-answer");
	curl_multi_remove_handle(r->multi, s->curl);
	read_answer(s, code, &a);
	log_debug("rspamd class=%s try=%d outcome=%s text=%s", class_name(s->job.class),
		  s->tries, outcome_name(a.outcome), a.text);
	r->rspamd.failures += a.next == ANSWER_RETRY;
	if (a.next != ANSWER_RETRY) {
		r->in_vain = 0;
		finish_slot(s, &a);
	} else if (s->tries < r->conf->tries && !stop_requested()) {
		back_off(r, s);
	} else {
		give_up(r, s, &a);
	}
}

/* Send requests that are due. Returns how much of a wait of ms may pass until the next is. */
static int send_due(struct rspamd_http *r, int ms)
{
	int64_t now = clock_ms();

	for (size_t i = 0; i < r->n; i++) {
		struct slot *s = &r->slot[i];

		if (s->state == SLOT_WAITING && s->not_before <= now)
			slot_send(r, s);
		else if (s->state == SLOT_WAITING && s->not_before - now < ms)
			ms = (int)(s->not_before - now);
	}
	return ms;
}

/* Process all transfers. Returns whether there is a result to take. */
static bool perform(struct rspamd_http *r)
{
	int running;
	CURLMsg *m;

	curl_multi_perform(r->multi, &running);
	while ((m = curl_multi_info_read(r->multi, &running)) != NULL) {
		struct slot *s;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&s);
		on_done(r, s, m->data.result);
	}
	for (size_t i = 0; i < r->n; i++)
		if (r->slot[i].state == SLOT_DONE)
			return true;
	return false;
}

static void http_wait(struct rspamd *rspamd, int fd, short events, int ms)
{
	struct rspamd_http *r = (struct rspamd_http *)rspamd;
	struct curl_waitfd extra = {.fd = fd, .events = 0};

	/* CURL_WAIT_POLLIN and POLLOUT are not the numbers of poll(2). */
	extra.events = (short)((events & POLLIN ? CURL_WAIT_POLLIN : 0) |
			       (events & POLLOUT ? CURL_WAIT_POLLOUT : 0));
	ms = send_due(r, ms);
	if (perform(r))
		return; /* a result is there already */
	curl_multi_poll(r->multi, &extra, fd == -1 ? 0 : 1, ms, NULL);
	perform(r);
}

static bool http_take(struct rspamd *rspamd, struct rspamd_result *out)
{
	struct rspamd_http *r = (struct rspamd_http *)rspamd;

	for (size_t i = 0; i < r->n; i++)
		if (r->slot[i].state == SLOT_DONE) {
			*out = r->slot[i].result;
			r->slot[i].state = SLOT_FREE;
			return true;
		}
	return false;
}

static const struct rspamd_ops http_ops = {
    http_stat, http_submit, http_wait, http_take, http_close,
};

struct rspamd *rspamd_http(const struct conf_rspamd *conf, struct err *e)
{
	size_t n = (size_t)conf->connections;
	struct rspamd_http *r = calloc(1, sizeof *r + n * sizeof r->slot[0]);
	bool ok = r != NULL;

	if (!ok)
		goto out;
	r->rspamd = (struct rspamd){
	    .ops = &http_ops, .url = conf->url, .connections = conf->connections};
	r->conf = conf;
	r->n = n;
	r->seed = (unsigned)clock_ms();
	if (load_password(r, e) == -1) {
		http_close(&r->rspamd);
		return NULL;
	}
	r->multi = curl_multi_init();
	ok = r->multi != NULL && slot_open(r, &r->stat);
	for (size_t i = 0; i < n && ok; i++)
		ok = slot_open(r, &r->slot[i]);
	if (ok)
		curl_multi_setopt(r->multi, CURLMOPT_MAXCONNECTS, (long)n);
out:
	if (ok)
		return &r->rspamd;
	if (r)
		http_close(&r->rspamd);
	err_no_memory(e);
	return NULL;
}
