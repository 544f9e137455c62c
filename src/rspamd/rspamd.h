/*
 * rspamd.h - the client of rspamd's controller: it has a bounded number of learn requests in
 * flight, repeats them with back-off a bounded number of times, and gives one answer for each
 * message.
 */
#ifndef LS_RSPAMD_H
#define LS_RSPAMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rspamd/answer.h"
#include "mail/class.h"
#include "conf/conf.h"
#include "base/err.h"

enum {
	RSPAMD_BODY_MAX = 64 * 1024,   /* bytes of an answer that are kept; more is refused */
	RSPAMD_HEADER_MAX = 32 * 1024, /* bytes of an answer's headers */
};

/* The state of rspamd's Bayes classifier. The counts lag by up to a minute. */
struct rspamd_stat {
	bool bayes; /* it has statfiles: learning can work */
	uint64_t spam,
	    ham; /* learns (revision), classifiers and statfiles of a class added up */
};

struct rspamd;

struct rspamd_job {
	const char *data; /* borrowed until the answer is taken */
	size_t len;
	enum mail_class class;
	const char *deliver_to; /* borrowed likewise: the reporter, for deliver-to = reporter */
	size_t owner;		/* returned with the answer */
};

struct rspamd_result {
	size_t owner;
	struct answer answer;
};

/*
 * The interface to an rspamd. rspamd_http.c is the real one; the simulator has its own.
 */
struct rspamd_ops {
	/*
	 * Get the state of the classifier. Returns 0, or -1: ERR_FATAL with ERR_UNREACHABLE,
	 * ERR_AUTH, ERR_CONFIG (404, or not rspamd) or ERR_CANCELLED. Requests in flight
	 * continue.
	 */
	int (*stat)(struct rspamd *r, struct rspamd_stat *out, struct err *e);

	/*
	 * Send a message to be learned; fewer than connections must be in flight. Returns 0, or
	 * -1 with ERR_FATAL/ERR_LOCAL.
	 */
	int (*submit)(struct rspamd *r, const struct rspamd_job *job, struct err *e);

	/*
	 * Process all requests; wait up to ms milliseconds for something to happen on our own
	 * connections or on fd (-1: none). Returns at once if there is a result to take.
	 */
	void (*wait)(struct rspamd *r, int fd, short events, int ms);

	/* Take the next result; false if there is none yet. */
	bool (*take)(struct rspamd *r, struct rspamd_result *out);

	void (*close)(struct rspamd *r);
};

struct rspamd {
	const struct rspamd_ops *ops;
	const char *url;   /* borrowed; for error texts */
	int connections;   /* requests that may be in flight */
	uint64_t failures; /* tries without an answer so far: it may have been restarted */
};

static inline int rspamd_stat(struct rspamd *r, struct rspamd_stat *out, struct err *e)
{
	return r->ops->stat(r, out, e);
}

static inline int rspamd_submit(struct rspamd *r, const struct rspamd_job *job, struct err *e)
{
	return r->ops->submit(r, job, e);
}

static inline void rspamd_wait(struct rspamd *r, int fd, short events, int ms)
{
	r->ops->wait(r, fd, events, ms);
}

static inline bool rspamd_take(struct rspamd *r, struct rspamd_result *out)
{
	return r->ops->take(r, out);
}

/* Drop requests in flight and wipe the password. NULL is allowed. */
static inline void rspamd_close(struct rspamd *r)
{
	if (r)
		r->ops->close(r);
}

/*
 * A client for the controller that conf (borrowed) names: loads the password and prepares the
 * connections, but contacts nothing. NULL with the errors of secret_load, or
 * ERR_FATAL/ERR_LOCAL.
 */
struct rspamd *rspamd_http(const struct conf_rspamd *conf, struct err *e);

#endif
