/*
 * rspamd.h - the client of rspamd's controller: a bounded number of learn requests in flight
 * over curl_multi, back-off and bounded tries inside, one answer for each message.
 */
#ifndef LS_RSPAMD_H
#define LS_RSPAMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "answer.h"
#include "class.h"
#include "conf.h"
#include "err.h"

enum {
	RSPAMD_BODY_MAX = 64 * 1024,   /* bytes of an answer that are kept; more is refused */
	RSPAMD_HEADER_MAX = 32 * 1024, /* bytes of an answer's headers */
};

/* What rspamd says of its Bayes classifier. Its counts lag by up to a minute. */
struct rspamd_stat {
	bool bayes; /* it has statfiles: learning can work */
	uint64_t spam,
	    ham; /* learns (revision), classifiers and statfiles of a class added up */
};

struct rspamd_job {
	const char *data; /* borrowed until its answer is taken */
	size_t len;
	enum mail_class class;
	const char *deliver_to; /* borrowed likewise: the reporter, for deliver-to = reporter */
	size_t owner;		/* comes back with the answer */
};

struct rspamd_result {
	size_t owner;
	struct answer answer;
};

struct rspamd;

/*
 * Load the password, prepare connections. conf is borrowed for the client's life. Nothing is
 * contacted. NULL with the errors of secret_load, or ERR_FATAL/ERR_LOCAL.
 */
struct rspamd *rspamd_open(const struct conf_rspamd *conf, struct err *e);

/* Drop what is in flight, wipe the password. NULL is fine. */
void rspamd_close(struct rspamd *r);

/*
 * GET /stat. Returns 0, or -1: ERR_FATAL with ERR_UNREACHABLE, ERR_AUTH, ERR_CONFIG (404, or
 * not rspamd) or ERR_CANCELLED. Requests in flight go on.
 */
int rspamd_stat(struct rspamd *r, struct rspamd_stat *out, struct err *e);

/* How many jobs are in flight: submitted, their results not taken. */
int rspamd_in_flight(const struct rspamd *r);

/* Send a message to be learned; fewer than conf->connections may be in flight. Returns 0, or -1
 * with ERR_FATAL/ERR_LOCAL.
 */
int rspamd_submit(struct rspamd *r, const struct rspamd_job *job, struct err *e);

/*
 * Move everything forward; wait up to ms milliseconds for something to happen on our own
 * connections or on fd (-1: none).
 */
void rspamd_wait(struct rspamd *r, int fd, short events, int ms);

/* The next result; false where there is none yet. */
bool rspamd_take(struct rspamd *r, struct rspamd_result *out);

#endif
