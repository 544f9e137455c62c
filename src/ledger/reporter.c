#include "ledger/reporter.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int key_error(const char *path, struct err *e)
{
	if (errno == ENOSPC || errno == EDQUOT)
		return err_set(e, ERR_FATAL, ERR_TEMPORARY,
			       "%s: the disk is full; make room and run again", path);
	return err_set(
	    e, ERR_FATAL, ERR_CONFIG,
	    "%s: %s; it must be a file of %d bytes: put the right one back, or remove it, "
	    "and each reporter counts as a new one",
	    path, errno ? strerror(errno) : "damaged", REPORTER_KEY_SIZE);
}

static int random_key(struct reporter_key *key, struct err *e)
{
	if (RAND_bytes(key->bytes, REPORTER_KEY_SIZE) == 1)
		return 0;
	return err_set(e, ERR_FATAL, ERR_LOCAL, "cannot get random bytes");
}

/* Written under another name first, so that a crash leaves no half-written key. */
static int make_key(const char *path, struct reporter_key *key, struct err *e)
{
	char temporary[1100];
	int fd, rc = -1;

	if (random_key(key, e) == -1)
		return -1;
	snprintf(temporary, sizeof temporary, "%s.new", path);
	unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		return key_error(temporary, e);
	errno = 0;
	if (write(fd, key->bytes, REPORTER_KEY_SIZE) == REPORTER_KEY_SIZE && fsync(fd) == 0)
		rc = rename(temporary, path);
	if (rc == -1) {
		key_error(temporary, e);
		unlink(temporary);
	}
	close(fd);
	return rc;
}

int reporter_key_load(const char *dir, bool make, struct reporter_key *key, struct err *e)
{
	unsigned char bytes[REPORTER_KEY_SIZE + 1]; /* one more, to detect a longer file */
	char path[1024];
	ssize_t n;
	int fd;

	if (snprintf(path, sizeof path, "%s/reporter.key", dir) >= (int)sizeof path)
		return err_set(e, ERR_FATAL, ERR_CONFIG,
			       "the path of the ledger is too long: %s", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1 && errno == ENOENT)
		return make ? make_key(path, key, e) : random_key(key, e);
	if (fd == -1)
		return key_error(path, e);
	errno = 0;
	n = read(fd, bytes, sizeof bytes);
	close(fd);
	if (n != REPORTER_KEY_SIZE)
		return key_error(path, e);
	memcpy(key->bytes, bytes, REPORTER_KEY_SIZE);
	return 0;
}

/* The length of a login without the master user that it names. */
static size_t without_master(const char *login)
{
	const char *at = strchr(login, '@');

	/* A local part may have these characters; a domain may not. */
	return at ? (size_t)(at - login) + strcspn(at, "*%") : strcspn(login, "*");
}

void reporter_name(const char *address, const char *delimiters, char *out, size_t size)
{
	size_t len = without_master(address), n = 0;
	const char *at = memchr(address, '@', len);
	size_t local = at ? (size_t)(at - address) : len;
	size_t base = strcspn(address, delimiters);

	for (size_t i = 0; i < len && n + 1 < size; i++) {
		unsigned char c = (unsigned char)address[i];

		/* "+x@example.org" has no name before its extension. */
		if (i >= base && i < local && base > 0)
			continue;
		out[n++] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
	}
	out[n] = '\0';
}

static void hmac(const struct reporter_key *key, const void *a, size_t alen, const char *b,
		 unsigned char out[DIGEST_SIZE])
{
	unsigned char data[DIGEST_SIZE + 1024];
	size_t blen = strnlen(b, sizeof data - DIGEST_SIZE);
	unsigned n;

	memcpy(data, a, alen);
	memcpy(data + alen, b, blen);
	HMAC(EVP_sha256(), key->bytes, REPORTER_KEY_SIZE, data, alen + blen, out, &n);
}

void reporter_hash(const struct reporter_key *key, const char *address,
		   unsigned char out[RECORD_REPORTER_SIZE])
{
	unsigned char full[DIGEST_SIZE];

	memset(out, 0, RECORD_REPORTER_SIZE);
	if (address[0] == '\0')
		return;
	hmac(key, "", 0, address, full);
	memcpy(out, full, RECORD_REPORTER_SIZE);
}

void reporter_digest(const struct reporter_key *key, const char *address, struct digest *d)
{
	struct digest whole = *d;

	hmac(key, whole.bytes, DIGEST_SIZE, address, d->bytes);
}
