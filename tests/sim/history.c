#include "history.h"

#include "base/daily.h"
#include "rng.h"
#include "stalwart.h"

/* One of n ages; what is drawn often finds more. */
static int64_t draw_age(struct rng *r)
{
	static const int64_t age[] = {0, 0, DAY, 3 * DAY, -1};

	return age[rng_below(r, 5)];
}

static void add_box(struct setup *s, struct rng *r, struct box_setup box)
{
	box.can_mark = !rng_percent(r, 20);
	box.has_next = true;
	box.has_version = rng_percent(r, 60);
	s->box[s->n_boxes++] = box;
}

/* spam@ and ham@: two accounts, or two mailboxes of one. */
static void draw_collection(struct setup *s, struct rng *r)
{
	bool two = rng_percent(r, 60);

	add_box(s, r, (struct box_setup){.account = 0, .name = "spam", .class = CLASS_SPAM});
	add_box(s, r, (struct box_setup){.account = two, .name = "ham", .class = CLASS_HAM});
	s->n_accounts = 1 + two;
}

static void draw_own(struct setup *s, struct rng *r, int user)
{
	int account = s->n_accounts++;

	add_box(s, r,
		(struct box_setup){.account = account,
				   .name = "Junk",
				   .class = CLASS_SPAM,
				   .own = true,
				   .user = user});
	add_box(s, r,
		(struct box_setup){.account = account,
				   .name = "INBOX",
				   .class = CLASS_HAM,
				   .own = true,
				   .user = user,
				   .seen_only = rng_percent(r, 50)});
}

static void draw_setup(struct setup *s, struct rng *r)
{
	static const enum temper temper[] = {
	    TEMPER_PLAIN, TEMPER_PLAIN, TEMPER_PLAIN,	 TEMPER_PLAIN,	 TEMPER_PLAIN,
	    TEMPER_PLAIN, TEMPER_SHORT, TEMPER_SURE,	 TEMPER_REFUSED, TEMPER_FLAKY,
	    TEMPER_KNOWN, TEMPER_LARGE, TEMPER_ENCRYPTED};
	unsigned own = rng_below(r, 5);

	*s = (struct setup){0};
	if (own < 4)
		draw_collection(s, r);
	if (own > 1)
		draw_own(s, r, 0);
	if (own > 3)
		draw_own(s, r, 1);
	for (int i = 0; i < CONTENTS; i++)
		s->temper[i] = temper[rng_below(r, sizeof temper / sizeof *temper)];
	s->connections = 1 + (int)rng_below(r, 5);
	s->quorum = rng_percent(r, 25) ? 2 : 1;
	s->quorum_within = rng_percent(r, 60) ? 2 * DAY : -1;
	s->hold = rng_percent(r, 20) ? HOUR : 0;
	s->deliver_to_reporter = rng_percent(r, 15);
	s->senders = rng_percent(r, 40);
	s->skip_encrypted = rng_percent(r, 70);
	s->move = rng_percent(r, 35);
	s->learned = draw_age(r);
	s->known = draw_age(r);
	s->skipped = draw_age(r);
	s->untrusted = draw_age(r);
	s->failed = rng_percent(r, 50) ? 0 : -1;
	s->forget = rng_percent(r, 10) ? 5 * DAY : -1;
	s->max_per_run = rng_percent(r, 10) ? 2 : 1000;
}

/* Early steps and late ones: a run has from ten to some hundred. */
static unsigned draw_step(struct rng *r)
{
	return 1 + rng_below(r, 1 + rng_below(r, rng_percent(r, 70) ? 40 : 120));
}

static void draw_faults(struct faults *f, const struct setup *s, struct rng *r)
{
	unsigned what = rng_below(r, 100);

	*f = (struct faults){.slow = rng_percent(r, 15)};
	if (what < 35)
		return;
	if (what < 60)
		f->kill_at = draw_step(r);
	else if (what < 66)
		f->signal_at = draw_step(r);
	else if (what < 70)
		f->full_at = 1 + rng_below(r, 10);
	if (rng_percent(r, 12))
		f->break_one_in = 2 + rng_below(r, 30);
	if (rng_percent(r, 10))
		f->lose_percent = 10 + rng_below(r, 90);
	if (rng_percent(r, 12)) {
		f->rspamd_at = draw_step(r);
		f->rspamd_to = (uint32_t)rng_next(r);
	}
	if (rng_percent(r, 8))
		f->down = 1 + rng_below(r, (unsigned)s->n_accounts);
	if (rng_percent(r, 5))
		f->closed = 1 + rng_below(r, (unsigned)s->n_boxes);
}

static void draw_run(struct event *ev, const struct setup *s, struct rng *r)
{
	ev->kind = EVENT_RUN;
	ev->at = 0;
	ev->job = rng_percent(r, 60) ? JOB_RUN : rng_percent(r, 70) ? JOB_LEARN : JOB_EXPIRE;
	ev->max = rng_percent(r, 15) ? (int)(1 + rng_below(r, 4)) : -1;
	ev->dry_first = rng_percent(r, 15);
	if (!ev->dry_first)
		draw_faults(&ev->faults, s, r);
}

static enum event_kind draw_kind(struct rng *r)
{
	static const unsigned char weight[EVENTS_DRAWN] = {
	    [EVENT_REPORT] = 24, [EVENT_MAIL] = 10,    [EVENT_MOVE] = 12,
	    [EVENT_FLAG] = 6,	 [EVENT_KEYWORD] = 4,  [EVENT_EXPUNGE] = 4,
	    [EVENT_TROUBLE] = 4, [EVENT_VALIDITY] = 1, [EVENT_SNAPSHOT] = 4,
	    [EVENT_RESTORE] = 3, [EVENT_CLOCK] = 10,   [EVENT_RSPAMD] = 3,
	    [EVENT_LEDGER] = 1,	 [EVENT_RUN] = 26,
	};
	static unsigned total;
	unsigned n;
	int kind = 0;

	if (total == 0)
		for (int i = 0; i < EVENTS_DRAWN; i++)
			total += weight[i];
	for (n = rng_below(r, total); n >= weight[kind]; kind++)
		n -= weight[kind];
	return (enum event_kind)kind;
}

static void draw_event(struct event *ev, const struct setup *s, struct rng *r)
{
	*ev = (struct event){.kind = draw_kind(r)};
	ev->a = (uint32_t)rng_next(r);
	ev->b = (uint32_t)rng_next(r);
	ev->c = (uint32_t)rng_next(r);
	ev->seed = rng_next(r);
	if (ev->kind < EVENT_BEGIN_IN_THE_BOX && rng_percent(r, 15))
		ev->at = draw_step(r);
	if (ev->kind == EVENT_RUN)
		draw_run(ev, s, r);
}

/* Some collections are spools; drawn apart, so that the other histories stay what they were. */
static void draw_spools(struct setup *s, uint64_t seed)
{
	bool spool = rng_mix(seed, 0x5b001) % 5 == 0;

	for (int i = 0; i < s->n_boxes && spool; i++) {
		struct box_setup *b = &s->box[i];

		if (b->own || b->stalwart)
			continue;
		b->spool = b->can_mark = true;
		b->has_version = false;
	}
}

/* In one of four histories watch does the runs; drawn apart as well. */
static void draw_watch(struct history *h)
{
	static const int poll[] = {60, 60, 300}, rescan[] = {600, 1800, 3600};
	struct rng r = {rng_mix(h->seed, 0x3a7c4)};
	struct setup *s = &h->setup;

	s->watch = rng_percent(&r, 25);
	s->poll = poll[rng_below(&r, 3)];
	s->rescan = rescan[rng_below(&r, 3)];
	s->expire_at = rng_percent(&r, 20) ? DAILY_NEVER : (int)rng_below(&r, DAILY_MINUTES);
	for (int i = 0; i < h->n && s->watch; i++) {
		struct event *ev = &h->event[i];

		ev->dry_first = false;
		if (ev->kind == EVENT_RUN && rng_percent(&r, 85))
			ev->kind = EVENT_WATCH;
	}
}

void history_draw(struct history *h, uint64_t seed)
{
	struct rng r = {seed * 0x9e3779b97f4a7c15u};

	h->seed = seed;
	draw_setup(&h->setup, &r);
	draw_spools(&h->setup, seed);
	stalwart_draw(&h->setup, seed);
	h->n = 6 + (int)rng_below(&r, 30);
	for (int i = 0; i < h->n; i++)
		draw_event(&h->event[i], &h->setup, &r);
	draw_watch(h);
}

int64_t watch_event_ms(const struct event *ev)
{
	static const int64_t ms[] = {0, 150, 2000, 15000, 40000, 100000, 700000, 4000000};

	return ms[ev->c % (sizeof ms / sizeof *ms)];
}

/* ---- for people ---- */

static void print_age(const char *name, int64_t age, FILE *f)
{
	if (age >= 0)
		fprintf(f, " %s=%llds", name, (long long)age);
}

static void setup_print(const struct setup *s, FILE *f)
{
	static const char *const temper[TEMPERS] = {"plain", "short", "sure",  "refused",
						    "flaky", "known", "large", "encrypted"};

	if (s->stalwart)
		fprintf(f, "stalwart:%s%s%s\n", s->destroy ? " after=destroy" : "",
			s->silent ? " silent" : "", s->tells ? " tells" : "");
	fprintf(f, "setup: connections=%d quorum=%d max-per-run=%d%s%s%s%s", s->connections,
		s->quorum, s->max_per_run, s->deliver_to_reporter ? " deliver-to=reporter" : "",
		s->senders ? " senders" : "", s->skip_encrypted ? " skip-encrypted" : "",
		s->move ? " move" : "");
	print_age("quorum-within", s->quorum_within, f);
	print_age("hold", s->hold, f);
	print_age("learned", s->learned, f);
	print_age("known", s->known, f);
	print_age("skipped", s->skipped, f);
	print_age("untrusted", s->untrusted, f);
	print_age("failed", s->failed, f);
	print_age("forget", s->forget, f);
	if (s->watch)
		fprintf(f, "\nwatch: poll=%ds rescan=%ds expire-at=%d", s->poll, s->rescan,
			s->expire_at);
	fprintf(f, "\ncontents:");
	for (int i = 0; i < CONTENTS; i++)
		fprintf(f, " %d=%s", i, temper[s->temper[i]]);
	fprintf(f, "\n");
	for (int i = 0; i < s->n_boxes; i++) {
		const struct box_setup *b = &s->box[i];

		fprintf(f, "mailbox %d: account %d %s %s%s%s%s%s%s%s\n", i, b->account, b->name,
			class_name(b->class), b->own ? " own" : "",
			b->spool      ? " spool"
			: b->stalwart ? " stalwart"
				      : "",
			b->seen_only ? " seen-only" : "", b->can_mark ? "" : " no-keywords",
			b->has_next ? "" : " no-uidnext", b->has_version ? "" : " no-modseq");
	}
}

static void faults_print(const struct faults *x, FILE *f)
{
	const struct {
		const char *name;
		unsigned n;
	} fault[] = {
	    {"kill-at", x->kill_at},
	    {"signal-at", x->signal_at},
	    {"full-at", x->full_at},
	    {"break-one-in", x->break_one_in},
	    {"lose-percent", x->lose_percent},
	    {"rspamd-at", x->rspamd_at},
	    {"rspamd-to", x->rspamd_to % 4},
	    {"down", x->down},
	    {"closed", x->closed},
	    {"slow", x->slow},
	};

	for (size_t i = 0; i < sizeof fault / sizeof *fault; i++)
		if (fault[i].n > 0)
			fprintf(f, " %s=%u", fault[i].name, fault[i].n);
}

void event_print(const struct event *ev, FILE *f)
{
	static const char *const name[EVENTS] = {"report",   "mail",	"move",	   "flag",
						 "keyword",  "expunge", "trouble", "validity",
						 "snapshot", "restore", "clock",   "rspamd",
						 "ledger",   "run",	"watch"};
	static const char *const job[] = {"run", "learn", "expire"};
	static const char *const what[WATCH_WHATS] = {
	    "",		  "killed",  "ended",	  "reloaded",	 "misloaded", "asked",
	    "run-killed", "no-fork", "disk-full", "line-breaks", "deaf",      "floods",
	    "hangs",	  "away",    "refused",	  "blind",	 "many"};

	fprintf(f, "%s", ev->kind == EVENT_RUN ? job[ev->job] : name[ev->kind]);
	if (ev->at)
		fprintf(f, " in-run-at=%u", ev->at);
	if (ev->kind == EVENT_WATCH)
		fprintf(f, " %s account=%u for %llds", what[ev->a % WATCH_WHATS],
			ev->b % MAX_ACCOUNTS, (long long)watch_event_ms(ev) / 1000);
	else if (ev->kind != EVENT_RUN)
		return;
	if (ev->max >= 0)
		fprintf(f, " --max=%d", ev->max);
	if (ev->dry_first)
		fprintf(f, " dry-run-first");
	faults_print(&ev->faults, f);
}

void history_print(const struct history *h, FILE *f)
{
	setup_print(&h->setup, f);
	for (int i = 0; i < h->n; i++) {
		fprintf(f, "%3d ", i);
		event_print(&h->event[i], f);
		fprintf(f, "\n");
	}
}
