#include "spamd.h"

#include <stdio.h>
#include <string.h>

#include "sim.h"

static struct spamd *spamd_of(struct rspamd *r)
{
	return (struct spamd *)r;
}

static struct rng chance(const struct spamd *r)
{
	return (struct rng){rng_mix(r->sim->fault_seed, r->sim->step)};
}

/* ---- what it answers ---- */

/* It learns, as Bayes does: whatever it was taught last counts. */
static void learn(struct spamd *r, struct flight_slot *f)
{
	static const char yes[] = "{\"success\":true}";

	if (r->learned[f->key] == f->class) {
		answer_read(208, "already learned", "", 0, &f->answer);
		r->said[f->key][f->class] |= SAID_KNOWN;
	} else {
		answer_read(200, "OK", yes, sizeof yes - 1, &f->answer);
		r->said[f->key][f->class] |= SAID_LEARNED;
	}
}

/* Nothing comes back, as often as the program's client tries. */
static void no_answer(struct spamd *r, struct flight_slot *f)
{
	f->answer = (struct answer){
	    .outcome = OUTCOME_UNANSWERED, .kind = ERR_UNREACHABLE, .text = "no answer"};
	r->lost++;
	r->rspamd.failures++;
	f->answer.next = ++r->in_vain > 2 * r->rspamd.connections ? ANSWER_STOP : ANSWER_DOUBT;
}

static void say_sure(struct flight_slot *f)
{
	answer_read(204, "all learn conditions denied learning spam in native mode", "", 0,
		    &f->answer);
}

static void think(struct spamd *r, struct flight_slot *f)
{
	static const char error[] = "{\"error\":\"cannot process this message\"}";
	unsigned char *said = &r->said[f->key][f->class];

	switch (r->sim->setup->temper[f->content]) {
	case TEMPER_SHORT:
		answer_read(204, "fewer or less tokens than required", "", 0, &f->answer);
		*said |= SAID_SHORT;
		return;
	case TEMPER_REFUSED:
		answer_read(400, "Bad", error, sizeof error - 1, &f->answer);
		*said |= SAID_REFUSED;
		return;
	case TEMPER_FLAKY:
		if (r->flaky[f->content] > 0) {
			r->flaky[f->content]--;
			no_answer(r, f);
			return;
		}
		break;
	case TEMPER_SURE:
		if (f->class == CLASS_SPAM && r->learned[f->key] == CLASS_NONE) {
			say_sure(f);
			*said |= SAID_SURE;
			r->agreed[f->key] = CLASS_SPAM;
			return;
		}
		break;
	default:
		break;
	}
	learn(r, f);
}

static bool taught(const struct answer *a)
{
	return a->outcome == OUTCOME_LEARNED || a->outcome == OUTCOME_KNOWN;
}

/*
 * Without its Redis it says one of two things, and neither is true. It crashes before it says
 * that it is sure (measured with 3.4: docs/rspamd.md).
 */
static void without_redis(struct spamd *r, struct flight_slot *f, struct rng *g)
{
	if (!r->crashed || rng_percent(g, 40))
		no_answer(r, f);
	else
		say_sure(f);
	r->crashed = true;
}

static void count(struct spamd *r, const struct flight_slot *f)
{
	if (f->answer.outcome != OUTCOME_LEARNED) {
		r->all_learned = false;
		return;
	}
	r->heard[f->class]++;
	r->taken_back[f->before]++;
}

/* The request arrives. arrived_only: nobody waits for the answer any more. */
static void answer(struct spamd *r, struct flight_slot *f, bool arrived_only)
{
	struct rng g = chance(r);
	bool lost = arrived_only || rng_percent(&g, r->sim->faults->lose_percent);

	f->state = FLIGHT_ANSWERED;
	if (r->down) {
		no_answer(r, f);
	} else if (r->no_redis) {
		without_redis(r, f, &g);
	} else {
		think(r, f);
		if (lost && taught(&f->answer))
			r->vague[f->key][f->class] = true;
		f->before = r->learned[f->key];
		if (taught(&f->answer)) {
			r->learned[f->key] = r->agreed[f->key] = f->class;
			r->missed[f->key] = false;
			r->fresh[f->key][f->class] = true;
		}
		if (lost)
			no_answer(r, f);
	}
	if (f->answer.next != ANSWER_DOUBT || f->answer.outcome != OUTCOME_UNANSWERED)
		r->in_vain = f->answer.next == ANSWER_STOP ? r->in_vain : 0;
	sim_trace(r->sim, "    rspamd: content %d as %s: %s%s", f->content,
		  class_name(f->class), outcome_name(f->answer.outcome), lost ? " (lost)" : "");
}

/* ---- as the program sees it ---- */

static int spamd_stat(struct rspamd *rspamd, struct rspamd_stat *out, struct err *e)
{
	struct spamd *r = spamd_of(rspamd);

	if (!sim_step(r->sim))
		return sim_killed(e);
	*out = (struct rspamd_stat){.bayes = !r->no_redis};
	if (r->down)
		return err_set(e, ERR_FATAL, ERR_UNREACHABLE, "rspamd: nobody there");
	return 0;
}

/* Mail in the simulation says what it is in its subject: "content 3". */
static int content_of(const struct rspamd_job *job)
{
	static const char mark[] = "Subject: content ";
	const char *p = memmem(job->data, job->len, mark, sizeof mark - 1);

	return p ? p[sizeof mark - 1] - '0' : -1;
}

static int user_of(const char *address)
{
	return address ? address[1] - '0' : USERS; /* "u1@example.org" */
}

static int spamd_submit(struct rspamd *rspamd, const struct rspamd_job *job, struct err *e)
{
	struct spamd *r = spamd_of(rspamd);
	struct sim *s = r->sim;
	struct flight_slot *f = r->slot;
	int content = content_of(job);
	struct rng g;

	if (!sim_step(s))
		return sim_killed(e);
	model_sends(s, content, job);
	if (s->broken)
		return sim_killed(e);
	while (f->state != FLIGHT_FREE)
		f++;
	g = chance(r);
	*f = (struct flight_slot){
	    .state = FLIGHT_SENT,
	    .owner = job->owner,
	    .content = content,
	    .class = job->class,
	    .key = model_key(s, content, user_of(job->deliver_to)),
	    .due = s->ms + (rng_percent(&g, 4) ? 8000 : 1 + rng_below(&g, 200)),
	};
	if (r->agreed[f->key] == f->class)
		r->again += r->vague[f->key][f->class] || r->said[f->key][f->class] != 0;
	return sim_step(s) ? 0 : sim_killed(e);
}

static struct flight_slot *next_due(struct spamd *r)
{
	struct flight_slot *f = NULL;

	for (int i = 0; i < MAX_FLIGHT; i++)
		if (r->slot[i].state == FLIGHT_SENT && (!f || r->slot[i].due < f->due))
			f = &r->slot[i];
	return f;
}

static bool has_answer(const struct spamd *r)
{
	for (int i = 0; i < MAX_FLIGHT; i++)
		if (r->slot[i].state == FLIGHT_ANSWERED)
			return true;
	return false;
}

static void spamd_wait(struct rspamd *rspamd, int fd, short events, int ms)
{
	struct spamd *r = spamd_of(rspamd);
	struct sim *s = r->sim;
	struct flight_slot *f = next_due(r);

	(void)fd;
	(void)events;
	if (has_answer(r) && !s->dead)
		return;
	if (!sim_step(s) || f == NULL || f->due > s->ms + ms) {
		sim_wait(s, ms);
		return;
	}
	if (f->due > s->ms)
		sim_wait(s, f->due - s->ms);
	if (s->dead) /* it was killed while it waited */
		return;
	if (s->faults->slow)
		s->now++;
	answer(r, f, false);
}

static bool spamd_take(struct rspamd *rspamd, struct rspamd_result *out)
{
	struct spamd *r = spamd_of(rspamd);

	for (int i = 0; i < MAX_FLIGHT && !r->sim->dead; i++)
		if (r->slot[i].state == FLIGHT_ANSWERED) {
			count(r, &r->slot[i]);
			out->owner = r->slot[i].owner;
			out->answer = r->slot[i].answer;
			r->slot[i].state = FLIGHT_FREE;
			return true;
		}
	return false;
}

static void spamd_close(struct rspamd *rspamd)
{
	(void)rspamd; /* spamd_end() has seen to it */
}

static const struct rspamd_ops ops = {
    spamd_stat, spamd_submit, spamd_wait, spamd_take, spamd_close,
};

/* ---- from outside ---- */

void spamd_new(struct spamd *r, struct sim *s)
{
	*r = (struct spamd){
	    .rspamd = {.ops = &ops, .url = "sim", .connections = s->setup->connections},
	    .sim = s};
	for (int c = 0; c < CONTENTS; c++) {
		if (s->setup->temper[c] == TEMPER_FLAKY)
			r->flaky[c] = 1 + (unsigned)c;
		if (s->setup->temper[c] != TEMPER_KNOWN)
			continue;
		for (int u = 0; u <= USERS; u++) {
			int key = model_key(s, c, u);

			r->learned[key] = r->agreed[key] = CLASS_SPAM;
		}
	}
}

void spamd_begin(struct spamd *r)
{
	r->heard[CLASS_SPAM] = r->heard[CLASS_HAM] = 0;
	memset(r->taken_back, 0, sizeof r->taken_back);
	r->all_learned = true;
	r->in_vain = 0;
	memset(r->fresh, 0, sizeof r->fresh);
}

void spamd_save(struct spamd *r)
{
	memcpy(r->saved, r->agreed, sizeof r->saved);
}

void spamd_restore(struct spamd *r)
{
	memset(r->vague, true, sizeof r->vague);
	for (int key = 0; key < KEYS; key++)
		r->missed[key] = r->agreed[key] != r->saved[key];
}

static void blur(struct spamd *r)
{
	for (int key = 0; key < KEYS; key++)
		for (int c = CLASS_SPAM; c <= CLASS_HAM; c++)
			r->vague[key][c] |= r->fresh[key][c];
}

void spamd_end(struct spamd *r, bool cut_short)
{
	for (int i = 0; i < MAX_FLIGHT; i++) {
		struct flight_slot *f = &r->slot[i];

		if (f->state == FLIGHT_SENT && rng_mix(r->sim->fault_seed, (uint64_t)i) & 1)
			answer(r, f, true);
		f->state = FLIGHT_FREE;
	}
	if (cut_short)
		blur(r);
}

void spamd_change(struct spamd *r, uint32_t to)
{
	switch (to % 4) {
	case 0:
		r->down = !r->down;
		break;
	case 1:
	case 2:
		r->no_redis = !r->no_redis;
		r->crashed = false;
		break;
	default:
		memset(r->learned, 0, sizeof r->learned);
		memset(r->agreed, 0, sizeof r->agreed);
		r->sim->model.amnesia = true;
	}
	sim_trace(r->sim, "    rspamd is %s%s%s", r->down ? "down" : "up",
		  r->no_redis ? ", without Redis" : "", to % 4 == 3 ? ", and forgot all" : "");
}

void spamd_heal(struct spamd *r)
{
	r->down = r->no_redis = false;
	memset(r->flaky, 0, sizeof r->flaky);
}
