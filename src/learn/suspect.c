#include "learn/suspect.h"

void suspect_free(struct suspect *s)
{
	ranges_free(&s->once);
	ranges_free(&s->twice);
	ranges_free(&s->failed);
}

void suspect_enter(struct suspect *s, uint32_t box)
{
	if (s->box == box)
		return;
	s->box = box;
	s->breaks = 0;
	ranges_clear(&s->once);
	ranges_clear(&s->twice);
	ranges_clear(&s->failed);
}

int suspect_note(struct suspect *s, uint32_t id, struct err *e)
{
	struct ranges *set = ranges_has(&s->once, id) ? &s->twice : &s->once;

	s->breaks++;
	return ranges_add(set, id, id, e);
}

bool suspect_is_given_up(const struct suspect *s, uint32_t id)
{
	return ranges_has(&s->twice, id);
}

int suspect_fail(struct suspect *s, uint32_t id, struct err *e)
{
	return ranges_add(&s->failed, id, id, e);
}

int suspect_spare(const struct suspect *s, struct ranges *todo, struct err *e)
{
	struct ranges left = {0};
	int rc = ranges_minus(todo, &s->failed, &left, e);

	ranges_free(todo);
	*todo = left;
	return rc;
}
