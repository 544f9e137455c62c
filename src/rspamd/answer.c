#include "rspamd/answer.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

struct rule {
	int status;
	const char *says; /* a part of rspamd's text; NULL: any */
	enum outcome outcome;
	enum answer_next next;
	enum err_kind kind;
	const char *cure; /* put behind rspamd's words */
};

/* The first rule that matches decides; docs/rspamd.md explains each line. */
static const struct rule rules[] = {
    {208, NULL, OUTCOME_KNOWN, ANSWER_SETTLED, ERR_OK, NULL},
    {204, "less tokens than required", OUTCOME_UNLEARNABLE, ANSWER_SETTLED, ERR_OK, NULL},
    {204, "more tokens than allowed", OUTCOME_UNLEARNABLE, ANSWER_SETTLED, ERR_OK, NULL},
    {204, "all learn conditions denied", OUTCOME_SURE, ANSWER_DOUBT, ERR_OK, NULL},
    {204, "already in class", OUTCOME_SURE, ANSWER_DOUBT, ERR_OK, NULL},
    {204, "No Content", OUTCOME_UNANSWERED, ANSWER_FAILED, ERR_DATA, NULL}, /* a proxy's */
    {204, NULL, OUTCOME_FAILED, ANSWER_DOUBT, ERR_DATA, NULL},
    {400, "Empty body", OUTCOME_UNLEARNABLE, ANSWER_SETTLED, ERR_OK, NULL},
    {401, NULL, OUTCOME_UNANSWERED, ANSWER_STOP, ERR_AUTH,
     "check the password in the rspamd block"},
    {403, NULL, OUTCOME_UNANSWERED, ANSWER_STOP, ERR_AUTH,
     "rspamd wants the controller's enable_password, not the read-only one"},
    {404, NULL, OUTCOME_UNANSWERED, ANSWER_STOP, ERR_CONFIG,
     "check url and classifier in the rspamd block"},
    {408, NULL, OUTCOME_UNANSWERED, ANSWER_RETRY, ERR_TEMPORARY, NULL},
    {429, NULL, OUTCOME_UNANSWERED, ANSWER_RETRY, ERR_TEMPORARY, NULL},
    {500, "Connection refused", OUTCOME_UNANSWERED, ANSWER_RETRY, ERR_UNREACHABLE,
     "rspamd has lost its Redis: see whether that runs"},
};

/*
 * Get the text of {"error": "..."}, which only rspamd itself writes if it refuses a message.
 * Otherwise take the first bytes of the body.
 */
static void read_body(const char *body, size_t len, struct answer *out, bool *success)
{
	json_t *json = json_loadb(body, len, JSON_DISABLE_EOF_CHECK, NULL);
	const char *error = json_string_value(json_object_get(json, "error"));

	*success = json_is_true(json_object_get(json, "success"));
	if (error) {
		out->outcome = OUTCOME_FAILED;
		text_visible(out->text, sizeof out->text, error, strlen(error));
	} else {
		text_visible(out->text, sizeof out->text, body, len);
	}
	json_decref(json);
}

static void apply(const struct rule *r, struct answer *out)
{
	char words[sizeof out->text];
	size_t n;

	out->outcome = r->outcome;
	out->next = r->next;
	out->kind = r->kind;
	if (r->cure == NULL)
		return;
	memcpy(words, out->text, sizeof words);
	/* A long text is cut to leave room for the cure. */
	n = sizeof words - strlen(r->cure) - strlen("; ");
	n = text_visible(out->text, n, words, strlen(words));
	snprintf(out->text + n, sizeof out->text - n, "; %s", r->cure);
}

void answer_read(int status, const char *reason, const char *body, size_t len,
		 struct answer *out)
{
	bool success = false;

	*out = (struct answer){
	    .outcome = OUTCOME_UNANSWERED, .next = ANSWER_FAILED, .kind = ERR_DATA};
	if (status != 204 && status != 208 && len > 0)
		read_body(body, len, out, &success);
	else if (status != 200) /* the reason of 200 is just "OK" */
		text_visible(out->text, sizeof out->text, reason, strlen(reason));
	if (out->text[0] == '\0')
		snprintf(out->text, sizeof out->text, "no reason given");
	if (status == 200 && success) {
		out->outcome = OUTCOME_LEARNED;
		out->next = ANSWER_SETTLED;
		out->kind = ERR_OK;
		out->text[0] = '\0';
		return;
	}
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (rules[i].status == status &&
		    (rules[i].says == NULL || strstr(reason, rules[i].says) ||
		     strstr(out->text, rules[i].says))) {
			apply(&rules[i], out);
			return;
		}
	/* A connection that was cut inside the header looks like 200 without a body. */
	if (status >= 500 || (status == 200 && len == 0)) {
		out->outcome = OUTCOME_UNANSWERED;
		out->next = ANSWER_RETRY;
		out->kind = ERR_TEMPORARY;
	}
}
