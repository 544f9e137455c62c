/* Output as text: a line for each mailbox and a summary; more in a dry run or with -v. */
#include "output/output.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/progress.h"
#include "output/words.h"

typedef unsigned long long count;

static void start(struct output *o)
{
	(void)o;
}

static void mailbox(struct output *o, struct output_place p, uint64_t n)
{
	(void)o;
	/* Without a terminal, a mailbox gets one line, at its end. */
	if (!progress_is_shown())
		return;
	printf("%s %s: %llu to look at\n", p.account, p.mailbox, (count)n);
	progress_begin("learning", n);
}

/* The verb for a dry run: what would be done. */
static const char *would(enum outcome o)
{
	return o == OUTCOME_LEARNED		  ? "learn"
	       : outcome_group(o) == GROUP_FAILED ? "fail"
	       : outcome_group(o) == GROUP_HELD	  ? "hold"
	       : outcome_group(o) == GROUP_KNOWN  ? "known"
						  : "skip";
}

/* name="text": strangers wrote the text, so characters that would end the quotes are escaped.
 */
static void print_quoted(const char *name, const char *text)
{
	if (text == NULL)
		return;
	printf(" %s=\"", name);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

static void message(struct output *o, const struct output_message *m)
{
	char hex[DIGEST_HEX] = "-";
	bool failed = outcome_group(m->outcome) == GROUP_FAILED;

	if (!o->dry_run && !(o->verbose && !o->quiet) && !failed)
		return;
	progress_hide();
	if (m->digest)
		digest_hex(m->digest, hex);
	printf("%-7s %-4s %s %s", o->dry_run ? would(m->outcome) : outcome_name(m->outcome),
	       class_name(m->class), m->place.account, m->place.mailbox);
	if (m->name == NULL)
		printf(" uid=%u", m->id);
	if (m->part > 0)
		printf(" part=%u", m->part);
	print_quoted("file", m->name);
	printf(" date=%s digest=%.12s", m->date && m->date[0] ? m->date : "-", hex);
	print_quoted("from", m->from);
	print_quoted("subject", m->subject);
	if (m->outcome != OUTCOME_LEARNED)
		printf(": %s", outcome_text(m->outcome));
	if (m->answer && m->answer[0])
		printf(": %s", m->answer);
	putchar('\n');
}

static void marked(struct output *o, struct output_place p, uint64_t n, const char *mark)
{
	if (o->dry_run && !o->quiet)
		printf("mark    %s %s: %llu messages with %s\n", p.account, p.mailbox, (count)n,
		       mark);
}

/* "180 learned, 44 known, 5 too short": all counts above 0, in the order of enum outcome. */
static void print_tally(const struct tally *t, const char *why)
{
	const char *comma = "";

	for (int o = OUTCOME_NONE + 1; o < OUTCOMES; o++) {
		if (t->outcome[o] == 0)
			continue;
		printf("%s%llu %s", comma, (count)t->outcome[o], outcome_text((enum outcome)o));
		comma = ", ";
	}
	if (tally_flipped(t) > 0)
		printf(", %llu changed class", (count)tally_flipped(t));
	if (t->left > 0 || t->left_or_more) {
		if (t->left > 0)
			printf("%s%llu%s left for the next run", comma, (count)t->left,
			       t->left_or_more ? " or more" : "");
		else
			printf("%snot fully looked at", comma);
		if (why)
			printf(" (%s)", why);
		comma = ", ";
	}
	printf("%s\n", comma[0] == '\0'		      ? "nothing new"
		       : tally_group(t, GROUP_FAILED) ? " (see above)"
						      : "");
}

static void mailbox_end(struct output *o, struct output_place p, const struct tally *t,
			const char *why)
{
	progress_end();
	if (o->quiet)
		return;
	printf("%s %s%s: ", p.account, p.mailbox, o->dry_run ? " (dry run)" : "");
	print_tally(t, why);
}

static void expired(struct output *o, struct output_place p, uint32_t id,
		    const struct record_message *what, int64_t age)
{
	char hex[DIGEST_HEX], settled[21], after[WORDS_AGE];

	if (o->quiet || (!o->dry_run && !o->verbose))
		return;
	digest_hex(&what->digest, hex);
	clock_iso(what->changed_at, settled);
	words_age(age, after);
	printf("%-7s %-4s %s %s uid=%u settled=%s digest=%.12s: %s, kept for %s\n",
	       o->dry_run ? "expire" : "expired", class_name(what->class), p.account, p.mailbox,
	       id, settled, hex, outcome_name(what->outcome), after);
}

/* " (180 learned, 44 known)": the expired messages by group. */
static void print_expired(const struct tally *t)
{
	const char *comma = " (";

	for (int g = 0; g < GROUPS; g++) {
		if (t->expired[g] == 0)
			continue;
		printf("%s%llu %s", comma, (count)t->expired[g],
		       words_group((enum outcome_group)g));
		comma = ", ";
	}
	if (comma[0] == ',')
		putchar(')');
}

static void expire_end(struct output *o, struct output_place p, const struct tally *t)
{
	if (o->quiet || tally_expired(t) + t->kept + t->due == 0)
		return;
	printf("%s %s: %llu %s", p.account, p.mailbox, (count)tally_expired(t),
	       o->dry_run ? "would expire" : "expired");
	print_expired(t);
	if (t->kept > 0)
		printf("; %llu left, because somebody else flagged or deleted them",
		       (count)t->kept);
	if (t->due > 0)
		printf("; %llu more are due, and left for the next run (max-per-run or --max)",
		       (count)t->due);
	putchar('\n');
}

static void rspamd(struct output *o, const struct output_rspamd *r)
{
	uint64_t spam = r->spam_true, ham = r->ham_true;
	double ratio = spam > 0 ? (double)ham / (double)spam : 0;

	if (o->quiet)
		return;
	printf("rspamd now: spam %llu/%d, ham %llu/%d", (count)spam, RSPAMD_MIN_LEARNS,
	       (count)ham, RSPAMD_MIN_LEARNS);
	if (spam >= RSPAMD_MIN_LEARNS && ham >= RSPAMD_MIN_LEARNS)
		printf(ratio >= 1 ? " - Bayes is active, balance 1:%.1f"
				  : " - Bayes is active, balance %.1f:1",
		       ratio >= 1 ? ratio : 1 / ratio);
	else
		printf(" or more - Bayes begins to judge at %d of each", RSPAMD_MIN_LEARNS);
	if (spam != r->spam || ham != r->ham)
		printf(" (its own count, %llu and %llu, lags by up to a minute)",
		       (count)r->spam, (count)r->ham);
	putchar('\n');
}

static void print_learned(const struct output *o)
{
	const struct tally *t = &o->total;

	printf("%s %llu (spam %llu, ham %llu)", o->dry_run ? "would learn" : "learned",
	       (count)t->outcome[OUTCOME_LEARNED], (count)t->learned[CLASS_SPAM],
	       (count)t->learned[CLASS_HAM]);
	if (tally_flipped(t) > 0)
		printf(", %llu of them changed class", (count)tally_flipped(t));
	printf("   known %llu   skipped %llu", (count)tally_group(t, GROUP_KNOWN),
	       (count)tally_group(t, GROUP_SKIPPED));
	if (t->outcome[OUTCOME_UNDECIDED] > 0)
		printf(" (%llu %s)", (count)t->outcome[OUTCOME_UNDECIDED],
		       outcome_text(OUTCOME_UNDECIDED));
	if (tally_group(t, GROUP_UNTRUSTED) > 0)
		printf("   untrusted %llu", (count)tally_group(t, GROUP_UNTRUSTED));
	if (tally_group(t, GROUP_HELD) > 0)
		printf("   held %llu", (count)tally_group(t, GROUP_HELD));
	printf("   failed %llu", (count)tally_group(t, GROUP_FAILED));
	if (t->left > 0 || t->left_or_more)
		printf("   left %llu%s", (count)t->left,
		       t->left_or_more ? " or more: not everything was looked at" : "");
}

static void summary(struct output *o, double seconds)
{
	if (o->quiet)
		return;
	if (o->learns)
		print_learned(o);
	if (o->expires) {
		printf("%s%s %llu", o->learns ? "   " : "",
		       o->dry_run ? "would expire" : "expired",
		       (count)tally_expired(&o->total));
		print_expired(&o->total);
	}
	printf("   in %.1f s\n", seconds);
}

static void error(struct output *o, const char *account, const char *text, int exit_status)
{
	(void)o, (void)account, (void)text, (void)exit_status; /* the log has it */
	progress_end();
}

const struct output_ops output_text = {
    start, mailbox, message, marked, mailbox_end, expired, expire_end, rspamd, summary, error,
};
