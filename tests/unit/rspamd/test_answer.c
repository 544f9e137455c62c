/*
 * answer.c: every line of its table, and what no rspamd says but a proxy, a bug or an enemy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rspamd/answer.h"
#include "base/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	int status;
	const char *reason, *body;
	enum outcome outcome;
	enum answer_next next;
	enum err_kind kind;
	const char *text;
} answers[] = {
    /* What rspamd says. */
    {200, "OK", "{\"success\":true}", OUTCOME_LEARNED, ANSWER_SETTLED, ERR_OK, ""},
    {200, "OK", " {\"success\" : true, \"x\": [1]}\n", OUTCOME_LEARNED, ANSWER_SETTLED, ERR_OK,
     ""},
    {208, "<a@b> has been already learned as spam, ignore it", "", OUTCOME_KNOWN,
     ANSWER_SETTLED, ERR_OK, "<a@b> has been already learned as spam, ignore it"},
    {204, "<a@b> contains less tokens than required for bayes classifier: 3 < 11", "",
     OUTCOME_UNLEARNABLE, ANSWER_SETTLED, ERR_OK,
     "<a@b> contains less tokens than required for bayes classifier: 3 < 11"},
    {204, "contains more tokens than allowed for bayes classifier: 9 > 8", "",
     OUTCOME_UNLEARNABLE, ANSWER_SETTLED, ERR_OK,
     "contains more tokens than allowed for bayes classifier: 9 > 8"},
    {204, "all learn conditions denied learning spam in default classifier", "", OUTCOME_SURE,
     ANSWER_DOUBT, ERR_OK, "all learn conditions denied learning spam in default classifier"},
    {204, "already in class spam; probability 99%", "", OUTCOME_SURE, ANSWER_DOUBT, ERR_OK,
     "already in class spam; probability 99%"},
    {204, "something new", "", OUTCOME_FAILED, ANSWER_DOUBT, ERR_DATA, "something new"},
    {204, "", "", OUTCOME_FAILED, ANSWER_DOUBT, ERR_DATA, "no reason given"},
    {204, "why", "{\"success\":true}", OUTCOME_FAILED, ANSWER_DOUBT, ERR_DATA, "why"},
    {204, "No Content", "", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA, "No Content"},
    {208, "", "{\"error\":\"x\"}", OUTCOME_KNOWN, ANSWER_SETTLED, ERR_OK, "no reason given"},
    {400, "Bad", "{\"error\":\"Empty body is not permitted\"}", OUTCOME_UNLEARNABLE,
     ANSWER_SETTLED, ERR_OK, "Empty body is not permitted"},
    {400, "Bad", "{\"error\":\"Bad request\"}", OUTCOME_FAILED, ANSWER_FAILED, ERR_DATA,
     "Bad request"},
    {401, "Unauthorized", "{\"error\":\"Unauthorized\"}", OUTCOME_UNANSWERED, ANSWER_STOP,
     ERR_AUTH, "Unauthorized; check the password in the rspamd block"},
    {403, "No", "{\"error\":\"read only\"}", OUTCOME_UNANSWERED, ANSWER_STOP, ERR_AUTH,
     "read only; rspamd wants the controller's enable_password, not the read-only one"},
    {404, "No", "{\"error\":\"unknown classifier\"}", OUTCOME_UNANSWERED, ANSWER_STOP,
     ERR_CONFIG, "unknown classifier; check url and classifier in the rspamd block"},
    {404, "Not Found", "", OUTCOME_UNANSWERED, ANSWER_STOP, ERR_CONFIG,
     "Not Found; check url and classifier in the rspamd block"},
    {408, "Timeout", "", OUTCOME_UNANSWERED, ANSWER_RETRY, ERR_TEMPORARY, "Timeout"},
    {413, "Too Large", "", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA, "Too Large"},
    {429, "Slower", "", OUTCOME_UNANSWERED, ANSWER_RETRY, ERR_TEMPORARY, "Slower"},
    {500, "Oops", "{\"error\":\"redis: timeout\"}", OUTCOME_UNANSWERED, ANSWER_RETRY,
     ERR_TEMPORARY, "redis: timeout"},
    {500, "Connection refused", "{\"error\":\"Connection refused\"}", OUTCOME_UNANSWERED,
     ANSWER_RETRY, ERR_UNREACHABLE,
     "Connection refused; rspamd has lost its Redis: see whether that runs"},
    {502, "Bad Gateway", "<html>\r\n<h1>502</h1>", OUTCOME_UNANSWERED, ANSWER_RETRY,
     ERR_TEMPORARY, "<html>\\x0d\\x0a<h1>502</h1>"},
    {503, "", "", OUTCOME_UNANSWERED, ANSWER_RETRY, ERR_TEMPORARY, "no reason given"},
    {599, "x", "", OUTCOME_UNANSWERED, ANSWER_RETRY, ERR_TEMPORARY, "x"},

    /* A refusal has rspamd's own "error" in it; the words of a proxy are no answer. */
    {413, "x", "{\"error\":\"too large\"}", OUTCOME_FAILED, ANSWER_FAILED, ERR_DATA,
     "too large"},
    {400, "Bad", "<html>Bad Request</html>", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA,
     "<html>Bad Request</html>"},
    {400, "Bad", "{\"message\":\"error\"}", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA,
     "{\"message\":\"error\"}"},
    {400, "Bad", "{\"error\":null}", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA,
     "{\"error\":null}"},
    /* What may pass is no refusal, though rspamd has words for it. */
    {408, "x", "{\"error\":\"slow\"}", OUTCOME_UNANSWERED, ANSWER_RETRY, ERR_TEMPORARY, "slow"},
    {429, "x", "{\"error\":\"slow\"}", OUTCOME_UNANSWERED, ANSWER_RETRY, ERR_TEMPORARY, "slow"},

    /* What is no success, whatever the status says. */
    {200, "OK", "{\"success\":false}", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA,
     "{\"success\":false}"},
    {200, "OK", "{\"success\":false,\"error\":\"no\"}", OUTCOME_FAILED, ANSWER_FAILED, ERR_DATA,
     "no"},
    {200, "OK", "{\"success\":\"true\"}", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA,
     "{\"success\":\"true\"}"},
    {200, "OK", "{\"success\":1}", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA,
     "{\"success\":1}"},
    {200, "OK", "{\"Success\":true}", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA,
     "{\"Success\":true}"},
    {200, "OK", "{}", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA, "{}"},
    {200, "OK", "[{\"success\":true}]", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA,
     "[{\"success\":true}]"},
    {200, "OK", "[]", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA, "[]"},
    {200, "OK", "true", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA, "true"},
    {200, "OK", "null", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA, "null"},
    {200, "OK", "{\"success\":tru", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA,
     "{\"success\":tru"},
    {200, "OK", "<html>Log in, please</html>", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA,
     "<html>Log in, please</html>"},
    {200, "OK", "", OUTCOME_UNANSWERED, ANSWER_RETRY, ERR_TEMPORARY, "no reason given"},
    {201, "Created", "{\"success\":true}", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA,
     "{\"success\":true}"},
    {302, "Found", "", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA, "Found"},
    {0, "", "", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA, "no reason given"},
    {-1, "", "", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA, "no reason given"},

    /* Words are made visible, and only those of the status line decide. */
    {500, "", "{\"error\":\"a\\u001b[2J\\n\\u202e\"}", OUTCOME_UNANSWERED, ANSWER_RETRY,
     ERR_TEMPORARY, "a\\x1b[2J\\x0a\\xe2\\x80\\xae"},
    {500, "", "{\"error\":\"nul\\u0000\"}", OUTCOME_UNANSWERED, ANSWER_RETRY, ERR_TEMPORARY,
     "{\"error\":\"nul\\u0000\"}"},
    {500, "", "{\"error\":7}", OUTCOME_UNANSWERED, ANSWER_RETRY, ERR_TEMPORARY,
     "{\"error\":7}"},
    {500, "", "{\"error\":\"\"}", OUTCOME_UNANSWERED, ANSWER_RETRY, ERR_TEMPORARY,
     "no reason given"},
    {204, "\x1B]0;owned\x07", "", OUTCOME_FAILED, ANSWER_DOUBT, ERR_DATA, "\\x1b]0;owned\\x07"},
    {400, "x", "less tokens than required", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA,
     "less tokens than required"},
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(answers); i++) {
		struct answer a;

		memset(&a, 0xA5, sizeof a);
		answer_read(answers[i].status, answers[i].reason, answers[i].body,
			    strlen(answers[i].body), &a);
		if (a.outcome != answers[i].outcome || a.next != answers[i].next ||
		    a.kind != answers[i].kind || strcmp(a.text, answers[i].text) != 0)
			fail_msg("answer %zu (%d): outcome %d, next %d, kind %d, \"%s\"", i,
				 answers[i].status, (int)a.outcome, (int)a.next, (int)a.kind,
				 a.text);
	}
}

/* However long the words: terminated, whole characters, and the cure is still there. */
static void test_long(void **state)
{
	static const char cure[] = "...; check the password in the rspamd block";
	size_t len = 64 * 1024;
	char *body = malloc(len + 1);

	(void)state;
	assert_non_null(body);
	for (size_t i = 0; i < len; i += 2)
		memcpy(body + i, "\xC3\xBC", 2);
	body[len] = '\0';
	for (int status = 200; status < 600; status++) {
		struct answer a;
		size_t n;

		answer_read(status, body, body, len, &a);
		n = strlen(a.text);
		assert_in_range(n, ANSWER_TEXT_MAX - 3, ANSWER_TEXT_MAX);
		assert_non_null(strstr(a.text, "..."));
		assert_null(strchr(a.text, '\\'));
		assert_int_equal(a.next == ANSWER_STOP, strstr(a.text, "...; ") != NULL);
		if (status == 401)
			assert_string_equal(a.text + n - strlen(cure), cure);
	}
	free(body);
}

/* Deep and broken JSON, and a body that is not terminated. */
static void test_body(void **state)
{
	size_t len = 64 * 1024;
	char *body = malloc(len), *exact = malloc(16);
	struct answer a;

	(void)state;
	assert_non_null(body);
	assert_non_null(exact);
	memset(body, '[', len);
	answer_read(200, "OK", body, len, &a);
	assert_int_equal(a.next, ANSWER_FAILED);
	for (size_t i = 0; i + 5 <= len; i += 5)
		memcpy(body + i, "{\"a\":", 5);
	answer_read(200, "OK", body, len, &a);
	assert_int_equal(a.next, ANSWER_FAILED);
	memcpy(exact, "{\"success\":true}", 16);
	answer_read(200, "OK", exact, 16, &a);
	assert_int_equal(a.outcome, OUTCOME_LEARNED);
	for (size_t n = 0; n < 16; n++) {
		answer_read(200, "OK", exact, n, &a);
		assert_int_equal(a.outcome, OUTCOME_UNANSWERED);
	}
	free(exact);
	free(body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_long),
	    cmocka_unit_test(test_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
