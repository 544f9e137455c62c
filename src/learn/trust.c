#include "learn/trust.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* Where reports come from unless the configuration says more: this machine. */
static const char loopback[] = "127.0.0.1 ::1";

enum {
	HASH_SIZE = 32,
	ADDRESS_SIZE = 16,
};

struct trust {
	const struct conf_reports *conf; /* borrowed */
	struct secret token;
};

static bool list_has(const char *list, const char *word)
{
	const char *p;
	size_t n;

	while ((p = text_list_next(&list, &n)) != NULL)
		if (text_equal_nocase(p, n, word))
			return true;
	return false;
}

/* An address as IPv6 has it (RFC 4291, 2.5.5.2), so that each has one form. */
static bool address_parse(const char *s, size_t len, unsigned char out[ADDRESS_SIZE])
{
	static const unsigned char ipv4[12] = {[10] = 0xff, [11] = 0xff};
	char text[INET6_ADDRSTRLEN];

	if (len > 5 && text_equal_nocase(s, 5, "IPv6:")) {
		s += 5;
		len -= 5;
	}
	if (len >= sizeof text || memchr(s, '\0', len))
		return false;
	memcpy(text, s, len);
	text[len] = '\0';
	memcpy(out, ipv4, sizeof ipv4);
	return inet_pton(AF_INET, text, out + sizeof ipv4) == 1 ||
	       inet_pton(AF_INET6, text, out) == 1;
}

static bool list_has_address(const char *list, const unsigned char address[ADDRESS_SIZE])
{
	unsigned char one[ADDRESS_SIZE];
	const char *p;
	size_t n;

	while ((p = text_list_next(&list, &n)) != NULL)
		if (address_parse(p, n, one) && memcmp(one, address, ADDRESS_SIZE) == 0)
			return true;
	return false;
}

int trust_check(const struct conf_reports *conf, struct err *e)
{
	const char *list = conf->received ? conf->received : "", *p;
	unsigned char address[ADDRESS_SIZE];
	size_t n;

	while ((p = text_list_next(&list, &n)) != NULL)
		if (!address_parse(p, n, address))
			return err_set(
			    e, ERR_FATAL, ERR_CONFIG,
			    "received: %.*s is no address; list the addresses that your "
			    "servers write into Received, as in \"127.0.0.1 192.0.2.7\"",
			    (int)n, p);
	list = conf->senders ? conf->senders : "";
	while ((p = text_list_next(&list, &n)) != NULL)
		if (memchr(p, '@', n) == NULL)
			return err_set(
			    e, ERR_FATAL, ERR_CONFIG,
			    "senders: %.*s is neither an address nor a domain with @ in "
			    "front; write @%.*s",
			    (int)n, p, (int)n, p);
	return 0;
}

struct trust *trust_open(const struct conf_reports *conf, struct err *e)
{
	struct trust *t;

	if (trust_check(conf, e) == -1)
		return NULL;
	t = calloc(1, sizeof *t);
	if (t == NULL) {
		err_no_memory(e);
		return NULL;
	}
	t->conf = conf;
	if (conf->token.kind == SECRET_NONE ||
	    secret_load(&conf->token, "the token of reports", &t->token, e) == 0)
		return t;
	free(t);
	return NULL;
}

void trust_close(struct trust *t)
{
	if (t == NULL)
		return;
	secret_wipe(&t->token);
	free(t);
}

bool trust_is_asked(const struct trust *t)
{
	return t->token.text || t->conf->senders || t->conf->received;
}

/* Hashes of equal length are compared, so that neither length nor content shows in the time. */
static bool token_is(const struct secret *token, const char *given)
{
	unsigned char a[HASH_SIZE], b[HASH_SIZE];
	unsigned n;

	return EVP_Digest(token->text, token->len, a, &n, EVP_sha256(), NULL) == 1 &&
	       EVP_Digest(given, strlen(given), b, &n, EVP_sha256(), NULL) == 1 &&
	       CRYPTO_memcmp(a, b, HASH_SIZE) == 0;
}

/* Blanks and comments, which may stand inside each other, off the front (RFC 5322, 3.2.2). */
static void skip_comments(struct span *v)
{
	int depth = 0;

	for (; v->len > 0; v->data++, v->len--) {
		if (*v->data == '(')
			depth++;
		else if (depth == 0 && strchr(" \t\r\n", *v->data) == NULL)
			return;
		else if (*v->data == ')')
			depth--;
	}
}

/* The next word of a Received field; empty at its end. */
static struct span next_word(struct span *v)
{
	struct span word;
	size_t n = 0;

	skip_comments(v);
	while (n < v->len && strchr(" \t\r\n(", v->data[n]) == NULL)
		n++;
	word = (struct span){v->data, n};
	v->data += n;
	v->len -= n;
	return word;
}

/*
 * Handed over on this machine, in a field without any address. Postfix, Sendmail, LMTP, Exim:
 *     by MX (Postfix, from userid 1)
 *     (from alice@localhost) by MX
 *     from MX by HOST with LMTP
 *     from alice by MX with local (Exim)
 */
static bool received_is_local(struct span v)
{
	static const char *const form[] = {"from", NULL, "by", NULL, "with"};
	struct span word;

	for (size_t i = 0; i < sizeof form / sizeof *form; i++) {
		word = next_word(&v);
		if (form[i] && !text_equal_nocase(word.data, word.len, form[i]))
			return i == 0;
	}
	word = next_word(&v);
	return text_equal_nocase(word.data, word.len, "local") ||
	       (word.len >= 4 && text_equal_nocase(word.data, 4, "LMTP"));
}

/*
 * A Received field (RFC 5321, section 4.4) of a hop that we trust. The server that wrote it
 * names the peer it saw by address, and a stranger writes much of the rest: HELO, recipient,
 * sender. So no clause is looked for, but every address in the field must be allowed.
 */
static bool received_is_ours(struct span v, const char *allowed)
{
	const char *end = v.data + v.len;
	bool any = false;
	size_t n;

	for (const char *p = v.data; p < end; p += n + 1) {
		unsigned char address[ADDRESS_SIZE];

		for (n = 0; p + n < end && strchr("[]()<>@=,; \t\r\n", p[n]) == NULL;)
			n++;
		if (address_parse(p, n, address)) {
			if (!list_has_address(allowed, address))
				return false;
			any = true;
		} else if (n > 0 && p > v.data && p[-1] == '[') {
			/* Not an address: OpenSMTPD and Cyrus call this machine so. */
			if (!text_equal_nocase(p, n, "local") &&
			    !text_equal_nocase(p, n, "unix"))
				return false;
			any = true;
		}
	}
	return any || received_is_local(v);
}

static bool path_is_ours(const struct report_field *m, const char *allowed)
{
	struct span header = m->above, name, value;

	while (part_field_next(&header, &name, &value))
		if (text_equal_nocase(name.data, name.len, "Received") &&
		    !received_is_ours(value, allowed))
			return false;
	return true;
}

static bool sender_is_allowed(const struct report_field *m, const char *senders)
{
	const char *at = strrchr(m->return_path, '@');

	return m->return_paths == 1 && m->return_path[0] != '\0' &&
	       (list_has(senders, m->return_path) || (at && list_has(senders, at)));
}

const char *trust_refuses(const struct trust *t, const struct report_field *m,
			  enum mail_class class)
{
	const struct conf_reports *c = t->conf;
	bool marked = t->token.text || c->received;

	if (marked && !m->found)
		return "no report of ours: it bears no X-Learnspool-Report";
	if (marked && m->malformed)
		return "its X-Learnspool-Report is malformed";
	if (marked && m->class != class)
		return "its X-Learnspool-Report says the other class";
	if (t->token.text && !token_is(&t->token, m->token))
		return "its token is not ours: forged, or from before the token was changed";
	if (marked && (m->return_paths > 1 || m->delivered_tos > 1))
		return "a report that was delivered twice: somebody sent a copy of it";
	if (marked && !path_is_ours(m, c->received ? c->received : loopback))
		return "it came by a host that is not ours (see received in the reports block)";
	if (c->senders && !sender_is_allowed(m, c->senders))
		return "its envelope sender is not allowed (see senders in the reports block)";
	return NULL;
}

const char *trust_reporter(const struct trust *t, const struct report_field *m)
{
	return t->token.text || t->conf->senders == NULL ? report_field_reporter(m)
							 : m->return_path;
}
