/*
 * pipeline.h - the way of a message: source -> digest -> ledger: seen? -> rspamd: learn ->
 * ledger: settled -> source: mark. Messages are read while rspamd works on those before them;
 * the memory in use is bounded by PIPELINE_BYTES and the largest message, never by the mailbox.
 */
#ifndef LS_PIPELINE_H
#define LS_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "err.h"
#include "ledger.h"
#include "report.h"
#include "reporter.h"
#include "rspamd.h"
#include "source.h"
#include "trust.h"
#include "waiter.h"

enum {
	PIPELINE_BYTES = 4 * 1024 * 1024
}; /* of message bodies held, unless a single one is larger */

struct pipeline;

/* What a pipeline works with; all borrowed for its life. */
struct pipeline_parts {
	const struct conf *conf;
	struct ledger *ledger;
	struct rspamd *rspamd;
	struct report *report;
	const struct trust *trust;
	const struct reporter_key *reporter_key;
};

/*
 * max is how many messages may be taken in all, or
 * -1. dry_run: nothing is sent to rspamd and nothing marked; the ledger must be LEDGER_DRY.
 * NULL without memory.
 */
struct pipeline *pipeline_new(const struct pipeline_parts *parts, bool dry_run, int64_t max);
void pipeline_free(struct pipeline *p);

/* What a source should wait through, so that rspamd's answers are taken meanwhile. */
struct waiter pipeline_waiter(struct pipeline *p);

/*
 * Learn what is new in this source, mark it, and record how far it came. Returns 0, or -1:
 * whatever was settled until then is recorded, the rest stays for the next run. ERR_FATAL:
 * nothing can be learned any more (rspamd, ledger, a signal); ERR_MAILBOX, ERR_SERVER: this
 * source cannot.
 */
int pipeline_learn(struct pipeline *p, struct source *s, struct err *e);

/*
 * Where several reporters have to agree, a run goes through the sources twice: first it only
 * notes who says what (on), then it decides. Else who comes first would be heard before a
 * verdict was taken back.
 */
void pipeline_only_note(struct pipeline *p, bool on);

/* The limit of max messages was reached. */
bool pipeline_is_full(const struct pipeline *p);

#endif
