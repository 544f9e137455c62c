/* What both forms of output share: the totals, and the summary in the log. */
#include "output/output.h"

#include <sysexits.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"

void output_start(struct output *o)
{
	o->started = clock_ms();
	o->ops->start(o);
}

void output_mailbox_end(struct output *o, struct output_place p, const struct tally *t,
			const char *why)
{
	tally_add(&o->total, t);
	o->ops->mailbox_end(o, p, t, why);
}

void output_expire_end(struct output *o, struct output_place p, const struct tally *t)
{
	tally_add(&o->total, t);
	o->ops->expire_end(o, p, t);
}

int output_exit_status(const struct err *e)
{
	switch (e->kind) {
	case ERR_OK:
		return EXIT_DONE;
	case ERR_TEMPORARY:
		return EX_TEMPFAIL;
	case ERR_UNREACHABLE:
	case ERR_PROTOCOL:
		return EX_UNAVAILABLE;
	case ERR_AUTH:
		return EX_NOPERM;
	case ERR_DATA:
		return EXIT_MESSAGES;
	case ERR_CONFIG:
		return EX_CONFIG;
	case ERR_USAGE:
		return EX_USAGE;
	case ERR_CANCELLED:
		return stop_exit_status();
	case ERR_LOCAL:
		break;
	}
	return EX_SOFTWARE;
}

int output_fail(struct output *o, const char *account, const struct err *e)
{
	int status = output_exit_status(e);

	o->ops->error(o, account, e->text, status);
	if (o->first_error == NULL)
		log_error("%s", e->text);
	else if (e->scope > o->first_error->scope)
		*o->first_error = *e;
	if (o->status == EXIT_DONE)
		o->status = status;
	return status;
}

void output_summary(struct output *o)
{
	double seconds = (double)(clock_ms() - o->started) / 1000;
	const struct tally *t = &o->total;

	o->ops->summary(o, seconds);
	log_info("summary run=%s dry-run=%s learned=%llu spam=%llu ham=%llu known=%llu "
		 "skipped=%llu untrusted=%llu held=%llu failed=%llu left=%llu expired=%llu "
		 "seconds=%.3f exit=%d",
		 o->command, o->dry_run ? "yes" : "no",
		 (unsigned long long)t->outcome[OUTCOME_LEARNED],
		 (unsigned long long)t->learned[CLASS_SPAM],
		 (unsigned long long)t->learned[CLASS_HAM],
		 (unsigned long long)tally_group(t, GROUP_KNOWN),
		 (unsigned long long)tally_group(t, GROUP_SKIPPED),
		 (unsigned long long)tally_group(t, GROUP_UNTRUSTED),
		 (unsigned long long)tally_group(t, GROUP_HELD),
		 (unsigned long long)tally_group(t, GROUP_FAILED), (unsigned long long)t->left,
		 (unsigned long long)tally_expired(t), seconds, o->status);
}
