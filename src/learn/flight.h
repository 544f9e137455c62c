/*
 * flight.h - the messages between their body and rspamd's answer: staged (held back until the
 * ledger has recorded that they go), or sent. It owns their bodies, and knows neither ledger
 * nor mailbox: copies go in, answers come out.
 */
#ifndef LS_FLIGHT_H
#define LS_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/waiter.h"
#include "ledger/copy.h"
#include "mail/class.h"
#include "mail/report_field.h"
#include "mail/mime.h"
#include "rspamd/rspamd.h"

/* One message on its way. */
struct flight_item {
	uint32_t id; /* its number in the source */
	enum mail_class class;
	int64_t verdict_at;
	struct record_stamp stamp;
	struct mime_info info;
	unsigned char reporter[RECORD_REPORTER_SIZE]; /* a keyed hash, for the ledger */
	char deliver_to[REPORT_FIELD_MAX];	      /* the address, for rspamd; "" unknown */
	size_t original; /* offset in body where rspamd's copy begins */
	struct buf body; /* owned by whoever holds the item */

	/* of a message that holds several, see struct ledger_copy */
	unsigned part;
	bool more;
	struct ledger_joined joined;
};

struct flight;

/*
 * At most rspamd's number of connections messages, and bytes_max bytes of bodies unless a
 * single one is larger. rspamd is borrowed. NULL if there is no memory.
 */
struct flight *flight_new(struct rspamd *rspamd, size_t bytes_max);

/* What is in flight is dropped. NULL is fine. */
void flight_free(struct flight *f);

/* Is there room for a message of size bytes? */
bool flight_has_room(const struct flight *f, size_t size);

/* Stage a message; there is room. Its body is the flight's from now on (item's is emptied). */
void flight_stage(struct flight *f, struct flight_item *item);

size_t flight_staged(const struct flight *f);
size_t flight_sent(const struct flight *f);

/* Is this content staged or sent? */
bool flight_has(const struct flight *f, const struct digest *d);

/*
 * Send everything that is staged; that it goes is recorded already. Returns 0, or -1 with
 * ERR_FATAL/ERR_LOCAL.
 */
int flight_send(struct flight *f, struct err *e);

/*
 * Move rspamd's requests forward, and wait for what *wait names too (NULL: for rspamd alone),
 * ms milliseconds at most. Bytes move, and nothing else happens.
 */
void flight_wait(struct flight *f, const struct wait *wait, int ms);

/* The next answer, and the message that it is about (without its body); false: none yet. */
bool flight_answer(struct flight *f, struct flight_item *item, struct answer *answer);

/* Give up a message that was not sent (without its body); false: none is staged. */
bool flight_unstage(struct flight *f, struct flight_item *item);

#endif
