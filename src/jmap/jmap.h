/*
 * jmap.h - one JMAP server (RFC 8620) over HTTP: method calls, one at a time, and downloads,
 * several at a time. It knows nothing of what the methods mean.
 *
 * Only the host of the configuration is ever contacted: redirects are refused, and so are the
 * URLs that the server's session names, which are those of its public host.
 */
#ifndef LS_JMAP_H
#define LS_JMAP_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/waiter.h"
#include "conf/conf_stalwart.h"

enum {
	JMAP_DOWNLOADS = 8,	   /* that run side by side */
	JMAP_ANSWER_MAX = 8 << 20, /* bytes of an answer to a call */
	JMAP_HEADER_MAX = 32 * 1024,
	JMAP_HELD_MAX = 1 << 20, /* bytes of bodies that lie ready; one message may be larger */
};

struct jmap;

/*
 * Load the secret and prepare the connections; nothing is contacted. conf is borrowed; waiter
 * (borrowed) is what to wait through. NULL with the errors of secret_load as ERR_SERVER, or
 * ERR_FATAL/ERR_LOCAL.
 */
struct jmap *jmap_open(const struct conf_stalwart *conf, const struct waiter *waiter,
		       struct err *e);

/* Wipes the secret. NULL is fine. */
void jmap_close(struct jmap *j);

/* The errors of all calls below are ERR_SERVER with ERR_AUTH (401, 403), ERR_UNREACHABLE,
 * ERR_TEMPORARY (too many requests), ERR_CONFIG (not a JMAP server) or ERR_PROTOCOL, and
 * ERR_FATAL with ERR_CANCELLED or ERR_LOCAL. Each names the server and the cure. */

/*
 * GET an object: "/jmap/session" (RFC 8620, 2) or what else the server has at this path below
 * the URL. Owned by the caller. NULL with an error.
 */
json_t *jmap_get(struct jmap *j, const char *path, struct err *e);

/*
 * POST these method calls (an array; the reference is taken over, NULL is "no memory"). Returns
 * methodResponses, an array owned by the caller that has an answer for each call, or NULL with
 * an error. An answer may be the method's own "error".
 */
json_t *jmap_call(struct jmap *j, json_t *calls, struct err *e);

/* What became of a download. */
enum jmap_fate {
	JMAP_BODY,    /* here it is, whole */
	JMAP_LARGE,   /* above the limit: not fetched; size is what the server announced */
	JMAP_MISSING, /* 404 */
	JMAP_BROKEN,  /* the connection broke, or what came is not what was announced */
};

struct jmap_result {
	enum jmap_fate fate;
	uint32_t owner;
	uint32_t size;	  /* bytes; LARGE: 0 if it is not known */
	struct buf body;  /* BODY: the caller's */
	const char *flaw; /* BROKEN: what happened; static text */
};

/*
 * Begin to download a blob of this account; below JMAP_DOWNLOADS must be under way. Returns 0,
 * or -1 with ERR_FATAL/ERR_LOCAL.
 */
int jmap_download(struct jmap *j, const char *account, const char *blob, uint32_t max_size,
		  uint32_t owner, struct err *e);

/* Downloads that were begun and not taken. */
size_t jmap_running(const struct jmap *j);

/* Bytes of the body that would be taken now; 0: it is not there. */
uint32_t jmap_ready_size(const struct jmap *j);

/*
 * Let bytes move, and take the download that was begun first, if it has ended: 1 and *out, 0
 * and what to wait for, or -1 with an error that is not one download's (a refused log-in, too
 * many requests).
 */
int jmap_take(struct jmap *j, struct jmap_result *out, struct wait *wait, struct err *e);

/* Give up all downloads. */
void jmap_abandon(struct jmap *j);

#endif
