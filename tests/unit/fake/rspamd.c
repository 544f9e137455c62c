#include "fake/rspamd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake/clock.h"

static struct fake_rspamd *of(struct rspamd *r)
{
	return (struct fake_rspamd *)r;
}

void fake_answers(struct fake_rspamd *r, const char *has, enum outcome outcome,
		  enum answer_next next, const char *words)
{
	struct fake_rule *x = &r->rule[r->rules++];

	assert_true(r->rules <= FAKE_RULES);
	*x = (struct fake_rule){.has = has,
				.answer = {.outcome = outcome, .next = next, .kind = ERR_OK}};
	if (next == ANSWER_STOP)
		x->answer.kind = ERR_AUTH;
	else if (next != ANSWER_SETTLED)
		x->answer.kind = ERR_DATA;
	snprintf(x->answer.text, sizeof x->answer.text, "%s", words ? words : "");
}

enum mail_class fake_learned(const struct fake_rspamd *r, const char *body)
{
	for (size_t i = r->lessons; i-- > 0;)
		if (strcmp(r->lesson[i].body, body) == 0)
			return r->lesson[i].class;
	return CLASS_NONE;
}

static int fake_stat(struct rspamd *rspamd, struct rspamd_stat *out, struct err *e)
{
	struct fake_rspamd *r = of(rspamd);

	r->stats++;
	fake_event(r->events, "stat");
	if (r->stat_fails.scope != ERR_NONE) {
		*e = r->stat_fails;
		return -1;
	}
	*out = r->stat;
	return 0;
}

static int fake_in_flight(const struct rspamd *rspamd)
{
	const struct fake_rspamd *r = (const struct fake_rspamd *)rspamd;
	int n = 0;

	for (size_t i = 0; i < FAKE_JOBS; i++)
		n += r->job[i].used;
	return n;
}

static struct answer answer_to(struct fake_rspamd *r, const char *body)
{
	for (size_t i = 0; i < r->rules; i++) {
		struct fake_rule *x = &r->rule[i];

		if (x->times < 0 || (x->has && strstr(body, x->has) == NULL))
			continue;
		if (x->times > 0 && --x->times == 0)
			x->times = -1;
		return x->answer;
	}
	return (struct answer){.outcome = OUTCOME_LEARNED, .next = ANSWER_SETTLED};
}

static void note_job(struct fake_rspamd *r, const struct rspamd_job *job, char *body,
		     size_t size)
{
	assert_true(job->len < size);
	memcpy(body, job->data, job->len);
	body[job->len] = '\0';
	snprintf(r->deliver_to, sizeof r->deliver_to, "%s",
		 job->deliver_to ? job->deliver_to : "-");
	fake_event(r->events, "submit %s %.*s", class_name(job->class),
		   (int)strcspn(body, "\r\n"), body);
}

static void remember(struct fake_rspamd *r, const char *body, enum mail_class class)
{
	struct fake_lesson *l = &r->lesson[r->lessons++];

	assert_true(r->lessons <= FAKE_LESSONS);
	snprintf(l->body, sizeof l->body, "%s", body);
	l->class = class;
}

static int fake_submit(struct rspamd *rspamd, const struct rspamd_job *job, struct err *e)
{
	struct fake_rspamd *r = of(rspamd);
	struct fake_job *j = r->job;
	char body[512];

	assert_false(r->dirty && *r->dirty);
	assert_true(fake_in_flight(rspamd) < rspamd->connections);
	if (r->submit_fails.scope != ERR_NONE) {
		*e = r->submit_fails;
		return -1;
	}
	r->submits++;
	note_job(r, job, body, sizeof body);
	while (j->used)
		j++;
	*j = (struct fake_job){.used = true,
			       .owner = job->owner,
			       .left = r->delay,
			       .ready = r->delay == 0,
			       .answer = answer_to(r, body)};
	if (j->answer.outcome == OUTCOME_LEARNED)
		remember(r, body, job->class);
	return 0;
}

static void fake_wait(struct rspamd *rspamd, int fd, short events, int ms)
{
	struct fake_rspamd *r = of(rspamd);

	(void)fd;
	(void)events;
	assert_true(ms >= 0);
	if (r->waited)
		r->waited(r->ctx);
	for (size_t i = 0; i < FAKE_JOBS; i++)
		if (r->job[i].used && r->job[i].ready)
			return;
	fake_clock_advance(ms);
	for (size_t i = 0; i < FAKE_JOBS; i++)
		if (r->job[i].used && r->job[i].left > 0 && --r->job[i].left == 0)
			r->job[i].ready = true;
}

static bool fake_take(struct rspamd *rspamd, struct rspamd_result *out)
{
	struct fake_rspamd *r = of(rspamd);

	for (size_t i = 0; i < FAKE_JOBS; i++) {
		struct fake_job *j = &r->job[r->backwards ? FAKE_JOBS - 1 - i : i];

		if (!j->used || !j->ready)
			continue;
		*out = (struct rspamd_result){j->owner, j->answer};
		j->used = false;
		return true;
	}
	return false;
}

static void fake_close(struct rspamd *rspamd)
{
	memset(of(rspamd)->job, 0, sizeof of(rspamd)->job);
}

static const struct rspamd_ops fake_ops = {fake_stat, fake_submit, fake_wait, fake_take,
					   fake_close};

void fake_rspamd_init(struct fake_rspamd *r, int connections, struct fake_events *events)
{
	assert_true(connections <= FAKE_JOBS);
	memset(r, 0, sizeof *r);
	r->rspamd =
	    (struct rspamd){.ops = &fake_ops, .url = "http://fake", .connections = connections};
	r->events = events;
	r->stat = (struct rspamd_stat){true, 300, 300};
}
