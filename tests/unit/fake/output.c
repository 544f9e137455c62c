#include "fake/output.h"

#include <stdio.h>
#include <string.h>

static struct fake_output *of(struct output *o)
{
	return (struct fake_output *)o;
}

static void start(struct output *o)
{
	fake_event(of(o)->events, "start");
}

static void mailbox(struct output *o, struct output_place p, uint64_t n)
{
	(void)p;
	fake_event(of(o)->events, "%llu new", (unsigned long long)n);
}

static void message(struct output *o, const struct output_message *m)
{
	fake_event(of(o)->events, "%u %s%s%s", m->id, outcome_name(m->outcome),
		   m->answer && m->answer[0] ? ": " : "", m->answer ? m->answer : "");
}

static void marked(struct output *o, struct output_place p, uint64_t n, const char *mark)
{
	(void)p;
	fake_event(of(o)->events, "marked %llu %s", (unsigned long long)n, mark);
}

static void mailbox_end(struct output *o, struct output_place p, const struct tally *t,
			const char *why)
{
	of(o)->last = *t;
	of(o)->ends++;
	snprintf(of(o)->why, sizeof of(o)->why, "%s", why ? why : "-");
	fake_event(of(o)->events, "end %s %s left %llu%s", p.account, p.mailbox,
		   (unsigned long long)t->left, t->left_or_more ? "+" : "");
}

static void expired(struct output *o, struct output_place p, uint32_t id,
		    const struct record_message *what, int64_t age)
{
	(void)p;
	fake_event(of(o)->events, "expired %u %s %lld", id, outcome_name(what->outcome),
		   (long long)age);
}

static void expire_end(struct output *o, struct output_place p, const struct tally *t)
{
	(void)p;
	of(o)->last = *t;
	fake_event(of(o)->events, "expire end %llu kept %llu",
		   (unsigned long long)tally_expired(t), (unsigned long long)t->kept);
}

static void rspamd(struct output *o, const struct output_rspamd *r)
{
	fake_event(of(o)->events, "rspamd %llu %llu", (unsigned long long)r->spam_true,
		   (unsigned long long)r->ham_true);
}

static void summary(struct output *o, double seconds)
{
	(void)seconds;
	fake_event(of(o)->events, "summary");
}

static void error(struct output *o, const char *account, const char *text, int exit_status)
{
	fake_event(of(o)->events, "error %s %d: %s", account ? account : "-", exit_status,
		   text);
}

static const struct output_ops fake_ops = {
    start, mailbox, message, marked, mailbox_end, expired, expire_end, rspamd, summary, error,
};

void fake_output_init(struct fake_output *o, struct fake_events *events)
{
	memset(o, 0, sizeof *o);
	o->output = (struct output){
	    .ops = &fake_ops, .learns = true, .expires = true, .command = "run"};
	o->events = events;
}
