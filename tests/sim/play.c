/*
 * A history, played: what happens in the world, and the runs of the program in between. Each
 * run is a process: it opens what it needs, does its job, may be killed, and leaves nothing
 * behind but what it committed.
 */
#include "sim.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/stop.h"
#include "learn/run.h"
#include "server.h"

enum {
	TOLD_MAX = 400,
	QUIET_RUNS = 6, /* after which everything must be settled */
};

static const struct faults no_faults;

/* ---- failures ---- */

void sim_fail(struct sim *s, const char *what, const char *fmt, ...)
{
	va_list ap;

	if (s->broken)
		return;
	s->broken = what;
	va_start(ap, fmt);
	vsnprintf(s->failure, sizeof s->failure, fmt, ap);
	va_end(ap);
	sim_trace(s, "    FAILED: %s: %s", what, s->failure);
}

void sim_trace(const struct sim *s, const char *fmt, ...)
{
	va_list ap;

	if (!s->trace)
		return;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

int sim_killed(struct err *e)
{
	return err_set(e, ERR_FATAL, ERR_CANCELLED, "killed");
}

/* ---- steps ---- */

static void do_due(struct sim *s, bool all)
{
	int kept = 0;

	for (int i = 0; i < s->n_due; i++)
		if (all || s->due[i]->at <= s->step)
			world_event(s, s->due[i]);
		else
			s->due[kept++] = s->due[i];
	s->n_due = kept;
}

bool sim_step(struct sim *s)
{
	const struct faults *f = s->faults;

	if (s->tasks.now && !s->dead)
		tasks_pass(s, 1 + (int64_t)(rng_mix(s->fault_seed, s->step) % 4));
	if (s->dead)
		return false;
	s->step++;
	do_due(s, false);
	if (s->step == f->rspamd_at)
		spamd_change(&s->spamd, f->rspamd_to);
	if (s->step == f->signal_at)
		stop_request(SIGTERM);
	if (s->step == f->kill_at) {
		s->dead = true;
		/* Nothing that it does has an effect; it ends the sooner for being asked to. */
		if (s->tasks.now)
			task_dies(s);
		else
			stop_request(SIGKILL);
		sim_trace(s, "    killed");
	}
	return !s->dead;
}

/* ---- what a run prints ---- */

struct told {
	int box;
	uint32_t id;
	enum mail_class class;
	enum outcome outcome;
	bool expired;
};

struct printed {
	struct output output;
	struct sim *sim; /* borrowed */
	int n;
	struct told told[TOLD_MAX];
};

static int box_of(const struct sim *s, struct output_place p)
{
	for (int i = 0; i < s->setup->n_boxes; i++)
		if (s->names[s->setup->box[i].account] == p.account &&
		    strcmp(s->setup->box[i].name, p.mailbox) == 0)
			return i;
	return -1;
}

static void tell(struct output *o, struct told t)
{
	struct printed *p = (struct printed *)o;

	if (p->sim->dead)
		return;
	sim_trace(p->sim, "    printed: mailbox %d UID %u as %s: %s%s", t.box, t.id,
		  class_name(t.class), outcome_name(t.outcome), t.expired ? ", expired" : "");
	if (p->n < TOLD_MAX)
		p->told[p->n++] = t;
}

static void print_start(struct output *o)
{
	(void)o;
}

static void print_mailbox(struct output *o, struct output_place p, uint64_t n)
{
	(void)o;
	(void)p;
	(void)n;
}

static void print_message(struct output *o, const struct output_message *m)
{
	tell(o, (struct told){box_of(((struct printed *)o)->sim, m->place), m->id, m->class,
			      m->outcome, false});
}

static void print_marked(struct output *o, struct output_place p, uint64_t n, const char *mark)
{
	(void)o;
	(void)p;
	(void)n;
	(void)mark;
}

static void print_mailbox_end(struct output *o, struct output_place p, const struct tally *t,
			      const char *why)
{
	(void)o;
	(void)p;
	(void)t;
	(void)why;
}

static void print_expired(struct output *o, struct output_place p, uint32_t id,
			  const struct record_message *what, int64_t age)
{
	(void)age;
	tell(o, (struct told){box_of(((struct printed *)o)->sim, p), id, what->class,
			      what->outcome, true});
}

static void print_expire_end(struct output *o, struct output_place p, const struct tally *t)
{
	(void)o;
	(void)p;
	(void)t;
}

static void print_rspamd(struct output *o, const struct output_rspamd *r)
{
	(void)o;
	(void)r;
}

static void print_summary(struct output *o, double seconds)
{
	(void)o;
	(void)seconds;
}

static void print_error(struct output *o, const char *account, const char *text, int status)
{
	(void)account;
	sim_trace(((struct printed *)o)->sim, "    error %d: %s", status, text);
}

static const struct output_ops print_ops = {
    print_start,   print_mailbox,    print_message, print_marked,  print_mailbox_end,
    print_expired, print_expire_end, print_rspamd,  print_summary, print_error,
};

/* What the runs of watch print is only traced: they are many, and no dry run foretells them. */

static struct sim *playing;

static void trace_message(struct output *o, const struct output_message *m)
{
	(void)o;
	if (!playing->dead)
		sim_trace(playing, "    printed: %s %s UID %u: %s", m->place.account,
			  m->place.mailbox, m->id, outcome_name(m->outcome));
}

static void trace_error(struct output *o, const char *account, const char *text, int status)
{
	(void)o;
	(void)account;
	sim_trace(playing, "    error %d: %s", status, text);
}

static void trace_expired(struct output *o, struct output_place p, uint32_t id,
			  const struct record_message *what, int64_t age)
{
	(void)o;
	(void)what;
	(void)age;
	sim_trace(playing, "    printed: %s %s UID %u: expired", p.account, p.mailbox, id);
}

const struct output_ops sim_watch_ops = {
    print_start,   print_mailbox,    trace_message, print_marked,  print_mailbox_end,
    trace_expired, print_expire_end, print_rspamd,  print_summary, trace_error,
};

/* ---- one run ---- */

int sim_open_run(struct sim *s, struct run *r, const struct faults *f, uint64_t seed,
		 struct err *e)
{
	if (s->locked)
		return err_set(e, ERR_FATAL, ERR_TEMPORARY, "ledger: another run is at work");
	s->locked = true;
	s->at_work = s->tasks.now;
	s->faults = f;
	s->fault_seed = seed;
	s->step = 0;
	s->dead = false;
	s->disk.commits = 0;
	spamd_begin(&s->spamd);
	model_run_begins(s, r->options.dry_run);
	server_accounts(s, &r->accounts);
	r->conf = &s->conf;
	r->reporter_key = s->key;
	if (r->output->learns)
		r->rspamd = &s->spamd.rspamd;
	r->ledger =
	    ledger_over(&s->disk.store, r->options.dry_run ? LEDGER_DRY : LEDGER_WRITE, e);
	return r->ledger ? run_begin(r, e) : -1;
}

/* What is counted is what rspamd said. */
static void check_summary(struct sim *s, const struct tally *t)
{
	const struct spamd *r = &s->spamd;

	for (int c = CLASS_SPAM; c <= CLASS_HAM; c++)
		if (t->learned[c] != r->heard[c])
			sim_fail(s, "the summary says what is not so",
				 "%llu learned as %s, rspamd said it %llu times",
				 (unsigned long long)t->learned[c], class_name(c),
				 (unsigned long long)r->heard[c]);
}

void sim_close_run(struct sim *s, struct run *r, bool complete)
{
	bool whole =
	    complete && r->output->total.left == 0 && !r->options.dry_run && r->output->learns;
	bool cut_short = s->dead || stop_requested() || (s->faults->full_at && !whole);

	if (!s->dead && !r->options.dry_run && r->output->learns)
		check_summary(s, &r->output->total);
	__real_run_close(r);
	spamd_end(&s->spamd, cut_short);
	s->dead = false;
	s->latest = s->now > s->latest ? s->now : s->latest;
	do_due(s, true);
	s->faults = &no_faults;
	s->locked = false;
	s->at_work = NULL;
	model_run_ends(s, r->options.n_accounts ? r->options.account[0] : NULL, whole,
		       cut_short);
}

/* Returns whether the run came to its end, and nothing failed. */
static bool do_run(struct sim *s, const struct event *ev, bool dry, struct printed *out)
{
	struct run r = {.options = {.dry_run = dry, .max = ev->max},
			.conf = &s->conf,
			.output = &out->output};
	struct err e = {.scope = ERR_NONE};
	bool complete;

	if (s->locked) {
		sim_trace(s, "    another run is at work");
		return false;
	}
	*out = (struct printed){.output = {.ops = &print_ops,
					   .dry_run = dry,
					   .learns = ev->job != JOB_EXPIRE,
					   .expires = ev->job != JOB_LEARN,
					   .command = "sim"},
				.sim = s};
	complete = sim_open_run(s, &r, dry ? &no_faults : &ev->faults, ev->seed, &e) == 0 &&
		   run_all(&r, &e) == 0 && out->output.status == EXIT_DONE && !s->dead;
	if (e.scope != ERR_NONE)
		sim_trace(s, "    ended: %s", e.text);
	if (e.scope == ERR_FATAL)
		s->model.cuts++;
	sim_close_run(s, &r, complete && ev->max < 0);
	if (s->tasks.now == NULL)
		stop_request(0);
	return complete;
}

/* ---- a dry run, and the run that it foretells ---- */

static int by_place(const void *a, const void *b)
{
	const struct told *x = a, *y = b;

	if (x->expired != y->expired)
		return x->expired - y->expired;
	if (x->box != y->box)
		return x->box - y->box;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* By mailbox and number, each once; not exact: without what expired. */
static void sort(struct printed *p, bool exact)
{
	int n = 0;

	qsort(p->told, (size_t)p->n, sizeof p->told[0], by_place);
	for (int i = 0; i < p->n; i++)
		if ((exact || !p->told[i].expired) &&
		    (n == 0 || by_place(&p->told[n - 1], &p->told[i]) != 0))
			p->told[n++] = p->told[i];
	p->n = n;
}

static void compare(struct sim *s, struct printed *dry, struct printed *real)
{
	/* Where rspamd does not simply learn, no dry run can know what it will say. */
	bool exact = s->spamd.all_learned;
	int n = 0;

	sort(dry, exact);
	sort(real, exact);
	for (; n < dry->n && n < real->n; n++) {
		const struct told *d = &dry->told[n], *r = &real->told[n];

		if (by_place(d, r) != 0 || d->class != r->class ||
		    (exact && d->outcome != r->outcome))
			break;
	}
	if (n < dry->n || n < real->n)
		sim_fail(s, "the dry run foretold something else", "line %d of %d, %d", n,
			 dry->n, real->n);
}

static void run_after_dry_run(struct sim *s, const struct event *ev)
{
	static struct printed dry, real;
	uint64_t world = world_hash(s), disk = disk_hash(&s->disk);
	bool dry_complete, complete;

	s->orderly = true;
	dry_complete = do_run(s, ev, true, &dry);

	if (world_hash(s) != world || disk_hash(&s->disk) != disk)
		sim_fail(s, "a dry run changes something", "mail %d, ledger %d",
			 world_hash(s) != world, disk_hash(&s->disk) != disk);
	complete = do_run(s, ev, false, &real);
	s->orderly = false;
	/* With a limit it depends on the answers which messages it leaves out. */
	if (dry_complete && complete && (ev->max < 0 || s->spamd.all_learned))
		compare(s, &dry, &real);
}

void sim_run(struct sim *s, const struct event *ev)
{
	static struct printed out;

	do_run(s, ev, false, &out);
}

static void run_event(struct sim *s, const struct event *ev)
{
	static struct printed out;

	if (s->watching.on) {
		watching_run(s, ev);
		return;
	}
	if (ev->dry_first && s->n_due == 0)
		run_after_dry_run(s, ev);
	else
		do_run(s, ev, false, &out);
}

/* ---- the site ---- */

static void set_conf(struct sim *s)
{
	const struct setup *h = s->setup;
	static char senders[] = "@example.org", nothing[] = "", plus[] = "+",
		    archive[] = "Archive";

	(void)nothing;
	s->conf = (struct conf){
	    .rspamd = {.connections = h->connections,
		       .deliver_to_reporter = h->deliver_to_reporter},
	    .reports = {.senders = h->senders ? senders : NULL,
			.delimiter = plus,
			.quorum = h->quorum,
			.quorum_within = h->quorum_within,
			.hold = h->hold},
	    .retention = {.learned = h->learned,
			  .known = h->known,
			  .skipped = h->skipped,
			  .untrusted = h->untrusted,
			  .failed = h->failed,
			  .forget = h->forget,
			  .action = h->move ? CONF_MOVE : CONF_DELETE,
			  .move_to = archive,
			  .max_per_run = h->max_per_run},
	    .watch = {.poll = h->poll, .rescan = h->rescan, .expire_at = h->expire_at},
	    .max_size = MAX_SIZE,
	    .skip_encrypted = h->skip_encrypted,
	};
}

static void begin(struct sim *s, const struct history *h, bool trace)
{
	*s = (struct sim){
	    .history = h, .setup = &h->setup, .trace = trace, .faults = &no_faults};
	s->now = s->latest = 1700000000;
	s->ms = 1000;
	for (int i = 0; i < MAX_ACCOUNTS; i++)
		snprintf(s->names[i], sizeof s->names[i], "account%d", i);
	for (int i = 0; i < USERS; i++)
		snprintf(s->owners[i], sizeof s->owners[i], "u%d@example.org", i);
	snprintf(s->owners[USERS], sizeof s->owners[USERS], "m%d@evil.example", USERS);
	set_conf(s);
	playing = s;
	time_of(s);
	tasks_begin(s);
	disk_new(&s->disk, s);
	world_new(s);
	spamd_new(&s->spamd, s);
	model_new(s);
	watching_new(s);
}

static void do_event(struct sim *s, const struct event *ev)
{
	if (s->watching.on)
		watching_before(s, ev);
	else
		s->now += 1 + (int64_t)(ev->seed % 100);
	s->latest = s->now > s->latest ? s->now : s->latest;
	if (ev->at > 0)
		s->due[s->n_due++] = ev;
	else if (ev->kind == EVENT_RUN)
		run_event(s, ev);
	else if (ev->kind == EVENT_WATCH)
		watching_event(s, ev);
	else
		world_event(s, ev);
}

/* Nothing fails any more: where does it end? */
static void quiet_down(struct sim *s)
{
	static struct printed out;
	struct event ev = {.kind = EVENT_RUN, .job = JOB_LEARN, .max = -1};

	do_due(s, true);
	world_heal(s);
	world_grows(s);
	spamd_heal(&s->spamd);
	s->now = s->latest;
	for (int i = 0; i < QUIET_RUNS && !s->broken; i++) {
		if (i == 2)
			world_shrinks(s);
		if (i == 3)
			world_grows(s);
		s->now += 3 * DAY;
		ev.seed = (uint64_t)i;
		sim_trace(s, "quiet run %d", i);
		do_run(s, &ev, false, &out);
	}
	if (!s->broken)
		model_at_end(s);
	ev.job = JOB_RUN;
	s->now += 3 * DAY;
	sim_trace(s, "last run");
	if (!s->broken)
		do_run(s, &ev, false, &out);
}

void sim_play(struct sim *s, const struct history *h, bool trace)
{
	begin(s, h, trace);
	for (int i = 0; i < h->n && !s->broken; i++) {
		if (trace) {
			printf("%3d ", i);
			event_print(&h->event[i], stdout);
			printf("\n");
		}
		do_event(s, &h->event[i]);
	}
	if (!s->broken && s->watching.on) {
		do_due(s, true);
		watching_quiet(s);
	}
	if (!s->broken)
		quiet_down(s);
	tasks_end(s);
	disk_free(&s->disk);
	time_of(NULL);
}
