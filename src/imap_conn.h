/*
 * imap_conn.h - bytes to and from an IMAP server that has accepted our login. libcurl does
 * TCP, proxy, TLS, STARTTLS and SASL (CURLOPT_CONNECT_ONLY) and hands over the stream.
 */
#ifndef LS_IMAP_CONN_H
#define LS_IMAP_CONN_H

#include <stddef.h>

#include "conf.h"
#include "err.h"
#include "secret.h"
#include "waiter.h"

struct imap_conn;

/*
 * Connect and log in. account is borrowed for the life of the connection, password only for the
 * call. NULL with an ERR_SERVER error that names the cure: ERR_UNREACHABLE (no such host,
 * refused, time-out, certificate, no STARTTLS), ERR_AUTH (refused login), ERR_TEMPORARY (the
 * server says so), ERR_FATAL/ERR_CANCELLED, ERR_FATAL/ERR_LOCAL.
 *
 * Bytes that the server sent together with the login's answer may be lost: begin with a command
 * of one's own (CAPABILITY) and assume nothing that was said before.
 */
struct imap_conn *imap_conn_open(const struct conf_account *account,
				 const struct secret *password, struct err *e);

/* Close the socket at once, with no word to the server. NULL is fine. */
void imap_conn_close(struct imap_conn *c);

/* Wait through w from now on (copied); &waiter_poll at the start. */
void imap_conn_set_waiter(struct imap_conn *c, const struct waiter *w);

/* Send all of data. Returns 0, or -1 with an ERR_SERVER error (time-out, closed). */
int imap_conn_write(struct imap_conn *c, const void *data, size_t len, struct err *e);

/*
 * What was received and not yet consumed, at least one byte: waits for it, account->timeout
 * seconds from the last imap_conn_expect() at most. *data is valid until the next call. Returns
 * 0, or -1 with an ERR_SERVER error (time-out, connection closed) or ERR_CANCELLED.
 */
int imap_conn_read(struct imap_conn *c, const char **data, size_t *len, struct err *e);

/* The first n bytes of what imap_conn_read gave are done with. */
void imap_conn_consume(struct imap_conn *c, size_t n);

/*
 * Start the clock anew: the peer did what it should. Called a response and every so many bytes
 * of a literal, never for single bytes, so that a server which drips is found out.
 */
void imap_conn_expect(struct imap_conn *c);

#endif
