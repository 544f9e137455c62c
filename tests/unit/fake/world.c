#include "fake/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"

static void open_ledger(struct world *w)
{
	w->ledger = ledger_over(&w->store.store, LEDGER_WRITE, &w->e);
	assert_non_null(w->ledger);
}

void world_init(struct world *w)
{
	memset(w, 0, sizeof *w);
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	fake_clock_set(WORLD_NOW);
	fake_store_init(&w->store, &w->events);
	fake_rspamd_init(&w->rspamd, WORLD_CONNECTIONS, &w->events);
	fake_output_init(&w->output, &w->events);
	fake_source_init(&w->source, "a", "INBOX", CLASS_SPAM, &w->events);
	w->source.dirty = w->rspamd.dirty = &w->store.dirty;
	w->conf = conf_default();
	assert_non_null(w->conf);
	w->trust = trust_open(&w->conf->reports, &w->e);
	assert_non_null(w->trust);
	w->backend = (struct backend){.rspamd = &w->rspamd.rspamd};
	open_ledger(w);
}

static void end_run(struct world *w)
{
	pipeline_free(w->pipeline);
	w->pipeline = NULL;
	rspamd_close(&w->rspamd.rspamd);
	ledger_close(w->ledger);
	w->ledger = NULL;
}

void world_free(struct world *w)
{
	end_run(w);
	fake_source_free(&w->source);
	trust_close(w->trust);
	conf_free(w->conf);
	fake_store_free(&w->store);
}

void world_restart(struct world *w)
{
	end_run(w);
	w->output.output.total = (struct tally){0};
	w->backend.good_at = 0;
	fake_clock_advance(3600 * 1000);
	open_ledger(w);
}

static void need_pipeline(struct world *w)
{
	const struct pipeline_parts parts = {
	    .conf = w->conf,
	    .ledger = w->ledger,
	    .rspamd = &w->rspamd.rspamd,
	    .backend = &w->backend,
	    .output = &w->output.output,
	    .trust = w->trust,
	    .reporter_key = &w->key,
	    .before = &w->before,
	    .believe_marks = ledger_believes_marks(w->ledger, &w->e) == 1,
	};

	if (w->pipeline == NULL)
		w->pipeline = pipeline_new(&parts, w->output.output.dry_run);
	assert_non_null(w->pipeline);
}

int world_learn_in(struct world *w, struct fake_source *s, int64_t max, bool only_note)
{
	need_pipeline(w);
	err_clear(&w->e);
	return pipeline_learn(w->pipeline, &s->source, max, only_note, &w->taken, &w->e);
}

void world_run(struct world *w)
{
	world_restart(w);
	if (world_learn_in(w, &w->source, -1, false) == -1)
		fail_msg("%s", w->e.text);
	world_close(w, &w->source);
}

void world_close(struct world *w, struct fake_source *s)
{
	(void)w;
	source_close(&s->source);
}

struct record_mailbox world_box(struct world *w, struct fake_source *s)
{
	struct record_mailbox box;
	bool known;

	assert_int_equal(ledger_mailbox(w->ledger, s->source.account, s->source.mailbox, &box,
					&known, &w->e),
			 0);
	return box;
}

struct record_message world_message(struct world *w, struct fake_source *s, uint32_t id)
{
	struct record_mailbox box = world_box(w, s);
	struct record_message r = {0};
	int rc = ledger_message(w->ledger, &box, id, &r, &w->e);

	assert_int_not_equal(rc, -1);
	if (rc == 0)
		r.state = (enum record_state) - 1;
	return r;
}

void world_is(struct world *w, uint32_t id, int state, enum outcome outcome)
{
	struct record_message r = world_message(w, &w->source, id);

	if ((int)r.state != state || (state != -1 && r.outcome != outcome))
		fail_msg("message %u: state %d, outcome %s; in: %s", id, (int)r.state,
			 outcome_name(r.outcome), w->events.text);
}
