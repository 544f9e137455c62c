/*
 * conf.c and what it is made of: what is read, every default, and every refusal with its line
 * and its cure. In the texts below ~ stands for a temporary folder.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "fake/fixture.h"
#include "fake/memory.h"

#ifndef CONF_EXAMPLES
#define CONF_EXAMPLES "conf" /* from the top of the source */
#endif

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The least that loads, and pieces to put together; each is one line. */
#define PW	"password-file = \"~/pw\" "
#define URL	"url = \"imaps://mail.example.org\" "
#define SPAM	"mailbox INBOX { class = spam } "
#define ACCOUNT "account spam@example.org { " URL PW SPAM "}\n"

static char dir[] = "/tmp/test_conf.XXXXXX";

static void path_in(char *path, size_t size, const char *name)
{
	assert_true(snprintf(path, size, "%s/%s", dir, name) < (int)size);
}

static void write_file(const char *name, const char *data, size_t len, mode_t mode)
{
	char path[256];
	FILE *f;

	path_in(path, sizeof path, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static unsigned out_of_memory; /* at this allocation of a load; 0: never */

static int load_bytes(const char *data, size_t len, struct conf **c, struct err *e)
{
	char path[256];
	int rc;

	path_in(path, sizeof path, "conf");
	write_file("conf", data, len, 0644);
	err_clear(e);
	fake_memory_fails(out_of_memory);
	rc = conf_load(path, NULL, NULL, c, e);
	out_of_memory = fake_memory_failed() ? out_of_memory : 0;
	fake_memory_fails(0);
	return rc;
}

static int load(const char *text, struct conf **c, struct err *e)
{
	struct buf b;
	int rc;

	buf_init(&b, 4 << 20);
	for (; *text != '\0'; text++)
		assert_int_equal(*text == '~' ? buf_adds(&b, dir) : buf_add(&b, text, 1), 0);
	rc = load_bytes(b.data != NULL ? b.data : "", b.len, c, e);
	buf_free(&b);
	return rc;
}

static struct conf *load_ok(const char *text)
{
	struct conf *c = NULL;
	struct err e;

	if (load(text, &c, &e) == -1)
		fail_msg("refused: %s", e.text);
	return c;
}

/* ---- what is read ---- */

static void test_defaults(void **state)
{
	struct conf *c = load_ok(ACCOUNT);
	const struct conf_account *a = &c->accounts[0];

	(void)state;
	assert_string_equal(c->rspamd.url, "http://localhost:11334");
	assert_int_equal(c->rspamd.password.kind, SECRET_NONE);
	assert_null(c->rspamd.ca_file);
	assert_int_equal(c->rspamd.connections, 16);
	assert_int_equal(c->rspamd.timeout, 30);
	assert_int_equal(c->rspamd.tries, 4);
	assert_false(c->rspamd.bulk);
	assert_false(c->rspamd.insecure);
	assert_null(c->rspamd.classifier);
	assert_null(c->rspamd.deliver_to);
	assert_string_equal(c->ledger, "/var/lib/learnspool");
	assert_int_equal(c->max_size, 10 * 1024 * 1024);
	assert_false(c->skip_encrypted);
	assert_int_equal(c->retention.learned, CONF_NEVER);
	assert_int_equal(c->retention.skipped, CONF_NEVER);
	assert_int_equal(c->retention.failed, CONF_NEVER);
	assert_int_equal(c->retention.forget, 400 * 86400);
	assert_int_equal(c->retention.action, CONF_DELETE);
	assert_int_equal(c->retention.max_per_run, 5000);
	assert_false(c->retention.without_uidplus);
	assert_int_equal(c->watch.poll, 60);
	assert_int_equal(c->watch.rescan, 3600);
	assert_int_equal(c->watch.expire_at, 3 * 60 + 30);
	assert_int_equal(c->n_spools, 0);
	assert_int_equal(c->n_accounts, 1);
	assert_string_equal(a->name, "spam@example.org");
	assert_string_equal(a->user, "spam@example.org");
	assert_string_equal(a->url, "imaps://mail.example.org");
	assert_false(a->insecure);
	assert_null(a->ca_file);
	assert_int_equal(a->auth, CONF_AUTH_PASSWORD);
	assert_int_equal(a->timeout, 60);
	assert_int_equal(a->n_mailboxes, 1);
	assert_string_equal(a->mailboxes[0].name, "INBOX");
	assert_int_equal(a->mailboxes[0].class, CLASS_SPAM);
	assert_false(a->mailboxes[0].special_use);
	assert_false(a->mailboxes[0].seen_only);
	assert_true(a->mailboxes[0].expire);
	assert_int_equal(a->mailboxes[0].hold, 0);
	assert_null(a->reporter);
	conf_free(c);
}

static void test_reports_defaults(void **state)
{
	struct conf *c = load_ok(ACCOUNT);
	const struct conf_reports *r = &c->reports;

	(void)state;
	assert_int_equal(r->token.kind, SECRET_NONE);
	assert_null(r->senders);
	assert_null(r->received);
	assert_string_equal(r->delimiter, "+");
	assert_int_equal(r->quorum, 1);
	assert_int_equal(r->quorum_within, 30 * 86400);
	assert_int_equal(r->hold, 0);
	assert_false(c->rspamd.deliver_to_reporter);
	conf_free(c);
}

static void test_report_keys(void **state)
{
	struct conf *c =
	    load_ok("account a { " URL PW "reporter = 'Alice@Example.org'\n" SPAM
		    "mailbox Ham { class = ham hold = 0s }\n"
		    "mailbox Sent { class = ham hold = 3650d }}\n"
		    "reports { token-file = \"~/pw\" senders = '@x' received = ::1\n"
		    "quorum = 32 quorum-within = never hold = 90m\n"
		    "recipient-delimiter = '+-' }\n");
	const struct conf_account *a = &c->accounts[0];
	const struct conf_reports *r = &c->reports;

	(void)state;
	assert_string_equal(a->reporter, "Alice@Example.org");
	assert_int_equal(r->token.kind, SECRET_FILE);
	assert_string_equal(r->senders, "@x");
	assert_string_equal(r->received, "::1");
	assert_string_equal(r->delimiter, "+-");
	assert_int_equal(r->quorum, CONF_MAX_QUORUM);
	assert_int_equal(r->quorum_within, CONF_NEVER);
	assert_int_equal(r->hold, 90 * 60);
	/* A mailbox's own hold goes before that of all. */
	assert_int_equal(a->mailboxes[0].hold, 90 * 60);
	assert_int_equal(a->mailboxes[1].hold, 0);
	assert_int_equal(a->mailboxes[2].hold, INT64_C(3650) * 86400);
	conf_free(c);
}

/* "" is a value: addresses have no extensions then. */
static void test_no_delimiter(void **state)
{
	struct conf *c = load_ok(ACCOUNT "reports { recipient-delimiter = '' }");

	(void)state;
	assert_string_equal(c->reports.delimiter, "");
	conf_free(c);
	c = load_ok(ACCOUNT "reports { recipient-delimiter = '+-=_.!#$' }");
	assert_string_equal(c->reports.delimiter, "+-=_.!#$");
	conf_free(c);
}

static void test_default_conf(void **state)
{
	struct conf *c = conf_default();
	struct err e;

	(void)state;
	assert_non_null(c);
	assert_string_equal(c->rspamd.url, "http://localhost:11334");
	assert_int_equal(conf_check(c, &e), -1); /* it has no account yet */
	assert_non_null(strstr(e.text, "add an account"));
	conf_free(c);
}

static const char everything[] =
    "# every key once\n"
    "/* a comment of\n"
    "   two lines */ // and another\n"
    "ledger = \"~/ledger\"  max-size = 512K\n"
    "encrypted = skip\n"
    "rspamd {\n"
    "	url = \"https://rspamd.example.org:8443/prefix/\"\n"
    "	password-command = \"echo \\\"a\\\" '#' \\${HOME}\"\n"
    "	ca-file = \"~/pw\"\n"
    "	connections = 64 timeout = 5m tries = 20 bulk = true insecure = yes\n"
    "	classifier = bayes deliver-to = \"me@example.org\"\n"
    "}\n"
    "account \"Zentrale \xc3\x84\" {\n"
    "	url = imap://127.0.0.1:1143/ user = 'alice@example.org%admin@example.org'\n"
    "	insecure = true ca-file = \"~/pw\" auth = xoauth2 token-file = \"~/pw\" timeout = 1h\n"
    "	keep = true\n"
    "	mailbox \"\\\\Junk\" { class = spam seen-only = true }\n"
    "	mailbox '\\Archive' { class = ham keep = false }\n"
    "	mailbox \"Gel\xc3\xb6scht \\\"x\\\"\" { class = ham }\n"
    "}\n"
    "spool \"~/spool\" { }\n"
    "stalwart \"mail\" { url = \"https://x/\" key-file = \"~/pw\" except = { a@b, \"c@d\" } }\n"
    "retention {\n"
    "	learned = 7d skipped = 12h failed = 90s forget = 3650d\n"
    "	action = move \"Old Mail\" max-per-run = 1 without-uidplus = true\n"
    "}\n"
    "watch { poll = 5s rescan = 1d expire-at = \"23:59\" }";

static void check_mailbox(const struct conf_mailbox *m, const char *name, enum mail_class class,
			  bool special_use, bool seen_only, bool expire)
{
	assert_string_equal(m->name, name);
	assert_int_equal(m->class, class);
	assert_int_equal(m->special_use, special_use);
	assert_int_equal(m->seen_only, seen_only);
	assert_int_equal(m->expire, expire);
}

static void check_account(const struct conf_account *a)
{
	assert_string_equal(a->name, "Zentrale \xc3\x84");
	assert_string_equal(a->url, "imap://127.0.0.1:1143");
	assert_string_equal(a->user, "alice@example.org%admin@example.org");
	assert_true(a->insecure);
	assert_int_equal(a->auth, CONF_AUTH_XOAUTH2);
	assert_int_equal(a->password.kind, SECRET_FILE);
	assert_int_equal(a->timeout, 3600);
	assert_int_equal(a->n_mailboxes, 3);
	check_mailbox(&a->mailboxes[0], "\\Junk", CLASS_SPAM, true, true, false);
	check_mailbox(&a->mailboxes[1], "\\Archive", CLASS_HAM, true, false, true);
	check_mailbox(&a->mailboxes[2], "Gel\xc3\xb6scht \"x\"", CLASS_HAM, false, false,
		      false);
}

static void check_rspamd(const struct conf_rspamd *r)
{
	assert_string_equal(r->url, "https://rspamd.example.org:8443/prefix");
	assert_int_equal(r->password.kind, SECRET_COMMAND);
	assert_string_equal(r->password.where, "echo \"a\" '#' ${HOME}");
	assert_int_equal(r->connections, 64);
	assert_int_equal(r->timeout, 300);
	assert_int_equal(r->tries, 20);
	assert_true(r->bulk);
	assert_true(r->insecure);
	assert_string_equal(r->classifier, "bayes");
	assert_string_equal(r->deliver_to, "me@example.org");
}

static void test_everything(void **state)
{
	struct conf *c = load_ok(everything);
	const struct conf_retention *r = &c->retention;
	char path[256];

	(void)state;
	check_rspamd(&c->rspamd);
	assert_int_equal(c->n_accounts, 1);
	check_account(&c->accounts[0]);
	path_in(path, sizeof path, "ledger");
	assert_string_equal(c->ledger, path);
	path_in(path, sizeof path, "spool");
	assert_int_equal(c->n_spools, 1);
	assert_string_equal(c->spools[0].path, path);
	assert_int_equal(c->max_size, 512 * 1024);
	assert_true(c->skip_encrypted);
	assert_int_equal(r->learned, 7 * 86400);
	assert_int_equal(r->skipped, 12 * 3600);
	assert_int_equal(r->failed, 90);
	assert_int_equal(r->forget, 3650 * 86400);
	assert_int_equal(r->action, CONF_MOVE);
	assert_string_equal(r->move_to, "Old Mail");
	assert_int_equal(r->max_per_run, 1);
	assert_true(r->without_uidplus);
	assert_int_equal(c->watch.poll, 5);
	assert_int_equal(c->watch.rescan, 86400);
	assert_int_equal(c->watch.expire_at, 23 * 60 + 59);
	conf_free(c);
}

/* Who must prove that mail is a report, and from whom retention takes: the account's word, the
 * mailbox's own before it. */
static const struct {
	const char *account, *mailbox;
	bool expire, proof;
} owners[] = {
    {"", "", true, true},
    {"", "keep = false", true, true},
    {"", "keep = true", false, false},
    {"", "trusted = true", true, false},
    {"", "trusted = false", true, true},
    {"", "keep = true trusted = false", false, true},
    {"", "keep = false trusted = true", true, false},
    {"keep = true", "", false, false},
    {"keep = true", "keep = false", true, true},
    {"keep = true", "trusted = false", false, true},
    {"keep = false", "", true, true},
    {"keep = false", "keep = true", false, false},
    {"trusted = true", "", true, false},
    {"trusted = true", "trusted = false", true, true},
    {"trusted = false", "", true, true},
    {"trusted = false", "trusted = true", true, false},
    {"trusted = false", "keep = true", false, true},
};

static void test_owners(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(owners); i++) {
		char text[512];
		struct conf *c;

		snprintf(text, sizeof text,
			 "account a { " URL PW "%s mailbox A { class = ham %s } }",
			 owners[i].account, owners[i].mailbox);
		c = load_ok(text);
		if (c->accounts[0].mailboxes[0].expire != owners[i].expire ||
		    c->accounts[0].mailboxes[0].proof != owners[i].proof)
			fail_msg("%s: expire %d, proof %d", text,
				 c->accounts[0].mailboxes[0].expire,
				 c->accounts[0].mailboxes[0].proof);
		conf_free(c);
	}
}

static void test_reports(void **state)
{
	struct conf *c = load_ok(ACCOUNT);

	(void)state;
	assert_int_equal(c->reports.token.kind, SECRET_NONE);
	assert_null(c->reports.senders);
	assert_null(c->reports.received);
	assert_int_equal(c->reports.quorum, 1);
	assert_int_equal(c->reports.quorum_within, 30 * 86400);
	assert_int_equal(c->reports.hold, 0);
	assert_int_equal(c->accounts[0].mailboxes[0].hold, 0);
	conf_free(c);

	/* The block counts for mailboxes that stand above it, too. */
	c = load_ok("account a { " URL PW "mailbox A { class = ham hold = 5m }\n"
		    "mailbox B { class = ham hold = 0s } mailbox C { class = ham } }\n"
		    "reports { token-file = \"~/pw\" senders = '@example.org' hold = 1h\n"
		    "received = '127.0.0.1 ::1' quorum = 32 quorum-within = 1s }");
	assert_int_equal(c->reports.token.kind, SECRET_FILE);
	assert_string_equal(c->reports.senders, "@example.org");
	assert_string_equal(c->reports.received, "127.0.0.1 ::1");
	assert_int_equal(c->reports.quorum, 32);
	assert_int_equal(c->reports.quorum_within, 1);
	assert_int_equal(c->reports.hold, 3600);
	assert_int_equal(c->accounts[0].mailboxes[0].hold, 300);
	assert_int_equal(c->accounts[0].mailboxes[1].hold, 0);
	assert_int_equal(c->accounts[0].mailboxes[2].hold, 3600);
	conf_free(c);
}

static const struct {
	const char *text;
	int64_t learned, known, skipped, untrusted;
} ages[] = {
    {"", CONF_NEVER, CONF_NEVER, CONF_NEVER, CONF_NEVER},
    {"retention { }", CONF_NEVER, CONF_NEVER, CONF_NEVER, CONF_NEVER},
    {"retention { learned = 1d }", 86400, 86400, CONF_NEVER, CONF_NEVER},
    {"retention { skipped = 1d }", CONF_NEVER, CONF_NEVER, 86400, 86400},
    {"retention { learned = 1d known = never }", 86400, CONF_NEVER, CONF_NEVER, CONF_NEVER},
    {"retention { known = 2d learned = 1d }", 86400, 2 * 86400, CONF_NEVER, CONF_NEVER},
    {"retention { known = 2d }", CONF_NEVER, 2 * 86400, CONF_NEVER, CONF_NEVER},
    {"retention { skipped = 1d untrusted = never }", CONF_NEVER, CONF_NEVER, 86400, CONF_NEVER},
    {"retention { untrusted = 2d skipped = 1d }", CONF_NEVER, CONF_NEVER, 86400, 2 * 86400},
    {"retention { untrusted = 0s }", CONF_NEVER, CONF_NEVER, CONF_NEVER, 0},
};

/* What is known goes as what was learned does, what is untrusted as what was skipped. */
static void test_ages(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(ages); i++) {
		char text[512];
		struct conf *c;

		snprintf(text, sizeof text, ACCOUNT "%s", ages[i].text);
		c = load_ok(text);
		assert_int_equal(c->retention.learned, ages[i].learned);
		assert_int_equal(c->retention.known, ages[i].known);
		assert_int_equal(c->retention.skipped, ages[i].skipped);
		assert_int_equal(c->retention.untrusted, ages[i].untrusted);
		assert_int_equal(c->retention.failed, CONF_NEVER);
		conf_free(c);
	}
}

/* Any one of them makes retention one, and must be shorter than what the ledger remembers. */
static void test_each_age(void **state)
{
	static const char *const names[] = {"learned", "known", "skipped", "untrusted",
					    "failed"};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		struct conf *c = NULL;
		char text[512];
		struct err e;

		snprintf(text, sizeof text, ACCOUNT "retention { %s = 399d }", names[i]);
		c = load_ok(text);
		assert_true(conf_retention_active(&c->retention));
		conf_free(c);
		c = NULL;
		snprintf(text, sizeof text, ACCOUNT "retention { %s = 400d }", names[i]);
		assert_int_equal(load(text, &c, &e), -1);
		assert_non_null(strstr(e.text, "forget is not longer"));
		snprintf(text, sizeof text, ACCOUNT "retention { %s = 400d forget = never }",
			 names[i]);
		c = load_ok(text);
		assert_int_equal(c->retention.forget, CONF_NEVER);
		conf_free(c);
	}
	{
		struct conf *c = NULL;
		struct err e;

		assert_int_equal(
		    load(ACCOUNT "retention { learned = 400d known = never }", &c, &e), -1);
		assert_non_null(strstr(e.text, "forget is not longer"));
	}
	{
		struct conf *c = load_ok(ACCOUNT "retention { forget = 1d }");

		assert_false(conf_retention_active(&c->retention));
		conf_free(c);
	}
}

static void test_deliver_to(void **state)
{
	struct conf *c = load_ok(ACCOUNT "rspamd { deliver-to = reporter }");

	(void)state;
	assert_true(c->rspamd.deliver_to_reporter);
	conf_free(c);
	c = load_ok(ACCOUNT "rspamd { deliver-to = Reporter }");
	assert_false(c->rspamd.deliver_to_reporter);
	conf_free(c);
	c = load_ok(ACCOUNT);
	assert_false(c->rspamd.deliver_to_reporter);
	conf_free(c);
}

static void test_auth(void **state)
{
	static const char *const names[] = {
	    [CONF_AUTH_PASSWORD] = "password",
	    [CONF_AUTH_OAUTHBEARER] = "oauthbearer",
	    [CONF_AUTH_XOAUTH2] = "xoauth2",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		char text[512];
		struct conf *c;

		snprintf(text, sizeof text, "account a { " URL PW SPAM "auth = %s }", names[i]);
		c = load_ok(text);
		assert_int_equal(c->accounts[0].auth, i);
		conf_free(c);
	}
}

static void test_accepted(void **state)
{
	static const char *const texts[] = {
	    "spool /var/spool/learnspool { }",
	    "ledger = '/a\\\\' " ACCOUNT, /* two backslashes, and the string ends */
	    "ledger = '/it\\'s' " ACCOUNT,
	    ACCOUNT "reports { hold = 0s }",
	    ACCOUNT "retention { learned = never action = delete }",
	    ACCOUNT "retention { learned = 0s action = 'move Archive' }",
	    ACCOUNT "retention { learned = 7d action = \"move Archive\" }",
	    ACCOUNT "retention { learned = 7d action = move 'A  \"B\"' }",
	    ACCOUNT "rspamd { url = \"http://127.1.2.3:1\" " PW "}",
	    ACCOUNT "rspamd { url = \"http://[::1]:11334\" " PW "}",
	    ACCOUNT "rspamd { url = \"HTTP://LocalHost\" " PW "}",
	    ACCOUNT "rspamd { url = \"http://10.0.0.1\" }",
	    ACCOUNT "rspamd { url = \"http://10.0.0.1\" insecure = true " PW "}",
	    ACCOUNT "rspamd { url = \"https://10.0.0.1\" " PW "}",
	    "account a { " URL "auth = oauthbearer " PW SPAM "}",
	    "account a { " URL PW SPAM "mailbox Ham { class = ham } }", /* no retention */
	    "account a { " URL PW "keep = true " SPAM "mailbox Ham { class = ham } }\n"
	    "retention { learned = 7d }",
	    "account a { " URL PW "mailbox S { class = spam keep = false }\n"
	    "mailbox Ham { class = ham keep = true seen-only = true } }\nretention { learned = "
	    "7d }",
	    "account a { url = 'imaps://[2001:db8::1]:993' " PW SPAM "}\r\n",
	    "account a { " URL PW
	    "mailbox Inbox2 { class = spam } mailbox inbox { class = ham } }",
	    "max-size = 1024\n" ACCOUNT,
	    "max-size = 100M # largest\n" ACCOUNT "#",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		conf_free(load_ok(texts[i]));
}

static void test_move_keeps_quotes(void **state)
{
	struct conf *c = load_ok(ACCOUNT "retention { learned = 7d action = move 'A \"B\"' }");

	(void)state;
	assert_string_equal(c->retention.move_to, "A \"B\"");
	conf_free(c);
}

/* ---- what is refused ---- */

struct refusal {
	const char *text;
	int line;
	const char *what, *cure;
};

static const struct refusal syntax[] = {
    {"\nnope = 1\n", 2, "no such option 'nope'", "spelling"},
    {ACCOUNT "rspamd {\n\turl = \"http://a\"\n\tpasswd = x\n}", 4, "'passwd'", "spelling"},
    {"# c\n/* c */ // c\n#\n/* c\n\n */ nope = 1\n\n\n\n\n\n\n", 6, "'nope'", "spelling"},
    {"include(\"/etc/passwd\")\n", 1, "'include'", "spelling"},
    {"ledger = /a\n# c\n/* c\n */ ledger = /b\n", 4, "ledger is given twice, first on line 1",
     "keep one"},
    {"rspamd { }\n" ACCOUNT "rspamd { }\n", 3, "rspamd is given twice", "keep one"},
    {"ledger = \"/a\nmax-size = 3\n", 1, "string is not closed", "add the \""},
    {"ledger = '/a\n", 1, "string is not closed", "add the '"},
    {"ledger = \"/a", 1, "string is not closed", "add the \""},
    {"\n/* no end\n\n", 2, "comment is not closed", "add */"},
    {"\naccount a {\n mailbox b { }\n", 2, "not closed", "add the }"},
    {ACCOUNT "}\n", 2, "} too many", "remove it"},
    {"ledger = \"~/${HOME}\"\n", 1, "${...} is not replaced", "\\${"},
    {"\nledger = ${HOME}\n", 2, "${...} is not replaced", "single quotes"},
    {"\naccount a { mailbox \"\\Junk\" { class = spam } }\n", 2, "backslash", "write \\\\"},
    {"ledger = \"/a\\0b\"\n", 1, "backslash", "write \\\\"},
    {"ledger = \"/a\\", 1, "backslash", "write \\\\"},
    {"ledger = /a;\n", 1, "';' outside of quotes", "remove it"},
    {"account spam+x@example.org { }\n", 1, "'+' outside of quotes", "in quotes"},
    {"ledger = /var/*\n", 1, "'*' outside of quotes", "in quotes"},
    {"ledger += /a\n", 1, "'+' outside of quotes", "remove it"},
    {"ledger = \"/a\001b\"\n", 1, "control character", "retype"},
    {"account \"a\033[1m\" { }\n", 1, "control character", "retype"},
    {"ledger = /a\377\n", 1, "not UTF-8", "retype"},
    {"ledger = '/a\001b'\n", 1, "control character", "retype"},
    {"\n\"\" = x\n\n", 2, "\"\" instead of a key", "KEY = VALUE"},
    {"ledger = /a\n\rmax-size = 3\n", 2, "control character", "retype"},
    {"ledger\n", 1, "premature end", "missing"},
    {"ledger /a\n", 1, "missing equal sign", "KEY = VALUE"},
    {"account { }\n", 1, "missing title", "account \"spam@example.org\""},
    {"account a\n" URL "\n", 2, "missing opening brace", "put {"},
    {"ledger = (a)\n", 1, "unexpected token", "quotes"},
    {"account a { " URL "}\n\"account=a|url\" = x\n", 2, "path with |", "inside"},
    {ACCOUNT "\n" ACCOUNT, 3, "duplicate title 'spam@example.org'", "keep one"},
    {"account a { " URL PW "\n" SPAM "\n" SPAM "}\n", 3, "duplicate title 'INBOX'", "keep one"},
    {"spool /a { }\nspool /a { }\n", 2, "duplicate title '/a'", "keep one"},
    {"spool /a { class = spam }\n", 1, "'class'", "spelling"},
};

static const struct refusal values[] = {
    {"", 1, "nothing to learn from", "add an account"},
    {"ledger = /a\n\n", 2, "nothing to learn from", "spool"},
    {"\nledger = a\n" ACCOUNT, 2, "ledger = a: a relative path", "begin it with /"},
    {"\nspool a { }\n", 2, "relative path", "begin it with /"},
    {"\nspool \"/\x01\" { }\n", 2, "control character", "retype the line"},
    {"\nspool \"/a\" { trust = \"\" }\n", 2, "trust", "give a value"},
    {"\nledger = \"\"\n" ACCOUNT, 2, "relative path", "begin it with /"},
    {"max-size = 101M\n" ACCOUNT, 1, "must be from 1K to 100M", "max-size = 10M"},
    {"max-size = 1023\n" ACCOUNT, 1, "must be from 1K to 100M", "max-size = 10M"},
    {"max-size = 10m\n" ACCOUNT, 1, "must be from", "10M"},
    {"max-size = 18446744073709551616G\n" ACCOUNT, 1, "must be from", "10M"},
    {"max-size = 9007199254740993K\n" ACCOUNT, 1, "must be from", "10M"},
    {"max-size = M\n" ACCOUNT, 1, "must be from", "10M"},
    {"max-size = -1\n" ACCOUNT, 1, "must be from", "10M"},
    {"encrypted = no\n" ACCOUNT, 1, "encrypted = no: unknown", "learn or skip"},
    {ACCOUNT "rspamd {\n connections = 65 }\n", 3, "must be from 1 to 64", "connections = 4"},
    {ACCOUNT "rspamd {\n connections = 0 }\n", 3, "must be from 1 to 64", "connections = 4"},
    {ACCOUNT "rspamd {\n connections = 0x4 }\n", 3, "must be from 1 to 64", "connections = 4"},
    {ACCOUNT "rspamd {\n timeout = 30 }\n", 3, "must be from 1s to 1h", "timeout = 30s"},
    {ACCOUNT "rspamd {\n timeout = 61m }\n", 3, "must be from 1s to 1h", "timeout = 30s"},
    {ACCOUNT "rspamd {\n timeout = never }\n", 3, "must be from 1s to 1h", "timeout = 30s"},
    {ACCOUNT "rspamd {\n timeout = 0s }\n", 3, "must be from 1s to 1h", "timeout = 30s"},
    {ACCOUNT "rspamd {\n tries = 21 }\n", 3, "must be from 1 to 20", "write"},
    {ACCOUNT "rspamd {\n bulk = maybe }\n", 3, "neither true nor false", "write one"},
    {ACCOUNT "rspamd {\n classifier = '' }\n", 3, "empty", "give a value"},
    {ACCOUNT "retention {\n learned = 7 }\n", 3, "must be from 0s to 3650d", "7d"},
    {ACCOUNT "retention {\n skipped = 3651d }\n", 3, "must be from 0s to 3650d", "never"},
    {ACCOUNT "retention {\n forget = 0s }\n", 3, "must be from 1s to 3650d", "never"},
    {ACCOUNT "retention {\n skipped = 500d\n}\n", 4, "forget is not longer", "make it longer"},
    {ACCOUNT "retention {\n learned = 7d\n forget = 7d\n}\n", 4, "forget is not longer",
     "never"},
    {ACCOUNT "retention {\n action = remove }\n", 3, "unknown", "delete or move"},
    {ACCOUNT "retention {\n action = move }\n", 3, "unknown", "delete or move"},
    {ACCOUNT "retention {\n action = \"movx A\" }\n", 3, "unknown", "delete or move"},
    {ACCOUNT "retention {\n action = \"move \" }\n", 3, "empty", "give a value"},
    {ACCOUNT "retention {\n action = move \"INBOX\" }\n", 3, "account spam@example.org learns",
     "another"},
    {ACCOUNT "retention {\n action = move \"\\\\Trash\" }\n", 3, "special use",
     "name the mailbox"},
    {ACCOUNT "watch {\n poll = 0s }\n", 3, "must be from 1s to 1d", "write"},
    {ACCOUNT "watch {\n rescan = 2d }\n", 3, "must be from 1s to 1d", "write"},
    {ACCOUNT "watch {\n expire-at = \"24:00\" }\n", 3, "not a time of the day", "write"},
    {ACCOUNT "retention {\n max-per-run = 0 }\n", 3, "must be from 1 to", "write"},
};

static const struct refusal report_keys[] = {
    {ACCOUNT "reports {\n hold = never }\n", 3, "hold = never: must be from 0s to 3650d",
     "hold = 10m (0s turns it off)"},
    {ACCOUNT "reports {\n hold = -1s }\n", 3, "must be from 0s to 3650d", "10m"},
    {ACCOUNT "reports {\n hold = 3651d }\n", 3, "must be from 0s to 3650d", "10m"},
    {ACCOUNT "reports {\n hold = 5 }\n", 3, "must be from 0s to 3650d", "10m"},
    {"account a { " URL PW "mailbox INBOX { class = spam\n hold = never } }\n", 2,
     "hold = never: must be from 0s to 3650d", "0s turns it off"},
    {ACCOUNT "reports {\n quorum = 0 }\n", 3, "must be from 1 to 32", "write"},
    {ACCOUNT "reports {\n quorum = 33 }\n", 3, "must be from 1 to 32", "write"},
    {ACCOUNT "reports {\n quorum-within = 0s }\n", 3, "must be from 1s to 3650d", "never"},
    {ACCOUNT "reports {\n recipient-delimiter = '@' }\n", 3, "recipient-delimiter = @",
     "\"+-\""},
    {ACCOUNT "reports {\n recipient-delimiter = '+ -' }\n", 3, "must be at most 8 characters",
     "\"+-\""},
    {ACCOUNT "reports {\n recipient-delimiter = '+\"' }\n", 3, "must be at most 8 characters",
     "\"+-\""},
    {ACCOUNT "reports {\n recipient-delimiter = '+-=_.!#$^' }\n", 3,
     "must be at most 8 characters", "\"+-\""},
    {"account a { " URL PW SPAM "\nreporter = '' }\n", 2, "reporter = \"\": empty",
     "give a value"},
};

static const struct refusal rspamd[] = {
    {ACCOUNT "rspamd {\nurl = 'ftp://a' }\n", 3, "another scheme", "https://"},
    {ACCOUNT "rspamd {\nurl = '/' }\n", 3, "another scheme", "https://"},
    /* the line of the key, not that of the block's end */
    {ACCOUNT "rspamd {\npassword-file = \"~/open\"\n\n}\n", 3, "by others", "chmod 600"},
    {ACCOUNT "rspamd {\nca-file = \"~/none\"\n\n}\n", 3, "No such file", "PEM"},
    {ACCOUNT "rspamd {\nurl = 'localhost:11334' }\n", 3, "another scheme", "https://"},
    {ACCOUNT "rspamd {\nurl = 'http://' }\n", 3, "url is", "write SCHEME"},
    {ACCOUNT "rspamd {\nurl = 'http://a:99999' }\n", 3, "url is malformed", "write SCHEME"},
    {ACCOUNT "rspamd {\nurl = 'http://a b' }\n", 3, "url is malformed", "write SCHEME"},
    {ACCOUNT "rspamd {\nurl = 'http://u:hunter2@a' }\n", 3, "user or password",
     "password-file"},
    {ACCOUNT "rspamd {\nurl = 'http://a/?p=hunter2' }\n", 3, "query", "remove"},
    {ACCOUNT "rspamd {\nurl = 'http://a/#x' }\n", 3, "fragment", "remove"},
    {ACCOUNT "rspamd {\n\nurl = 'http://192.0.2.1:11334'\n" PW "}\n", 4, "in the clear",
     "insecure = true"},
    {ACCOUNT "rspamd {\n\nurl = 'http://localhost.example.org'\n" PW "}\n", 4, "in the clear",
     "https://"},
    {ACCOUNT "rspamd {\n\nca-file = ca.pem }\n", 4, "relative path", "begin it with /"},
    {ACCOUNT "rspamd {\n\nca-file = \"~/none\" }\n", 4, "No such file", "PEM"},
    {ACCOUNT "rspamd {\n\nca-file = \"~\" }\n", 4, "not a regular file", "PEM"},
    {ACCOUNT "rspamd {\n" PW "\npassword-env = X }\n", 4, "second place", "keep one"},
    {ACCOUNT "rspamd {\n\npassword-env = TEST_CONF_UNSET }\n", 4, "not set", "set it"},
    {ACCOUNT "rspamd {\n\npassword-file = \"~/open\" }\n", 4, "by others (mode 0644)",
     "chmod 600"},
    {ACCOUNT "rspamd {\n\npassword-file = \"~/none\" }\n", 4, "No such file", "create it"},
    {ACCOUNT "rspamd {\n\npassword-file = pw }\n", 4, "relative path", "begin it with /"},
    {ACCOUNT "rspamd {\n\npassword-credential = \"a/b\" }\n", 4, "not a plain name",
     "LoadCredential"},
};

static const struct refusal accounts[] = {
    {"account a {\n" PW SPAM "\n}\n", 3, "no url", "url = "},
    {"account a {\nurl = 'https://a'\n" PW SPAM "}\n", 2, "another scheme", "imaps://"},
    {"account a {\nurl = 'imaps://a/INBOX'\n" PW SPAM "}\n", 2, "path", "mailbox blocks"},
    {"account a {\nurl = 'imaps://u@a'\n" PW SPAM "}\n", 2, "user or password", "user"},
    {"account a {\nurl = 'imaps://u;AUTH=PLAIN:hunter2@a'\n" PW SPAM "}\n", 2,
     "user or password", "password-file"},
    {"account a {\nurl = 'imaps://;AUTH=PLAIN@a'\n" PW SPAM "}\n", 2, "user or password",
     "password-file"},
    {"account a {\nurl = 'imaps://a?x'\n" PW SPAM "}\n", 2, "query", "remove"},
    {"account a {\nurl = 'imaps://a:0'\n" PW SPAM "}\n", 2, "port", "port"},
    {"account '' { " URL PW SPAM "\n}\n", 2, "empty name", "name it"},
    {"account files { " URL PW SPAM "\n}\n", 2, "called \"files\"", "another name"},
    {"balance = 1:2\naccount a { " URL PW SPAM "\n}\n", 1, "larger one first", "2:1"},
    {"account a { " URL PW "\n}\n", 2, "no mailbox", "add, for instance"},
    {"account a { " URL SPAM "\n\n}\n", 3, "no password", "password-file"},
    {"account a { " URL PW "mailbox INBOX {\n}\n}\n", 2, "has no class", "class = spam"},
    {"account a { " URL PW "mailbox INBOX {\nclass = Spam }\n}\n", 2, "not a class",
     "spam or ham"},
    {"account a { " URL PW SPAM "\nmailbox inbox { class = ham } }\n", 2, "given twice",
     "keep one"},
    {"account a { " URL PW "mailbox '\\Junk' { class = spam }\nmailbox '\\junk' { class = spam "
     "} }\n",
     2, "given twice", "keep one"},
    {"account a { " URL PW "\nmailbox '\\Spam' { class = spam } }\n", 2, "not a special use",
     "\\\\Junk"},
    {"account a { " URL PW "\nmailbox '' { class = spam } }\n", 2, "empty name", "name it"},
    {"account a { " URL PW SPAM "\nca-file = \"~/none\" }\n", 2, "No such file", "PEM"},
    {"account a { " URL PW SPAM "\nauth = cram-md5 }\n", 2, "unknown", "xoauth2"},
    {"account a { " URL PW SPAM "\ntimeout = 2h }\n", 2, "must be from 1s to 1h", "30s"},
    {"account a { " URL SPAM "\ntoken-file = \"~/pw\" }\n", 2, "oauthbearer", "password-file"},
    {"account a { " URL SPAM "auth = xoauth2\ntoken-file = \"~/open\" }\n", 2, "by others",
     "chmod 600"},
    {"account a { " URL PW SPAM "auth = xoauth2\ntoken-env = X }\n", 2, "second place",
     "keep one"},
    {"account a { " URL SPAM "auth = xoauth2\ntoken-file = \"~/open\"\n\n}\n", 2, "by others",
     "chmod 600"},
    {"account a { " URL SPAM "\ntoken-env = X\n\n}\n", 2, "token-env is for auth = oauthbearer",
     "password-env"},
    {"account a { " URL PW SPAM "\nuser = \"\303\"\n\n}\n", 2, "not UTF-8", "retype"},
    {ACCOUNT "\naccount b { " URL SPAM "\npassword-file = \"~/open\" }\n", 4,
     "account b: ", "chmod 600"},
    {"account a { " URL PW "\n" SPAM "\nmailbox Ham { class = ham } }\n"
     "retention { learned = 7d }",
     2, "spam and ham", "keep = true"},
    {"account a { " URL PW "\nmailbox S { class = spam keep = false }\n"
     "mailbox Ham { class = ham } }\nretention { skipped = 7d }",
     3, "\"Ham\"", "keep = false"},
    {"account a { " URL PW "\nmailbox S { class = spam seen-only = true } }\n"
     "retention { failed = 7d }",
     2, "seen-only", "keep = true"},
};

static const struct refusal reports[] = {
    {ACCOUNT "reports {\ntoken-file = \"~/open\"\n\n}\n", 3, "reports: token: ", "chmod 600"},
    {ACCOUNT "reports {\n\ntoken-file = \"~/open\" }\n", 4, "reports: token: ", "chmod 600"},
    {ACCOUNT "reports {\ntoken-file = \"~/pw\"\n token-env = X }\n", 4, "second place",
     "keep one"},
    {ACCOUNT "reports {\n\nquorum = 33 }\n", 4, "must be from 1 to 32", "quorum = 4"},
    {ACCOUNT "reports {\n\nquorum = 0 }\n", 4, "must be from 1 to 32", "quorum = 4"},
    {ACCOUNT "reports {\n\nquorum-within = 0s }\n", 4, "must be from 1s to 3650d", "7d"},
    {ACCOUNT "reports {\n\nhold = 3651d }\n", 4, "must be from 0s to 3650d", "10m"},
    {ACCOUNT "reports {\n\nsenders = '' }\n", 4, "empty", "give a value"},
    {ACCOUNT "reports {\n hold = 1h\n quorum = 2\n}\nrspamd { deliver-to = reporter }\n", 4,
     "reports: quorum = 2 and deliver-to = reporter", "remove one"},
};

/* ---- stalwart ---- */

#define KEY   "key-file = \"~/pw\" "
#define HTTPS "url = \"https://mail.example.org\" "

static void test_stalwart(void **state)
{
	struct conf *c =
	    load_ok("stalwart \"mail.example.org\" {\n"
		    "url = \"https://mail.example.org:8443/x/\"\n"
		    "key-command = \"echo a\" ca-file = \"~/pw\" timeout = 5s\n"
		    "except = { \"spam@example.org\",\n"
		    "  \"ham@example.org\" }\n"
		    "accounts-only = false after = destroy poll = 1h\n"
		    "}\n"
		    "stalwart b { url = \"http://mail.example.org\" insecure = true\n"
		    "user = learn password-file = \"~/pw\" except = a@b }\n"
		    "stalwart c { url = \"http://[::1]:8080\" " KEY "except = { } }\n");
	const struct conf_stalwart *s = c->stalwarts;
	char path[256];

	(void)state;
	path_in(path, sizeof path, "pw");
	assert_int_equal(c->n_accounts, 0);
	assert_int_equal(c->n_stalwarts, 3);
	assert_string_equal(s->name, "mail.example.org");
	assert_string_equal(s->url, "https://mail.example.org:8443/x");
	assert_int_equal(s->key.kind, SECRET_COMMAND);
	assert_string_equal(s->key.where, "echo a");
	assert_string_equal(s->ca_file, path);
	assert_int_equal(s->timeout, 5);
	assert_int_equal(s->n_except, 2);
	assert_string_equal(s->except[0], "spam@example.org");
	assert_string_equal(s->except[1], "ham@example.org");
	assert_false(s->accounts_only);
	assert_true(s->destroy);
	assert_int_equal(s->poll, 3600);
	assert_false(s->insecure);
	assert_null(s->user);
	s++;
	assert_true(s->insecure);
	assert_int_equal(s->key.kind, SECRET_NONE);
	assert_string_equal(s->user, "learn");
	assert_int_equal(s->password.kind, SECRET_FILE);
	assert_string_equal(s->password.where, path);
	assert_int_equal(s->n_except, 1); /* one needs no braces */
	assert_string_equal(s->except[0], "a@b");
	assert_null(s->ca_file); /* and every default */
	assert_int_equal(s->timeout, 60);
	assert_true(s->accounts_only);
	assert_false(s->destroy);
	assert_int_equal(s->poll, 10);
	assert_int_equal(s[1].n_except, 0);
	assert_int_equal(s[1].key.kind, SECRET_FILE);
	conf_free(c);
}

static const char *const stalwart_secrets[] = {"key-env = PATH", "key-credential = key"};

static void test_stalwart_secrets(void **state)
{
	static const enum secret_kind kinds[] = {SECRET_ENV, SECRET_CREDENTIAL};

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		struct conf *c;
		char text[200];

		write_file("key", "secret\n", 7, 0600);
		setenv("CREDENTIALS_DIRECTORY", dir, 1);
		snprintf(text, sizeof text, "stalwart a { " HTTPS "%s }\n",
			 stalwart_secrets[i]);
		c = load_ok(text);
		assert_int_equal(c->stalwarts[0].key.kind, kinds[i]);
		conf_free(c);
	}
	unsetenv("CREDENTIALS_DIRECTORY");
}

static const struct refusal stalwarts[] = {
    {"\nstalwart { }\n", 2, "missing title", "name it"},
    {"\nstalwart \"\" { }\n", 2, "name", "name"},
    {"stalwart a { " HTTPS KEY "}\nstalwart a { " HTTPS KEY "}\n", 2, "duplicate title 'a'",
     "keep one"},
    {ACCOUNT "stalwart spam@example.org { " HTTPS KEY "}\n", 2,
     "an account and a stalwart block are both called", "choose another name"},
    {"stalwart /a { " HTTPS KEY "}\n", 1, "cannot be called", "choose another name"},
    {"stalwart \"" CONF_FILES "\" { " HTTPS KEY "}\n", 1, "cannot be called",
     "choose another name"},
    {"\nstalwart a { " KEY "}\n", 2, "stalwart a: no url", "add, for instance, url"},
    {"stalwart a { " KEY "\n url = '' }\n", 2, "url", "give a value"},
    {"stalwart a { " KEY "\n url = ftp://x }\n", 2, "url", "http"},
    {"stalwart a { " KEY "\n url = https:// }\n", 2, "the url is malformed", "SCHEME://HOST"},
    {"stalwart a { " KEY "\n url = \"https://u:hunter2@x\" }\n", 2, "url", "user"},
    {"stalwart a { " KEY "\n url = http://mail.example.org }\n", 2, "in the clear",
     "insecure = true"},
    {"stalwart a { " KEY "\n url = http://127.0.0.1.example.org }\n", 2, "in the clear",
     "insecure = true"},
    {"stalwart a { " HTTPS KEY "\n insecure = perhaps }\n", 2,
     "insecure = perhaps: neither true nor false", "one of them"},
    {"stalwart a { " HTTPS KEY "\n ca-file = ca.pem }\n", 2, "relative path",
     "begin it with /"},
    {"stalwart a { " HTTPS KEY "\n ca-file = /nowhere }\n", 2, "ca-file", ""},
    {"\nstalwart a { " HTTPS "}\n", 2, "no key", "key-file"},
    {"\nstalwart a { " HTTPS "user = x }\n", 2, "no key", "password-file"},
    {"\nstalwart a { " HTTPS PW "}\n", 2, "no key", "user"},
    {"stalwart a { " HTTPS KEY "user = x\n" PW "}\n", 2, "both a key and a user or password",
     "keep the key"},
    {"stalwart a { " HTTPS KEY "\n user = '' }\n", 2, "empty", "give a value"},
    {"stalwart a { " HTTPS KEY "\n key-env = X }\n", 2, "second place", "keep one"},
    {"stalwart a { " HTTPS "\nkey-file = pw }\n", 2, "relative path", "begin it with /"},
    {"stalwart a { " HTTPS "\nkey-file = \"~/open\" }\n", 2, "key: ", "chmod 600"},
    {"stalwart a { " HTTPS "user = x\npassword-file = \"~/open\" }\n", 2,
     "password: ", "chmod 600"},
    {"stalwart a { " HTTPS KEY "\n timeout = 0s }\n", 2, "must be from 1s to 1h", "timeout"},
    {"stalwart a { " HTTPS KEY "\n timeout = 2h }\n", 2, "must be from 1s to 1h", "timeout"},
    {"stalwart a { " HTTPS KEY "\n poll = 0s }\n", 2, "must be from 1s to 1h", "poll"},
    {"stalwart a { " HTTPS KEY "\n poll = 61m }\n", 2, "must be from 1s to 1h", "poll"},
    {"stalwart a { " HTTPS KEY "\n poll = soon }\n", 2, "poll = soon", "poll"},
    {"stalwart a { " HTTPS KEY "\n accounts-only = 2 }\n", 2,
     "accounts-only = 2: neither true nor false", "one of them"},
    {"stalwart a { " HTTPS KEY "\n after = forget }\n", 2, "after = forget: unknown",
     "keep or destroy"},
    {"stalwart a { " HTTPS KEY "\n except = { a@b, \"\" } }\n", 2, "empty", "addresses"},
    {"stalwart a { " HTTPS KEY "\n except = '' }\n", 2, "empty", "addresses"},
    {"stalwart a { " HTTPS KEY "\n except = { a@b, c@d }\n except = { e@f } }\n", 3,
     "except is given twice, first on line 2", "keep one"},
    {"stalwart a { " HTTPS KEY "\n except = a@b\n except = e@f }\n", 3,
     "except is given twice, first on line 2", "keep one"},
    {"stalwart a { " HTTPS KEY "\n except = { }\n except = { a@b } }\n", 3,
     "except is given twice", "keep one"},
    {"stalwart a { " HTTPS KEY "\n except = { a@b }\n except = { } }\n", 3,
     "except is given twice", "keep one"},
    {"stalwart a { " HTTPS KEY "\n except = { a@b, c@d }\n except = a@b }\n", 3,
     "except is given twice", "keep one"},
    {"stalwart a { " HTTPS KEY "\n" HTTPS "}\n", 2, "url is given twice, first on line 1",
     "keep one"},
    {"stalwart a { " HTTPS KEY "\n \"except\" = a@b\n \"except\" = e@f }\n", 3, "given twice",
     "keep one"},
    {"stalwart a { " HTTPS KEY "\n class = spam }\n", 2, "'class'", "spelling"},
    {"stalwart a { " HTTPS KEY "\n mailbox INBOX { class = spam } }\n", 2, "'mailbox'",
     "spelling"},
    {ACCOUNT "except = { a@b }\n", 2, "'except'", "spelling"},
};

static void check_refusals(const struct refusal *r, size_t n);

static void test_stalwarts_refused(void **state)
{
	(void)state;
	check_refusals(stalwarts, COUNT(stalwarts));
}

/* A thousand are allowed, and not one more. */
static void test_many_exceptions(void **state)
{
	struct conf *c = NULL;
	struct err e;
	struct buf b;

	(void)state;
	for (int more = 0; more < 2; more++) {
		buf_init(&b, 1 << 20);
		buf_adds(&b, "stalwart a { " HTTPS "key-file = ");
		buf_addf(&b, "\"%s/pw\"\nexcept = { ", dir);
		for (int i = 0; i < CONF_MAX_EXCEPT + more; i++)
			buf_addf(&b, "%s\n\"u%d@example.org\"", i ? "," : "", i);
		buf_adds(&b, " } }\n");
		assert_int_equal(load_bytes(b.data, b.len, &c, &e), -more);
		buf_free(&b);
		if (more == 0) {
			assert_int_equal(c->stalwarts[0].n_except, CONF_MAX_EXCEPT);
			assert_string_equal(c->stalwarts[0].except[999], "u999@example.org");
			conf_free(c);
		}
	}
	assert_non_null(strstr(e.text, "u1000@example.org: one too many; 1000 are allowed"));
}

static void check_refusals(const struct refusal *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct conf *c = NULL;
		char begin[300];
		struct err e;

		if (load(r[i].text, &c, &e) == 0)
			fail_msg("accepted: %s", r[i].text);
		assert_null(c);
		snprintf(begin, sizeof begin, "%s/conf:%d: ", dir, r[i].line);
		if (strncmp(e.text, begin, strlen(begin)) != 0 ||
		    strstr(e.text, r[i].what) == NULL || strchr(e.text, ';') == NULL ||
		    strstr(strrchr(e.text, ';'), r[i].cure) == NULL)
			fail_msg("%s\nwanted %s...%s; ...%s\ngot    %s", r[i].text, begin,
				 r[i].what, r[i].cure, e.text);
		assert_int_equal(e.scope, ERR_FATAL);
		assert_int_equal(e.kind, ERR_CONFIG);
		assert_null(strchr(e.text, '\n'));
		assert_null(strstr(e.text, "hunter2")); /* no secret in an error */
	}
}

static void test_syntax(void **state)
{
	(void)state;
	check_refusals(syntax, COUNT(syntax));
}

static void test_values(void **state)
{
	(void)state;
	check_refusals(values, COUNT(values));
}

static void test_reports_refused(void **state)
{
	(void)state;
	check_refusals(report_keys, COUNT(report_keys));
}

static void test_rspamd(void **state)
{
	(void)state;
	check_refusals(rspamd, COUNT(rspamd));
}

static void test_accounts(void **state)
{
	(void)state;
	check_refusals(accounts, COUNT(accounts));
}

static void test_refused_reports(void **state)
{
	(void)state;
	check_refusals(reports, COUNT(reports));
}

static void test_nul_byte(void **state)
{
	static const char text[] = "ledger = /a\n\0spool /a { }\n";
	struct conf *c = NULL;
	struct err e;

	(void)state;
	assert_int_equal(load_bytes(text, sizeof text - 1, &c, &e), -1);
	assert_non_null(strstr(e.text, "conf:2: a NUL byte"));
}

/* Nothing of libconfuse may reach standard error, and a caller may want no text. */
static void test_silent(void **state)
{
	int saved = dup(STDERR_FILENO), fds[2];
	char path[256], got[16];
	struct conf *c = NULL;

	(void)state;
	path_in(path, sizeof path, "conf");
	write_file("conf", "nope = 1\n", 9, 0644);
	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	assert_int_equal(conf_load(path, NULL, NULL, &c, NULL), -1);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_int_equal(read(fds[0], got, sizeof got), 0);
	close(fds[0]);
}

/* Cut at every byte, a configuration is refused or loaded, never worse. */
static void test_every_prefix(void **state)
{
	char text[sizeof everything];
	struct err e;

	(void)state;
	for (size_t len = 0; len < sizeof everything; len++) {
		struct conf *c = NULL;

		memcpy(text, everything, len);
		text[len] = '\0';
		if (load(text, &c, &e) == -1)
			assert_non_null(strstr(e.text, "conf:"));
		conf_free(c);
	}
}

/* ---- the file itself, and its caps ---- */

static void refuse_file(mode_t mode, const char *what)
{
	char path[256];
	struct conf *c = NULL;
	struct err e;

	path_in(path, sizeof path, "conf");
	write_file("conf", "spool /a { }\n", 13, mode);
	assert_int_equal(conf_load(path, NULL, NULL, &c, &e), -1);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_non_null(strstr(e.text, what));
	assert_int_equal(strncmp(e.text, path, strlen(path)), 0);
}

static void test_file(void **state)
{
	char path[256];
	struct conf *c = NULL;
	struct err e;

	(void)state;
	refuse_file(0664, "chmod go-w");
	refuse_file(0646, "chmod go-w");
	refuse_file(0667, "(mode 0667)");
	path_in(path, sizeof path, "none");
	assert_int_equal(conf_load(path, NULL, NULL, &c, &e), -1);
	assert_non_null(strstr(e.text, "No such file"));
	assert_int_equal(conf_load(dir, NULL, NULL, &c, &e), -1);
	assert_non_null(strstr(e.text, "not a regular file"));
	path_in(path, sizeof path, "conf");
	write_file("conf", "spool /a { }\n", 13, 0644);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 12345, 0), 0);
		assert_int_equal(conf_load(path, NULL, NULL, &c, &e), -1);
		assert_non_null(strstr(e.text, "another user (uid 12345)"));
		assert_int_equal(chown(path, 1, 0), 0); /* not even the first one */
		assert_int_equal(conf_load(path, NULL, NULL, &c, &e), -1);
		assert_non_null(strstr(e.text, "another user (uid 1)"));
		assert_int_equal(unlink(path), 0);
	}
}

/* As another user than root: a file of ours, one of root's, and one of neither. */
static void child_owners(const char *path)
{
	static const uid_t good[] = {12345, 0}, bad[] = {1, 12346};
	struct conf *c = NULL;

	for (size_t i = 0; i < 2; i++) {
		if (chown(path, good[i], 0) == -1 || seteuid(12345) == -1 ||
		    conf_load(path, NULL, NULL, &c, NULL) == -1 || seteuid(0) == -1)
			_exit(1);
		conf_free(c);
		if (chown(path, bad[i], 0) == -1 || seteuid(12345) == -1 ||
		    conf_load(path, NULL, NULL, &c, NULL) != -1 || seteuid(0) == -1)
			_exit(2);
	}
	_exit(0);
}

static void test_file_owners(void **state)
{
	char path[256];
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	path_in(path, sizeof path, "conf");
	write_file("conf", "spool /a { }\n", 13, 0644);
	assert_int_equal(chmod(dir, 0755), 0);
	fflush(NULL);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0)
		child_owners(path);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(unlink(path), 0);
}

static void test_caps(void **state)
{
	struct conf *c = NULL;
	struct err e;
	struct buf b;

	(void)state;
	buf_init(&b, 4 << 20);
	assert_int_equal(buf_addf(&b, "ledger = /%0*d\nspool /a { }\n", 4095, 0), 0);
	assert_int_equal(load_bytes(b.data, b.len, &c, &e), 0);
	conf_free(c);
	buf_clear(&b);
	assert_int_equal(buf_addf(&b, "\nledger = /%0*d\n", 4096, 0), 0);
	assert_int_equal(load_bytes(b.data, b.len, &c, &e), -1);
	assert_non_null(strstr(e.text, "conf:2: a value of 4097 bytes"));
	buf_clear(&b);
	assert_int_equal(buf_addf(&b,
				  "account %0*d { url = 'imaps://a' password-command = x\n"
				  "mailbox %0*d { class = spam } }\n",
				  CONF_MAX_NAME, 0, CONF_MAX_NAME, 0),
			 0);
	assert_int_equal(load_bytes(b.data, b.len, &c, &e), 0);
	conf_free(c);
	c = NULL;
	buf_clear(&b);
	assert_int_equal(buf_addf(&b, "account %0*d {\n}\n", CONF_MAX_NAME + 1, 0), 0);
	assert_int_equal(load_bytes(b.data, b.len, &c, &e), -1);
	assert_non_null(strstr(e.text, "conf:2: "));
	assert_non_null(strstr(e.text, "241 bytes; at most 240"));
	buf_clear(&b);
	assert_int_equal(buf_addf(&b, "spool /a { }%*s", CONF_MAX_FILE - 12, ""), 0);
	assert_int_equal(b.len, CONF_MAX_FILE);
	assert_int_equal(load_bytes(b.data, b.len, &c, &e), 0);
	conf_free(c);
	c = NULL;
	buf_clear(&b);
	assert_int_equal(buf_addf(&b, "spool /a { }%*s", CONF_MAX_FILE - 11, ""), 0);
	assert_int_equal(load_bytes(b.data, b.len, &c, &e), -1);
	assert_non_null(strstr(e.text, "larger than 1048576 bytes"));
	buf_free(&b);
}

static void test_many_accounts(void **state)
{
	struct conf *c = NULL;
	struct err e;
	struct buf b;

	(void)state;
	buf_init(&b, 4 << 20);
	for (int i = 0; i < CONF_MAX_ACCOUNTS; i++)
		assert_int_equal(buf_addf(&b,
					  "account %d{url='imaps://a' password-command=x "
					  "mailbox INBOX{class=spam}}\n",
					  i),
				 0);
	if (load_bytes(b.data, b.len, &c, &e) == -1)
		fail_msg("%s", e.text);
	assert_int_equal(c->n_accounts, CONF_MAX_ACCOUNTS);
	assert_string_equal(c->accounts[9999].name, "9999");
	conf_free(c);
	c = NULL;
	assert_int_equal(buf_adds(&b, "account x{url='imaps://a' password-command=x "
				      "mailbox INBOX{class=spam}}\n"),
			 0);
	assert_int_equal(load_bytes(b.data, b.len, &c, &e), -1);
	assert_non_null(strstr(e.text, "more than 10000 accounts"));
	buf_free(&b);
}

static void test_many_mailboxes(void **state)
{
	struct conf *c = NULL;
	struct err e;
	struct buf b;

	(void)state;
	buf_init(&b, 4 << 20);
	assert_int_equal(buf_adds(&b, "account a { url='imaps://a' password-command=x\n"), 0);
	for (int i = 0; i <= CONF_MAX_MAILBOXES; i++)
		assert_int_equal(buf_addf(&b, "mailbox %d{class=spam}\n", i), 0);
	assert_int_equal(buf_adds(&b, "}\n"), 0);
	assert_int_equal(load_bytes(b.data, b.len, &c, &e), -1);
	assert_non_null(strstr(e.text, "conf:1003: account a: more than 1000 mailboxes"));
	buf_free(&b);
}

/* Each allocation that fails is an error of its own kind, and nothing is lost. */
static void no_memory(const char *text)
{
	bool failed = true;

	for (unsigned n = 1; failed; n++) {
		struct conf *c = NULL;
		struct err e;
		int rc;

		out_of_memory = n;
		rc = load(text, &c, &e);
		failed = out_of_memory == n;
		if (rc != (failed ? -1 : 0) || (failed && (c || e.kind != ERR_LOCAL)))
			fail_msg("allocation %u: %s", n, rc ? e.text : "no error");
		conf_free(c);
	}
	out_of_memory = 0;
}

static void test_no_memory(void **state)
{
	(void)state;
	no_memory(everything);
	setenv("IMAP_PASSWORD", "secret", 1);
	setenv("RSPAMD_PASSWORD", "secret", 1);
	no_memory("stalwart a { " HTTPS "key-file = \"~/pw\" except = { a@b, c@d } }\n"
		  "stalwart b { url = \"http://[::1]\" user = x " PW "except = e@f }\n");
	no_memory("account b { " URL SPAM "mailbox X { class = ham } }\n"
		  "account c { " URL SPAM "}\nspool /a { }\nspool /b { }\n");
	unsetenv("IMAP_PASSWORD");
	unsetenv("RSPAMD_PASSWORD");
}

/* ---- the environment, and a conf put together by hand ---- */

static void test_environment(void **state)
{
	struct conf *c;
	struct err e;

	(void)state;
	setenv("IMAP_PASSWORD", "secret", 1);
	setenv("RSPAMD_PASSWORD", "secret", 1);
	c = load_ok(ACCOUNT "account b { " URL SPAM "}\nrspamd { }");
	unsetenv("IMAP_PASSWORD");
	unsetenv("RSPAMD_PASSWORD");
	assert_int_equal(c->accounts[0].password.kind, SECRET_FILE);
	assert_int_equal(c->accounts[1].password.kind, SECRET_ENV);
	assert_string_equal(c->accounts[1].password.where, "IMAP_PASSWORD");
	assert_int_equal(c->rspamd.password.kind, SECRET_ENV);
	assert_string_equal(c->rspamd.password.where, "RSPAMD_PASSWORD");
	conf_free(c);

	/* An empty one is none. */
	setenv("IMAP_PASSWORD", "", 1);
	setenv("RSPAMD_PASSWORD", "", 1);
	c = load_ok(ACCOUNT);
	assert_int_equal(c->rspamd.password.kind, SECRET_NONE);
	conf_free(c);
	c = NULL;
	assert_int_equal(load("account b { " URL SPAM "}", &c, &e), -1);
	assert_non_null(strstr(e.text, "no password"));
	unsetenv("IMAP_PASSWORD");
	unsetenv("RSPAMD_PASSWORD");
}

static void test_check_by_hand(void **state)
{
	struct conf_mailbox boxes[] = {{.name = (char[]){"INBOX"}, .class = CLASS_HAM}};
	struct conf_account a = {
	    .name = (char[]){"me"},
	    .user = (char[]){"me"},
	    .url = (char[]){"imaps://localhost:993"},
	    .password = {SECRET_TEXT, (char[]){"hunter2"}},
	    .mailboxes = boxes,
	    .n_mailboxes = 1,
	};
	struct conf_account two[] = {a, a};
	struct conf *c = conf_default();
	struct err e;

	(void)state;
	assert_non_null(c);
	c->accounts = two;
	c->n_accounts = 1;
	assert_int_equal(conf_check(c, &e), 0);
	c->n_accounts = 2;
	assert_int_equal(conf_check(c, &e), -1);
	assert_non_null(strstr(e.text, "account me is given twice"));
	c->n_accounts = 1;
	two[0].name = (char[]){"a\nb"};
	assert_int_equal(conf_check(c, &e), -1);
	assert_non_null(strstr(e.text, "control character"));
	two[0] = a;
	two[0].user = (char[]){"a\nb"};
	assert_int_equal(conf_check(c, &e), -1);
	assert_non_null(strstr(e.text, "the name of the user has a control character"));
	two[0] = a;
	c->ledger[0] = '-';
	assert_int_equal(conf_check(c, &e), -1);
	assert_non_null(strstr(e.text, "ledger = -var/lib/learnspool is a relative path"));
	c->ledger[0] = '/';
	c->spools = calloc(3, sizeof *c->spools);
	assert_non_null(c->spools);
	for (char i = 0; i < 3; i++)
		c->spools[c->n_spools++].path = strdup((char[]){'/', (char)('a' + i), '\0'});
	assert_int_equal(conf_check(c, &e), 0);
	c->spools[2].path[1] = 'a';
	assert_int_equal(conf_check(c, &e), -1);
	assert_non_null(strstr(e.text, "spool \"/a\" is given twice"));
	c->spools[2].path[0] = 'a';
	assert_int_equal(conf_check(c, &e), -1);
	assert_non_null(strstr(e.text, "relative path"));
	c->accounts = NULL;
	c->n_accounts = 0;
	conf_free(c);
}

/* ---- the examples: each loads as it is, once its password files are there ---- */

/* DIR in place of /etc/learnspool; a file for every name that stands in quotes below it. */
static void read_example(const char *path, struct buf *text)
{
	static const char etc[] = "/etc/learnspool/";
	char whole[32 * 1024], name[128], *at, *from = whole;
	FILE *f = fopen(path, "r");
	size_t n;

	assert_non_null(f);
	n = fread(whole, 1, sizeof whole - 1, f);
	fclose(f);
	assert_true(n > 0 && n < sizeof whole - 1);
	whole[n] = '\0';
	for (; (at = strstr(from, etc)) != NULL; from = at) {
		buf_add(text, from, (size_t)(at - from));
		buf_addf(text, "%s/", dir);
		at += strlen(etc);
		n = strcspn(at, "\"\n ");
		if (at[n] != '"')
			continue; /* in a comment */
		assert_true(n < sizeof name);
		memcpy(name, at, n);
		name[n] = '\0';
		write_file(name, "secret\n", 7, 0600);
	}
	assert_int_equal(buf_adds(text, from), 0);
}

static struct conf *load_example(const char *name)
{
	struct conf *c = NULL;
	struct buf text;
	char path[256];
	struct err e;

	snprintf(path, sizeof path, "%s/%s", CONF_EXAMPLES, name);
	buf_init(&text, 64 * 1024);
	read_example(path, &text);
	if (load_bytes(text.data, text.len, &c, &e) == -1)
		fail_msg("%s: %s", name, e.text);
	buf_free(&text);
	return c;
}

static void test_examples(void **state)
{
	static const struct {
		const char *name;
		size_t accounts, spools, expiring;
		bool retention;
	} examples[] = {
	    {"single-user.conf", 1, 0, 0, false},    {"many-users.conf", 3, 0, 0, false},
	    {"imapsieve.conf", 2, 0, 3, true},	     {"central.conf", 2, 0, 2, true},
	    {"shared-folders.conf", 1, 0, 0, false}, {"hybrid.conf", 3, 0, 2, true},
	    {"spool.conf", 0, 1, 0, true},	     {"stalwart.conf", 0, 0, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		struct conf *c = load_example(examples[i].name);
		size_t expiring = 0;

		for (size_t j = 0; j < c->n_accounts; j++)
			for (size_t k = 0; k < c->accounts[j].n_mailboxes; k++)
				expiring += c->accounts[j].mailboxes[k].expire;
		print_message("%s\n", examples[i].name);
		assert_int_equal(c->n_accounts, examples[i].accounts);
		assert_int_equal(c->n_spools, examples[i].spools);
		assert_int_equal(expiring, examples[i].expiring);
		assert_int_equal(c->retention.learned != CONF_NEVER, examples[i].retention);
		conf_free(c);
	}
}

static int fd_before;

static int setup(void **state)
{
	(void)state;
	fd_before = fixture_open_fds();
	unsetenv("IMAP_PASSWORD");
	unsetenv("RSPAMD_PASSWORD");
	unsetenv("TEST_CONF_UNSET");
	if (mkdtemp(dir) == NULL)
		return -1;
	write_file("pw", "secret\n", 7, 0600);
	write_file("open", "secret\n", 7, 0644);
	return 0;
}

static int teardown(void **state)
{
	const char *const argv[] = {"rm", "-rf", dir};
	char command[256];

	(void)state;
	assert_int_equal(fixture_open_fds(), fd_before);
	snprintf(command, sizeof command, "%s %s '%s'", argv[0], argv[1], argv[2]);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_reports_defaults),
	    cmocka_unit_test(test_report_keys),
	    cmocka_unit_test(test_no_delimiter),
	    cmocka_unit_test(test_default_conf),
	    cmocka_unit_test(test_everything),
	    cmocka_unit_test(test_owners),
	    cmocka_unit_test(test_reports),
	    cmocka_unit_test(test_ages),
	    cmocka_unit_test(test_each_age),
	    cmocka_unit_test(test_deliver_to),
	    cmocka_unit_test(test_auth),
	    cmocka_unit_test(test_accepted),
	    cmocka_unit_test(test_move_keeps_quotes),
	    cmocka_unit_test(test_syntax),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_reports_refused),
	    cmocka_unit_test(test_rspamd),
	    cmocka_unit_test(test_accounts),
	    cmocka_unit_test(test_refused_reports),
	    cmocka_unit_test(test_stalwart),
	    cmocka_unit_test(test_stalwart_secrets),
	    cmocka_unit_test(test_stalwarts_refused),
	    cmocka_unit_test(test_many_exceptions),
	    cmocka_unit_test(test_nul_byte),
	    cmocka_unit_test(test_silent),
	    cmocka_unit_test(test_every_prefix),
	    cmocka_unit_test(test_file),
	    cmocka_unit_test(test_file_owners),
	    cmocka_unit_test(test_caps),
	    cmocka_unit_test(test_many_accounts),
	    cmocka_unit_test(test_many_mailboxes),
	    cmocka_unit_test(test_no_memory),
	    cmocka_unit_test(test_environment),
	    cmocka_unit_test(test_check_by_hand),
	    cmocka_unit_test(test_examples),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
