#include "fake/memory.h"

#include <stddef.h>

/* The linker gives us every call of malloc() as __wrap_malloc(), and malloc() as
 * __real_malloc().
 */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *s);

/* Of this thread: a server in another one has memory enough. */
static _Thread_local unsigned left; /* allocations until one fails; 0: none does */
static _Thread_local bool failed;

void fake_memory_fails(unsigned nth)
{
	left = nth;
	failed = false;
}

bool fake_memory_failed(void)
{
	return failed;
}

static bool fails(void)
{
	if (left == 0 || --left > 0)
		return false;
	failed = true;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

char *__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}
