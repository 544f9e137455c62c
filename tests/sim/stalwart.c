#include "stalwart.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"
#include "sim.h"
#include "source/source_stalwart_priv.h"

enum {
	PAGE = 4, /* ids that the server lists at a time */
	HELD_FOR = 180,
	SNOWFLAKE_EPOCH = 1632280000,
};

/* ---- the site ---- */

void stalwart_draw(struct setup *s, uint64_t seed)
{
	uint64_t r = rng_mix(seed, 0x57a1);

	if (r % 4 != 0)
		return;
	s->stalwart = true;
	s->destroy = r >> 8 & 1;
	s->silent = (r >> 9) % 4 == 0;
	s->tells = r >> 11 & 1;
	s->box[s->n_boxes++] = (struct box_setup){.account = s->n_accounts++,
						  .name = "samples",
						  .class = CLASS_NONE,
						  .stalwart = true,
						  .has_next = true};
}

/* ---- the world ---- */

bool stalwart_is(const struct sim *s, const struct mail *m)
{
	return s->setup->box[m->box].stalwart;
}

/* Who is not the user of any mail server; his account is in except. */
bool stalwart_left_out(const struct mail *m)
{
	return m->user == USERS;
}

void stalwart_decides(const struct sim *s, struct mail *m, int mail)
{
	m->size = 500 + 10 * (uint32_t)m->content;
	if (s->setup->temper[m->content] == TEMPER_LARGE)
		m->size += LARGE_SIZE;
	/* The clock of one node may be behind: by some samples, or by many. */
	m->skewed = s->setup->silent == false && mail % 7 == 3;
	m->place = 1000 * mail - (m->skewed ? 1000 * (1 + mail % 11) + 1 + mail : 0);
}

bool stalwart_counts(const struct sim *s, int mail)
{
	const struct mail *m = &s->world.mail[mail];

	for (int i = 0; i < s->world.n_mail; i++) {
		const struct mail *o = &s->world.mail[i];

		if (o->there && stalwart_is(s, o) && o->user == m->user &&
		    o->content == m->content && o->place > m->place)
			return false;
	}
	return !stalwart_left_out(m);
}

/* The oldest of all, in the order of the list; -1: there is none. */
static int oldest(const struct sim *s)
{
	int found = -1;

	for (int i = 0; i < s->world.n_mail; i++) {
		const struct mail *m = &s->world.mail[i];

		if (m->there && stalwart_is(s, m) &&
		    (found == -1 || m->place < s->world.mail[found].place))
			found = i;
	}
	return found;
}

static void vanish(struct sim *s, int mail, const char *how)
{
	if (mail == -1)
		return;
	model_leaves(s, mail);
	world_remove(s, mail);
	sim_trace(s, "    message %d: the sample %s", mail, how);
}

/* Stalwart has trained itself. */
static void train(struct sim *s)
{
	for (int i = 0; i < s->world.n_mail; i++)
		if (s->world.mail[i].there && stalwart_is(s, &s->world.mail[i]) &&
		    !stalwart_left_out(&s->world.mail[i]) && !stalwart_counts(s, i))
			vanish(s, i, "was trained from");
}

/* Its administrator takes a permission away, or gives it back. */
static void permit(struct sim *s, uint32_t which)
{
	bool *const denied[] = {&s->world.not_see, &s->world.not_read, &s->world.not_destroy,
				&s->world.not_name};
	bool *one = denied[which % 4];

	*one = !*one;
	sim_trace(s, "    the key may %s %s", *one ? "no longer" : "again",
		  which % 4 == 0   ? "see"
		  : which % 4 == 1 ? "read"
		  : which % 4 == 2 ? "destroy"
				   : "name");
}

static void trouble(struct sim *s, const struct event *ev)
{
	int i = (int)(ev->a % (unsigned)(s->world.n_mail ? s->world.n_mail : 1));
	struct mail *m = &s->world.mail[i];

	if (!m->there || !stalwart_is(s, m) || m->for_ever)
		return;
	m->trouble = ev->b % 4 == 0   ? TROUBLE_NONE
		     : ev->b % 4 == 1 ? TROUBLE_OMITTED
				      : TROUBLE_BREAKS;
	/* A message that is gone does not come back. */
	m->for_ever = ev->b % 4 == 1 || (ev->b % 4 > 1 && ev->c % 4 == 0);
	sim_trace(s, "    message %d: trouble %u%s", i, ev->b % 4,
		  m->for_ever ? " for ever" : "");
}

bool stalwart_event(struct sim *s, const struct event *ev)
{
	if (!s->setup->stalwart || ev->seed % 3 == 0)
		return false;
	switch (ev->kind) {
	case EVENT_FLAG:
		train(s);
		return true;
	case EVENT_KEYWORD:
		permit(s, ev->b);
		return true;
	case EVENT_EXPUNGE:
		vanish(s, oldest(s), "expired");
		return true;
	case EVENT_TROUBLE:
		trouble(s, ev);
		return true;
	case EVENT_SNAPSHOT:
		disk_save(&s->disk);
		spamd_save(&s->spamd);
		return true;
	case EVENT_RESTORE:
		if (disk_restore(&s->disk)) {
			model_forgets_all(s);
			spamd_restore(&s->spamd);
		}
		return true;
	default:
		return false;
	}
}

void stalwart_heal(struct sim *s)
{
	struct world *w = &s->world;

	w->not_see = w->not_read = w->not_destroy = w->not_name = false;
}

/* ---- what the ledger says ---- */

static const char digits[] = "abcdefghijklmnopqrstuvwxyz792013";

/* A number that tells the time, as a real one's; or no number. */
static void name_of(const struct sim *s, int mail, char *name, size_t size)
{
	uint64_t n = (uint64_t)(s->world.mail[mail].date - SNOWFLAKE_EPOCH) * 1000 << 21 |
		     (uint64_t)mail << 9;
	char text[14] = "", *p = text + sizeof text - 1;

	for (; n > 0; n >>= 5)
		*--p = digits[n % 32];
	if (s->setup->tells)
		snprintf(name, size, "%s", p);
	else
		snprintf(name, size, "s-%d", mail);
}

/* The number of the mail that has this name. */
static int mail_of(const struct sim *s, const char *name)
{
	uint64_t n = 0;

	if (!s->setup->tells)
		return atoi(name + strlen("s-"));
	for (; *name; name++)
		n = n << 5 | (uint64_t)(strchr(digits, *name) - digits);
	return n >> 9 & 0xfff;
}

/* The value of "SERVER NUL kind name" in the ledger. */
static bool look_up(struct sim *s, const struct mail *m, char kind, const char *name,
		    struct store_value *v)
{
	const char *server = s->names[s->setup->box[m->box].account];
	struct store *data = s->disk.data;
	char key[100];
	struct err e;
	int len = snprintf(key, sizeof key, "%s%c%c%s", server, '\0', kind, name);

	return data->ops->get(data, STORE_SAMPLE, (struct store_value){key, (size_t)len}, v,
			      &e) == 1;
}

static uint32_t take32(const void *data)
{
	uint32_t n;

	memcpy(&n, data, sizeof n);
	return be32toh(n);
}

uint32_t stalwart_number(struct sim *s, const struct mail *m, uint32_t *identity)
{
	struct store_value v;
	char name[16];

	name_of(s, (int)(m - s->world.mail), name, sizeof name);
	if (!look_up(s, m, 'h', "", &v) || v.len < 5)
		return 0;
	*identity = take32((const char *)v.data + 1);
	return look_up(s, m, 'i', name, &v) && v.len == 4 ? take32(v.data) : 0;
}

/* ---- the server, as the program sees it ---- */

struct download {
	uint32_t owner, max_size;
	int mail;
};

struct sim_stalwart {
	struct account_stalwart a; /* the program's */
	struct stalwart server;
	struct conf_stalwart conf;
	char *except[1];
	struct sim *sim; /* borrowed */
	int number;
	struct download download[JMAP_DOWNLOADS];
	size_t running;
};

static struct sim_stalwart *of(struct stalwart *s)
{
	return (struct sim_stalwart *)((char *)s - offsetof(struct sim_stalwart, server));
}

static int cut(const struct sim_stalwart *x, struct err *e)
{
	return err_set(e, ERR_SERVER, ERR_UNREACHABLE, "stalwart %s: the connection broke",
		       x->conf.name);
}

static int pass(const struct sim_stalwart *x, struct err *e)
{
	unsigned one_in = x->sim->faults->break_one_in;

	if (!sim_step(x->sim))
		return sim_killed(e);
	if (watching_hangs(x->sim, x->number, e) == -1)
		return -1;
	if (one_in > 0 && rng_mix(x->sim->fault_seed, x->sim->step) % one_in == 0)
		return cut(x, e);
	return 0;
}

static int needs(const struct sim_stalwart *x, const char *permission, struct err *e)
{
	return stalwart_needs(&x->conf, permission, "do it", e);
}

static bool is_listed(const struct sim *s, int i)
{
	return s->world.mail[i].there && stalwart_is(s, &s->world.mail[i]);
}

/* The next one behind this place in the list; -1: none. */
static int behind(const struct sim *s, int64_t place, bool newest)
{
	int found = -1;

	for (int i = 0; i < s->world.n_mail; i++) {
		int64_t p = s->world.mail[i].place;

		if (is_listed(s, i) && (newest ? p < place : p > place) &&
		    (found == -1 || (newest ? p > s->world.mail[found].place
					    : p < s->world.mail[found].place)))
			found = i;
	}
	return found;
}

/* The sample of this name, if it is there; -1. */
static int find(const struct sim *s, const char *name)
{
	int i = mail_of(s, name);

	return is_listed(s, i) ? i : -1;
}

static int sim_list(struct stalwart *server, bool newest, const char *after, size_t max,
		    struct stalwart_page *out, struct err *e)
{
	struct sim_stalwart *x = of(server);
	struct sim *s = x->sim;
	int64_t place = newest ? INT64_MAX : INT64_MIN;

	*out = (struct stalwart_page){0};
	if (pass(x, e) == -1)
		return -1;
	if (s->world.not_see)
		return needs(x, STALWART_MAY_SEE, e);
	if (after && find(s, after) == -1)
		return 0;
	if (after)
		place = s->world.mail[find(s, after)].place;
	for (int i = 0; i < s->world.n_mail; i++) {
		int64_t p = s->world.mail[i].place;

		out->total += is_listed(s, i);
		out->position += after && is_listed(s, i) && (newest ? p >= place : p <= place);
	}
	out->id = calloc(PAGE, sizeof *out->id);
	for (int i; out->n < PAGE && out->n < max && (i = behind(s, place, newest)) != -1;) {
		name_of(s, i, out->id[out->n].text, sizeof out->id->text);
		out->n++;
		place = s->world.mail[i].place;
	}
	return 1;
}

static int sim_get(struct stalwart *server, const struct stalwart_id *id, size_t n,
		   struct sample *out, struct err *e)
{
	struct sim_stalwart *x = of(server);
	const struct sim *s = x->sim;

	if (pass(x, e) == -1)
		return -1;
	memset(out, 0, n * sizeof *out);
	for (size_t k = 0; k < n; k++) {
		int i = find(s, id[k].text);
		const struct mail *m = &s->world.mail[i == -1 ? 0 : i];

		if (i == -1 || s->world.not_see)
			continue;
		out[k].class = world_class(s, m);
		out[k].date = (m->date / DAY + HELD_FOR) * DAY;
		name_of(s, i, out[k].name, sizeof out[k].name);
		snprintf(out[k].account, sizeof out[k].account, "u%d", m->user);
		snprintf(out[k].blob, sizeof out[k].blob, "c%d", m->content);
	}
	return 0;
}

static int sim_meet(struct stalwart *server, const struct sample *sample, size_t n, bool must,
		    struct err *e)
{
	struct sim_stalwart *x = of(server);

	(void)sample;
	(void)n;
	if (pass(x, e) == -1)
		return -1;
	return x->sim->world.not_name && must ? needs(x, STALWART_MAY_NAME, e) : 0;
}

static const char *sim_address(struct stalwart *server, const char *account, bool must,
			       struct err *e)
{
	struct sim_stalwart *x = of(server);
	const struct sim *s = x->sim;

	if (pass(x, e) == -1)
		return NULL;
	/* An id in the place of an address would be another reporter. */
	if (s->world.not_name)
		must = true;
	if (s->world.not_name && must && needs(x, STALWART_MAY_NAME, e) == -1)
		return NULL;
	return s->owners[atoi(account + 1)];
}

static int sim_may(struct stalwart *server, const char *permission, struct err *e)
{
	struct sim_stalwart *x = of(server);
	const struct world *w = &x->sim->world;

	if (pass(x, e) == -1)
		return -1;
	if (x->sim->setup->silent)
		return 2;
	return !((w->not_see && strcmp(permission, STALWART_MAY_SEE) == 0) ||
		 (w->not_read && strcmp(permission, STALWART_MAY_READ) == 0) ||
		 (w->not_destroy && strcmp(permission, STALWART_MAY_DESTROY) == 0));
}

/* What counts must be settled; of what does not, what counts has to be among them or gone. */
static void judge_one(struct sim *s, int mail)
{
	static const struct source_removal how = {.move_to = NULL};

	if (mail == -1)
		return;
	if (stalwart_counts(s, mail))
		model_removes_one(s, mail, &how);
	else
		model_leaves(s, mail);
}

static void destroy_one(struct sim *s, int mail)
{
	if (mail == -1)
		return;
	world_remove(s, mail);
	sim_trace(s, "    message %d: destroyed by us", mail);
}

static int sim_destroy(struct stalwart *server, const struct stalwart_id *id, size_t n,
		       struct err *e)
{
	struct sim_stalwart *x = of(server);
	struct sim *s = x->sim;

	if (pass(x, e) == -1)
		return -1;
	if (s->world.not_destroy)
		return needs(x, STALWART_MAY_DESTROY, e);
	/* What is not seen is said to be gone. */
	for (size_t i = 0; i < n && !s->world.not_see; i++)
		judge_one(s, find(s, id[i].text));
	for (size_t i = 0; i < n && !s->world.not_see; i++)
		destroy_one(s, find(s, id[i].text));
	return pass(x, e);
}

/* ---- downloads ---- */

static int sim_begin(struct stalwart *server, const struct sample *what, uint32_t max_size,
		     uint32_t owner, struct err *e)
{
	struct sim_stalwart *x = of(server);

	if (pass(x, e) == -1)
		return -1;
	x->download[x->running++] =
	    (struct download){owner, max_size, mail_of(x->sim, what->name)};
	return 0;
}

static void answer(const struct sim_stalwart *x, const struct download *d,
		   struct jmap_result *out)
{
	const struct sim *s = x->sim;
	const struct mail *m = &s->world.mail[d->mail];

	*out = (struct jmap_result){.fate = JMAP_MISSING, .owner = d->owner};
	/* The message of a sample that vanished may still lie in a mailbox. */
	if (s->world.not_read || m->trouble == TROUBLE_OMITTED ||
	    (!m->there && d->mail % 2 == 0))
		return;
	out->fate = JMAP_BROKEN;
	if (m->trouble == TROUBLE_BREAKS) {
		out->flaw = "the connection broke";
		return;
	}
	out->size = m->size;
	out->fate = m->size > d->max_size ? JMAP_LARGE : JMAP_BODY;
	if (out->fate == JMAP_LARGE)
		return;
	buf_init(&out->body, 2 * LARGE_SIZE);
	world_body(s, m, &out->body);
}

static int sim_take(struct stalwart *server, struct jmap_result *out, struct wait *wait,
		    struct err *e)
{
	struct sim_stalwart *x = of(server);
	const struct sim *s = x->sim;
	uint64_t chance;

	if (pass(x, e) == -1)
		return -1;
	chance = s->orderly ? 1 : rng_mix(s->fault_seed, s->step + 3);
	if (chance % 8 == 0) {
		*wait = (struct wait){-1, 0, 50};
		return 0;
	}
	answer(x, &x->download[0], out);
	x->running--;
	memmove(&x->download[0], &x->download[1], x->running * sizeof x->download[0]);
	return 1;
}

static size_t sim_running(const struct stalwart *server)
{
	return of((struct stalwart *)server)->running;
}

static uint32_t sim_ready_size(const struct stalwart *server)
{
	(void)server;
	return 0;
}

static void sim_abandon(struct stalwart *server)
{
	of(server)->running = 0;
}

static void sim_close(struct stalwart *server)
{
	of(server)->running = 0;
}

static const struct stalwart_ops server_ops = {
    .list = sim_list,
    .get = sim_get,
    .meet = sim_meet,
    .address = sim_address,
    .destroy = sim_destroy,
    .begin = sim_begin,
    .take = sim_take,
    .running = sim_running,
    .ready_size = sim_ready_size,
    .abandon = sim_abandon,
    .may = sim_may,
    .close = sim_close,
};

/* ---- the account ---- */

static int sim_connect(struct account *account, struct err *e)
{
	struct sim_stalwart *x = (struct sim_stalwart *)account;

	if (server_lets_in(x->sim, x->number, account->name, e) == -1)
		return -1;
	x->a.looked = false;
	x->a.broken = 0;
	x->a.server = &x->server;
	return 0;
}

static struct source *sim_source(struct account *account, size_t i)
{
	(void)i;
	return source_stalwart(&((struct sim_stalwart *)account)->a);
}

static void sim_disconnect(struct account *account)
{
	((struct sim_stalwart *)account)->a.server = NULL;
}

static void sim_free(struct account *account)
{
	free(account);
}

static int sim_listen(struct account *account, const struct account_listener *l, struct err *e)
{
	const struct sim_stalwart *x = (struct sim_stalwart *)account;

	return watching_listen(x->sim, x->number, l, e);
}

static const struct account_ops account_ops = {
    .connect = sim_connect,
    .source = sim_source,
    .disconnect = sim_disconnect,
    .free = sim_free,
    .listen = sim_listen,
};

struct account *stalwart_account(struct sim *s, int number)
{
	struct sim_stalwart *x = calloc(1, sizeof *x);

	x->sim = s;
	x->number = number;
	x->except[0] = s->owners[USERS];
	x->conf = (struct conf_stalwart){.name = s->names[number],
					 .except = x->except,
					 .n_except = 1,
					 .accounts_only = true,
					 .destroy = s->setup->destroy};
	x->server = (struct stalwart){&server_ops, "self"};
	x->a.account = (struct account){
	    .ops = &account_ops, .name = s->names[number], .n = 1, .by_request = true};
	x->a.conf = &x->conf;
	x->a.reports = &s->conf.reports;
	return &x->a.account;
}
