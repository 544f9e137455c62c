#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

__attribute__((format(printf, 3, 0))) static void err_vtext(char *dst, size_t size,
							    const char *fmt, va_list ap)
{
	char raw[ERR_TEXT_MAX + 4]; /* larger, so that text_visible cuts it, and adds dots */

	vsnprintf(raw, sizeof raw, fmt, ap);
	text_visible(dst, size, raw, strlen(raw));
}

int err_set(struct err *e, enum err_scope scope, enum err_kind kind, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if (e == NULL)
		return -1;
	e->scope = scope;
	e->kind = kind;
	va_start(ap, fmt);
	err_vtext(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	errno = saved;
	return -1;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
	char prefix[ERR_TEXT_MAX / 2], old[ERR_TEXT_MAX];
	size_t n;
	va_list ap;

	if (e == NULL)
		return -1;
	va_start(ap, fmt);
	err_vtext(prefix, sizeof prefix, fmt, ap);
	va_end(ap);
	memcpy(old, e->text, sizeof old);
	n = (size_t)snprintf(e->text, sizeof e->text, "%s: ", prefix);
	text_visible(e->text + n, sizeof e->text - n, old, strlen(old));
	return -1;
}

void err_clear(struct err *e)
{
	memset(e, 0, sizeof *e);
}

int err_no_memory(struct err *e)
{
	return err_set(e, ERR_FATAL, ERR_LOCAL, "out of memory");
}
