#include "fake/lines.h"

#include <string.h>

#include "base/log.h"
#include "fake/capture.h"

void lines_reset(struct lines *l, const struct output_ops *ops)
{
	memset(l, 0, sizeof *l);
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	for (int i = 0; i < DIGEST_SIZE; i++)
		l->digest.bytes[i] = (unsigned char)(0xA0 + i);
	l->output = (struct output){.ops = ops, .learns = true, .command = "learn"};
	l->place = (struct output_place){"spam@x", "INBOX"};
	l->message = (struct output_message){
	    .place = l->place,
	    .id = 4294967295,
	    .class = CLASS_SPAM,
	    .outcome = OUTCOME_LEARNED,
	    .from = "a@b",
	    .subject = "Win \xE2\x82\xAC 5",
	    .date = "2026-11-22T10:00:00Z",
	    .digest = &l->digest,
	};
	l->gone = (struct record_message){.outcome = OUTCOME_KNOWN, .class = CLASS_HAM};
}

static void call_start(void *ctx)
{
	struct lines *l = ctx;

	output_start(&l->output);
}

const char *lines_start(struct lines *l)
{
	return fake_capture(call_start, l);
}

static void call_mailbox(void *ctx)
{
	struct lines *l = ctx;

	l->output.ops->mailbox(&l->output, l->place, l->n);
}

const char *lines_mailbox(struct lines *l)
{
	return fake_capture(call_mailbox, l);
}

static void call_message(void *ctx)
{
	struct lines *l = ctx;

	l->output.ops->message(&l->output, &l->message);
}

const char *lines_message(struct lines *l)
{
	return fake_capture(call_message, l);
}

static void call_marked(void *ctx)
{
	struct lines *l = ctx;

	l->output.ops->marked(&l->output, l->place, l->n, "$LearnedSpam");
}

const char *lines_marked(struct lines *l)
{
	return fake_capture(call_marked, l);
}

static void call_mailbox_end(void *ctx)
{
	struct lines *l = ctx;

	output_mailbox_end(&l->output, l->place, &l->tally, l->why);
}

const char *lines_mailbox_end(struct lines *l)
{
	return fake_capture(call_mailbox_end, l);
}

static void call_expired(void *ctx)
{
	struct lines *l = ctx;

	l->output.ops->expired(&l->output, l->place, 7, &l->gone, l->age);
}

const char *lines_expired(struct lines *l)
{
	return fake_capture(call_expired, l);
}

static void call_expire_end(void *ctx)
{
	struct lines *l = ctx;

	output_expire_end(&l->output, l->place, &l->tally);
}

const char *lines_expire_end(struct lines *l)
{
	return fake_capture(call_expire_end, l);
}

static void call_rspamd(void *ctx)
{
	struct lines *l = ctx;

	l->output.ops->rspamd(&l->output, &l->rspamd);
}

const char *lines_rspamd(struct lines *l)
{
	return fake_capture(call_rspamd, l);
}

static void call_summary(void *ctx)
{
	struct lines *l = ctx;

	output_summary(&l->output);
}

const char *lines_summary(struct lines *l)
{
	return fake_capture(call_summary, l);
}

static void call_error(void *ctx)
{
	struct lines *l = ctx;

	output_fail(&l->output, l->account, &l->err);
}

const char *lines_error(struct lines *l)
{
	return fake_capture(call_error, l);
}
