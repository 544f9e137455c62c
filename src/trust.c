#include "trust.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/* Where reports come from unless the configuration says more: this machine. */
static const char loopback[] = "127.0.0.1 ::1 IPv6:::1";

enum { HASH_SIZE = 32 };

struct trust {
	const struct conf_reports *conf; /* borrowed */
	struct secret token;
};

struct trust *trust_open(const struct conf_reports *conf, struct err *e)
{
	struct trust *t = calloc(1, sizeof *t);

	if (t == NULL) {
		err_set(e, ERR_FATAL, ERR_LOCAL, "out of memory");
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

/* Is the word one of those in list, which blanks and commas separate? */
static bool list_has(const char *list, const char *word, size_t len)
{
	for (const char *p = list; *p;) {
		size_t n;

		p += strspn(p, " ,\t");
		n = strcspn(p, " ,\t");
		if (n > 0 && n == len && strncasecmp(p, word, n) == 0)
			return true;
		p += n;
	}
	return false;
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

/* Where word begins in v as a word of its own; NULL where it does not. */
static const char *find_word(struct span v, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= v.len; i++) {
		bool begins = i == 0 || v.data[i - 1] == ' ' || v.data[i - 1] == '\t' ||
			      v.data[i - 1] == '\n' || v.data[i - 1] == '\r';

		if (begins && strncasecmp(v.data + i, word, n) == 0)
			return v.data + i;
	}
	return NULL;
}

/*
 * A Received field (RFC 5321, section 4.4) of a hop that we trust. Its from part names the peer, with
 * addresses in brackets: the one that our server saw, and perhaps one that the peer claims, so all of
 * them must be allowed. Without a from part, or with none but a name over LMTP, the message was
 * handed over on this machine.
 */
static bool received_is_ours(struct span v, const char *allowed)
{
	const char *by = find_word(v, "by "), *end = v.data + v.len, *p;
	struct span rest;
	bool any = false;

	if (by == NULL)
		return false;
	for (p = v.data; p < by && (p = memchr(p, '[', (size_t)(by - p))) != NULL;) {
		const char *close = memchr(p, ']', (size_t)(by - p));

		if (close == NULL || !list_has(allowed, p + 1, (size_t)(close - p - 1)))
			return false;
		any = true;
		p = close;
	}
	rest = (struct span){by, (size_t)(end - by)};
	return any || find_word((struct span){v.data, (size_t)(by - v.data)}, "from ") == NULL ||
	       find_word(rest, "with LMTP") != NULL;
}

static bool path_is_ours(const struct marker *m, const char *allowed)
{
	struct span header = m->above, name, value;

	while (part_field_next(&header, &name, &value))
		if (text_equal_nocase(name.data, name.len, "Received") &&
		    !received_is_ours(value, allowed))
			return false;
	return true;
}

static bool sender_is_allowed(const struct marker *m, const char *senders)
{
	const char *at = strrchr(m->return_path, '@');

	return m->return_paths == 1 && m->return_path[0] != '\0' &&
	       (list_has(senders, m->return_path, strlen(m->return_path)) ||
		(at && list_has(senders, at, strlen(at))));
}

const char *trust_refuses(const struct trust *t, const struct marker *m, enum mail_class class)
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
