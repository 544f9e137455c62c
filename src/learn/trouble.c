#include "learn/trouble.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"

void trouble_begin(struct trouble *t, const struct err *e)
{
	if (t->lasts && t->kind == e->kind)
		return;
	if (!t->lasts)
		t->since = clock_ms();
	t->lasts = true;
	t->kind = e->kind;
	memcpy(t->text, e->text, sizeof t->text);
	log_warn("%s; watch goes on trying", e->text);
}

void trouble_end(struct trouble *t, const char *what)
{
	if (!t->lasts)
		return;
	t->lasts = false;
	log_warn("%s: works again, after %lld s", what,
		 (long long)(clock_ms() - t->since) / 1000);
}
