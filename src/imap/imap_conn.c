#include "imap/imap_conn.h"

#include <curl/curl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "base/text.h"

enum {
	IMAP_CONN_BUFFER = 32 * 1024,
	SERVER_WORD_MAX = 256,
	WAIT_MS = 1000, /* at most, for a signal may come between a look at it and poll(2) */
};

struct imap_conn {
	const struct conf_account *account; /* borrowed */
	CURL *curl;			    /* owned */
	curl_socket_t fd;
	struct waiter waiter;
	int64_t waited;	 /* for the peer since imap_conn_expect(), in milliseconds */
	int64_t since;	 /* clock_ms() at which we last asked somebody to wait ... */
	int64_t granted; /* ... and for how long; 0: we did not */
	bool greeted;	 /* it said something */
	size_t begin, end;
	char last_word[SERVER_WORD_MAX]; /* the server's last refusal while connecting */
	char buffer[IMAP_CONN_BUFFER];
};

/* libcurl keeps the server's own words to itself, and they hold the reason. */
static int note_refusal(CURL *curl, curl_infotype type, char *data, size_t size, void *ctx)
{
	struct imap_conn *c = ctx;
	const char *word;

	(void)curl;
	while (size > 0 && (data[size - 1] == '\n' || data[size - 1] == '\r'))
		size--;
	if (type != CURLINFO_HEADER_IN || (word = memchr(data, ' ', size)) == NULL)
		return 0;
	size -= (size_t)(++word - data);
	c->greeted = true;
	if (size > 3 &&
	    (strncasecmp(word, "NO ", 3) == 0 || strncasecmp(word, "BAD ", 4) == 0 ||
	     strncasecmp(word, "BYE ", 4) == 0))
		text_visible(c->last_word, sizeof c->last_word, word, size);
	return 0;
}

/* A program that we start (password-command) has no business with our sockets. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
	(void)ctx, (void)purpose;
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static int abort_on_stop(void *ctx, curl_off_t a, curl_off_t b, curl_off_t d, curl_off_t f)
{
	(void)ctx, (void)a, (void)b, (void)d, (void)f;
	return stop_requested();
}

/* Is this the URL of a server that begins in plaintext? */
static bool is_plain(const struct conf_account *a)
{
	return strncasecmp(a->url, "imap:", 5) == 0;
}

/* What OpenSSL and GnuTLS call an answer in plaintext. */
static bool is_no_tls(CURLcode code, const char *detail)
{
	return code == CURLE_SSL_CONNECT_ERROR &&
	       (strcasestr(detail, "wrong version number") ||
		strcasestr(detail, "packet length too long") ||
		strcasestr(detail, "unexpected TLS packet"));
}

/* Connected, and not a word: who wants TLS at once waits for us to begin. */
static bool is_silent(const struct imap_conn *c, CURLcode code)
{
	curl_off_t connected = 0;

	return code == CURLE_OPERATION_TIMEDOUT && is_plain(c->account) && !c->greeted &&
	       curl_easy_getinfo(c->curl, CURLINFO_CONNECT_TIME_T, &connected) == CURLE_OK &&
	       connected > 0;
}

/* Which of our errors a failed connection or login is, with its cure. */
static int connect_error(struct imap_conn *c, CURLcode code, const char *detail, struct err *e)
{
	const struct conf_account *a = c->account;
	const char *said = c->last_word;

	if (detail[0] == '\0')
		detail = curl_easy_strerror(code);
	switch (code) {
	case CURLE_ABORTED_BY_CALLBACK:
		return stop_error(e);
	case CURLE_OUT_OF_MEMORY:
		return err_no_memory(e);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return err_set(e, ERR_SERVER, ERR_UNREACHABLE,
			       "account %s: the certificate of %s is not trusted: %s; name the "
			       "host as the certificate does, renew it, or set ca-file",
			       a->name, a->url, detail);
	case CURLE_USE_SSL_FAILED:
		return err_set(
		    e, ERR_SERVER, ERR_UNREACHABLE,
		    "account %s: %s offers no STARTTLS; use imaps://, or insecure = true "
		    "where nobody can listen",
		    a->name, a->url);
	default:
		if (strncasecmp(said, "BYE", 3) == 0)
			return err_set(e, ERR_SERVER, ERR_TEMPORARY,
				       "account %s: %s takes no connections now: %s", a->name,
				       a->url, said);
		if (is_no_tls(code, detail))
			return err_set(
			    e, ERR_SERVER, ERR_UNREACHABLE,
			    "account %s: %s speaks no TLS on this port; use imap:// with this "
			    "port (STARTTLS then encrypts), or imaps:// with port 993",
			    a->name, a->url);
		if (is_silent(c, code))
			return err_set(
			    e, ERR_SERVER, ERR_UNREACHABLE,
			    "account %s: %s accepted the connection and said nothing for %d "
			    "seconds; perhaps this port wants imaps://",
			    a->name, a->url, a->timeout);
		return err_set(e, ERR_SERVER, ERR_UNREACHABLE,
			       "account %s: cannot reach %s: %s%s%s; check url, the server and "
			       "the network",
			       a->name, a->url, detail, said[0] ? ": " : "", said);
	}
}

static void set_options(struct imap_conn *c, char *detail)
{
	const struct conf_account *a = c->account;
	CURL *h = c->curl;

	curl_easy_setopt(h, CURLOPT_URL, a->url);
	curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "imap,imaps");
	curl_easy_setopt(h, CURLOPT_PROXY, ""); /* nor one of the environment */
	curl_easy_setopt(h, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(h, CURLOPT_TIMEOUT, (long)a->timeout);
	curl_easy_setopt(h, CURLOPT_USE_SSL,
			 (long)(a->insecure ? CURLUSESSL_TRY : CURLUSESSL_ALL));
	curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (a->ca_file) {
		curl_easy_setopt(h, CURLOPT_CAINFO, a->ca_file);
		curl_easy_setopt(h, CURLOPT_CAPATH, NULL);
	}
	curl_easy_setopt(h, CURLOPT_ERRORBUFFER, detail);
	curl_easy_setopt(h, CURLOPT_VERBOSE, 1L); /* only for note_refusal */
	curl_easy_setopt(h, CURLOPT_DEBUGFUNCTION, note_refusal);
	curl_easy_setopt(h, CURLOPT_DEBUGDATA, c);
	curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, abort_on_stop);
}

struct imap_conn *imap_conn_open(const struct conf_account *account, struct err *e)
{
	char detail[CURL_ERROR_SIZE] = "";
	struct imap_conn *c = calloc(1, sizeof *c);
	CURLcode code = CURLE_OUT_OF_MEMORY;

	if (c == NULL || (c->curl = curl_easy_init()) == NULL) {
		err_no_memory(e);
		goto out;
	}
	c->account = account;
	c->waiter = waiter_poll;
	set_options(c, detail);
	code = curl_easy_perform(c->curl);
	curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, NULL);
	curl_easy_setopt(c->curl, CURLOPT_VERBOSE, 0L);
	if (code == CURLE_OK)
		code = curl_easy_getinfo(c->curl, CURLINFO_ACTIVESOCKET, &c->fd);
	if (code == CURLE_OK)
		return c;
	connect_error(c, code, detail, e);
out:
	imap_conn_close(c);
	return NULL;
}

void imap_conn_close(struct imap_conn *c)
{
	if (c == NULL)
		return;
	if (c->curl)
		curl_easy_cleanup(c->curl);
	free(c);
}

void imap_conn_set_waiter(struct imap_conn *c, const struct waiter *w)
{
	c->waiter = *w;
}

void imap_conn_expect(struct imap_conn *c)
{
	c->waited = c->granted = 0;
}

int64_t imap_conn_waited(const struct imap_conn *c)
{
	return c->waited;
}

void imap_conn_wait(struct imap_conn *c, const struct wait *wait)
{
	c->waiter.wait(c->waiter.ctx, wait->fd, wait->events, wait->ms);
}

/* Count the wait that we asked for last, as far as it was one for the peer. */
static void count_wait(struct imap_conn *c)
{
	int64_t passed;

	if (c->granted == 0)
		return;
	passed = clock_ms() - c->since;
	c->waited += passed < c->granted ? passed : c->granted;
	c->granted = 0;
}

/* Ask for a wait; -1 once there were enough of them. */
static int ask_to_wait(struct imap_conn *c, short events, struct wait *wait, struct err *e)
{
	int64_t left = (int64_t)c->account->timeout * 1000 - c->waited;

	if (left <= 0)
		return err_set(e, ERR_SERVER, ERR_TEMPORARY,
			       "account %s: %s did not answer for %d seconds", c->account->name,
			       c->account->url, c->account->timeout);
	*wait = (struct wait){c->fd, events, stop_limit(left > WAIT_MS ? WAIT_MS : (int)left)};
	if (wait->ms <= 0)
		return stop_error(e);
	c->since = clock_ms();
	c->granted = wait->ms;
	return 0;
}

static int broken(struct imap_conn *c, CURLcode code, struct err *e)
{
	return err_set(e, ERR_SERVER, ERR_TEMPORARY,
		       "account %s: the connection to %s broke: %s", c->account->name,
		       c->account->url, curl_easy_strerror(code));
}

int imap_conn_write(struct imap_conn *c, const void *data, size_t len, struct err *e)
{
	const char *p = data;
	struct wait wait = {.fd = -1};

	imap_conn_expect(c);
	while (len > 0) {
		size_t n = 0;
		CURLcode code;

		count_wait(c);
		code = curl_easy_send(c->curl, p, len, &n);
		if (code != CURLE_OK && code != CURLE_AGAIN)
			return broken(c, code, e);
		p += n;
		len -= n;
		if (code != CURLE_AGAIN)
			continue;
		if (ask_to_wait(c, POLLOUT, &wait, e) == -1)
			return -1;
		imap_conn_wait(c, &wait);
	}
	return 0;
}

int imap_conn_read(struct imap_conn *c, const char **data, size_t *len, struct wait *wait,
		   struct err *e)
{
	if (c->begin == c->end) {
		size_t n = 0;
		CURLcode code;

		count_wait(c);
		code = curl_easy_recv(c->curl, c->buffer, sizeof c->buffer, &n);
		if (code == CURLE_AGAIN)
			return ask_to_wait(c, POLLIN, wait, e);
		if (code != CURLE_OK)
			return broken(c, code, e);
		if (n == 0)
			return err_set(e, ERR_SERVER, ERR_TEMPORARY,
				       "account %s: %s closed the connection", c->account->name,
				       c->account->url);
		c->begin = 0;
		c->end = n;
	}
	*data = c->buffer + c->begin;
	*len = c->end - c->begin;
	return 1;
}

void imap_conn_consume(struct imap_conn *c, size_t n)
{
	c->begin += n;
}
