/* stats: what was learned, what rspamd says, what is missing. */
#include "cmd.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "jsonl.h"
#include "ledger.h"
#include "rspamd.h"

/* What the ledger holds, added up. */
struct totals {
	uint64_t contents[3];	    /* learned or known, by class */
	uint64_t outcome[OUTCOMES]; /* contents by what became of them */
	uint64_t flips, copies;
	uint64_t messages[STATES];  /* copies that are still in a mailbox, by state */
	uint64_t failed, untrusted; /* of these */
	int64_t last[3];	    /* when a verdict of that class was last seen */
};

static int add_digests(struct store *s, struct totals *t, struct err *e)
{
	struct store_value key = {"", 0}, v;
	struct record_digest r;
	int rc;

	for (rc = s->ops->seek(s, STORE_DIGEST, &key, &v, e); rc == 1;
	     rc = s->ops->next(s, STORE_DIGEST, &key, &v, e)) {
		if (!record_digest_decode(v.data, v.len, &r))
			continue; /* ledger verify counts these */
		t->outcome[r.outcome]++;
		t->flips += r.flips;
		t->copies += r.copies;
		if (r.outcome == OUTCOME_LEARNED || r.outcome == OUTCOME_KNOWN)
			t->contents[r.class]++;
		if (r.last_seen > t->last[r.class])
			t->last[r.class] = r.last_seen;
	}
	return rc;
}

static int add_messages(struct store *s, struct totals *t, struct err *e)
{
	struct store_value key = {"", 0}, v;
	struct record_uid r;
	int rc;

	for (rc = s->ops->seek(s, STORE_UID, &key, &v, e); rc == 1;
	     rc = s->ops->next(s, STORE_UID, &key, &v, e)) {
		if (!record_uid_decode(v.data, v.len, &r))
			continue;
		t->messages[r.state]++;
		t->failed += r.outcome == OUTCOME_FAILED;
		t->untrusted += r.outcome == OUTCOME_UNTRUSTED;
	}
	return rc;
}

static void print_text(const struct totals *t, const struct rspamd_stat *stat)
{
	static const enum outcome shown[] = {OUTCOME_LEARNED, OUTCOME_KNOWN, OUTCOME_SURE,
					     OUTCOME_UNLEARNABLE, OUTCOME_ENCRYPTED};
	char when[21];

	printf("contents that rspamd knows from here: spam %" PRIu64 ", ham %" PRIu64 "\n",
	       t->contents[CLASS_SPAM], t->contents[CLASS_HAM]);
	for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
		printf("  %-30s %" PRIu64 "\n", outcome_text(shown[i]), t->outcome[shown[i]]);
	printf("copies seen %" PRIu64 ", changes of class %" PRIu64 "\n", t->copies, t->flips);
	for (int c = CLASS_SPAM; c <= CLASS_HAM; c++) {
		if (t->last[c])
			clock_iso(t->last[c], when);
		printf("last %s seen: %s\n", class_name((enum mail_class)c),
		       t->last[c] ? when : "never");
	}
	printf("messages in mailboxes: %" PRIu64 " done, %" PRIu64 " to be done (%" PRIu64
	       " failed before), %" PRIu64 " untrusted\n",
	       t->messages[STATE_MARKED] + t->messages[STATE_SETTLED] +
		   t->messages[STATE_PURGING],
	       t->messages[STATE_SEEN] + t->messages[STATE_SUBMITTED], t->failed, t->untrusted);
	if (stat == NULL)
		return;
	printf("rspamd's own count: spam %" PRIu64 ", ham %" PRIu64 "\n", stat->spam,
	       stat->ham);
	if (!stat->bayes)
		printf("missing: rspamd has no working Bayes classifier and learns nothing\n");
	for (int c = CLASS_SPAM; c <= CLASS_HAM && stat->bayes; c++) {
		uint64_t n = c == CLASS_SPAM ? stat->spam : stat->ham;

		if (n < RSPAMD_MIN_LEARNS)
			printf("missing: %" PRIu64
			       " %s until Bayes begins to judge (200 of each, "
			       "unless configured otherwise)\n",
			       RSPAMD_MIN_LEARNS - n, class_name((enum mail_class)c));
	}
}

static void print_json(const struct totals *t, const struct rspamd_stat *stat)
{
	json_t *line = json_pack(
	    "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "event", "stats", "spam",
	    (json_int_t)t->contents[CLASS_SPAM], "ham", (json_int_t)t->contents[CLASS_HAM],
	    "copies", (json_int_t)t->copies, "flips", (json_int_t)t->flips, "failed",
	    (json_int_t)t->failed, "untrusted", (json_int_t)t->untrusted, "open",
	    (json_int_t)(t->messages[STATE_SEEN] + t->messages[STATE_SUBMITTED]));
	json_t *outcomes = json_object();

	for (int o = OUTCOME_NONE + 1; o < OUTCOMES; o++)
		json_object_set_new(outcomes, outcome_name((enum outcome)o),
				    json_integer((json_int_t)t->outcome[o]));
	json_object_set_new(line, "outcomes", outcomes);
	json_object_set_new(line, "rspamd",
			    stat ? json_pack("{s:b, s:I, s:I}", "bayes", stat->bayes, "spam",
					     (json_int_t)stat->spam, "ham",
					     (json_int_t)stat->ham)
				 : json_null());
	jsonl_put(line);
}

static int ask_rspamd(const struct conf *conf, struct rspamd_stat *stat, struct err *e)
{
	struct rspamd *r = rspamd_open(&conf->rspamd, e);
	int rc = r ? rspamd_stat(r, stat, e) : -1;

	rspamd_close(r);
	return rc;
}

int cmd_stats(const struct cmd_options *o)
{
	struct report start = {.format = o->json ? REPORT_JSON : REPORT_TEXT,
			       .command = "stats"};
	struct totals t = {.flips = 0};
	struct rspamd_stat stat;
	struct ledger *ledger = NULL;
	struct conf *conf = NULL;
	struct err e;
	int status = EXIT_DONE;
	bool known = false;

	report_start(&start);
	if (cmd_load(o, &conf, &e) == -1 ||
	    (ledger = ledger_open(conf->ledger, LEDGER_READ, "stats", &e)) == NULL ||
	    add_digests(ledger_store(ledger), &t, &e) == -1 ||
	    add_messages(ledger_store(ledger), &t, &e) == -1) {
		status = cmd_fail(o, &e);
		goto out;
	}
	/* The ledger's part is true whether or not rspamd is there. */
	if (ask_rspamd(conf, &stat, &e) == -1)
		status = cmd_fail(o, &e);
	else
		known = true;
	if (o->json)
		print_json(&t, known ? &stat : NULL);
	else
		print_text(&t, known ? &stat : NULL);
out:
	ledger_close(ledger);
	conf_free(conf);
	return status;
}
