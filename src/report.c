#include "report.h"

#include <jansson.h>
#include <stdio.h>

#include "clock.h"
#include "jsonl.h"
#include "progress.h"

static json_t *text_or_null(const char *s)
{
	return s ? json_string(s) : json_null();
}

static uint64_t group_sum(const struct report_counts *c, enum outcome_group g)
{
	uint64_t n = 0;

	for (int o = OUTCOME_NONE + 1; o < OUTCOMES; o++)
		if (outcome_group((enum outcome)o) == g)
			n += c->outcome[o];
	return n;
}

static const char *const groups[GROUPS] = {"learned",	"known", "skipped",
					   "untrusted", "held",	 "failed"};

static void set_counts(json_t *line, const struct report_counts *c)
{
	json_t *each = json_object();

	for (int g = 0; g < GROUPS; g++)
		json_object_set_new(
		    line, groups[g],
		    json_integer((json_int_t)group_sum(c, (enum outcome_group)g)));
	json_object_set_new(line, "learned_spam",
			    json_integer((json_int_t)c->learned[CLASS_SPAM]));
	json_object_set_new(line, "learned_ham",
			    json_integer((json_int_t)c->learned[CLASS_HAM]));
	json_object_set_new(line, "flipped", json_integer((json_int_t)c->flipped));
	for (int o = OUTCOME_NONE + 1; o < OUTCOMES; o++)
		json_object_set_new(each, outcome_name((enum outcome)o),
				    json_integer((json_int_t)c->outcome[o]));
	json_object_set_new(line, "outcomes", each);
}

void report_start(struct report *r)
{
	char now[21];

	r->started = clock_ms();
	if (r->format != REPORT_JSON)
		return;
	clock_iso(clock_now(), now);
	jsonl_put(json_pack("{s:s, s:i, s:s, s:b, s:s}", "event", "start", "schema",
			    REPORT_SCHEMA, "command", r->command, "dry_run", r->dry_run, "time",
			    now));
}

void report_mailbox(struct report *r, const char *account, const char *mailbox, uint64_t n)
{
	if (r->format == REPORT_JSON) {
		jsonl_put(json_pack("{s:s, s:s, s:s, s:I}", "event", "mailbox", "account",
				    account, "mailbox", mailbox, "new", (json_int_t)n));
		return;
	}
	/* Without a terminal there is one line a mailbox, at its end. */
	if (!progress_is_shown())
		return;
	printf("%s %s: %llu new\n", account, mailbox, (unsigned long long)n);
	progress_begin("learning", n);
}

/* A dry run's verb: what would be done. */
static const char *would(enum outcome o)
{
	return o == OUTCOME_LEARNED		 ? "learn"
	       : o == OUTCOME_FAILED		 ? "fail"
	       : o == OUTCOME_HELD		 ? "hold"
	       : outcome_group(o) == GROUP_KNOWN ? "known"
						 : "skip";
}

/* name="text": the text is a stranger's, so what would end the quotes is escaped. */
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

static void message_json(struct report *r, const struct report_message *m)
{
	char hex[DIGEST_HEX] = "";
	json_t *line;

	if (m->digest)
		digest_hex(m->digest, hex);
	line = json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "event",
			 "message", "account", m->account, "mailbox", m->mailbox, "uid",
			 (json_int_t)m->uid, "class", class_name(m->class), "outcome",
			 outcome_name(m->outcome), "reason", text_or_null(m->answer), "from",
			 text_or_null(m->from), "subject", text_or_null(m->subject), "date",
			 text_or_null(m->date), "digest", text_or_null(m->digest ? hex : NULL));
	if (line && r->dry_run)
		json_object_set_new(line, "dry_run", json_true());
	jsonl_put(line);
}

void report_message(struct report *r, const struct report_message *m)
{
	char hex[DIGEST_HEX] = "-";

	if (r->format == REPORT_JSON) {
		message_json(r, m);
		return;
	}
	if (!r->dry_run && !(r->verbose && !r->quiet) && m->outcome != OUTCOME_FAILED)
		return;
	progress_hide();
	if (m->digest)
		digest_hex(m->digest, hex);
	printf("%-7s %-4s %s %s uid=%u date=%s digest=%.12s",
	       r->dry_run ? would(m->outcome) : outcome_name(m->outcome), class_name(m->class),
	       m->account, m->mailbox, m->uid, m->date && m->date[0] ? m->date : "-", hex);
	print_quoted("from", m->from);
	print_quoted("subject", m->subject);
	if (m->outcome != OUTCOME_LEARNED)
		printf(": %s", outcome_text(m->outcome));
	if (m->answer && m->answer[0])
		printf(": %s", m->answer);
	putchar('\n');
}

/* "7d", "12h", "30s": an age in its largest whole unit. */
static void age_text(int64_t age, char *out, size_t size)
{
	static const struct {
		int64_t seconds;
		char name;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	size_t i = 0;

	while (units[i].seconds > 1 && age % units[i].seconds != 0)
		i++;
	snprintf(out, size, "%lld%c", (long long)(age / units[i].seconds), units[i].name);
}

void report_marked(struct report *r, const char *account, const char *mailbox, uint64_t n,
		   const char *mark)
{
	if (r->format == REPORT_JSON)
		jsonl_put(json_pack("{s:s, s:b, s:s, s:s, s:I, s:s}", "event", "marked",
				    "dry_run", r->dry_run, "account", account, "mailbox",
				    mailbox, "messages", (json_int_t)n, "mark", mark));
	else if (r->dry_run && !r->quiet)
		printf("mark    %s %s: %llu messages with %s\n", account, mailbox,
		       (unsigned long long)n, mark);
}

void report_expire_begin(struct report *r)
{
	r->expiring = (struct report_counts){0};
}

void report_expired(struct report *r, const char *account, const char *mailbox, uint32_t uid,
		    const struct record_uid *what, int64_t age)
{
	char hex[DIGEST_HEX], settled[21], after[32];

	r->expiring.expired[outcome_group(what->outcome)]++;
	digest_hex(&what->digest, hex);
	clock_iso(what->settled_at, settled);
	age_text(age, after, sizeof after);
	if (r->format == REPORT_JSON) {
		jsonl_put(json_pack("{s:s, s:b, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s}",
				    "event", "expired", "dry_run", r->dry_run, "account",
				    account, "mailbox", mailbox, "uid", (json_int_t)uid,
				    "class", class_name(what->class), "outcome",
				    outcome_name(what->outcome), "settled", settled, "after",
				    after, "digest", hex));
		return;
	}
	if (r->quiet || (!r->dry_run && !r->verbose))
		return;
	printf("%-7s %-4s %s %s uid=%u settled=%s digest=%.12s: %s, kept for %s\n",
	       r->dry_run ? "expire" : "expired", class_name(what->class), account, mailbox,
	       uid, settled, hex, outcome_name(what->outcome), after);
}

void report_kept(struct report *r, uint64_t n)
{
	r->expiring.kept += n;
}

static uint64_t expired_sum(const struct report_counts *c)
{
	uint64_t n = 0;

	for (int g = 0; g < GROUPS; g++)
		n += c->expired[g];
	return n;
}

/* "180 learned, 44 known" of what expired. */
static void print_expired(const struct report_counts *c)
{
	const char *comma = " (";

	for (int g = 0; g < GROUPS; g++) {
		if (c->expired[g] == 0)
			continue;
		printf("%s%llu %s", comma, (unsigned long long)c->expired[g], groups[g]);
		comma = ", ";
	}
	if (comma[0] == ',')
		putchar(')');
}

void report_expire_end(struct report *r, const char *account, const char *mailbox)
{
	struct report_counts *c = &r->expiring;
	uint64_t n = expired_sum(c);

	for (int g = 0; g < GROUPS; g++)
		r->total.expired[g] += c->expired[g];
	r->total.kept += c->kept;
	if (r->format == REPORT_JSON) {
		jsonl_put(json_pack("{s:s, s:s, s:s, s:I, s:I}", "event", "expire-end",
				    "account", account, "mailbox", mailbox, "expired",
				    (json_int_t)n, "kept", (json_int_t)c->kept));
		return;
	}
	if (r->quiet || n + c->kept == 0)
		return;
	printf("%s %s: %llu %s", account, mailbox, (unsigned long long)n,
	       r->dry_run ? "would expire" : "expired");
	print_expired(c);
	if (c->kept > 0)
		printf("; %llu left, since somebody else flagged or deleted them",
		       (unsigned long long)c->kept);
	putchar('\n');
}

static void add_counts(struct report_counts *sum, const struct report_counts *c)
{
	for (int o = 0; o < OUTCOMES; o++)
		sum->outcome[o] += c->outcome[o];
	for (int i = 0; i < 3; i++)
		sum->learned[i] += c->learned[i];
	sum->flipped += c->flipped;
}

/* "180 learned, 44 known, 5 too short": what there is, in the order of enum outcome. */
static void print_counts(const struct report_counts *c)
{
	const char *comma = "";

	for (int o = OUTCOME_NONE + 1; o < OUTCOMES; o++) {
		if (c->outcome[o] == 0)
			continue;
		printf("%s%llu %s", comma, (unsigned long long)c->outcome[o],
		       outcome_text((enum outcome)o));
		comma = ", ";
	}
	if (c->flipped > 0)
		printf(", %llu changed class", (unsigned long long)c->flipped);
	printf("%s\n", comma[0] == '\0'		    ? "nothing new"
		       : c->outcome[OUTCOME_FAILED] ? " (see above)"
						    : "");
}

void report_mailbox_end(struct report *r, const char *account, const char *mailbox,
			const struct report_counts *c)
{
	progress_end();
	add_counts(&r->total, c);
	if (r->format == REPORT_JSON) {
		json_t *line = json_pack("{s:s, s:s, s:s}", "event", "mailbox-end", "account",
					 account, "mailbox", mailbox);

		set_counts(line, c);
		jsonl_put(line);
		return;
	}
	if (r->quiet)
		return;
	printf("%s %s%s: ", account, mailbox, r->dry_run ? " (dry run)" : "");
	print_counts(c);
}

static void print_rspamd(uint64_t spam, uint64_t ham, bool learned)
{
	double ratio = spam > 0 ? (double)ham / (double)spam : 0;

	printf("rspamd now: spam %llu/%d, ham %llu/%d", (unsigned long long)spam,
	       RSPAMD_MIN_LEARNS, (unsigned long long)ham, RSPAMD_MIN_LEARNS);
	if (spam >= RSPAMD_MIN_LEARNS && ham >= RSPAMD_MIN_LEARNS)
		printf(ratio >= 1 ? " - Bayes is active, balance 1:%.1f"
				  : " - Bayes is active, balance %.1f:1",
		       ratio >= 1 ? ratio : 1 / ratio);
	else if (!learned)
		printf(" - Bayes waits for %d of each", RSPAMD_MIN_LEARNS);
	printf(" (its count lags by up to a minute)\n");
}

void report_rspamd(struct report *r, uint64_t spam, uint64_t ham)
{
	if (r->format == REPORT_JSON)
		jsonl_put(json_pack("{s:s, s:I, s:I}", "event", "rspamd", "spam",
				    (json_int_t)spam, "ham", (json_int_t)ham));
	else if (!r->quiet)
		print_rspamd(spam, ham, r->total.outcome[OUTCOME_LEARNED] > 0);
}

static void print_learned(const struct report *r)
{
	const struct report_counts *c = &r->total;

	printf("%s %llu (spam %llu, ham %llu)", r->dry_run ? "would learn" : "learned",
	       (unsigned long long)c->outcome[OUTCOME_LEARNED],
	       (unsigned long long)c->learned[CLASS_SPAM],
	       (unsigned long long)c->learned[CLASS_HAM]);
	if (c->flipped > 0)
		printf(", %llu of them changed class", (unsigned long long)c->flipped);
	printf("   known %llu   skipped %llu", (unsigned long long)group_sum(c, GROUP_KNOWN),
	       (unsigned long long)group_sum(c, GROUP_SKIPPED));
	if (group_sum(c, GROUP_UNTRUSTED) > 0)
		printf("   untrusted %llu", (unsigned long long)group_sum(c, GROUP_UNTRUSTED));
	if (group_sum(c, GROUP_HELD) > 0)
		printf("   held %llu", (unsigned long long)group_sum(c, GROUP_HELD));
	printf("   failed %llu", (unsigned long long)group_sum(c, GROUP_FAILED));
}

void report_summary(struct report *r)
{
	const struct report_counts *c = &r->total;
	double seconds = (double)(clock_ms() - r->started) / 1000;

	if (r->format == REPORT_JSON) {
		json_t *line =
		    json_pack("{s:s, s:b, s:f, s:I}", "event", "summary", "dry_run", r->dry_run,
			      "seconds", seconds, "expired", (json_int_t)expired_sum(c));

		set_counts(line, c);
		jsonl_put(line);
		return;
	}
	if (r->quiet)
		return;
	if (r->learns)
		print_learned(r);
	if (r->expires) {
		printf("%s%s %llu", r->learns ? "   " : "",
		       r->dry_run ? "would expire" : "expired",
		       (unsigned long long)expired_sum(c));
		print_expired(c);
	}
	printf("   in %.1f s\n", seconds);
}

void report_error(const char *text, int exit_status)
{
	jsonl_put(
	    json_pack("{s:s, s:s, s:i}", "event", "error", "text", text, "exit", exit_status));
}
