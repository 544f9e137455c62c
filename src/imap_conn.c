#include "imap_conn.h"

#include <curl/curl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "stop.h"
#include "text.h"

enum { IMAP_CONN_BUFFER = 32 * 1024, SERVER_WORD_MAX = 256 };

struct imap_conn {
	const struct conf_account *account; /* borrowed */
	CURL *curl;			    /* owned */
	curl_socket_t fd;
	struct waiter waiter;
	int64_t deadline; /* clock_ms() by which the peer must have answered */
	size_t begin, end;
	char last_word[SERVER_WORD_MAX]; /* the server's last refusal while logging in */
	char buffer[IMAP_CONN_BUFFER];
};

/* libcurl keeps the server's own words of a refused login to itself; they hold the reason. */
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
	if (size > 3 &&
	    (strncasecmp(word, "NO ", 3) == 0 || strncasecmp(word, "BAD ", 4) == 0 ||
	     strncasecmp(word, "BYE ", 4) == 0))
		text_visible(c->last_word, sizeof c->last_word, word, size);
	return 0;
}

static int abort_on_stop(void *ctx, curl_off_t a, curl_off_t b, curl_off_t d, curl_off_t f)
{
	(void)ctx, (void)a, (void)b, (void)d, (void)f;
	return stop_requested();
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
		return err_set(e, ERR_FATAL, ERR_LOCAL, "out of memory");
	case CURLE_LOGIN_DENIED:
		if (strcasestr(said, "[UNAVAILABLE]") || strncasecmp(said, "BYE", 3) == 0)
			return err_set(e, ERR_SERVER, ERR_TEMPORARY,
				       "account %s: %s cannot log anyone in now: %s", a->name,
				       a->url, said);
		return err_set(e, ERR_SERVER, ERR_AUTH,
			       "account %s: %s refused the login of %s (%s); check user and "
			       "password of this account",
			       a->name, a->url, a->user, said[0] ? said : detail);
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
		return err_set(e, ERR_SERVER, ERR_UNREACHABLE,
			       "account %s: cannot reach %s: %s%s%s; check url, the server and "
			       "the network",
			       a->name, a->url, detail, said[0] ? ": " : "", said);
	}
}

static void set_credentials(struct imap_conn *c, const struct secret *password)
{
	const struct conf_account *a = c->account;

	curl_easy_setopt(c->curl, CURLOPT_USERNAME, a->user);
	if (a->auth == CONF_AUTH_PASSWORD) {
		curl_easy_setopt(c->curl, CURLOPT_PASSWORD, password->text);
		return;
	}
	curl_easy_setopt(c->curl, CURLOPT_XOAUTH2_BEARER, password->text);
	curl_easy_setopt(c->curl, CURLOPT_LOGIN_OPTIONS,
			 a->auth == CONF_AUTH_OAUTHBEARER ? "AUTH=OAUTHBEARER"
							  : "AUTH=XOAUTH2");
}

static void set_options(struct imap_conn *c, char *detail)
{
	const struct conf_account *a = c->account;
	CURL *h = c->curl;

	curl_easy_setopt(h, CURLOPT_URL, a->url);
	curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "imap,imaps");
	curl_easy_setopt(h, CURLOPT_CONNECT_ONLY, 1L);
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

struct imap_conn *imap_conn_open(const struct conf_account *account,
				 const struct secret *password, struct err *e)
{
	char detail[CURL_ERROR_SIZE] = "";
	struct imap_conn *c = calloc(1, sizeof *c);
	CURLcode code = CURLE_OUT_OF_MEMORY;

	if (c == NULL || (c->curl = curl_easy_init()) == NULL) {
		err_set(e, ERR_FATAL, ERR_LOCAL, "out of memory");
		goto out;
	}
	c->account = account;
	c->waiter = waiter_poll;
	set_options(c, detail);
	set_credentials(c, password);
	code = curl_easy_perform(c->curl);
	/* libcurl copied the password; it needs it no more. */
	curl_easy_setopt(c->curl, CURLOPT_PASSWORD, NULL);
	curl_easy_setopt(c->curl, CURLOPT_XOAUTH2_BEARER, NULL);
	curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, NULL);
	curl_easy_setopt(c->curl, CURLOPT_VERBOSE, 0L);
	if (code == CURLE_OK)
		code = curl_easy_getinfo(c->curl, CURLINFO_ACTIVESOCKET, &c->fd);
	if (code == CURLE_OK) {
		imap_conn_expect(c);
		return c;
	}
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
	c->deadline = clock_ms() + (int64_t)c->account->timeout * 1000;
}

/* Wait for the socket a while; -1 once the deadline, or the grace after a signal, has passed.
 */
static int wait_for(struct imap_conn *c, short events, struct err *e)
{
	int64_t left = c->deadline - clock_ms();
	int ms = stop_limit(left > 1000 ? 1000 : (int)left);

	if (left <= 0)
		return err_set(e, ERR_SERVER, ERR_TEMPORARY,
			       "account %s: %s did not answer for %d seconds", c->account->name,
			       c->account->url, c->account->timeout);
	if (ms <= 0)
		return stop_error(e);
	c->waiter.wait(c->waiter.ctx, c->fd, events, ms);
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

	imap_conn_expect(c);
	while (len > 0) {
		size_t n = 0;
		CURLcode code = curl_easy_send(c->curl, p, len, &n);

		if (code != CURLE_OK && code != CURLE_AGAIN)
			return broken(c, code, e);
		p += n;
		len -= n;
		if (code == CURLE_AGAIN && wait_for(c, POLLOUT, e) == -1)
			return -1;
	}
	return 0;
}

int imap_conn_read(struct imap_conn *c, const char **data, size_t *len, struct err *e)
{
	while (c->begin == c->end) {
		size_t n = 0;
		CURLcode code = curl_easy_recv(c->curl, c->buffer, sizeof c->buffer, &n);

		if (code == CURLE_AGAIN) {
			if (wait_for(c, POLLIN, e) == -1)
				return -1;
			continue;
		}
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
	return 0;
}

void imap_conn_consume(struct imap_conn *c, size_t n)
{
	c->begin += n;
}
