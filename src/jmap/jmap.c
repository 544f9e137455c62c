#include "jmap/jmap.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <curl/curl.h>
#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/stop.h"
#include "base/text.h"

enum {
	REASON_MAX = 200,
	URL_MAX = 2048,
	EVENTS = 16,
	WAIT_MS = 1000,
	TRIES_BUSY = 5,	  /* of a request that the server has too many of */
	TRIES_BROKEN = 3, /* ... or that it fails at */
	PAUSE_MS = 100,
	RETRY_AFTER_MAX = 120, /* seconds: Stalwart counts requests by the minute */
};

enum transfer_state { TRANSFER_FREE, TRANSFER_WAITING, TRANSFER_RUNNING, TRANSFER_DONE };

/* One request: a call, or a download. */
struct transfer {
	struct jmap *jmap; /* borrowed */
	CURL *curl;	   /* owned */
	enum transfer_state state;
	bool download;
	bool paused;   /* the others hold as much as they may */
	bool large;    /* above max_size */
	bool framed;   /* the end of the body is told: by a length, or in chunks */
	uint64_t turn; /* downloads are taken in the order in which they were begun */
	uint32_t owner;
	uint32_t max_size;
	uint64_t announced; /* Content-Length; 0: none */
	struct buf body;
	size_t header_bytes;
	CURLcode code;
	long status;
	int tries;
	int retry_after;    /* seconds, by the server's answer; 0: it did not say */
	int64_t not_before; /* WAITING: clock_ms() of the next try */
};

struct jmap {
	const struct conf_stalwart *conf; /* borrowed */
	const struct waiter *waiter;	  /* borrowed */
	CURLM *multi;			  /* owned */
	int epoll;			  /* has the sockets of multi */
	int64_t due;			  /* clock_ms() at which multi wants to be called; -1 */
	struct curl_slist *headers;	  /* owned: the key is in it; wiped */
	struct secret password;
	uint64_t turns;
	struct transfer call;
	struct transfer slot[JMAP_DOWNLOADS];
};

/* ---- what a transfer receives ---- */

static bool is_field(const char *line, size_t len, const char *name)
{
	size_t n = strlen(name);

	return len > n && line[n] == ':' && strncasecmp(line, name, n) == 0;
}

/* RFC 9110, 10.2.3; a date in place of seconds counts as nothing said. */
static int read_seconds(const char *text, size_t len)
{
	uint64_t n = 0;

	while (len > 0 && *text == ' ')
		text++, len--;
	while (len > 0 &&
	       (text[len - 1] == '\r' || text[len - 1] == '\n' || text[len - 1] == ' '))
		len--;
	return text_number(text, len, RETRY_AFTER_MAX, &n) ? (int)n : 0;
}

static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	size_t len = size * n;

	t->header_bytes += len;
	if (t->header_bytes > JMAP_HEADER_MAX)
		return 0;
	if (len >= 5 && memcmp(data, "HTTP/", 5) == 0)
		t->framed = false; /* a 100 Continue came before */
	if (is_field(data, len, "Retry-After"))
		t->retry_after =
		    read_seconds(data + sizeof "Retry-After", len - sizeof "Retry-After");
	if (is_field(data, len, "Content-Length") || is_field(data, len, "Transfer-Encoding"))
		t->framed = true;
	return len;
}

/* The bodies that lie in memory. */
static size_t held(const struct jmap *j)
{
	size_t bytes = 0;

	for (size_t i = 0; i < JMAP_DOWNLOADS; i++)
		bytes += j->slot[i].body.len;
	return bytes;
}

/* The download whose turn it is; NULL: there is none. It may always go on. */
static struct transfer *find_first(const struct jmap *j)
{
	const struct transfer *first = NULL;

	for (size_t i = 0; i < JMAP_DOWNLOADS; i++)
		if (j->slot[i].state != TRANSFER_FREE &&
		    (first == NULL || j->slot[i].turn < first->turn))
			first = &j->slot[i];
	return (struct transfer *)(uintptr_t)first;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	size_t len = size * n;
	curl_off_t announced = -1;

	if (t->download && t->body.len == 0) {
		curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
		t->announced = announced > 0 ? (uint64_t)announced : 0;
	}
	if (t->download && (t->announced > t->max_size || t->body.len + len > t->max_size)) {
		t->large = true;
		return 0;
	}
	if (t->download && held(t->jmap) + len > JMAP_HELD_MAX && find_first(t->jmap) != t) {
		t->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	return buf_add(&t->body, data, len) == -1 ? 0 : len;
}

/* ---- sockets ---- */

static int on_socket(CURL *curl, curl_socket_t fd, int what, void *ctx, void *known)
{
	struct jmap *j = ctx;
	struct epoll_event event = {.data.fd = fd};

	(void)curl;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(j->epoll, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	event.events = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
		       (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
	if (epoll_ctl(j->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) == -1)
		return -1;
	curl_multi_assign(j->multi, fd, j);
	return 0;
}

static int on_timer(CURLM *multi, long ms, void *ctx)
{
	struct jmap *j = ctx;

	(void)multi;
	j->due = ms < 0 ? -1 : clock_ms() + ms;
	return 0;
}

static void send_again(struct jmap *j, struct transfer *t)
{
	t->state = TRANSFER_RUNNING;
	t->header_bytes = 0;
	t->framed = t->paused = t->large = false;
	t->announced = 0;
	t->retry_after = 0;
	buf_clear(&t->body);
	if (curl_multi_add_handle(j->multi, t->curl) != CURLM_OK) {
		t->code = CURLE_OUT_OF_MEMORY;
		t->state = TRANSFER_DONE;
	}
}

/* Too many requests, by the server's own count: a moment later there is room again. */
static bool is_too_many(const struct transfer *t)
{
	return t->status == 429 || t->status == 503 ||
	       (t->status == 400 && t->body.data && t->body.len > 0 &&
		memmem(t->body.data, t->body.len, "jmap:error:limit", 16) != NULL);
}

/* How often a request is sent that ended like this. */
static int tries_of(const struct transfer *t)
{
	switch (t->code) {
	case CURLE_OK:
		return is_too_many(t) ? TRIES_BUSY : t->status >= 500 ? TRIES_BROKEN : 1;
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return TRIES_BROKEN;
	default:
		return 1;
	}
}

static void on_done(struct jmap *j, struct transfer *t, CURLcode code)
{
	curl_multi_remove_handle(j->multi, t->curl);
	t->code = code;
	t->status = 0;
	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &t->status);
	t->state = TRANSFER_DONE;
	if (++t->tries >= tries_of(t) || stop_requested())
		return;
	t->state = TRANSFER_WAITING;
	t->not_before = clock_ms() + (t->retry_after ? (int64_t)t->retry_after * 1000
						     : (int64_t)PAUSE_MS << t->tries);
	log_debug("stalwart %s: %s, status %ld; again in %lld ms", j->conf->name,
		  curl_easy_strerror(code), t->status, (long long)(t->not_before - clock_ms()));
}

static void drain(struct jmap *j)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(j->multi, &left)) != NULL) {
		struct transfer *t;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		on_done(j, t, m->data.result);
	}
}

/* What was paused may go on, as far as there is room. */
static void resume(struct jmap *j)
{
	for (size_t i = 0; i < JMAP_DOWNLOADS; i++) {
		struct transfer *t = &j->slot[i];

		if (t->state == TRANSFER_RUNNING && t->paused &&
		    (t == find_first(j) || held(j) < JMAP_HELD_MAX / 2)) {
			t->paused = false;
			curl_easy_pause(t->curl, CURLPAUSE_CONT);
		}
	}
}

/* Send what is due again. Returns the time until the next, at most ms. */
static int send_due(struct jmap *j, struct transfer *t, int ms)
{
	int64_t now = clock_ms();

	if (t->state != TRANSFER_WAITING)
		return ms;
	if (t->not_before <= now)
		send_again(j, t);
	else if (t->not_before - now < ms)
		ms = (int)(t->not_before - now);
	return ms;
}

/* Let bytes move; never waits. */
static void process(struct jmap *j, struct wait *wait)
{
	struct epoll_event event[EVENTS];
	int running, ms = WAIT_MS, n = epoll_wait(j->epoll, event, EVENTS, 0);
	int64_t now;

	for (int i = 0; i < n; i++) {
		int what = (event[i].events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
			   (event[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
			   (event[i].events & EPOLLERR ? CURL_CSELECT_ERR : 0);

		curl_multi_socket_action(j->multi, event[i].data.fd, what, &running);
	}
	resume(j);
	ms = send_due(j, &j->call, ms);
	for (size_t i = 0; i < JMAP_DOWNLOADS; i++)
		ms = send_due(j, &j->slot[i], ms);
	if (j->due != -1 && j->due <= clock_ms()) {
		j->due = -1;
		curl_multi_socket_action(j->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	drain(j);
	now = clock_ms();
	if (j->due != -1 && j->due - now < ms)
		ms = j->due > now ? (int)(j->due - now) : 0;
	*wait = (struct wait){.fd = j->epoll, .events = POLLIN, .ms = ms};
}

/* ---- errors ---- */

static int failed(struct jmap *j, enum err_kind kind, const char *what, struct err *e)
{
	return err_set(e, ERR_SERVER, kind, "stalwart %s: %s", j->conf->name, what);
}

/* What was wrong with an answer, or why there was none. */
static const char *describe(CURLcode code)
{
	switch (code) {
	case CURLE_WRITE_ERROR:
		return "an answer longer than any of Stalwart's";
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		return "not an HTTP answer";
	default:
		return curl_easy_strerror(code);
	}
}

static int unreachable(struct jmap *j, CURLcode code, struct err *e)
{
	if (code == CURLE_OUT_OF_MEMORY)
		return err_no_memory(e);
	if (code == CURLE_WRITE_ERROR || code == CURLE_UNSUPPORTED_PROTOCOL ||
	    code == CURLE_WEIRD_SERVER_REPLY)
		return err_set(e, ERR_SERVER, ERR_PROTOCOL,
			       "stalwart %s: %s; does url name it?", j->conf->name,
			       describe(code));
	if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
		return err_set(e, ERR_SERVER, ERR_UNREACHABLE,
			       "stalwart %s: its certificate is not valid: %s; renew it, or "
			       "name its authority by ca-file",
			       j->conf->name, curl_easy_strerror(code));
	/* An address that tried wrong keys too often is shut out without a word. */
	if (code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR)
		return err_set(e, ERR_SERVER, ERR_UNREACHABLE,
			       "stalwart %s: %s; see its log, and whether it has blocked this "
			       "host's address",
			       j->conf->name, curl_easy_strerror(code));
	return err_set(e, ERR_SERVER, ERR_UNREACHABLE,
		       "stalwart %s: %s at %s; start it, or correct url", j->conf->name,
		       curl_easy_strerror(code), j->conf->url);
}

/* The server's own words about an error (RFC 7807), or nothing. */
static void read_detail(const struct buf *body, char *out, size_t size)
{
	json_t *json = json_loadb(body->data ? body->data : "", body->len, 0, NULL);
	const char *text = json_string_value(json_object_get(json, "detail"));

	if (text == NULL)
		text = json_string_value(json_object_get(json, "title"));
	text_visible(out, size, text ? text : "", text ? strlen(text) : 0);
	json_decref(json);
}

/* An answer that is not 200. */
static int refused(struct jmap *j, const struct transfer *t, struct err *e)
{
	const char *who = j->conf->key.kind != SECRET_NONE ? "key" : "password";
	char detail[REASON_MAX];

	read_detail(&t->body, detail, sizeof detail);
	if (t->status == 401)
		return err_set(e, ERR_SERVER, ERR_AUTH,
			       "stalwart %s: the %s was refused (401); create it anew and "
			       "correct %s-file",
			       j->conf->name, who, who);
	if (t->status == 403)
		return err_set(e, ERR_SERVER, ERR_AUTH,
			       "stalwart %s: access is forbidden (403%s%s); the %s needs the "
			       "permission authenticate",
			       j->conf->name, detail[0] ? ": " : "", detail, who);
	if (is_too_many(t))
		return err_set(e, ERR_SERVER, ERR_TEMPORARY,
			       "stalwart %s: too many requests (%ld%s%s); the next run tries "
			       "again",
			       j->conf->name, t->status, detail[0] ? ": " : "", detail);
	if (t->status >= 500)
		return err_set(e, ERR_SERVER, ERR_UNREACHABLE,
			       "stalwart %s: answers %ld%s%s; see its log, the next run tries "
			       "again",
			       j->conf->name, t->status, detail[0] ? " " : "", detail);
	if (t->status >= 300 && t->status < 400)
		return err_set(e, ERR_SERVER, ERR_CONFIG,
			       "stalwart %s: answers with a redirect (%ld), which is not "
			       "followed; put the address of Stalwart itself into url",
			       j->conf->name, t->status);
	return err_set(e, ERR_SERVER, t->status == 404 ? ERR_CONFIG : ERR_PROTOCOL,
		       "stalwart %s: answers %ld%s%s; does url name a Stalwart from 0.16 on?",
		       j->conf->name, t->status, detail[0] ? " " : "", detail);
}

/* ---- calls ---- */

/* Send j->call and wait for its end. 0 with the body in it, or -1. */
static int perform(struct jmap *j, const char *path, struct err *e)
{
	struct transfer *t = &j->call;
	char url[URL_MAX];
	struct wait wait;

	if (snprintf(url, sizeof url, "%s%s", j->conf->url, path) >= (int)sizeof url)
		return failed(j, ERR_CONFIG, "url is too long", e);
	curl_easy_setopt(t->curl, CURLOPT_URL, url);
	t->tries = 0;
	fault_step("jmap-call");
	send_again(j, t);
	for (process(j, &wait); t->state != TRANSFER_DONE; process(j, &wait)) {
		if (stop_requested())
			break;
		j->waiter->wait(j->waiter->ctx, wait.fd, wait.events, wait.ms);
	}
	fault_step("jmap-answer");
	if (t->state == TRANSFER_RUNNING)
		curl_multi_remove_handle(j->multi, t->curl);
	if (t->state != TRANSFER_DONE) {
		t->state = TRANSFER_FREE;
		return stop_error(e);
	}
	t->state = TRANSFER_FREE;
	if (t->code != CURLE_OK)
		return unreachable(j, t->code, e);
	return t->status == 200 ? 0 : refused(j, t, e);
}

/* The answer to the last call; what it has to be is said in the error. */
static json_t *parse(struct jmap *j, struct err *e)
{
	const struct buf *b = &j->call.body;
	json_t *json = json_loadb(b->data ? b->data : "", b->len, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(json))
		return json;
	json_decref(json);
	failed(j, ERR_PROTOCOL,
	       "what answers is no JMAP server (no JSON object); does url name Stalwart, or a "
	       "proxy before it?",
	       e);
	return NULL;
}

json_t *jmap_get(struct jmap *j, const char *path, struct err *e)
{
	curl_easy_setopt(j->call.curl, CURLOPT_HTTPGET, 1L);
	return perform(j, path, e) == 0 ? parse(j, e) : NULL;
}

/* The answers of a response, one for each call: each [name, arguments, id]. */
static json_t *take_answers(struct jmap *j, size_t n, struct err *e)
{
	json_t *json = parse(j, e), *list = json_object_get(json, "methodResponses"), *one;
	bool good = json_array_size(list) == n;
	size_t i;

	json_array_foreach(list, i, one) good = good && json_array_size(one) == 3 &&
						json_is_string(json_array_get(one, 0)) &&
						json_is_object(json_array_get(one, 1));
	if (json && !good)
		failed(j, ERR_PROTOCOL, "its answer has not what was asked for; see its log",
		       e);
	list = good ? json_incref(list) : NULL;
	json_decref(json);
	return list;
}

json_t *jmap_call(struct jmap *j, json_t *calls, struct err *e)
{
	size_t n = json_array_size(calls);
	json_t *request =
	    calls ? json_pack("{s:[s,s], s:o}", "using", "urn:ietf:params:jmap:core",
			      "urn:stalwart:jmap", "methodCalls", calls)
		  : NULL;
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	json_t *answers = NULL;

	json_decref(request);
	if (text == NULL) {
		err_no_memory(e);
		return NULL;
	}
	curl_easy_setopt(j->call.curl, CURLOPT_POST, 1L);
	curl_easy_setopt(j->call.curl, CURLOPT_POSTFIELDS, text);
	curl_easy_setopt(j->call.curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(text));
	if (perform(j, "/jmap/", e) == 0)
		answers = take_answers(j, n, e);
	free(text);
	return answers;
}

/* ---- downloads ---- */

int jmap_download(struct jmap *j, const char *account, const char *blob, uint32_t max_size,
		  uint32_t owner, struct err *e)
{
	struct transfer *t = j->slot;
	char url[URL_MAX], *a = curl_easy_escape(NULL, account, 0),
			   *b = curl_easy_escape(NULL, blob, 0);
	int rc = a && b ? 0 : err_no_memory(e);

	while (t->state != TRANSFER_FREE)
		t++;
	if (rc == 0 && snprintf(url, sizeof url, "%s/jmap/download/%s/%s/m.eml", j->conf->url,
				a, b) >= (int)sizeof url)
		rc = failed(j, ERR_CONFIG, "url is too long", e);
	curl_free(a);
	curl_free(b);
	if (rc == -1)
		return -1;
	t->turn = ++j->turns;
	t->owner = owner;
	t->max_size = max_size;
	t->tries = 0;
	buf_init(&t->body, max_size);
	curl_easy_setopt(t->curl, CURLOPT_URL, url);
	send_again(j, t);
	return 0;
}

size_t jmap_running(const struct jmap *j)
{
	size_t n = 0;

	for (size_t i = 0; i < JMAP_DOWNLOADS; i++)
		n += j->slot[i].state != TRANSFER_FREE;
	return n;
}

uint32_t jmap_ready_size(const struct jmap *j)
{
	const struct transfer *t = find_first(j);

	return t && t->state == TRANSFER_DONE ? (uint32_t)t->body.len : 0;
}

/* Where a body ends only with the connection, nobody knows whether that was its end. */
static const char *find_flaw(const struct transfer *t)
{
	if (t->code == CURLE_OK && t->framed)
		return NULL;
	return t->code == CURLE_OK ? "the server does not tell its length" : describe(t->code);
}

/* 0, or -1 where the error is not this download's own. */
static int read_fate(struct jmap *j, struct transfer *t, struct jmap_result *out, struct err *e)
{
	const char *flaw = find_flaw(t);

	*out = (struct jmap_result){.fate = JMAP_BROKEN, .owner = t->owner};
	if (t->code == CURLE_OUT_OF_MEMORY)
		return err_no_memory(e);
	if (t->large) {
		out->fate = JMAP_LARGE;
		out->size = t->announced < UINT32_MAX ? (uint32_t)t->announced : UINT32_MAX;
	} else if (t->code == CURLE_OK && t->status == 404) {
		out->fate = JMAP_MISSING;
	} else if (t->code == CURLE_OK && t->status != 200) {
		return refused(j, t, e);
	} else if (flaw) {
		out->flaw = flaw;
	} else {
		out->fate = JMAP_BODY;
		out->size = (uint32_t)t->body.len;
		out->body = t->body;
		t->body = (struct buf){0};
	}
	return 0;
}

int jmap_take(struct jmap *j, struct jmap_result *out, struct wait *wait, struct err *e)
{
	struct transfer *t;
	int rc;

	process(j, wait);
	t = find_first(j);
	if (t == NULL || t->state != TRANSFER_DONE)
		return 0;
	rc = read_fate(j, t, out, e);
	buf_free(&t->body);
	t->state = TRANSFER_FREE;
	return rc == -1 ? -1 : 1;
}

void jmap_abandon(struct jmap *j)
{
	for (size_t i = 0; i < JMAP_DOWNLOADS; i++) {
		struct transfer *t = &j->slot[i];

		if (t->state == TRANSFER_RUNNING)
			curl_multi_remove_handle(j->multi, t->curl);
		t->state = TRANSFER_FREE;
		buf_free(&t->body);
	}
}

/* ---- setting up ---- */

static bool add_header(struct jmap *j, const char *line)
{
	struct curl_slist *more = curl_slist_append(j->headers, line);

	if (more)
		j->headers = more;
	return more != NULL;
}

static int load_key(struct jmap *j, struct err *e)
{
	char *line = secret_line(&j->conf->key, "stalwart", "Authorization: Bearer ", e);
	bool good;

	if (line == NULL)
		return -1;
	good = add_header(j, line);
	OPENSSL_cleanse(line, strlen(line));
	free(line);
	return good ? 0 : err_no_memory(e);
}

static int load_secret(struct jmap *j, struct err *e)
{
	int rc;

	if (!add_header(j, "Expect:") || !add_header(j, "Content-Type: application/json"))
		return err_no_memory(e);
	rc = j->conf->key.kind != SECRET_NONE
		 ? load_key(j, e)
		 : secret_load(&j->conf->password, "stalwart", &j->password, e);
	if (rc == -1 && e && e->kind == ERR_CONFIG)
		e->scope = ERR_SERVER;
	return rc;
}

static bool transfer_open(struct jmap *j, struct transfer *t, bool download)
{
	const struct conf_stalwart *c = j->conf;

	*t = (struct transfer){.jmap = j, .download = download, .curl = curl_easy_init()};
	if (t->curl == NULL)
		return false;
	if (!download)
		buf_init(&t->body, JMAP_ANSWER_MAX);
	curl_easy_setopt(t->curl, CURLOPT_PRIVATE, t);
	curl_easy_setopt(t->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(t->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(t->curl, CURLOPT_NOPROXY, "*"); /* mail never goes to a web proxy */
	curl_easy_setopt(t->curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(t->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(t->curl, CURLOPT_CONNECTTIMEOUT, (long)c->timeout);
	curl_easy_setopt(t->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(t->curl, CURLOPT_LOW_SPEED_TIME, (long)c->timeout);
	curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, j->headers);
	if (c->key.kind == SECRET_NONE) {
		curl_easy_setopt(t->curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
		curl_easy_setopt(t->curl, CURLOPT_USERNAME, c->user);
		curl_easy_setopt(t->curl, CURLOPT_PASSWORD, j->password.text);
	}
	if (c->ca_file) {
		curl_easy_setopt(t->curl, CURLOPT_CAINFO, c->ca_file);
		curl_easy_setopt(t->curl, CURLOPT_CAPATH, NULL);
	}
	curl_easy_setopt(t->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(t->curl, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, t);
	return true;
}

static void transfer_close(struct jmap *j, struct transfer *t)
{
	if (t->curl && t->state == TRANSFER_RUNNING)
		curl_multi_remove_handle(j->multi, t->curl);
	if (t->curl)
		curl_easy_cleanup(t->curl);
	buf_free(&t->body);
}

struct jmap *jmap_open(const struct conf_stalwart *conf, const struct waiter *waiter,
		       struct err *e)
{
	struct jmap *j = calloc(1, sizeof *j);
	bool good;

	if (j == NULL) {
		err_no_memory(e);
		return NULL;
	}
	j->conf = conf;
	j->waiter = waiter ? waiter : &waiter_poll;
	j->due = -1;
	j->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (load_secret(j, e) == -1) {
		jmap_close(j);
		return NULL;
	}
	j->multi = curl_multi_init();
	good = j->epoll != -1 && j->multi && transfer_open(j, &j->call, false);
	for (size_t i = 0; i < JMAP_DOWNLOADS && good; i++)
		good = transfer_open(j, &j->slot[i], true);
	if (!good) {
		jmap_close(j);
		err_no_memory(e);
		return NULL;
	}
	curl_multi_setopt(j->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(j->multi, CURLMOPT_SOCKETDATA, j);
	curl_multi_setopt(j->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(j->multi, CURLMOPT_TIMERDATA, j);
	curl_multi_setopt(j->multi, CURLMOPT_MAXCONNECTS, (long)JMAP_DOWNLOADS + 1);
	return j;
}

void jmap_close(struct jmap *j)
{
	if (j == NULL)
		return;
	for (size_t i = 0; i < JMAP_DOWNLOADS; i++)
		transfer_close(j, &j->slot[i]);
	transfer_close(j, &j->call);
	if (j->multi)
		curl_multi_cleanup(j->multi);
	if (j->epoll != -1)
		close(j->epoll);
	for (struct curl_slist *line = j->headers; line; line = line->next)
		OPENSSL_cleanse(line->data, strlen(line->data));
	curl_slist_free_all(j->headers);
	secret_wipe(&j->password);
	free(j);
}
