#include "command/old_state.h"

#include <stdint.h>
#include <string.h>

#include <jansson.h>

#include "base/text.h"

#define BAD(e, ...) err_set(e, ERR_FATAL, ERR_CONFIG, __VA_ARGS__)

static bool take_uid(const json_t *item, uint64_t *uid)
{
	if (json_is_string(item))
		return text_number(json_string_value(item), json_string_length(item),
				   UINT32_MAX, uid) &&
		       *uid > 0;
	if (!json_is_integer(item) || json_integer_value(item) < 1 ||
	    json_integer_value(item) > UINT32_MAX)
		return false;
	*uid = (uint64_t)json_integer_value(item);
	return true;
}

static int take_list(const json_t *root, const char *name, struct ranges *out, struct err *e)
{
	const json_t *list = json_object_get(root, name);

	if (!json_is_array(list))
		return BAD(e, "there is no list \"%s\"; is this the script's state file?",
			   name);
	for (size_t i = 0; i < json_array_size(list); i++) {
		uint64_t uid;

		if (!take_uid(json_array_get(list, i), &uid))
			return BAD(e,
				   "item %zu of \"%s\" is no UID; is this the script's "
				   "state file?",
				   i + 1, name);
		if (ranges_append(out, (uint32_t)uid, (uint32_t)uid, e) == -1)
			return -1;
	}
	ranges_sort(out);
	return 0;
}

int old_state_read(const char *path, struct old_state *out, struct err *e)
{
	json_error_t why;
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
	int rc;

	*out = (struct old_state){0};
	if (root == NULL)
		rc = BAD(e, "%s", why.text);
	else if (take_list(root, "spam_uids", &out->uids[CLASS_SPAM], e) == -1)
		rc = -1;
	else
		rc = take_list(root, "ham_uids", &out->uids[CLASS_HAM], e);
	json_decref(root);
	return rc == 0 ? 0 : err_prefix(e, "%s", path);
}

void old_state_free(struct old_state *s)
{
	for (int class = CLASS_SPAM; class <= CLASS_HAM; class ++)
		ranges_free(&s->uids[class]);
}
