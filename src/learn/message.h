/*
 * message.h - what is to become of one message. It reads the ledger and decides; it records and
 * prints nothing.
 */
#ifndef LS_MESSAGE_H
#define LS_MESSAGE_H

#include <stdbool.h>

#include "conf/conf.h"
#include "base/err.h"
#include "ledger/ledger.h"
#include "ledger/reporter.h"
#include "learn/trust.h"
#include "mail/report_field.h"
#include "mail/mime.h"
#include "source/source.h"

/* What decisions are made by; all borrowed. */
struct message_rules {
	const struct conf *conf;
	const struct trust *trust;
	const struct reporter_key *reporter_key;
};

/* What is known of a message that came with its body. */
struct arrival {
	struct report_field field;
	struct mime_info info;
	const char *refused; /* static text: the report is not proved; NULL: it is */
	bool recalled;	     /* it counts only if its content is known from the other side */
	char who[REPORT_FIELD_MAX];		      /* the reporter's address; "" unknown */
	unsigned char reporter[RECORD_REPORTER_SIZE]; /* its keyed hash */
};

struct decision {
	enum { DECIDE_SETTLE, DECIDE_LEARN, DECIDE_HOLD } what;
	enum outcome outcome; /* of SETTLE */
	const char *why;      /* static text; NULL: none */
};

/* Read who reported what. 0, or -1 with ERR_FATAL/ERR_LOCAL. */
int message_read(const struct message_rules *rules, const struct source *s,
		 const struct source_message *m, struct arrival *a, struct err *e);

/*
 * The same report, but of another content: a message that is attached to it. Sets a->info. 0,
 * or -1 as above.
 */
int message_read_content(const struct message_rules *rules, const struct buf *body,
			 struct arrival *a, struct err *e);

/*
 * Decide about this copy, whose content and reporter a has. Where several reporters have to
 * agree its own word counts; only_note: nobody decides yet. held_since: it waits for them since
 * then (0: it does not). 0, or -1 with an error of the ledger.
 */
int message_decide(const struct message_rules *rules, struct ledger *l,
		   const struct ledger_copy *c, const struct arrival *a, bool only_note,
		   int64_t held_since, struct decision *d, struct err *e);

/*
 * Decide about a copy that is held for other reporters, from its record alone: they may agree
 * by now, or their time may be over. now: seconds since 1970. 0, or -1 with an error of the
 * ledger.
 */
int message_decide_held(const struct message_rules *rules, struct ledger *l,
			const struct record_message *r, int64_t now, struct decision *d,
			struct err *e);

#endif
