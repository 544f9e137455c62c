/* stats: print what was learned, rspamd's own counts, and what is missing. */
#include "command/cmd.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/jsonl.h"
#include "learn/backend.h"
#include "ledger/ledger.h"
#include "rspamd/rspamd.h"

/* The sums over the ledger. */
struct totals {
	uint64_t taught[3];	    /* contents that rspamd learned or already had, by class */
	uint64_t content[OUTCOMES]; /* contents by what became of them */
	uint64_t flips, copies;
	uint64_t done[OUTCOMES];    /* settled messages in mailboxes, by outcome */
	uint64_t waiting[OUTCOMES]; /* unsettled messages, by reason; NONE: to be asked again */
	uint64_t left;		    /* messages that the last runs did not look at */
	int64_t last[3];	    /* when a verdict of that class was last seen */
};

typedef void add_fn(struct totals *t, struct store_value v);

static void add_digest(struct totals *t, struct store_value v)
{
	struct record_digest r;

	if (!record_digest_decode(v.data, v.len, &r))
		return; /* ledger verify counts these */
	t->content[r.outcome]++;
	t->flips += r.flips;
	t->copies += r.copies;
	if (outcome_is_learned(r.outcome))
		t->taught[r.class]++;
	if (r.last_seen > t->last[r.class])
		t->last[r.class] = r.last_seen;
}

static void add_message(struct totals *t, struct store_value v)
{
	struct record_message r;

	if (record_message_decode(v.data, v.len, &r))
		(r.state >= STATE_SETTLED ? t->done : t->waiting)[r.outcome]++;
}

static void add_mailbox(struct totals *t, struct store_value v)
{
	struct record_mailbox r;

	if (record_mailbox_decode(v.data, v.len, &r))
		t->left += r.left;
}

static int add_all(struct store *s, enum store_map map, add_fn *fn, struct totals *t,
		   struct err *e)
{
	struct store_value key = {"", 0}, v;
	int rc = s->ops->seek(s, map, &key, &v, e);

	while (rc == 1) {
		fn(t, v);
		rc = s->ops->next(s, map, &key, &v, e);
	}
	return rc;
}

static uint64_t sum(const uint64_t counts[OUTCOMES])
{
	uint64_t n = 0;

	for (int o = 0; o < OUTCOMES; o++)
		n += counts[o];
	return n;
}

static void print_counts(const char *title, const uint64_t counts[OUTCOMES])
{
	printf("%s: %" PRIu64 "\n", title, sum(counts));
	for (int o = 0; o < OUTCOMES; o++)
		if (counts[o] > 0)
			printf("  %-34s %" PRIu64 "\n",
			       o == OUTCOME_NONE ? "to be looked at again"
						 : outcome_text((enum outcome)o),
			       counts[o]);
}

static void print_last(const struct totals *t)
{
	char when[21];

	for (int c = CLASS_SPAM; c <= CLASS_HAM; c++) {
		if (t->last[c])
			clock_iso(t->last[c], when);
		printf("last %s seen: %s\n", class_name((enum mail_class)c),
		       t->last[c] ? when : "never");
	}
}

static void print_rspamd(const struct rspamd_stat *stat)
{
	printf("rspamd's own count, which lags by up to a minute: spam %" PRIu64
	       ", ham %" PRIu64 "\n",
	       stat->spam, stat->ham);
	for (int c = CLASS_SPAM; c <= CLASS_HAM; c++) {
		uint64_t n = c == CLASS_SPAM ? stat->spam : stat->ham;

		if (n < RSPAMD_MIN_LEARNS)
			printf("missing by this count: %" PRIu64
			       " %s until Bayes begins to judge (200 of each, "
			       "unless configured otherwise)\n",
			       RSPAMD_MIN_LEARNS - n, class_name((enum mail_class)c));
	}
}

static void print_text(const struct totals *t, const struct rspamd_stat *stat)
{
	printf("contents that rspamd learned from learnspool: spam %" PRIu64 ", ham %" PRIu64
	       " (copies seen %" PRIu64 ", changes of class %" PRIu64 ")\n",
	       t->taught[CLASS_SPAM], t->taught[CLASS_HAM], t->copies, t->flips);
	print_last(t);
	print_counts("contents by what became of them", t->content);
	print_counts("messages in mailboxes that are done", t->done);
	print_counts("messages that are waiting", t->waiting);
	printf("messages that the last runs left for the next: %" PRIu64 "\n", t->left);
	if (stat)
		print_rspamd(stat);
}

static json_t *counts_json(const uint64_t counts[OUTCOMES])
{
	json_t *object = json_object();

	for (int o = 0; o < OUTCOMES; o++)
		json_object_set_new(object, outcome_name((enum outcome)o),
				    json_integer((json_int_t)counts[o]));
	return object;
}

static void print_json(const struct totals *t, const struct rspamd_stat *stat)
{
	json_t *line = json_pack(
	    "{s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "event", "stats", "spam",
	    (json_int_t)t->taught[CLASS_SPAM], "ham", (json_int_t)t->taught[CLASS_HAM],
	    "copies", (json_int_t)t->copies, "flips", (json_int_t)t->flips, "left",
	    (json_int_t)t->left, "contents", counts_json(t->content), "done",
	    counts_json(t->done), "waiting", counts_json(t->waiting), "rspamd",
	    stat ? json_pack("{s:I, s:I}", "spam", (json_int_t)stat->spam, "ham",
			     (json_int_t)stat->ham)
		 : json_null());

	jsonl_put(line);
}

/* Only with a working backend: without its Redis, rspamd's count would be a wrong 0. */
static int ask_rspamd(const struct conf *conf, struct rspamd_stat *stat, struct err *e)
{
	struct rspamd *r = rspamd_http(&conf->rspamd, e);
	struct backend backend = {.rspamd = r, .begun = true};
	int rc = r ? backend_check(&backend, stat, e) : -1;

	rspamd_close(r);
	return rc;
}

int cmd_stats(const struct cmd_options *o)
{
	struct output output = cmd_output(o, "stats");
	struct totals t = {.flips = 0};
	struct rspamd_stat stat;
	struct ledger *ledger = NULL;
	struct conf *conf = NULL;
	struct err e;
	bool known = false;

	output_start(&output);
	if (cmd_load(o, &conf, &e) == -1 ||
	    (ledger = ledger_open(conf->ledger, LEDGER_READ, "stats", &e)) == NULL ||
	    add_all(ledger_store(ledger), STORE_DIGEST, add_digest, &t, &e) == -1 ||
	    add_all(ledger_store(ledger), STORE_UID, add_message, &t, &e) == -1 ||
	    add_all(ledger_store(ledger), STORE_MAILBOX, add_mailbox, &t, &e) == -1) {
		output_fail(&output, NULL, &e);
		goto out;
	}
	/* The ledger's part is printed even if rspamd cannot be reached. */
	if (ask_rspamd(conf, &stat, &e) == -1)
		output_fail(&output, NULL, &e);
	else
		known = true;
	if (o->json)
		print_json(&t, known ? &stat : NULL);
	else
		print_text(&t, known ? &stat : NULL);
out:
	ledger_close(ledger);
	conf_free(conf);
	return output.status;
}
