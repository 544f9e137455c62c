/*
 * imap_conn.h - bytes to and from an IMAP server. libcurl does TCP, TLS and STARTTLS
 * (CURLOPT_CONNECT_ONLY) and hands over the stream. There are no
 * proxies: what the environment says of them (ALL_PROXY) is for browsers, and mail that goes
 * through one unasked is mail that somebody else reads.
 */
#ifndef LS_IMAP_CONN_H
#define LS_IMAP_CONN_H

#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "base/err.h"
#include "base/waiter.h"

struct imap_conn;

/*
 * Connect. account is borrowed for the life of the connection. NULL with an ERR_SERVER error
 * that names the cure: ERR_UNREACHABLE (no such host, refused, time-out, certificate, no
 * STARTTLS), ERR_TEMPORARY (the server says so); ERR_FATAL/ERR_CANCELLED, ERR_FATAL/ERR_LOCAL.
 */
struct imap_conn *imap_conn_open(const struct conf_account *account, struct err *e);

/* Close the socket at once, with no word to the server. NULL is fine. */
void imap_conn_close(struct imap_conn *c);

/* Wait through w from now on (copied); &waiter_poll at the start. */
void imap_conn_set_waiter(struct imap_conn *c, const struct waiter *w);

/* Send all of data. Returns 0, or -1 with an ERR_SERVER error (time-out, closed). */
int imap_conn_write(struct imap_conn *c, const void *data, size_t len, struct err *e);

/*
 * What was received and not yet consumed; never waits. Returns 1 and at least one byte, *data
 * valid until the next call; 0 where nothing is there, *wait then says what to wait for; -1
 * with an ERR_SERVER error (time-out, connection closed) or ERR_CANCELLED.
 *
 * The time-out: account->timeout seconds of waiting since the last imap_conn_expect(). Only
 * what *wait asked for counts as waiting: a caller that comes back late, or has no time for us
 * at all, does not make a server slow.
 */
int imap_conn_read(struct imap_conn *c, const char **data, size_t *len, struct wait *wait,
		   struct err *e);

/* The first n bytes of what imap_conn_read gave are done with. */
void imap_conn_consume(struct imap_conn *c, size_t n);

/* Wait, through the waiter. */
void imap_conn_wait(struct imap_conn *c, const struct wait *wait);

/*
 * Start the clock anew: the peer did what it should. Called a response and every so many bytes
 * of it, never for single bytes, so that a server which drips is found out.
 */
void imap_conn_expect(struct imap_conn *c);

/* Milliseconds waited for the peer since then. */
int64_t imap_conn_waited(const struct imap_conn *c);

#endif
