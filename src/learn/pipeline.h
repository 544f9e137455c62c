/*
 * pipeline.h - the way of a message: source -> digest -> ledger: seen? -> rspamd: learn ->
 * ledger: settled -> source: mark. Messages are read while rspamd works on those before them;
 * the memory in use is bounded by PIPELINE_BYTES and the largest message, never by the mailbox.
 * The pipeline alone writes to the ledger and to the output; flight.h has what is being
 * learned, message.h decides, backlog.h says what is to be looked at.
 */
#ifndef LS_PIPELINE_H
#define LS_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/waiter.h"
#include "conf/conf.h"
#include "learn/backend.h"
#include "learn/trust.h"
#include "ledger/ledger.h"
#include "ledger/reporter.h"
#include "output/output.h"
#include "rspamd/rspamd.h"
#include "source/source.h"

enum {
	PIPELINE_BYTES = 4 * 1024 * 1024
}; /* of message bodies held, unless a single one is larger */

struct pipeline;

/* What a pipeline works with; all borrowed for its life. */
struct pipeline_parts {
	const struct conf *conf;
	struct ledger *ledger;
	struct rspamd *rspamd;
	struct backend *backend;
	struct output *output;
	const struct trust *trust;
	const struct reporter_key *reporter_key;
	const struct rspamd_stat *before; /* rspamd's counts at the start of the run */
	bool believe_marks;		  /* ledger_believes_marks() at the start of the run */
};

/*
 * dry_run: sources are opened read-only and nothing is sent to rspamd; the ledger must be
 * LEDGER_DRY. NULL if there is no memory.
 */
struct pipeline *pipeline_new(const struct pipeline_parts *parts, bool dry_run);
void pipeline_free(struct pipeline *p);

/* What a source waits through while it cannot say "not yet": rspamd's requests move on. */
const struct waiter *pipeline_waiter(struct pipeline *p);

/*
 * Open this source, learn what is new in it, at most max messages (-1: all), mark it, and
 * record how far it came. *taken: how many counted for max. Returns 0, or -1: whatever was
 * settled until then is recorded, the rest stays for the next run. ERR_FATAL: nothing can be
 * learned any more (rspamd, ledger, a signal); ERR_MAILBOX, ERR_SERVER: this source cannot.
 *
 * only_note: where several reporters have to agree, a run goes through the sources twice. First
 * it only notes who says what, then it decides. Else who comes first would be heard before a
 * verdict was taken back.
 */
int pipeline_learn(struct pipeline *p, struct source *s, int64_t max, bool only_note,
		   int64_t *taken, struct err *e);

/* Messages decided about, and suspects found, since the start: does it get on? */
uint64_t pipeline_steps(const struct pipeline *p);

/*
 * What earlier connections and sources left to be said: the last pipeline_learn of a source did
 * not come to its end, and will not be tried again in this run.
 */
void pipeline_abandon(struct pipeline *p);

#endif
