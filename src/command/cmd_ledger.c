/* ledger: list | messages | show DIGEST | backup FILE | verify. Can read during a run. */
#include "command/cmd.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/jsonl.h"
#include "base/text.h"
#include "ledger/ledger.h"
#include "ledger/samples.h"
#include "ledger/stamps.h"

/* The state of a walk over the ledger. */
struct walk {
	struct ledger *ledger;
	bool json;
	const char *prefix; /* of a digest in hexadecimal; NULL: all */
	uint64_t shown, records, damaged, orphans;

	/* The mailbox of the last message that was listed; they come sorted by it. "": none. */
	uint32_t number;
	char account[RECORD_MAILBOX_KEY_MAX], mailbox[RECORD_MAILBOX_KEY_MAX];
};

/* Process one record. Returns 0, or -1 to stop. */
typedef int walk_fn(struct walk *w, struct store_value key, struct store_value v,
		    struct err *e);

static int walk_map(struct walk *w, enum store_map map, walk_fn *fn, struct err *e)
{
	const struct store_ops *ops = ledger_store(w->ledger)->ops;
	struct store *s = ledger_store(w->ledger);
	struct store_value key = {"", 0}, v;
	int rc = ops->seek(s, map, &key, &v, e);

	while (rc == 1) {
		if (fn(w, key, v, e) == -1)
			return -1;
		rc = ops->next(s, map, &key, &v, e);
	}
	return rc;
}

static bool wanted(const struct walk *w, const char *hex)
{
	return w->prefix == NULL || strncmp(hex, w->prefix, strlen(w->prefix)) == 0;
}

/* Who reported what: a keyed hash, class and time for each reporter. */
static json_t *reporters_json(const struct record_digest *r)
{
	json_t *list = json_array();
	char who[2 * RECORD_REPORTER_SIZE + 1], at[21];

	for (size_t i = 0; i < r->n_reporters; i++) {
		for (size_t j = 0; j < RECORD_REPORTER_SIZE; j++)
			snprintf(who + 2 * j, 3, "%02x", r->reporter[i].who[j]);
		clock_iso(r->reporter[i].at, at);
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s}", "who", who, "class",
						class_name(r->reporter[i].class), "at", at));
	}
	return list;
}

static void print_reporters(const struct record_digest *r)
{
	int votes[CLASS_HAM + 1] = {0};

	for (size_t i = 0; i < r->n_reporters; i++)
		votes[r->reporter[i].class]++;
	if (r->n_reporters > 0)
		printf(" reporters=%zu (%d spam, %d ham)", r->n_reporters, votes[CLASS_SPAM],
		       votes[CLASS_HAM]);
}

static int list_digest(struct walk *w, struct store_value key, struct store_value v,
		       struct err *e)
{
	char hex[DIGEST_HEX], first[21], last[21], verdict[21],
	    answer[4 * RECORD_ANSWER_MAX + 1];
	struct record_digest r;
	struct digest d;

	(void)e;
	if (key.len != DIGEST_SIZE || !record_digest_decode(v.data, v.len, &r)) {
		w->damaged++;
		return 0;
	}
	memcpy(d.bytes, key.data, DIGEST_SIZE);
	digest_hex(&d, hex);
	if (!wanted(w, hex))
		return 0;
	w->shown++;
	clock_iso(r.first_seen, first);
	clock_iso(r.last_seen, last);
	clock_iso(r.verdict_at, verdict);
	text_visible(answer, sizeof answer, r.answer, strlen(r.answer));
	if (w->json)
		jsonl_put(json_pack(
		    "{s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:s, s:s, s:s, s:o}", "event",
		    "digest", "digest", hex, "class", class_name(r.class), "outcome",
		    outcome_name(r.outcome), "copies", (int)r.copies, "flips", (int)r.flips,
		    "first_seen", first, "last_seen", last, "verdict_at", verdict, "answer",
		    answer, "reporters", reporters_json(&r)));
	else {
		printf("%s %-4s %s copies=%u flips=%u first=%s last=%s", hex,
		       class_name(r.class), outcome_name(r.outcome), r.copies, r.flips, first,
		       last);
		print_reporters(&r);
		printf("%s%s\n", answer[0] ? " answer=" : "", answer);
	}
	return 0;
}

/* Find the account and the mailbox that have this number; "?" if none has. */
static void find_mailbox(struct walk *w, uint32_t number)
{
	struct store *s = ledger_store(w->ledger);
	struct store_value key = {"", 0}, v;
	struct record_mailbox box;
	struct err e;
	int rc = s->ops->seek(s, STORE_MAILBOX, &key, &v, &e);

	w->number = number;
	snprintf(w->account, sizeof w->account, "?");
	snprintf(w->mailbox, sizeof w->mailbox, "?");
	for (; rc == 1; rc = s->ops->next(s, STORE_MAILBOX, &key, &v, &e)) {
		const char *name = key.data, *nul = memchr(name, '\0', key.len);

		if (nul == NULL || !record_mailbox_decode(v.data, v.len, &box) ||
		    box.number != number)
			continue;
		text_visible(w->account, sizeof w->account, name, (size_t)(nul - name));
		text_visible(w->mailbox, sizeof w->mailbox, nul + 1,
			     key.len - (size_t)(nul - name) - 1);
		return;
	}
}

static int list_message(struct walk *w, struct store_value key, struct store_value v,
			struct err *e)
{
	char hex[DIGEST_HEX], when[21], words[4 * RECORD_ANSWER_MAX + 1];
	uint32_t number, validity, uid;
	struct record_message r;

	(void)e;
	if (!record_message_key_decode(key.data, key.len, &number, &validity, &uid) ||
	    !record_message_decode(v.data, v.len, &r)) {
		w->damaged++;
		return 0;
	}
	digest_hex(&r.digest, hex);
	if (w->prefix && (!record_has_digest(&r) || !wanted(w, hex)))
		return 0;
	w->shown++;
	clock_iso(r.changed_at, when);
	if (number != w->number || w->account[0] == '\0')
		find_mailbox(w, number);
	text_visible(words, sizeof words, r.words, strlen(r.words));
	if (w->json)
		jsonl_put(json_pack(
		    "{s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:i, s:s, s:s, s:s}", "event",
		    "message", "account", w->account, "mailbox", w->mailbox, "uidvalidity",
		    (json_int_t)validity, "uid", (json_int_t)uid, "class", class_name(r.class),
		    "state", record_state_name(r.state), "outcome", outcome_name(r.outcome),
		    "tries", (int)r.tries, "since", when, "digest", hex, "reason", words));
	else
		printf("%s %s uid=%" PRIu32 " %s %s %s since=%s digest=%.12s%s%s\n", w->account,
		       w->mailbox, uid, class_name(r.class), record_state_name(r.state),
		       outcome_name(r.outcome), when, hex, words[0] ? " reason=" : "", words);
	return 0;
}

/* ---- verify ---- */

static int verify_message(struct walk *w, struct store_value key, struct store_value v,
			  struct err *e)
{
	struct store *s = ledger_store(w->ledger);
	uint32_t number, validity, uid;
	struct record_message r;
	int rc;

	w->records++;
	if (!record_message_key_decode(key.data, key.len, &number, &validity, &uid) ||
	    !record_message_decode(v.data, v.len, &r)) {
		w->damaged++;
		return 0;
	}
	/* A content may be forgotten before its last message; one with several names none. */
	if (r.outcome != OUTCOME_LEARNED || !record_has_digest(&r))
		return 0;
	rc = s->ops->get(s, STORE_DIGEST, (struct store_value){r.digest.bytes, DIGEST_SIZE}, &v,
			 e);
	if (rc == 0)
		w->orphans++;
	return rc == -1 ? -1 : 0;
}

static int verify_digest(struct walk *w, struct store_value key, struct store_value v,
			 struct err *e)
{
	struct record_digest r;

	(void)e;
	w->records++;
	if (key.len != DIGEST_SIZE || !record_digest_decode(v.data, v.len, &r))
		w->damaged++;
	return 0;
}

static int verify_mailbox(struct walk *w, struct store_value key, struct store_value v,
			  struct err *e)
{
	struct record_mailbox r;

	(void)e;
	w->records++;
	if (memchr(key.data, '\0', key.len) == NULL ||
	    !record_mailbox_decode(v.data, v.len, &r))
		w->damaged++;
	return 0;
}

static int verify_sample(struct walk *w, struct store_value key, struct store_value v,
			 struct err *e)
{
	(void)e;
	w->records++;
	if (!samples_is_sound(key, v) && !stamps_is_sound(key, v))
		w->damaged++;
	return 0;
}

static int verify(struct walk *w, struct err *e)
{
	if (walk_map(w, STORE_MAILBOX, verify_mailbox, e) == -1 ||
	    walk_map(w, STORE_DIGEST, verify_digest, e) == -1 ||
	    walk_map(w, STORE_UID, verify_message, e) == -1 ||
	    walk_map(w, STORE_SAMPLE, verify_sample, e) == -1)
		return -1;
	if (w->damaged > 0)
		return err_set(
		    e, ERR_FATAL, ERR_LOCAL,
		    "ledger: %" PRIu64 " of %" PRIu64
		    " records cannot be read; put a backup in its place, or move the "
		    "ledger away: marks on the server still show what was learned",
		    w->damaged, w->records);
	if (w->json)
		jsonl_put(json_pack("{s:s, s:I, s:I, s:I}", "event", "verify", "records",
				    (json_int_t)w->records, "damaged", (json_int_t)w->damaged,
				    "forgotten", (json_int_t)w->orphans));
	else
		printf("%" PRIu64 " records, all readable; %" PRIu64
		       " learned messages whose content was forgotten\n",
		       w->records, w->orphans);
	return 0;
}

/* ---- the command ---- */

static int show(struct walk *w, const char *prefix, struct err *e)
{
	if (strlen(prefix) < 8 || strspn(prefix, "0123456789abcdef") != strlen(prefix))
		return err_set(e, ERR_FATAL, ERR_USAGE,
			       "ledger show: \"%s\" is not a digest; give 8 or more of its "
			       "hexadecimal digits, in lower case",
			       prefix);
	w->prefix = prefix;
	if (walk_map(w, STORE_DIGEST, list_digest, e) == -1 ||
	    walk_map(w, STORE_UID, list_message, e) == -1)
		return -1;
	if (w->shown == 0)
		return err_set(e, ERR_FATAL, ERR_DATA, "ledger show: nothing has the digest %s",
			       prefix);
	return 0;
}

static int do_action(struct walk *w, const char *action, const char *arg, struct err *e)
{
	if (strcmp(action, "list") == 0 && arg == NULL)
		return walk_map(w, STORE_DIGEST, list_digest, e);
	if (strcmp(action, "messages") == 0 && arg == NULL)
		return walk_map(w, STORE_UID, list_message, e);
	if (strcmp(action, "verify") == 0 && arg == NULL)
		return verify(w, e);
	if (strcmp(action, "show") == 0 && arg)
		return show(w, arg, e);
	if (strcmp(action, "backup") == 0 && arg)
		return ledger_store(w->ledger)->ops->backup(ledger_store(w->ledger), arg, e);
	return err_set(e, ERR_FATAL, ERR_USAGE,
		       "ledger: give list, messages, show DIGEST, backup FILE or verify");
}

int cmd_ledger(const struct cmd_options *o)
{
	struct output output = cmd_output(o, "ledger");
	struct walk w = {.json = o->json};
	struct conf *conf = NULL;
	struct err e;

	output_start(&output);
	if (o->n_args < 1 || o->n_args > 2) {
		err_set(&e, ERR_FATAL, ERR_USAGE,
			"ledger: give list, messages, show DIGEST, backup FILE or verify");
		return output_fail(&output, NULL, &e);
	}
	if (cmd_load(o, &conf, &e) == -1 ||
	    (w.ledger = ledger_open(conf->ledger, LEDGER_READ, "ledger", &e)) == NULL ||
	    do_action(&w, o->args[0], o->n_args > 1 ? o->args[1] : NULL, &e) == -1)
		output_fail(&output, NULL, &e);
	ledger_close(w.ledger);
	conf_free(conf);
	return output.status;
}
