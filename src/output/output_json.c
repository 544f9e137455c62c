/* Output as JSON lines: docs/json.md. */
#include "output/output.h"

#include <jansson.h>

#include "base/clock.h"
#include "base/jsonl.h"
#include "output/words.h"

static json_t *text_or_null(const char *s)
{
	return s ? json_string(s) : json_null();
}

static void set_count(json_t *line, const char *name, uint64_t n)
{
	json_object_set_new(line, name, json_integer((json_int_t)n));
}

static void set_tally(json_t *line, const struct tally *t)
{
	json_t *each = json_object();

	for (int g = 0; g < GROUPS; g++)
		set_count(line, words_group((enum outcome_group)g),
			  tally_group(t, (enum outcome_group)g));
	set_count(line, "learned_spam", t->learned[CLASS_SPAM]);
	set_count(line, "learned_ham", t->learned[CLASS_HAM]);
	set_count(line, "flipped", tally_flipped(t));
	set_count(line, "left", t->left);
	json_object_set_new(line, "left_or_more", json_boolean(t->left_or_more));
	for (int o = OUTCOME_NONE + 1; o < OUTCOMES; o++)
		set_count(each, outcome_name((enum outcome)o), t->outcome[o]);
	json_object_set_new(line, "outcomes", each);
}

static void start(struct output *o)
{
	char now[21];

	clock_iso(clock_now(), now);
	jsonl_put(json_pack("{s:s, s:i, s:s, s:b, s:s}", "event", "start", "schema",
			    OUTPUT_SCHEMA, "command", o->command, "dry_run", o->dry_run, "time",
			    now));
}

static void mailbox(struct output *o, struct output_place p, uint64_t n)
{
	(void)o;
	jsonl_put(json_pack("{s:s, s:s, s:s, s:I}", "event", "mailbox", "account", p.account,
			    "mailbox", p.mailbox, "new", (json_int_t)n));
}

static void message(struct output *o, const struct output_message *m)
{
	char hex[DIGEST_HEX] = "";
	json_t *line;

	if (m->digest)
		digest_hex(m->digest, hex);
	line = json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "event",
			 "message", "account", m->place.account, "mailbox", m->place.mailbox,
			 "uid", (json_int_t)m->id, "class", class_name(m->class), "outcome",
			 outcome_name(m->outcome), "reason", text_or_null(m->answer), "from",
			 text_or_null(m->from), "subject", text_or_null(m->subject), "date",
			 text_or_null(m->date), "digest", text_or_null(m->digest ? hex : NULL));
	if (line && m->part > 0)
		json_object_set_new(line, "part", json_integer(m->part));
	if (line && m->name)
		json_object_set_new(line, "file", json_string(m->name));
	if (line && o->dry_run)
		json_object_set_new(line, "dry_run", json_true());
	jsonl_put(line);
}

static void marked(struct output *o, struct output_place p, uint64_t n, const char *mark)
{
	jsonl_put(json_pack("{s:s, s:b, s:s, s:s, s:I, s:s}", "event", "marked", "dry_run",
			    o->dry_run, "account", p.account, "mailbox", p.mailbox, "messages",
			    (json_int_t)n, "mark", mark));
}

static void mailbox_end(struct output *o, struct output_place p, const struct tally *t,
			const char *why)
{
	json_t *line =
	    json_pack("{s:s, s:s, s:s, s:o}", "event", "mailbox-end", "account", p.account,
		      "mailbox", p.mailbox, "left_because", text_or_null(why));

	(void)o;
	set_tally(line, t);
	jsonl_put(line);
}

static void expired(struct output *o, struct output_place p, uint32_t id,
		    const struct record_message *what, int64_t age)
{
	char hex[DIGEST_HEX], settled[21], after[WORDS_AGE];

	digest_hex(&what->digest, hex);
	clock_iso(what->changed_at, settled);
	words_age(age, after);
	jsonl_put(json_pack("{s:s, s:b, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s}", "event",
			    "expired", "dry_run", o->dry_run, "account", p.account, "mailbox",
			    p.mailbox, "uid", (json_int_t)id, "class", class_name(what->class),
			    "outcome", outcome_name(what->outcome), "settled", settled, "after",
			    after, "digest", hex));
}

static void expire_end(struct output *o, struct output_place p, const struct tally *t)
{
	(void)o;
	jsonl_put(json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "event", "expire-end", "account",
			    p.account, "mailbox", p.mailbox, "expired",
			    (json_int_t)tally_expired(t), "kept", (json_int_t)t->kept, "due",
			    (json_int_t)t->due));
}

static void rspamd(struct output *o, const struct output_rspamd *r)
{
	(void)o;
	jsonl_put(json_pack("{s:s, s:I, s:I, s:I, s:I}", "event", "rspamd", "spam",
			    (json_int_t)r->spam_true, "ham", (json_int_t)r->ham_true,
			    "stat_spam", (json_int_t)r->spam, "stat_ham", (json_int_t)r->ham));
}

static void summary(struct output *o, double seconds)
{
	json_t *line = json_pack("{s:s, s:b, s:f, s:i, s:I, s:I, s:I}", "event", "summary",
				 "dry_run", o->dry_run, "seconds", seconds, "exit", o->status,
				 "expired", (json_int_t)tally_expired(&o->total), "kept",
				 (json_int_t)o->total.kept, "due", (json_int_t)o->total.due);

	set_tally(line, &o->total);
	jsonl_put(line);
}

static void error(struct output *o, const char *account, const char *text, int exit_status)
{
	(void)o;
	jsonl_put(json_pack("{s:s, s:o, s:s, s:i}", "event", "error", "account",
			    text_or_null(account), "text", text, "exit", exit_status));
}

const struct output_ops output_json = {
    start, mailbox, message, marked, mailbox_end, expired, expire_end, rspamd, summary, error,
};
