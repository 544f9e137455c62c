/*
 * world.h - everything that a pipeline works with, as fakes, and a record of what happened.
 * Whatever a test does, it fails where something is sent, marked or removed that the ledger has
 * not made durable before.
 */
#ifndef FAKE_WORLD_H
#define FAKE_WORLD_H

#include "conf/conf.h"
#include "fake/clock.h"
#include "fake/events.h"
#include "fake/output.h"
#include "fake/rspamd.h"
#include "fake/source.h"
#include "fake/store.h"
#include "learn/pipeline.h"
#include "ledger/ledger.h"

enum { WORLD_NOW = 1700000000, WORLD_CONNECTIONS = 4 };

struct world {
	struct fake_events events;
	struct fake_store store;
	struct fake_rspamd rspamd;
	struct fake_output output;
	struct fake_source source; /* "a" "INBOX", spam */
	struct conf *conf;
	struct ledger *ledger;
	struct trust *trust;
	struct reporter_key key;
	struct backend backend;
	struct rspamd_stat before;
	struct pipeline *pipeline; /* NULL before the first world_learn of a run */
	struct err e;
	int64_t taken;
};

void world_init(struct world *w);
void world_free(struct world *w);

/* Another run begins: what was not committed is lost, as after a kill. */
void world_restart(struct world *w);

/* pipeline_learn on a source; the result, with w->e and w->taken. The source stays open. */
int world_learn_in(struct world *w, struct fake_source *s, int64_t max, bool only_note);

/* The same on w->source, everything, in a run of its own; must succeed. */
void world_run(struct world *w);

/* The connection is closed, and the source with it. */
void world_close(struct world *w, struct fake_source *s);

/* The record of a message; state -1 where there is none. */
struct record_message world_message(struct world *w, struct fake_source *s, uint32_t id);

/* Fail the test unless the message is in this state with this outcome. */
void world_is(struct world *w, uint32_t id, int state, enum outcome outcome);

struct record_mailbox world_box(struct world *w, struct fake_source *s);

#endif
