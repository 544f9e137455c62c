#include "model.h"

#include <string.h>

#include "imap/imap.h"
#include "imap/keyword.h"
#include "mail/mime.h"
#include "sim.h"
#include "stalwart.h"

void model_new(struct sim *s)
{
	s->model = (struct model){0};
	for (int i = 0; i < MAX_BOXES; i++)
		s->model.unsure[i] = true;
}

int model_key(const struct sim *s, int content, int user)
{
	return s->setup->deliver_to_reporter ? content * (USERS + 1) + user : content;
}

static int key_of(const struct sim *s, const struct mail *m)
{
	return model_key(s, m->content, m->user);
}

static int64_t min(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t max(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* ---- the time of a verdict ---- */

/* The program may see it now, or as far back as the mail's date. */
static void widen(struct sim *s, int mail)
{
	const struct mail *m = &s->world.mail[mail];
	struct stay *t = &s->model.stay[mail];

	t->since = min(t->since, s->now);
	/* The time of what was said in the future, before the clock was set back, is no time.
	 */
	if (t->from > s->now)
		t->from = 0;
	if (t->verdict && !t->loose)
		return;
	if (!s->setup->box[m->box].own && !stalwart_is(s, m))
		return;
	t->to = max(t->to, s->now);
	/* A sample tells only the day. */
	if (stalwart_is(s, m))
		t->from = m->skewed ? 0 : min(t->from, m->date - DAY);
	if (s->model.unsure[m->box])
		t->from = min(t->from, m->date);
}

void model_arrives(struct sim *s, int mail)
{
	struct stay *t = &s->model.stay[mail];

	*t = (struct stay){.from = s->now, .to = s->now, .since = s->now};
	widen(s, mail);
}

void model_returns(struct sim *s, int mail)
{
	s->model.stay[mail].loose = true;
	widen(s, mail);
}

void model_forgets(struct sim *s, int box)
{
	s->model.unsure[box] = true;
	for (int i = 0; i < s->world.n_mail; i++) {
		if (s->world.mail[i].box != box)
			continue;
		/* Their records are gone: when it sees them again stands for their verdicts. */
		s->model.stay[i].loose =
		    (s->setup->box[box].own || s->setup->box[box].stalwart) &&
		    s->world.mail[i].there;
		widen(s, i);
	}
}

void model_forgets_all(struct sim *s)
{
	s->model.amnesia = true;
	for (int i = 0; i < s->world.n_mail; i++)
		s->model.stay[i].heard = s->model.stay[i].verdict = s->model.stay[i].vote =
		    false;
	for (int i = 0; i < s->setup->n_boxes; i++) {
		s->model.whole[i] = false;
		model_forgets(s, i);
	}
}

/* ---- what the ledger says ---- */

/* The digest of a content as the program makes it: computed once in the life of this process.
 */
static const struct digest *digest_of(const struct sim *s, const struct mail *m)
{
	static struct {
		bool known;
		struct digest digest;
	} cache[CONTENTS][2][USERS + 2];
	bool encrypted = s->setup->temper[m->content] == TEMPER_ENCRYPTED;
	int who = s->setup->deliver_to_reporter ? m->user + 1 : 0;
	struct mime_info info;
	struct buf body;
	struct err e;

	if (cache[m->content][encrypted][who].known)
		return &cache[m->content][encrypted][who].digest;
	buf_init(&body, 2 * LARGE_SIZE);
	world_body(s, m, &body);
	mime_read(body.data, body.len, &info, &e);
	buf_free(&body);
	if (who > 0)
		reporter_digest(&s->key, s->owners[m->user], &info.digest);
	cache[m->content][encrypted][who].digest = info.digest;
	cache[m->content][encrypted][who].known = true;
	return &cache[m->content][encrypted][who].digest;
}

static bool read_box(struct sim *s, int box, struct record_mailbox *out)
{
	const struct box_setup *b = &s->setup->box[box];
	char key[RECORD_MAILBOX_KEY_MAX];
	size_t len = record_mailbox_key(s->names[b->account], b->name, key, sizeof key);
	struct store *data = s->disk.data;
	struct store_value v;
	struct err e;

	return data->ops->get(data, STORE_MAILBOX, (struct store_value){key, len}, &v, &e) ==
		   1 &&
	       record_mailbox_decode(v.data, v.len, out);
}

/* The record under the number that this message has. */
static bool read_record(struct sim *s, const struct mail *m, struct record_message *out)
{
	unsigned char key[RECORD_MESSAGE_KEY];
	struct store *data = s->disk.data;
	struct record_mailbox box;
	struct store_value v;
	struct err e;

	uint32_t identity = s->world.box[m->box].validity, number = m->uid;

	if (stalwart_is(s, m))
		number = stalwart_number(s, m, &identity);
	if (number == 0 || !read_box(s, m->box, &box) || box.identity != identity)
		return false;
	record_message_key(box.number, identity, number, key);
	return data->ops->get(data, STORE_UID, (struct store_value){key, sizeof key}, &v, &e) ==
		   1 &&
	       record_message_decode(v.data, v.len, out);
}

static bool has_content(const struct record_message *r)
{
	static const struct digest none;

	return !digest_equal(&r->digest, &none);
}

/* Is the record about this message, and not about one that had its number before? */
static bool is_about(const struct sim *s, const struct record_message *r, const struct mail *m)
{
	if (r->stamp.size != m->size || r->class != world_class(s, m))
		return false;
	return !has_content(r) || digest_equal(&r->digest, digest_of(s, m));
}

/* NULL where rspamd, or the configuration, said what the record claims; else what is wrong. */
static const char *doubt(const struct sim *s, const struct record_message *r,
			 const struct mail *m)
{
	const unsigned char *said = s->spamd.said[key_of(s, m)];
	enum mail_class c = world_class(s, m);
	bool ok = true;

	switch (r->outcome) {
	case OUTCOME_LEARNED:
		ok = said[c] & SAID_LEARNED;
		break;
	case OUTCOME_KNOWN: /* without a look at the content: by its mark */
		ok = !has_content(r) || said[c] & (SAID_LEARNED | SAID_KNOWN);
		break;
	case OUTCOME_SURE:
		ok = said[c] & SAID_SURE;
		break;
	case OUTCOME_UNLEARNABLE:
		ok = (said[CLASS_SPAM] | said[CLASS_HAM]) & SAID_SHORT;
		break;
	case OUTCOME_LARGE:
		ok = m->size > MAX_SIZE;
		break;
	case OUTCOME_ENCRYPTED:
		ok = s->setup->skip_encrypted &&
		     s->setup->temper[m->content] == TEMPER_ENCRYPTED;
		break;
	case OUTCOME_OVERRULED:
		ok =
		    s->setup->quorum > 1 || said[c == CLASS_SPAM ? CLASS_HAM : CLASS_SPAM] != 0;
		break;
	case OUTCOME_UNTRUSTED:
		ok = s->setup->senders && m->user == USERS && !s->setup->box[m->box].own;
		break;
	case OUTCOME_UNCONFIRMED:
		ok = s->setup->quorum > 1 && s->setup->quorum_within >= 0;
		break;
	case OUTCOME_FAILED:
		ok = said[c] & SAID_REFUSED;
		break;
	case OUTCOME_SKIPPED: /* by its mark */
		break;
	default:
		ok = false;
	}
	return ok ? NULL : outcome_name(r->outcome);
}

static bool is_verdict(const struct record_message *r)
{
	return has_content(r) &&
	       (r->outcome == OUTCOME_LEARNED || r->outcome == OUTCOME_KNOWN ||
		r->outcome == OUTCOME_SURE || r->outcome == OUTCOME_OVERRULED);
}

static bool is_settled(const struct record_message *r)
{
	return r->state >= STATE_SETTLED;
}

/* Is what the ledger has of this message true? Then it was heard. */
static void observe(struct sim *s, int mail)
{
	const struct mail *m = &s->world.mail[mail];
	struct stay *t = &s->model.stay[mail];
	struct record_message r;
	const char *wrong;

	if (!read_record(s, m, &r) || !is_about(s, &r, m))
		return;
	if (stalwart_is(s, m) && stalwart_left_out(m))
		sim_fail(s, "it learns what is left out", "message %d", mail);
	t->vote = t->vote || (has_content(&r) && r.outcome != OUTCOME_UNTRUSTED &&
			      r.outcome != OUTCOME_ENCRYPTED);
	if (!is_settled(&r) && r.outcome != OUTCOME_FAILED)
		return;
	if (is_settled(&r) && !has_content(&r) &&
	    (r.outcome == OUTCOME_KNOWN || r.outcome == OUTCOME_SKIPPED)) {
		if (s->model.whole[m->box] && !t->adopted && !s->model.restored)
			sim_fail(s, "a mark is believed against the ledger", "message %d",
				 mail);
		t->adopted = true;
	}
	wrong = doubt(s, &r, m);
	if (wrong)
		sim_fail(s, "the ledger says what is not so", "message %d: %s", mail, wrong);
	t->loose = t->loose && !is_settled(&r);
	t->heard = t->heard || is_settled(&r);
	t->verdict = t->verdict || is_verdict(&r);
}

void model_leaves(struct sim *s, int mail)
{
	s->model.stay[mail].leaving = s->model.leaving = true;
	if (!disk_is_dirty(&s->disk))
		observe(s, mail);
}

void model_commits(struct sim *s)
{
	for (int i = 0; s->model.leaving && i < s->world.n_mail; i++)
		if (s->model.stay[i].leaving)
			observe(s, i);
}

/* ---- what the program does ---- */

void model_run_begins(struct sim *s, bool dry)
{
	s->model.dry = dry;
	s->model.leaving = false;
	s->model.removed = 0;
	for (int i = 0; i < s->world.n_mail; i++) {
		struct record_message r;

		s->world.mail[i].raced = false;
		s->model.stay[i].leaving = false;
		s->model.stay[i].purging =
		    read_record(s, &s->world.mail[i], &r) && r.state == STATE_PURGING;
		widen(s, i);
	}
}

void model_run_ends(struct sim *s, const char *account, bool complete, bool cut_short)
{
	s->model.cuts += cut_short;
	for (int i = 0; i < s->world.n_mail; i++) {
		widen(s, i);
		observe(s, i);
	}
	for (int i = 0; complete && i < s->setup->n_boxes; i++) {
		if (account && account != s->names[s->setup->box[i].account])
			continue;
		/* A run may not notice at once that a mailbox was restored. */
		s->model.unsure[i] = s->model.restored;
		s->model.whole[i] = true;
	}
}

/* Before anything goes out it is on disk what the program is about to do. */
static void must_be_durable(struct sim *s, const char *what)
{
	if (disk_is_dirty(&s->disk))
		sim_fail(s, "it acts before that is recorded", "%s", what);
	if (s->model.dry)
		sim_fail(s, "a dry run changes something", "%s", what);
}

void model_sends(struct sim *s, int content, const struct rspamd_job *job)
{
	enum temper t;

	must_be_durable(s, "it sends");
	if (content < 0 || content >= CONTENTS ||
	    memmem(job->data, job->len, "X-Learnspool", strlen("X-Learnspool"))) {
		sim_fail(s, "rspamd is given what the user did not see", "content %d", content);
		return;
	}
	t = s->setup->temper[content];
	if (t == TEMPER_LARGE || (t == TEMPER_ENCRYPTED && s->setup->skip_encrypted))
		sim_fail(s, "it sends what it is not to", "content %d", content);
}

void model_marks(struct sim *s, int box, const struct ranges *ids)
{
	must_be_durable(s, "it marks");
	/* What is settled now may be looked at again before the run ends. */
	for (int i = 0; i < s->world.n_mail; i++)
		if (s->world.mail[i].there && s->world.mail[i].box == box &&
		    ranges_has(ids, s->world.mail[i].uid))
			observe(s, i);
	if (!s->setup->box[box].can_mark)
		sim_fail(s, "it marks where there are no keywords", "mailbox %d", box);
}

/* How old must it be? -1: it never goes. */
static int64_t age_of(const struct setup *s, enum outcome outcome)
{
	switch (outcome) {
	case OUTCOME_LEARNED:
		return s->learned;
	case OUTCOME_KNOWN:
	case OUTCOME_SURE:
		return s->known;
	case OUTCOME_UNTRUSTED:
		return s->untrusted;
	case OUTCOME_FAILED:
		return s->failed;
	case OUTCOME_SKIPPED:
		return s->known < 0 || s->skipped < 0 || s->untrusted < 0
			   ? -1
			   : max(max(s->known, s->skipped), s->untrusted);
	default:
		return s->skipped;
	}
}

static void check_removal(struct sim *s, int mail, const struct source_removal *how)
{
	const struct mail *m = &s->world.mail[mail];
	struct stay *t = &s->model.stay[mail];
	struct record_message r;
	const char *wrong;
	int64_t age;

	if (s->setup->box[m->box].own)
		sim_fail(s, "it removes a user's own mail", "message %d", mail);
	else if (!read_record(s, m, &r) || r.state != STATE_PURGING)
		sim_fail(s, "it removes what is not recorded", "message %d", mail);
	else if (!is_about(s, &r, m))
		sim_fail(s, "it removes a stranger", "message %d, as %s", mail,
			 outcome_name(r.outcome));
	else if ((wrong = doubt(s, &r, m)) != NULL)
		sim_fail(s, "it removes what is not settled", "message %d, as %s", mail, wrong);
	else if (m->flags.flagged && !m->raced)
		sim_fail(s, "it removes what is flagged", "message %d", mail);
	else if (m->flags.deleted && !m->raced && !t->purging)
		sim_fail(s, "it removes what another client deleted", "message %d", mail);
	else if ((age = age_of(s->setup, r.outcome)) < 0 || s->now - t->since < age)
		sim_fail(s, "it removes too early", "message %d, %s", mail,
			 outcome_name(r.outcome));
	else if (!stalwart_is(s, m) && s->setup->move != (how->move_to != NULL))
		sim_fail(s, "it removes in the wrong way", "message %d", mail);
	observe(s, mail);
	t->doomed = true;
	s->model.removed++;
}

void model_removes_one(struct sim *s, int mail, const struct source_removal *how)
{
	must_be_durable(s, "it removes");
	check_removal(s, mail, how);
}

void model_removes(struct sim *s, int box, const struct ranges *ids,
		   const struct source_removal *how)
{
	must_be_durable(s, "it removes");
	for (int i = 0; i < s->world.n_mail; i++)
		if (s->world.mail[i].there && s->world.mail[i].box == box &&
		    ranges_has(ids, s->world.mail[i].uid))
			check_removal(s, i, how);
	if (s->model.removed > (uint64_t)s->setup->max_per_run)
		sim_fail(s, "it removes more than max-per-run", "%llu",
			 (unsigned long long)s->model.removed);
}

/* ---- where it all ends ---- */

/* May this message still wait, when everything works? */
static bool may_wait(const struct sim *s, const struct record_message *r, const struct mail *m)
{
	switch (r->outcome) {
	case OUTCOME_FAILED:
		return s->setup->temper[m->content] == TEMPER_REFUSED;
	case OUTCOME_UNREAD:
		return s->setup->box[m->box].seen_only && !m->flags.seen;
	case OUTCOME_HELD:
		return s->setup->quorum > 1 && s->setup->quorum_within < 0;
	default:
		return false;
	}
}

bool model_is_left(struct sim *s, int mail)
{
	const struct mail *m = &s->world.mail[mail];
	struct record_message r;

	if (!m->there || m->trouble != TROUBLE_NONE)
		return false;
	if (stalwart_is(s, m) && !stalwart_counts(s, mail))
		return false;
	if (!read_record(s, m, &r) || !is_about(s, &r, m))
		return true;
	return r.state < STATE_SETTLED && !may_wait(s, &r, m) &&
	       (r.outcome != OUTCOME_HELD || s->setup->quorum <= 1);
}

static void check_settled(struct sim *s, int mail)
{
	const struct mail *m = &s->world.mail[mail];
	struct record_message r;

	if (m->for_ever && m->trouble != TROUBLE_NONE)
		return;
	if (stalwart_is(s, m) && !stalwart_counts(s, mail))
		return;
	if (!read_record(s, m, &r))
		sim_fail(s, "a message is never looked at", "message %d", mail);
	else if (!is_about(s, &r, m))
		sim_fail(s, "a message is taken for another one", "message %d", mail);
	else if (r.state < STATE_SETTLED && !may_wait(s, &r, m))
		sim_fail(s, "a message is never settled", "message %d: %s, %s", mail,
			 record_state_name(r.state), outcome_name(r.outcome));
	else if (r.state == STATE_SETTLED)
		sim_fail(s, "a message is never marked", "message %d", mail);
	else if (r.state >= STATE_MARKED && r.outcome != OUTCOME_FAILED && !r.bare &&
		 !s->model.restored && !m->tampered && m->flags.marks == 0)
		sim_fail(s, "a message has lost its mark", "message %d", mail);
}

/* Was this verdict given after that one? Of two samples the order of the list is known. */
static bool is_newer(const struct sim *s, int mail, int than)
{
	const struct mail *m = &s->world.mail[mail], *o = &s->world.mail[than];

	if (stalwart_is(s, m) && stalwart_is(s, o) && !s->model.set_back && !m->skewed &&
	    !o->skewed)
		return m->place > o->place;
	return s->model.stay[mail].from > s->model.stay[than].to;
}

/* Is there a verdict of class on this content than which no other one is newer? */
static bool may_be_newest(const struct sim *s, int key, enum mail_class class, bool *any)
{
	bool may = false;

	*any = false;
	for (int i = 0; i < s->world.n_mail; i++) {
		const struct stay *t = &s->model.stay[i];
		bool beaten = false;

		if (!t->verdict || key_of(s, &s->world.mail[i]) != key)
			continue;
		*any = true;
		if (world_class(s, &s->world.mail[i]) != class)
			continue;
		for (int j = 0; j < s->world.n_mail; j++) {
			const struct stay *u = &s->model.stay[j];

			beaten = beaten || (u->verdict && key_of(s, &s->world.mail[j]) == key &&
					    world_class(s, &s->world.mail[j]) != class &&
					    is_newer(s, j, i));
		}
		may = may || !beaten;
	}
	return may;
}

/* Did a message of this content go, or become unreadable for ever, before the ledger had heard
 * of what rspamd learned of it?
 */
static bool is_vague(const struct sim *s, int key, enum mail_class class)
{
	for (int i = 0; s->spamd.vague[key][class] && i < s->world.n_mail; i++)
		if ((!s->world.mail[i].there || s->world.mail[i].for_ever ||
		     (stalwart_is(s, &s->world.mail[i]) && !stalwart_counts(s, i))) &&
		    !s->model.stay[i].heard && key_of(s, &s->world.mail[i]) == key &&
		    world_class(s, &s->world.mail[i]) == class)
			return true;
	return false;
}

static void check_newest(struct sim *s, int key)
{
	enum mail_class agreed = s->spamd.agreed[key];
	bool any;

	if (agreed == CLASS_NONE || is_vague(s, key, agreed) || s->spamd.missed[key])
		return;
	if (!may_be_newest(s, key, agreed, &any) && any)
		sim_fail(s, "an older verdict beats a newer one", "key %d: rspamd has %s", key,
			 class_name(agreed));
}

/* What this user said last of the content; NONE: nothing, or nobody can know. */
static enum mail_class last_word(const struct sim *s, int key, int user, bool *unclear)
{
	enum mail_class c = CLASS_NONE;
	int64_t to = 0;

	for (int i = 0; i < s->world.n_mail; i++) {
		const struct mail *m = &s->world.mail[i];
		const struct stay *t = &s->model.stay[i];

		if (key_of(s, m) != key || m->user != user)
			continue;
		/* What went unheard, or was heard before the ledger was lost. */
		if (!t->vote || (!m->there && !t->doomed))
			*unclear = true;
		if (c != CLASS_NONE && c != world_class(s, m) && t->from <= to)
			*unclear = true;
		if (t->to >= to || c == CLASS_NONE) {
			c = world_class(s, m);
			to = t->to;
		}
	}
	return c;
}

/* Would rspamd learn this content from whoever asks, and does everybody remember everything? */
static bool is_plain(const struct sim *s, int key)
{
	int content = s->setup->deliver_to_reporter ? key / (USERS + 1) : key;

	return s->setup->temper[content] == TEMPER_PLAIN && !s->model.amnesia;
}

static void check_quorum(struct sim *s, int key)
{
	int votes[3] = {0};
	bool unclear = false;
	enum mail_class c;

	/* With a content the ledger forgets who reported it. */
	if (s->setup->stalwart && s->setup->forget >= 0)
		return;
	for (int user = 0; user <= USERS; user++)
		votes[last_word(s, key, user, &unclear)]++;
	c = votes[CLASS_SPAM] > votes[CLASS_HAM] ? CLASS_SPAM : CLASS_HAM;
	if (unclear || s->spamd.missed[key] || votes[CLASS_SPAM] == votes[CLASS_HAM] ||
	    votes[c] < s->setup->quorum ||
	    (s->spamd.agreed[key] == CLASS_NONE && !is_plain(s, key)))
		return;
	if (s->spamd.agreed[key] != c)
		sim_fail(s, "the majority is not heard", "key %d: rspamd has %s, %d of %d", key,
			 class_name(s->spamd.agreed[key]), votes[c], votes[1] + votes[2]);
}

static void check_again(struct sim *s)
{
	unsigned most = s->model.cuts * (unsigned)s->setup->connections + s->spamd.lost;

	/* Of what the ledger forgot, another copy is sent. */
	if (!s->model.amnesia && s->setup->forget < 0 && s->spamd.again > most)
		sim_fail(s, "it sends too much twice", "%u messages, of at most %u",
			 s->spamd.again, most);
}

static void check_boxes(struct sim *s)
{
	for (int i = 0; i < s->setup->n_boxes; i++) {
		struct record_mailbox box;

		if (!read_box(s, i, &box))
			sim_fail(s, "a mailbox is never looked at", "mailbox %d", i);
	}
}

void model_at_end(struct sim *s)
{
	check_boxes(s);
	for (int i = 0; i < s->world.n_mail; i++)
		if (s->world.mail[i].there)
			check_settled(s, i);
	for (int key = 0; key < KEYS; key++)
		if (s->setup->quorum > 1)
			check_quorum(s, key);
		else
			check_newest(s, key);
	check_again(s);
}
