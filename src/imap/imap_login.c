/*
 * Logging in. libcurl could do it, but keeps the password: 7.88 held it three times in its heap
 * as long as the connection lasted, and as base64 in two more places that it had freed. Here it
 * is in buffers on the stack, which are wiped; OpenSSL encrypts it where it lies.
 */
#include "imap/imap_priv.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	LOGIN_MAX = 2 * SECRET_MAX + 4096, /* bytes of a line: quoting may double a password */
	LOGIN_LINES = 2,
};

/* What we say: the command, and a line for each "+" that comes. All without CR LF. */
struct login {
	char command[LOGIN_MAX];
	char line[LOGIN_LINES][LOGIN_MAX];
	size_t lines;
	const char *further; /* for any "+" after that: mechanisms end an error so */
};

/* A response of a mechanism as base64; false where it does not fit. */
__attribute__((format(printf, 2, 3))) static bool respond(struct login *l, const char *fmt, ...)
{
	char raw[LOGIN_MAX];
	va_list ap;
	int n;
	bool fits;

	va_start(ap, fmt);
	n = vsnprintf(raw, sizeof raw, fmt, ap);
	va_end(ap);
	fits = n >= 0 && ((size_t)n + 2) / 3 * 4 < LOGIN_MAX;
	if (fits)
		(void)EVP_EncodeBlock((unsigned char *)l->line[l->lines++],
				      (unsigned char *)raw, n);
	explicit_bzero(raw, sizeof raw);
	return fits;
}

/* The user in the first part of OAUTHBEARER (RFC 5801: saslname). */
static void escape(const char *user, char *out, size_t size)
{
	size_t n = 0;

	for (; *user && n + 4 < size; user++) {
		if (*user == ',' || *user == '=')
			n += (size_t)snprintf(out + n, size - n, *user == ',' ? "=2C" : "=3D");
		else
			out[n++] = *user;
	}
	out[n] = '\0';
}

/* The best way that the server offers, or false. */
static bool compose(const struct imap *s, const struct secret *secret, struct login *l)
{
	const struct conf_account *a = s->account;
	char user[1024], password[LOGIN_MAX / 2 + 1024];
	bool fits;

	l->further = "*"; /* cancels */
	if (a->auth == CONF_AUTH_OAUTHBEARER && (s->caps & IMAP_CAP_OAUTHBEARER)) {
		snprintf(l->command, sizeof l->command, "AUTHENTICATE OAUTHBEARER");
		l->further = "AQ=="; /* RFC 7628, section 3.2.3 */
		escape(a->user, user, sizeof user);
		return respond(l, "n,a=%s,\1auth=Bearer %s\1\1", user, secret->text);
	}
	if (a->auth == CONF_AUTH_XOAUTH2 && (s->caps & IMAP_CAP_XOAUTH2)) {
		snprintf(l->command, sizeof l->command, "AUTHENTICATE XOAUTH2");
		l->further = "";
		return respond(l, "user=%s\1auth=Bearer %s\1\1", a->user, secret->text);
	}
	if (a->auth != CONF_AUTH_PASSWORD)
		return false;
	if (s->caps & IMAP_CAP_AUTH_PLAIN) {
		snprintf(l->command, sizeof l->command, "AUTHENTICATE PLAIN");
		return respond(l, "%c%s%c%s", 0, a->user, 0, secret->text);
	}
	if (s->caps & IMAP_CAP_AUTH_LOGIN) {
		snprintf(l->command, sizeof l->command, "AUTHENTICATE LOGIN");
		return respond(l, "%s", a->user) && respond(l, "%s", secret->text);
	}
	if (s->caps & IMAP_CAP_LOGINDISABLED)
		return false;
	fits = imap_quote(a->user, user, sizeof user) == 0 &&
	       imap_quote(secret->text, password, sizeof password) == 0;
	if (fits)
		snprintf(l->command, sizeof l->command, "LOGIN %s %s", user, password);
	explicit_bzero(password, sizeof password);
	return fits;
}

static int say(struct imap *s, const char *line, struct err *e)
{
	if (imap_write(s, line, strlen(line), e) == -1)
		return -1;
	return imap_write(s, "\r\n", 2, e);
}

/* Which of our errors a refusal is, with its cure. */
static int refused(const struct imap *s, const char *said, struct err *e)
{
	const struct conf_account *a = s->account;

	if (strcasestr(said, "[UNAVAILABLE]"))
		return err_set(e, ERR_SERVER, ERR_TEMPORARY,
			       "account %s: %s cannot log anyone in now: %s", a->name, a->url,
			       said);
	return err_set(
	    e, ERR_SERVER, ERR_AUTH,
	    "account %s: %s refused the login of %s (%s); check user and password of "
	    "this account",
	    a->name, a->url, a->user, said);
}

static int converse(struct imap *s, struct login *l, struct err *e)
{
	struct imap_message unwanted = {0};
	struct imap_event ev = {.kind = IMAP_EVENT_CONTINUE};
	size_t next = 0;
	int rc = imap_send_secret(s, l->command, e);

	while (rc == 0) {
		rc = imap_next(s, 0, &ev, &unwanted, e);
		if (rc == -1 || ev.kind == IMAP_EVENT_DONE)
			break;
		if (ev.kind != IMAP_EVENT_CONTINUE)
			continue;
		rc = say(s, next < l->lines ? l->line[next++] : l->further, e);
	}
	imap_message_free(&unwanted);
	return rc == 0 && ev.status != IMAP_OK ? refused(s, ev.text, e) : rc;
}

int imap_login(struct imap *s, const struct secret *secret, struct err *e)
{
	const struct conf_account *a = s->account;
	struct login l = {.lines = 0};
	int rc;

	if (compose(s, secret, &l))
		rc = converse(s, &l, e);
	else
		rc = err_set(e, ERR_SERVER, ERR_AUTH,
			     "account %s: %s offers no way to log in with %s; see auth in "
			     "learnspool.conf(5)",
			     a->name, a->url,
			     a->auth == CONF_AUTH_PASSWORD	? "a password"
			     : a->auth == CONF_AUTH_OAUTHBEARER ? "OAUTHBEARER"
								: "XOAUTH2");
	explicit_bzero(&l, sizeof l);
	return rc;
}
